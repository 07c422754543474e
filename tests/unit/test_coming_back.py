"""When a client that polls a job is told to come back."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.domain.asset import State
from pipeline.domain.document import ClipRow, JobRow, retry_after_ms
from pipeline.domain.job import JobState


def waiting(reason: str, about_seconds: float | None = None) -> dict[str, Any]:
    return {"reason": reason, "place": None, "about_seconds": about_seconds}


def told_ms(*clips: dict[str, Any] | None, state: JobState = JobState.RUNNING, over: int = 0) -> int:
    """What a job says whose clips wait so; the first few of them have ended."""
    rows = [
        SimpleNamespace(state=State.FAILED if number < over else State.WAITING, waiting=each)
        for number, each in enumerate(clips)
    ]
    return retry_after_ms(cast("JobRow", SimpleNamespace(state=state)), cast("list[ClipRow]", rows))


@pytest.mark.requirement("R14")
@pytest.mark.parametrize(
    ("clips", "milliseconds"),
    [
        ([None], 8000),
        ([waiting("slot", 300.0)], 8000),
        ([waiting("blocked")], 15_000),
        ([waiting("blocked", 41.2)], 42_000),
        ([waiting("blocked", 0.0)], 1000),
        ([waiting("blocked", 4000.0)], 900_000),
        ([waiting("blocked", 60.0), waiting("blocked", 20.0)], 20_000),
        ([waiting("slot"), waiting("blocked"), None], 15_000),
        ([waiting("breaker", 120.0)], 120_000),
        ([waiting("breaker", 120.0), None], 8000),
        ([waiting("breaker", 120.0), waiting("blocked", 30.0)], 30_000),
        ([], 8000),
    ],
)
def test_a_client_is_told_to_come_back_when_there_may_be_news(
    clips: list[dict[str, Any] | None], milliseconds: int
) -> None:
    assert told_ms(*clips) == milliseconds


@pytest.mark.requirement("R14")
def test_what_is_over_holds_nobody() -> None:
    assert told_ms(waiting("blocked", 300.0), None, over=1) == 8000
    assert told_ms(waiting("blocked", 300.0), state=JobState.COMPLETE) == 0
