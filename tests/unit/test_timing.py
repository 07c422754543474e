"""When predictions are looked at: the schedule as a table and as properties, and what it costs in a seeded model."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asset import Policy
from pipeline.domain.timing import in_turn, next_look, took

CATALOGUE = Policy(poll_first=timedelta(seconds=5), poll_factor=2.0, poll_max=timedelta(seconds=30), usual_seconds=40.0)
#: A spread of 32 s: steps of 4 s, and the first one after all but the quickest could be over.
LEARNED = replace(CATALOGUE, took_seconds=(16.0, 24.0, 32.0, 40.0, 48.0), poll_max=timedelta(seconds=60))
ALIKE = replace(LEARNED, took_seconds=(3.0,) * 5)
REPORTED = replace(LEARNED, reported=True)


def wait(policy: Policy, passed_seconds: float, looks: int = 0, *, queued: bool = False) -> float:
    return next_look(policy, timedelta(seconds=passed_seconds), looks=looks, queued=queued).total_seconds()


@pytest.mark.requirement("R24")
@pytest.mark.parametrize(
    ("passed", "expected"),
    [(0, 20.05), (5, 15.05), (20.05, 4), (24.05, 4), (48, 4), (50, 5), (56, 8), (1000, 60)],
)
def test_the_first_look_comes_when_the_end_is_likely_then_denser_ones_then_ever_later_ones(
    passed: float, expected: float
) -> None:
    assert wait(LEARNED, passed) == pytest.approx(expected)


@pytest.mark.requirement("R24")
@pytest.mark.parametrize(("passed", "expected"), [(0, 3.05), (3.05, 0.175), (3.225, 0.2625), (4, 0.65)])
def test_where_all_take_the_same_time_the_looks_sit_right_after_it(passed: float, expected: float) -> None:
    assert wait(ALIKE, passed) == pytest.approx(expected)


@pytest.mark.requirement("R24")
def test_a_model_that_has_not_shown_yet_how_long_it_takes_is_looked_at_by_the_catalogue() -> None:
    assert [wait(CATALOGUE, 7, looks=looks) for looks in (0, 1, 2, 3, 10_000)] == [5, 10, 20, 30, 30]


@pytest.mark.requirement("R24")
def test_in_the_providers_queue_looks_come_ever_later_however_quick_the_model_is() -> None:
    assert [wait(ALIKE, 0, looks, queued=True) for looks in (0, 1, 2, 3, 4)] == [5, 10, 20, 40, 60]


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(("passed", "expected"), [(0, 72), (70, 5), (72, 36), (108, 54), (480, 240), (100_000, 240)])
def test_where_webhooks_tell_us_the_looks_are_only_for_what_got_lost(passed: float, expected: float) -> None:
    assert wait(REPORTED, passed) == pytest.approx(expected)


@pytest.mark.requirement("R53")
def test_before_anything_was_learned_the_net_is_hung_by_the_catalogues_guess() -> None:
    assert wait(replace(CATALOGUE, reported=True), 0) == 60
    assert wait(replace(CATALOGUE, reported=True, usual_seconds=1.0), 0) == 5


SECONDS = st.floats(min_value=0, max_value=10_000)


@given(
    passed=SECONDS,
    samples=st.lists(st.floats(min_value=0.1, max_value=2_000), max_size=40),
    looks=st.integers(min_value=0, max_value=100_000),
    queued=st.booleans(),
)
def test_no_look_is_sooner_than_a_quarter_of_a_second_or_later_than_the_catalogue_says(
    passed: float, samples: list[float], looks: int, *, queued: bool
) -> None:
    policy = replace(CATALOGUE, took_seconds=took(samples))
    assert 0.25 <= wait(policy, passed, looks, queued=queued) <= 30


@given(samples=st.lists(st.floats(min_value=0.1, max_value=2_000), min_size=5, max_size=40))
def test_what_was_learned_is_in_order_and_within_what_was_seen(samples: list[float]) -> None:
    learned = took(samples)
    assert learned == pytest.approx(sorted(learned))
    assert learned == pytest.approx([min(max(each, min(samples)), max(samples)) for each in learned])


def test_the_quantiles_are_the_twentieths_they_are_named_for_and_few_samples_tell_nothing() -> None:
    assert took([float(number) for number in range(101)]) == (5, 25, 50, 75, 95)
    assert took([1.0] * 4) == ()


Schedule = Callable[[float, int], float]


def cost(schedule: Schedule, clips: int = 4000) -> tuple[float, float]:
    """Asks per clip, and seconds from its end to our knowing, over clips of about a minute (log-normal, sigma 0.15)."""
    dice = random.Random(20260301)  # noqa: S311 - seeded dice, not secrets
    asks, late_seconds = [], []
    for _ in range(clips):
        ends_at, now, looks = 60 * math.exp(dice.gauss(0, 0.15)), 0.0, 0
        while now < ends_at:
            now, looks = now + schedule(now, looks), looks + 1
        asks.append(looks)
        late_seconds.append(now - ends_at)
    return mean(asks), mean(late_seconds)


def minute_long(poll_max_seconds: float) -> Policy:
    """What is known of those clips after two hundred of them."""
    dice = random.Random(7)  # noqa: S311 - seeded dice, not secrets
    samples = [60 * math.exp(dice.gauss(0, 0.15)) for _ in range(200)]
    return replace(CATALOGUE, took_seconds=took(samples), poll_max=timedelta(seconds=poll_max_seconds))


@pytest.mark.requirement("R24")
def test_we_ask_as_little_as_a_backoff_and_know_sooner_than_a_poll_every_eight_seconds() -> None:
    policy = minute_long(poll_max_seconds=60)
    asks, late_seconds = cost(lambda passed, looks: wait(policy, passed, looks))
    backoff_asks, backoff_late_seconds = cost(lambda _, looks: in_turn(CATALOGUE, looks).total_seconds())
    fixed_asks, fixed_late_seconds = cost(lambda *_: 8.0)
    assert (asks, late_seconds) == pytest.approx((4.3, 2.1), rel=0.1)
    assert (backoff_asks, backoff_late_seconds) == pytest.approx((4.3, 13.2), rel=0.1)
    assert (fixed_asks, fixed_late_seconds) == pytest.approx((8.1, 4.0), rel=0.1)


@pytest.mark.requirement("R24")
def test_the_catalogues_longest_wait_costs_one_more_ask_and_no_lateness() -> None:
    free, bounded = (minute_long(poll_max_seconds=longest) for longest in (60, 30))
    asks, late_seconds = cost(lambda passed, looks: wait(free, passed, looks))
    more_asks, same_late_seconds = cost(lambda passed, looks: wait(bounded, passed, looks))
    assert (more_asks, same_late_seconds) == pytest.approx((asks + 1, late_seconds), rel=0.01)


@pytest.mark.requirement("R53")
def test_with_webhooks_five_thousand_predictions_of_which_some_are_slow_cost_few_looks_a_second() -> None:
    """One in a hundred takes ten times as long as it should; looks for all that are in flight at once."""
    policy = replace(minute_long(poll_max_seconds=30), reported=True)
    dice, looks, seconds = random.Random(11), 0, 0.0  # noqa: S311 - seeded dice, not secrets
    for _ in range(20_000):
        ends_at = 60 * math.exp(dice.gauss(0, 0.15)) * (10 if dice.random() < 0.01 else 1)
        now = wait(policy, 0)
        while now < ends_at:
            now, looks = now + wait(policy, now), looks + 1
        seconds += ends_at
    assert 5000 * looks / seconds < 6


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("took_seconds", [(), (3.0,) * 5, (16.0, 24.0, 32.0, 40.0, 48.0)])
def test_a_provider_that_wants_time_between_looks_gets_it_however_likely_the_end_is(
    took_seconds: tuple[float, ...],
) -> None:
    eight = timedelta(seconds=8)
    policy = replace(CATALOGUE, poll_first=eight, poll_factor=1, poll_max=eight, poll_min=eight)
    policy = replace(policy, took_seconds=took_seconds)
    assert [wait(policy, passed, looks=looks) for looks, passed in enumerate((0, 3, 8, 16, 48, 1000))] == [8] * 6
