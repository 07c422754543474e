"""An asset as ``decide`` sees it: its states, its counters, the policy it lives under and the decision it gets."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.domain.answers import Reason

# Whoever waits in line is waked by the release before it, and missed wakes are found by the sweeper within seconds;
# this is only how long a row waits for both to fail.
PARKED = timedelta(seconds=300)


class State(StrEnum):
    """The life of an asset; each state says who has the next word."""

    WAITING = "waiting"  #: in line for a slot; nothing is sent, nothing is paid
    SUBMITTING = "submitting"  #: the intent is on disk; the paying call may be on its way
    UNCERTAIN = "uncertain"  #: nobody knows whether the call was accepted; being settled, never repeated
    RENDERING = "rendering"  #: the provider works on a prediction that we know by its id
    CANCELLING = "cancelling"  #: the provider was told to stop; a result that comes all the same is kept
    FETCHING = "fetching"  #: finished over there; the file is on its way to our store
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED})
HOLDS_SLOT = frozenset({State.SUBMITTING, State.UNCERTAIN, State.RENDERING, State.CANCELLING})


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Why an asset waits: the limit that holds it, its place in line (1 is next) and a guess in seconds."""

    reason: Reason
    place: int | None = None
    about_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt or an asset failed; ``retryable`` when a new attempt could cure it."""

    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class Asset:
    """The part of an asset's row that ``decide`` reads and changes.

    ``takes`` counts attempts begun; ``tries`` those that used one of the allowed attempts up; ``silences`` the
    unanswered calls in a row; ``polls`` the looks at this prediction; ``ordered_at`` is when its attempt began,
    ``clock_started_at`` when the provider began to work on it, ``link_expires_at`` when what it made is lost.
    """

    state: State = State.WAITING
    takes: int = 0
    tries: int = 0
    silences: int = 0
    polls: int = 0
    timeout_retries: int = 0
    progress: int = 0
    ordered_at: datetime | None = None
    clock_started_at: datetime | None = None
    link_expires_at: datetime | None = None
    uncertain_since: datetime | None = None
    waiting: Waiting | None = None
    failure: Failure | None = None

    @property
    def holds_slot(self) -> bool:
        """Whether its prediction may be at work; one that a person has to judge is over by now, if it ever was."""
        needs_person = self.waiting is not None and self.waiting.reason is Reason.NEEDS_PERSON
        return self.state in HOLDS_SLOT and not needs_person

    @property
    def under_way(self) -> bool:
        """Holding a slot, or still to get one."""
        return self.state is State.WAITING or self.holds_slot

    @property
    def elsewhere(self) -> "Asset":
        """As it goes to another model: with all of its tries, and with what was shown of progress."""
        begun = replace(self, state=State.WAITING, tries=0, silences=0, waiting=None, failure=None)
        return replace(begun, clock_started_at=None, uncertain_since=None)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How patient we are; figures come from the catalogue and the settings.

    ``max_vanished`` looks in a row at a prediction that the provider says it does not know: a minute, by the backoff.
    ``took_seconds`` are the times that the model took lately (``timing.SHARES``; empty: not known yet),
    ``usual_seconds`` is the catalogue's guess; ``reported`` when the provider tells us of the end by itself.
    ``spent_after``: how long an order may be in doubt before it is booked as spent; None: a person decides, after
    ``ask_person_after`` and no sooner than ``hard_limit``, when it can't be at work any more.
    ``queue_limit``: how long after its order a prediction may still be queued over there; ``hard_limit`` is for work.
    """

    max_tries: int = 3
    max_silences: int = 60
    max_fetches: int = 8
    max_vanished: int = 6
    backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(seconds=60)
    poll_first: timedelta = timedelta(seconds=5)
    poll_factor: float = 1.5
    poll_max: timedelta = timedelta(seconds=30)
    poll_min: timedelta = timedelta(0)
    took_seconds: tuple[float, ...] = ()
    usual_seconds: float = 60.0
    reported: bool = False
    parked: timedelta = PARKED
    blocked_default: timedelta = timedelta(seconds=15)
    time_limit: timedelta = timedelta(seconds=120)
    hard_limit: timedelta = timedelta(seconds=600)
    queue_limit: timedelta = timedelta(hours=24)
    output_life: timedelta = timedelta(hours=1)
    settle_every: timedelta = timedelta(seconds=5)
    ask_person_after: timedelta = timedelta(hours=1)
    spent_after: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the asset becomes, and how long until somebody looks again (None: never, it is over).

    ``parked`` when a wake is expected before that time, so that no message needs to be held for it. ``exact`` when the
    wait was chosen to the second, and nobody else comes back with it.
    """

    asset: Asset
    wait: timedelta | None
    parked: bool = False
    exact: bool = False
