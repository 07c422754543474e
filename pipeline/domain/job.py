"""A job's state and progress, derived from its clips."""

from collections.abc import Sequence
from enum import StrEnum

from pipeline.domain.asset import State


class JobState(StrEnum):
    """The life of a job, in the words of the API."""

    QUEUED = "queued"  #: accepted; nothing has been sent to a provider yet
    RUNNING = "running"
    ASSEMBLING = "assembling"  #: every clip has ended; the film is being made
    COMPLETE = "complete"
    PARTIAL = "partial"  #: some clips failed, but enough are there (R37)
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED})
HAS_FILM = frozenset({JobState.COMPLETE, JobState.PARTIAL})


class Status(StrEnum):
    """What a clip is doing, for people and old clients (R32)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    RENDERING = "rendering"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


_STATUS = {
    State.WAITING: Status.QUEUED,
    State.SUBMITTING: Status.PROCESSING,
    State.UNCERTAIN: Status.PROCESSING,
    State.RENDERING: Status.RENDERING,
    State.CANCELLING: Status.RENDERING,
    State.FETCHING: Status.PROCESSING,
    State.DONE: Status.COMPLETE,
    State.FAILED: Status.FAILED,
    State.CANCELLED: Status.CANCELLED,
}


def status_of(state: State) -> Status:
    """The public word for an asset's state."""
    return _STATUS[state]


def outcome(states: Sequence[State], *, min_clips: int, cancelled: bool) -> JobState:
    """How a job ends whose clips have all ended (R36, R37)."""
    done = sum(state is State.DONE for state in states)
    if done == len(states):
        return JobState.COMPLETE
    if cancelled:
        return JobState.CANCELLED
    return JobState.PARTIAL if done >= min(min_clips, len(states)) else JobState.FAILED


def progress_of(progresses: Sequence[int]) -> int:
    """A job's percentage: the mean of its clips', rounded down so that 100 means finished."""
    return sum(progresses) // len(progresses) if progresses else 0
