"""A member of a job's chord: the ids from which its message can be made at any time, by anybody."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Member:
    """One asset in one round of its job. Everything that Celery counts by is derived from its four numbers."""

    asset_id: UUID
    job_id: UUID
    round: int
    group_index: int
    # Which queue carries it; nothing is counted by these two.
    provider: str
    fetching: bool = False  #: bringing a file home is long work, and never stands before an order

    @property
    def task_id(self) -> str:
        """The same for every copy of the member's message."""
        return f"{self.asset_id}:{self.round}"

    @property
    def group_id(self) -> str:
        """The chord's group."""
        return group_id(self.job_id, self.round)


def group_id(job_id: UUID, round_: int) -> str:
    """The chord's group of one round of a job."""
    return f"{job_id}:{round_}"


def body_id(job_id: UUID, round_: int) -> str:
    """The task id of the chord's body."""
    return f"{job_id}:{round_}:finish"
