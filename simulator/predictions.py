"""What was ordered and what became of it: plain values, and their form on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from simulator.faults import NOTHING, Fault

BOOT_SHARE = 0.1
LONGEST_BOOT_SECONDS = 0.5


def written(moment: datetime | None) -> str | None:
    """A time on disk and in the ledger: always with microseconds."""
    return moment.isoformat(timespec="microseconds") if moment else None


class Phase(StrEnum):
    """Where a prediction stands."""

    QUEUED = "queued"  #: accepted, and held back until another of its account ends
    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def ended(self) -> bool:
        return self not in {Phase.QUEUED, Phase.STARTING, Phase.PROCESSING}


@dataclass(frozen=True, kw_only=True)
class Media:
    """The files to make: of which kind, how many, how large and long."""

    kind: str
    extension: str
    count: int = 1
    ratio: float = 16 / 9
    seconds: float = 5
    as_list: bool = False  #: whether the output is an array even of one


@dataclass(frozen=True, kw_only=True)
class Order:
    """One accepted, paid order, as it stands in the ledger. It never changes."""

    id: str
    number: int  #: counts the orders of a ledger, from 1
    account: str
    model: str
    version: str
    input: Mapping[str, Any]
    price_cents: float
    created_at: datetime
    render_seconds: float
    media: Media
    caption: str
    base_url: str
    dialect: str = "replicate"
    at_once: int | None = None  #: how many of its account may render together; the rest is queued; None: all
    extra: Mapping[str, Any] = field(default_factory=dict)  #: what else its dialect has to remember
    webhook: str | None = None
    webhook_events: Sequence[str] = ()
    deadline: datetime | None = None
    fault: Fault = field(default_factory=lambda: NOTHING)

    @property
    def starts_at(self) -> datetime:
        boot_seconds = min(LONGEST_BOOT_SECONDS, self.render_seconds * BOOT_SHARE)
        return self.created_at + timedelta(seconds=boot_seconds)

    @property
    def ends_at(self) -> datetime:
        return self.created_at + timedelta(seconds=self.render_seconds)

    def as_json(self) -> dict[str, Any]:
        """The line of the ledger."""
        return vars(self) | {
            "media": vars(self.media),
            "fault": self.fault.as_dict(),
            "created_at": written(self.created_at),
            "deadline": written(self.deadline),
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Order":
        """Read a line of the ledger."""
        deadline = line["deadline"]
        values = {
            "created_at": datetime.fromisoformat(line["created_at"]),
            "deadline": datetime.fromisoformat(deadline) if deadline else None,
            "media": Media(**line["media"]),
            "fault": Fault(**line["fault"]),
        }
        return cls(**dict(line) | values)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """An order and how far it has come."""

    order: Order
    phase: Phase = Phase.STARTING
    begun_at: datetime | None = None  #: when it left the queue, if it was in one
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    data_removed: bool = False
    webhook_done: bool = False

    @property
    def id(self) -> str:
        return self.order.id

    @property
    def queued_for(self) -> timedelta:
        """How long it was held back."""
        return self.begun_at - self.order.created_at if self.begun_at else timedelta(0)

    @property
    def starts_at(self) -> datetime:
        return self.order.starts_at + self.queued_for

    @property
    def ends_at(self) -> datetime:
        return self.order.ends_at + self.queued_for

    def fraction(self, now: datetime) -> float:
        """How much is rendered, 0 to 1; 1 only when it succeeded."""
        if self.phase is Phase.SUCCEEDED:
            return 1.0
        if self.started_at is None:
            return 0.0
        total = (self.ends_at - self.starts_at) / timedelta(seconds=1)
        passed = ((self.completed_at or now) - self.started_at) / timedelta(seconds=1)
        return max(0.0, min(0.99, passed / total)) if total > 0 else 0.99

    def change(self, **changes: Any) -> tuple["Prediction", dict[str, Any]]:
        """The changed prediction, and the line of the journal that says so."""
        line = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in changes.items()}
        return replace(self, **changes), {"id": self.id, **line}

    def replay(self, line: Mapping[str, Any]) -> "Prediction":
        """The prediction after a line of the journal."""
        changes = {name: value for name, value in line.items() if name != "id"}
        for name in ("begun_at", "started_at", "completed_at"):
            if changes.get(name):
                changes[name] = datetime.fromisoformat(changes[name])
        if "phase" in changes:
            changes["phase"] = Phase(changes["phase"])
        return replace(self, **changes)
