"""The simulated provider words its predictions, problems and headers as the real one does."""

import itertools
import math
import re
import statistics
from datetime import UTC, datetime

import pytest
from replicate.prediction import Prediction as SdkPrediction

from simulator.replicate.documents import Problem, new_id, progress_logs, throttled, timestamp
from simulator.replicate.orders import Wishes, spread_factor


@pytest.mark.parametrize(("fraction", "percent"), [(0.0, 0), (0.1, 8), (0.5, 48), (0.99, 96), (1.0, 100)])
def test_the_official_sdk_reads_the_progress_from_the_logs(fraction: float, percent: int) -> None:
    progress = SdkPrediction.Progress.parse(progress_logs(fraction, 60))
    assert progress is not None
    assert round(progress.percentage * 100) == percent
    assert progress.current / progress.total == pytest.approx(progress.percentage, abs=0.01)


def test_the_logs_only_ever_grow() -> None:
    texts = [progress_logs(step / 50, 60) for step in range(51)]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


def test_times_have_nine_decimals_and_never_change() -> None:
    moment = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert re.fullmatch(r"2026-03-01T10:00:00\.123456\d{3}Z", timestamp(moment) or "")
    assert timestamp(moment) == timestamp(moment)
    assert timestamp(None) is None


def test_ids_are_26_lower_case_letters_and_digits() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[a-z0-9]{26}", made) for made in ids)


def test_a_429_tells_the_delay_in_body_and_header_or_not_at_all() -> None:
    told = throttled(30)
    assert told.body == {
        "title": "Too many requests",
        "detail": "Request was throttled. Your rate limit resets in ~30s.",
        "status": 429,
        "retry_after": 30,
    }
    assert told.headers == {"Retry-After": "30"}
    untold = throttled(None)
    assert (untold.status, untold.body, untold.headers) == (429, {"detail": "Request was throttled."}, {})


@pytest.mark.parametrize(("text", "seconds"), [("wait", 60), ("wait=1", 1), ("wait=60", 60), ("", None)])
def test_prefer_is_read(text: str, seconds: int | None) -> None:
    assert Wishes.of(text, "").wait_seconds == seconds


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("90", 90), ("", None)])
def test_cancel_after_is_read(text: str, seconds: int | None) -> None:
    assert Wishes.of("", text).cancel_after_seconds == seconds


@pytest.mark.parametrize(("prefer", "cancel_after"), [("wait=0", ""), ("wait=61", ""), ("respond-async", "")])
def test_a_preference_that_means_nothing_is_refused(prefer: str, cancel_after: str) -> None:
    with pytest.raises(Problem):
        Wishes.of(prefer, cancel_after)


@pytest.mark.parametrize("cancel_after", ["4s", "soon", "5d", "0"])
def test_a_deadline_that_means_nothing_is_refused(cancel_after: str) -> None:
    with pytest.raises(Problem):
        Wishes.of("", cancel_after)


def test_durations_spread_as_a_log_normal_around_the_usual_one() -> None:
    factors = [spread_factor(f"scene {number}", 0.15) for number in range(1000)]
    assert statistics.median(factors) == pytest.approx(1, abs=0.02)
    assert statistics.stdev(math.log(factor) for factor in factors) == pytest.approx(0.15, abs=0.01)
    assert spread_factor("scene 1", 0) == 1
