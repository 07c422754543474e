"""The line of a pool: who waits for a slot at a provider, who holds one, and the shares by which slots are given.

A pool is all accounts of one provider: they share the work, so they share the line. A freed slot goes to the owner who
holds the fewest slots for their weight, in it to the job that does, and in that to the first scene; who was passed over
most goes first among equals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pipeline.domain.answers import Reason

#: What a job's priority is worth in its owner's share. A weight is never 0, so nothing starves.
PRIORITY_WEIGHT: Mapping[str, int] = {"interactive": 8, "normal": 4, "batch": 1}


@dataclass(frozen=True, kw_only=True)
class Waiter:
    """An asset that waits for a slot. Within a job lower indexes go first; among equal jobs the one that came first.

    ``job_came_ms`` is the time since the epoch, and the same for all of a job's assets.
    """

    asset_id: UUID
    owner_id: UUID
    job_id: UUID
    model: str
    index: int
    job_came_ms: int
    owner_weight: int
    job_weight: int


@dataclass(frozen=True, kw_only=True)
class Holding:
    """An asset that holds a slot of an account, and for how long by now."""

    account: str
    asset_id: UUID
    owner_id: UUID
    job_id: UUID
    model: str
    held_seconds: float


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A slot that a row proves, to be written into an empty Redis. ``accepted``: the provider has the prediction."""

    account: str
    holder: str  #: the asset and the number of its take
    waiter: Waiter
    accepted: bool
    held_seconds: float


@dataclass(frozen=True, kw_only=True)
class Share:
    """What an owner or a job holds and was given so far. ``passed`` grows by 1/weight with each slot given."""

    held: int
    passed: float
    weight: int


@dataclass(frozen=True, kw_only=True)
class AccountView:
    """An account as the limiter sees it now. ``slots`` is the limit that holds: the learned one, if there is one."""

    account: str
    slots: int
    ceiling: int
    floor: int
    is_learned: bool
    in_flight: int
    blocked_seconds: float  #: 0 when it is not blocked
    used: Mapping[str, int]  #: requests in each window now, by its name
    set_slots: int  #: the limit to begin with, before anything was learned
    full: Mapping[str, float]  #: the windows of orders that have no room, and how long until they do


@dataclass(frozen=True, kw_only=True)
class View:
    """A pool at one moment. ``waiting`` is in no order: ``forecast`` tells who comes when."""

    waiting: tuple[Waiter, ...]
    holding: tuple[Holding, ...]
    owners: Mapping[UUID, Share]
    jobs: Mapping[UUID, Share]
    accounts: Mapping[str, AccountView]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """When somebody in line gets a slot, and which limit holds them until then."""

    place: int  #: 1 is next
    about_seconds: float | None  #: None when no slot is in sight
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was known of a provider's line; ``view`` is None when Redis did not answer.

    ``good_until`` is by this process's own monotonic clock.
    """

    view: View | None
    places: Mapping[UUID, Forecast]
    good_until: float
