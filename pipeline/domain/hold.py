"""A claimed asset: all that a step knows about it, the fence it shows when it writes, and what it then writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pipeline.domain.answers import Answer, Picture
from pipeline.domain.asset import HOLDS_SLOT, Asset, Decision
from pipeline.domain.attempt import Attempt, AttemptChange, NewAttempt
from pipeline.domain.events import Event
from pipeline.domain.line import PRIORITY_WEIGHT, Waiter
from pipeline.domain.member import Member
from pipeline.domain.needs import Needs


@dataclass(frozen=True, kw_only=True)
class NotClaimed:
    """The row is over, or not due, or somebody else holds it."""

    over: bool


@dataclass(frozen=True, kw_only=True)
class News:
    """The most telling webhook about the current attempt that no step has read yet."""

    id: int
    prediction_id: str
    answer: Answer


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A claimed row: everything a step needs to know, and the fence it must show when it writes."""

    member: Member
    owner_id: UUID
    kind: str
    index: int
    model: str
    provider: str
    account: str
    shot: Mapping[str, Any]
    needs: Needs
    asset: Asset
    attempt: Attempt | None
    news: News | None
    cancelled: bool
    created_at: datetime
    owner_weight: int
    priority: str
    first: bool  #: nothing of its job was sent to a provider yet
    version: int
    wakes: int
    #: When the row was taken, on this process's own monotonic clock: a paused process can tell that it was paused.
    taken_at: float

    @property
    def asset_id(self) -> UUID:
        """The asset's id, short for ``member.asset_id``."""
        return self.member.asset_id

    @property
    def waiter(self) -> Waiter:
        """The asset as it stands in line."""
        return Waiter(
            asset_id=self.asset_id,
            owner_id=self.owner_id,
            job_id=self.member.job_id,
            model=self.model,
            index=self.index,
            job_came_ms=int(self.created_at.timestamp() * 1000),
            owner_weight=self.owner_weight,
            job_weight=PRIORITY_WEIGHT[self.priority],
        )

    @property
    def slot(self) -> str:
        """The name under which the limiter knows this take of the asset."""
        takes = self.asset.takes if self.asset.state in HOLDS_SLOT else self.asset.takes + 1
        return f"{self.asset_id}:{takes}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Everything one step writes: the decision, what it means for the attempt, and who is told."""

    decision: Decision
    begin: NewAttempt | None = None
    attempt: AttemptChange | None = None
    result: Mapping[str, Any] | None = None
    picture: Picture | None = None
    events: Sequence[Event] = ()
    read: News | None = None
