"""A member of a job's chord: the ids from which its message can be made at any time, by anybody."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

#: Files whose links live no longer than the first of these come home first, then those of the second, and so on.
_LIVES = tuple(timedelta(minutes=each) for each in (5, 15, 60, 6 * 60, 24 * 60))
# Of a customer's link nobody knows; most of those that expire do so after an hour.
_USUAL_LIFE = timedelta(hours=1)
RANKS = range(len(_LIVES) + 1)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One asset in one round of its job. Everything that Celery counts by is derived from its four numbers."""

    asset_id: UUID
    job_id: UUID
    round: int
    group_index: int
    # Which queue carries it, and how soon; nothing is counted by these.
    provider: str
    fetching: bool = False  #: bringing a file home is long work, and never stands before an order
    link_expires_at: datetime | None = None  #: when the file that it is to fetch is lost

    @property
    def task_id(self) -> str:
        """The same for every copy of the member's message."""
        return f"{self.asset_id}:{self.round}"

    @property
    def group_id(self) -> str:
        """The chord's group."""
        return group_id(self.job_id, self.round)

    def rank(self, now: datetime) -> int:
        """Its class in its queue, 0 is served first: of files to fetch those whose links expire soonest (R63).

        Told anew with each copy, so that a file which was passed over for long goes first in the end.
        """
        if not self.fetching:
            return RANKS.start
        life = self.link_expires_at - now if self.link_expires_at else _USUAL_LIFE
        return bisect_left(_LIVES, life)


def group_id(job_id: UUID, round_: int) -> str:
    """The chord's group of one round of a job."""
    return f"{job_id}:{round_}"


def body_id(job_id: UUID, round_: int) -> str:
    """The task id of the chord's body."""
    return f"{job_id}:{round_}:finish"
