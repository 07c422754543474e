"""The figures of the bench, on runs whose figures are known by heart."""

from datetime import UTC, datetime, timedelta

import pytest

from bench import measures
from bench.measures import Made, Run

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def made(clip: int, created: float, completed: float | None, *, succeeded: bool = True) -> Made:
    return Made(
        id=f"{clip}@{created:g}",
        clip=clip,
        created_at=at(created),
        completed_at=None if completed is None else at(completed),
        succeeded=succeeded,
    )


def run(*orders: Made, clips: int = 4, slots: int = 2, late: float = 0.0) -> Run:
    known = {each.id: each.completed_at + timedelta(seconds=late) for each in orders if each.completed_at}
    return Run(
        clips=clips, slots=slots, made=orders, known=known, creates=len(orders), turned_away=0, refusals=0, requests=0
    )


PERFECT = run(made(0, 0, 3), made(1, 0, 3), made(2, 3, 6), made(3, 3, 6))
SLOW = run(made(0, 0, 3), made(1, 0, 3), made(2, 4, 7), made(3, 5, 8), late=1)


@pytest.mark.parametrize(
    ("durations", "slots", "ideal"), [([3] * 20, 4, 15), ([3] * 100, 20, 15), ([1, 1, 1, 9], 4, 9), ([2, 4], 1, 6)]
)
def test_no_schedule_is_shorter_than_the_work_over_the_slots_or_the_longest_clip(
    durations: list[float], slots: int, ideal: float
) -> None:
    assert measures.ideal_seconds(durations, slots) == ideal


def test_a_run_without_a_gap_takes_the_ideal_time() -> None:
    assert measures.makespan_ratio(PERFECT) == 1
    assert measures.slot_utilisation(PERFECT) == 1
    assert measures.freed_to_submit_seconds(PERFECT.made, 2) == [0, 0]
    assert measures.lateness_seconds(PERFECT) == [0, 0, 0, 0]


def test_gaps_and_late_knowledge_lengthen_a_run() -> None:
    assert measures.makespan_ratio(SLOW) == pytest.approx(9 / 6)
    assert measures.slot_utilisation(SLOW) == pytest.approx(12 / 16)
    assert measures.freed_to_submit_seconds(SLOW.made, 2) == [1, 2]
    assert measures.lateness_seconds(SLOW) == [1, 1, 1, 1]


def test_a_clip_that_failed_and_was_bought_again_is_neither_lost_nor_rendered_twice() -> None:
    again = run(made(0, 0, 3, succeeded=False), made(0, 3, 6), clips=1, slots=1)
    assert (measures.rendered_twice(again), measures.lost(again)) == (0, 0)


def test_a_clip_that_was_paid_for_twice_is_told_and_one_that_nobody_knows_is_lost() -> None:
    twice = run(made(0, 0, 3), made(0, 0, 3), made(1, 3, None), clips=3)
    assert (measures.rendered_twice(twice), measures.lost(twice)) == (1, 2)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_quantile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert measures.quantile(range(100, 0, -1), share) == value


@pytest.mark.parametrize(("shares", "index"), [([6] * 10, 1.0), ([60] + [0] * 9, 0.1), ([2, 1], 0.9)])
def test_the_jain_index_is_one_for_equals_and_a_share_of_one_for_a_winner(shares: list[int], index: float) -> None:
    assert measures.jain_index(shares) == pytest.approx(index)


def test_used_slots_count_only_what_lies_between_the_two_moments() -> None:
    orders = [made(0, -5, 5), made(1, 5, None), made(2, 20, 30)]
    assert measures.slots_used(orders, 2, at(0), at(10)) == pytest.approx((5 + 5) / 20)


def test_most_at_once_lets_a_place_that_is_freed_be_taken_at_the_same_moment() -> None:
    assert measures.most_at_once(PERFECT.made) == 2
    assert measures.most_at_once([*PERFECT.made, made(4, 2.9, None)]) == 3


@pytest.mark.parametrize(
    ("refused", "recovery"),
    [
        ([], 0),  # nothing was refused
        ([-3, -2, -1], 0),  # not after the change
        ([1], 0),  # one is how a limit is felt for
        ([1, 2, 6], 6),
        ([1, 2, 6, 30, 55], 6),  # rare from then on
        ([1, 2, 6, 30, 45], 45),
    ],
)
def test_recovery_ends_with_the_last_refusal_that_had_company(refused: list[float], recovery: float) -> None:
    moments = [at(each) for each in refused]
    assert measures.recovery_seconds(moments, at(0), quiet_seconds=20, most_refused=1) == recovery


def test_an_estimate_is_near_enough_in_relation_to_what_came_true() -> None:
    told = [(40.0, 50.0), (60.0, 50.0), (37.0, 50.0), (63.0, 50.0)]
    assert measures.within(told, 0.25) == 0.5


@pytest.mark.parametrize(
    ("duration", "asks", "late"),
    [(60, 8, 4), (8, 1, 0), (7, 1, 1), (9, 2, 7)],
)
def test_a_fixed_pause_asks_often_and_knows_late(duration: float, asks: int, late: float) -> None:
    assert measures.asked_on_schedule(duration, first=8, factor=1, longest=8) == (asks, late)


def test_a_growing_pause_asks_at_5_12_23_40_and_then_every_30_seconds() -> None:
    asks, late = measures.asked_on_schedule(60, first=5, factor=1.5, longest=30)
    assert asks == 5
    assert late == pytest.approx(5 + 7.5 + 11.25 + 16.875 + 25.3125 - 60)


def test_a_shot_is_known_by_its_number_wherever_its_prompt_names_it() -> None:
    assert measures.clip_of("bench\n\nshot 17 by tenant-3. [[sim: seconds=1]]") == 17
    with pytest.raises(ValueError, match="no shot"):
        measures.clip_of("a lighthouse")
