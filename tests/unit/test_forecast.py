"""The line played forward: everybody's place, and when their slot comes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.answers import Reason
from pipeline.domain.forecast import forecast
from pipeline.domain.line import AccountView, Holding, Share, View, Waiter

QUICK, SLOW = "acme/quick", "acme/slow"
USUAL = {QUICK: 10.0, SLOW: 60.0}


def owner(number: int) -> UUID:
    return UUID(int=number)


def job(owner_number: int, number: int) -> UUID:
    return UUID(int=(owner_number << 16) + (number << 8))


def waiter(owner_number: int, job_number: int, index: int, **more: object) -> Waiter:
    asset = UUID(int=(owner_number << 32) + (job_number << 16) + index)
    known = {
        "asset_id": asset,
        "owner_id": owner(owner_number),
        "job_id": job(owner_number, job_number),
        "model": QUICK,
        "index": index,
        "job_came_ms": job_number,
        "owner_weight": 1,
        "job_weight": 4,
    }
    return Waiter(**{**known, **more})  # type: ignore[arg-type]


def holding(of: Waiter, held_seconds: float = 0.0, account: str = "acme") -> Holding:
    return Holding(
        account=account,
        asset_id=UUID(int=of.asset_id.int + (1 << 64)),
        owner_id=of.owner_id,
        job_id=of.job_id,
        model=of.model,
        held_seconds=held_seconds,
    )


def account(slots: int, in_flight: int, name: str = "acme", blocked_seconds: float = 0.0) -> AccountView:
    return AccountView(
        account=name,
        slots=slots,
        ceiling=slots,
        floor=1,
        is_learned=False,
        in_flight=in_flight,
        blocked_seconds=blocked_seconds,
        used={},
        set_slots=slots,
        full={},
    )


def view(waiting: Iterable[Waiter], holding: Iterable[Holding] = (), *accounts: AccountView) -> View:
    """A line whose owners and jobs hold what is held, and were never passed over."""
    waiters, holders = tuple(waiting), tuple(holding)
    known = accounts or (account(len(holders), len(holders)),)
    people: tuple[Waiter | Holding, ...] = (*waiters, *holders)
    owners, jobs = Counter(each.owner_id for each in holders), Counter(each.job_id for each in holders)
    return View(
        waiting=waiters,
        holding=holders,
        owners={each.owner_id: Share(held=owners[each.owner_id], passed=0.0, weight=1) for each in people},
        jobs={each.job_id: Share(held=jobs[each.job_id], passed=0.0, weight=4) for each in people},
        accounts={each.account: each for each in known},
    )


def told(line: View) -> list[tuple[UUID, float | None]]:
    """Who comes when, the next one first."""
    found = forecast(line, USUAL.__getitem__)
    ordered = sorted(found, key=lambda each: found[each].place)
    return [(each, found[each].about_seconds) for each in ordered]


@pytest.mark.requirement("R60")
def test_the_third_in_line_waits_for_the_third_slot_that_is_given_back() -> None:
    line = [waiter(1, 1, index) for index in range(4)]
    busy = [holding(waiter(1, 1, 90, model=SLOW), held) for held in (50.0, 35.0)]
    # Slots come back after 10 and 25 s, and what is given at 10 s is back after 20 s and 30 s.
    assert told(view(line, busy)) == [
        (line[0].asset_id, 10.0),
        (line[1].asset_id, 20.0),
        (line[2].asset_id, 25.0),
        (line[3].asset_id, 30.0),
    ]


@pytest.mark.requirement("R60")
def test_who_has_a_free_slot_waits_for_nothing() -> None:
    first, second = waiter(1, 1, 0), waiter(1, 1, 1)
    assert told(view([second, first], [], account(1, 0))) == [(first.asset_id, 0.0), (second.asset_id, 10.0)]


@pytest.mark.parametrize(("held", "left"), [(0.0, 10.0), (9.5, 1.0), (10.0, 1.0), (30.0, 3.0), (600.0, 60.0)])
def test_a_prediction_that_is_overdue_is_believed_to_take_a_little_more(held: float, left: float) -> None:
    one = waiter(1, 1, 0)
    assert told(view([one], [holding(one, held)])) == [(one.asset_id, left)]


@pytest.mark.requirement("R52", "R60")
def test_a_job_of_three_beside_one_of_many_gets_every_second_slot() -> None:
    many, few = [waiter(1, 1, index) for index in range(9)], [waiter(1, 2, index) for index in range(3)]
    order = [each for each, _ in told(view([*many, *few], [], account(2, 0)))]
    assert max(order.index(each.asset_id) for each in few) <= 6


@pytest.mark.requirement("R52")
def test_an_owner_of_twice_the_weight_gets_twice_the_slots() -> None:
    light = [waiter(1, 1, index) for index in range(20)]
    heavy = [waiter(2, 1, index, owner_weight=2) for index in range(20)]
    line = view([*light, *heavy], [], account(6, 0))
    line = replace(line, owners={**line.owners, owner(2): Share(held=0, passed=0.0, weight=2)})
    first = {each for each, _ in told(line)[:6]}
    assert sum(each.asset_id in first for each in heavy) == 4


@pytest.mark.requirement("R60")
def test_the_end_of_a_block_is_what_those_wait_for_who_would_have_a_slot() -> None:
    line = [waiter(1, 1, index) for index in range(4)]
    busy = [holding(waiter(1, 1, 90), held) for held in (0.0, 6.0)]
    found = forecast(view(line, busy, account(3, 2, blocked_seconds=8.0)), USUAL.__getitem__)
    assert [(found[each.asset_id].about_seconds, found[each.asset_id].reason) for each in line] == [
        (8.0, Reason.BLOCKED),
        (8.0, Reason.BLOCKED),
        (10.0, Reason.SLOT),
        (18.0, Reason.SLOT),
    ]


@pytest.mark.requirement("R60")
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({}, (0.0, Reason.SLOT)),
        ({"blocked_seconds": 8.0}, (8.0, Reason.BLOCKED)),
        ({"full": {"create": 3.0}}, (3.0, Reason.RATE)),
        ({"full": {"create": 3.0, "daily": 4000.0}}, (4000.0, Reason.DAILY_LIMIT)),
        ({"full": {"create": 3.0}, "blocked_seconds": 8.0}, (8.0, Reason.BLOCKED)),
        ({"set_slots": 9}, (0.0, Reason.LEARNED_LIMIT)),
        ({"set_slots": 9, "blocked_seconds": 8.0}, (8.0, Reason.BLOCKED)),
    ],
    ids=str,
)
def test_the_limit_that_holds_the_next_one_is_named(now: dict[str, Any], expected: tuple[float, Reason]) -> None:
    one = waiter(1, 1, 0)
    found = forecast(view([one], [], replace(account(1, 0), **now)), USUAL.__getitem__)[one.asset_id]
    assert (found.about_seconds, found.reason) == expected


def test_a_block_of_one_account_leaves_the_others_open() -> None:
    line = [waiter(1, 1, index) for index in range(2)]
    pool = (account(1, 0, "one", blocked_seconds=100.0), account(1, 0, "two"))
    assert told(view(line, [], *pool)) == [(line[0].asset_id, 0.0), (line[1].asset_id, 10.0)]


def test_a_limit_that_was_lowered_takes_the_first_slots_that_come_back() -> None:
    line = [waiter(1, 1, index) for index in range(2)]
    busy = [holding(waiter(1, 1, 90), held) for held in (8.0, 5.0, 1.0)]
    assert told(view(line, busy, account(1, 3))) == [(line[0].asset_id, 9.0), (line[1].asset_id, 19.0)]


def test_without_any_slot_there_are_places_and_no_times() -> None:
    line = [waiter(1, 1, index) for index in range(2)]
    empty = replace(view(line), accounts={})
    assert told(empty) == [(line[0].asset_id, None), (line[1].asset_id, None)]
    assert told(view([])) == []


SCENES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 40), st.sampled_from([QUICK, SLOW]))
SHARES = st.builds(Share, held=st.just(0), passed=st.integers(0, 8).map(lambda n: n / 4), weight=st.integers(1, 3))
PAUSES = st.sampled_from([0.0, 0.0, 5.0, 70.0])


@st.composite
def lines(draw: st.DrawFn) -> View:
    """Several owners and jobs, some of them with slots, on two accounts that may pause."""
    scenes = draw(st.lists(SCENES, max_size=40, unique_by=lambda scene: scene[:3]))
    people = [waiter(*numbers, model=model) for *numbers, model in scenes]
    names = draw(st.lists(st.sampled_from(["one", "two", None]), min_size=len(people), max_size=len(people)))
    ages = draw(st.lists(st.floats(0, 200), min_size=len(people), max_size=len(people)))
    held = [holding(each, age, name) for each, age, name in zip(people, ages, names, strict=True) if name]
    waiting = [each for each, name in zip(people, names, strict=True) if not name]
    counts = Counter(each.account for each in held)
    accounts = [account(draw(st.integers(1, 6)), counts[name], name, draw(PAUSES)) for name in ("one", "two")]
    line = view(waiting, held, *accounts)
    owners = {each: replace(draw(SHARES), held=share.held) for each, share in line.owners.items()}
    jobs = {each: replace(draw(SHARES), held=share.held) for each, share in line.jobs.items()}
    return replace(line, owners=owners, jobs=jobs)


@given(lines())
def test_everybody_has_one_place_and_times_never_fall_with_it(line: View) -> None:
    found = forecast(line, USUAL.__getitem__)
    assert set(found) == {each.asset_id for each in line.waiting}
    assert sorted(each.place for each in found.values()) == list(range(1, len(found) + 1))
    times = [seconds for _, seconds in told(line)]
    assert times == sorted(times, key=lambda seconds: seconds or 0.0)
    assert None not in times


@given(lines())
def test_the_scenes_of_a_job_come_in_their_order(line: View) -> None:
    found = forecast(line, USUAL.__getitem__)
    for one in line.waiting:
        for other in line.waiting:
            if one.job_id == other.job_id and one.index < other.index:
                assert found[one.asset_id].place < found[other.asset_id].place


@given(lines(), st.floats(1, 50))
def test_a_longer_block_makes_nobody_wait_less(line: View, more: float) -> None:
    paused = {name: replace(each, blocked_seconds=each.blocked_seconds + more) for name, each in line.accounts.items()}
    for (_, sooner), (_, later) in zip(told(line), told(replace(line, accounts=paused)), strict=True):
        assert (later or 0.0) >= (sooner or 0.0)
