"""Those who were held together by one "not now" do not come back together."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline import heed
from pipeline.domain.answers import Busy, Reason
from pipeline.domain.asset import Policy
from pipeline.domain.hold import Hold
from pipeline.services import Services

HOLD = cast("Hold", SimpleNamespace(provider="acme", account="acme", model="acme/one"))


def services(blocked: list[float], held: Busy | None = None) -> Services:
    limiter = SimpleNamespace(block=lambda *told, **_: blocked.append(told[-1]), ask=lambda *_: held)
    made: Any = SimpleNamespace(limiter=limiter, policy=lambda _: Policy(), pool=lambda _: None)
    return cast("Services", made)


@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    ("told", "least", "most"),
    [(30.0, 30.1, 33.0), (1.0, 1.1, 1.1), (900.0, 900.1, 990.0), (None, 15.1, 16.5), (0.0, 15.1, 16.5)],
)
def test_a_pause_lasts_as_long_as_told_and_up_to_a_tenth_longer(
    monkeypatch: pytest.MonkeyPatch, told: float | None, least: float, most: float
) -> None:
    blocked: list[float] = []
    for dice in (min, max):
        monkeypatch.setattr("random.uniform", lambda low, high, dice=dice: dice(low, high))
        answer = heed.paused(services(blocked), HOLD, Busy(reason=Reason.BLOCKED, wait_seconds=told))
        assert isinstance(answer, Busy)
        assert answer.wait_seconds == blocked[-1]
    assert blocked == pytest.approx([least, most])


@pytest.mark.requirement("R10")
def test_questions_that_wait_for_the_end_of_a_pause_are_spread_over_half_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.uniform", lambda _, high: high)
    held = Busy(reason=Reason.BLOCKED, wait_seconds=10.0)
    answer = heed.asked(services([], held), HOLD, pytest.fail)
    assert answer == Busy(reason=Reason.BLOCKED, wait_seconds=10.5)
