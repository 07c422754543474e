"""The limiter on a real Valkey: slots, line, windows and pauses hold for everybody at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from redis import Redis

from pipeline.domain.answers import Busy, Granted, Reason
from pipeline.domain.errors import Unavailable
from pipeline.limits.limiter import LEASE_SECONDS, REDIS_DOWN_SECONDS, Limiter, Limits, Lost
from pipeline.services import connect_redis

LIMITS = Limits(account="acme", slots=3, creates=1000, creates_seconds=60, asks=1000, asks_seconds=60)
SLOTS_KEY = "dailies:limit:{acme}:slots"


def held_seconds(told: Busy | None) -> float:
    assert told is not None
    assert told.wait_seconds is not None
    return told.wait_seconds


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    with connect_redis(valkey_url) as client:
        yield client


@pytest.fixture
def limiter(redis: Redis) -> Limiter:
    """A limiter whose account is open and empty."""
    limiter = Limiter(redis)
    limiter.restore("acme", [])
    return limiter


def ask_for(limiter: Limiter, asset: UUID, order: float = 0.0, limits: Limits = LIMITS) -> Granted | Busy | Lost:
    return limiter.acquire(limits, holder=f"{asset}:1", asset_id=asset, order=order)


def fill(limiter: Limiter, limits: Limits = LIMITS) -> list[str]:
    """Take every slot; the holders."""
    assets = [uuid4() for _ in range(limits.slots)]
    assert all(ask_for(limiter, each, limits=limits) == Granted() for each in assets)
    return [f"{each}:1" for each in assets]


def in_line(limiter: Limiter, count: int) -> list[UUID]:
    """So many who wait behind a full account, the oldest first; they came in no order."""
    waiting = [uuid4() for _ in range(count)]
    for order in sorted(range(count), key=lambda number: number % 3):
        told = ask_for(limiter, waiting[order], order=float(order))
        assert isinstance(told, Busy)
    return waiting


@pytest.mark.requirement("R04", "R11", "R30")
def test_of_all_who_ask_at_once_exactly_as_many_are_admitted_as_there_are_slots(limiter: Limiter) -> None:
    assets = [uuid4() for _ in range(48)]
    orders = {asset: float(order) for order, asset in enumerate(assets)}
    waiting = assets
    with ThreadPoolExecutor(16) as pool:
        while waiting:
            told = list(pool.map(lambda asset: ask_for(limiter, asset, orders[asset]), waiting))
            admitted = [asset for asset, answer in zip(waiting, told, strict=True) if answer == Granted()]
            assert len(admitted) == LIMITS.slots
            # The first time nobody stood in line yet, and whoever came first was served first.
            assert waiting is assets or admitted == waiting[: LIMITS.slots]
            waiting = [asset for asset in waiting if asset not in admitted]
            for asset in admitted:
                limiter.release(LIMITS, f"{asset}:1")


@pytest.mark.requirement("R50")
def test_who_holds_a_slot_and_asks_again_is_granted_it_even_when_all_are_taken_or_paused(limiter: Limiter) -> None:
    holder, *_ = fill(limiter)
    limiter.block("acme", 60)
    asset = UUID(holder.removesuffix(":1"))
    assert ask_for(limiter, asset) == Granted()
    assert len(limiter.stale_slots("acme", [], settled_seconds=-1)) == LIMITS.slots


def test_everybody_else_is_told_the_place_in_line_and_no_time(limiter: Limiter) -> None:
    fill(limiter)
    first, second = uuid4(), uuid4()
    assert ask_for(limiter, second, order=2.0) == Busy(reason=Reason.SLOT, place=1)
    assert ask_for(limiter, first, order=1.0) == Busy(reason=Reason.SLOT, place=1)
    assert ask_for(limiter, second, order=2.0) == Busy(reason=Reason.SLOT, place=2)


def test_the_line_is_kept_by_order_and_a_place_by_who_has_it(limiter: Limiter) -> None:
    fill(limiter)
    waiting = in_line(limiter, 7)
    assert limiter.line("acme") == waiting
    ask_for(limiter, waiting[0], order=99.0)
    assert limiter.line("acme") == waiting


@pytest.mark.requirement("R23")
def test_a_free_slot_goes_to_the_first_in_line_and_to_nobody_who_pushes_in(limiter: Limiter) -> None:
    holders = fill(limiter)
    waiting = in_line(limiter, 4)
    limiter.release(LIMITS, holders[0])
    assert ask_for(limiter, waiting[1]) == Busy(reason=Reason.SLOT, place=2)
    assert ask_for(limiter, uuid4(), order=100.0) == Busy(reason=Reason.SLOT, place=5)
    assert ask_for(limiter, waiting[0]) == Granted()


def test_a_release_names_exactly_as_many_as_have_a_free_slot_first_in_line_first(limiter: Limiter) -> None:
    holders = fill(limiter)
    waiting = in_line(limiter, 5)
    assert limiter.release(LIMITS) == []
    assert limiter.release(LIMITS, holders[0]) == waiting[:1]
    assert limiter.release(LIMITS, holders[1]) == waiting[:2]
    assert ask_for(limiter, waiting[0]) == Granted()
    assert limiter.release(LIMITS) == waiting[1:2]
    assert limiter.release(LIMITS, "nobody's:1") == waiting[1:2]


@pytest.mark.requirement("R10")
def test_a_block_pauses_everybody_and_tells_a_time_only_to_those_whose_turn_comes_then(limiter: Limiter) -> None:
    limiter.block("acme", 30)
    told = [ask_for(limiter, uuid4(), order=float(order)) for order in range(6)]
    assert [each.place for each in told if isinstance(each, Busy)] == [1, 2, 3, 4, 5, 6]
    first, rest = told[:3], told[3:]
    for each in first:
        assert isinstance(each, Busy)
        assert each.reason is Reason.BLOCKED
        assert each.wait_seconds is not None
        assert 25 < each.wait_seconds <= 30
        assert each.about_seconds == each.wait_seconds
    assert all(isinstance(each, Busy) and each.reason is Reason.SLOT and each.wait_seconds is None for each in rest)
    assert 25 < held_seconds(limiter.ask(LIMITS)) <= 30


@pytest.mark.requirement("R10")
def test_nobody_is_named_while_the_account_is_blocked(limiter: Limiter) -> None:
    holders = fill(limiter)
    in_line(limiter, 2)
    limiter.block("acme", 30)
    assert limiter.release(LIMITS, holders[0]) == []


@pytest.mark.requirement("R10")
def test_a_longer_block_that_stands_is_kept_and_a_shorter_one_made_longer(limiter: Limiter) -> None:
    limiter.block("acme", 30)
    limiter.block("acme", 1)
    assert held_seconds(limiter.ask(LIMITS)) > 25
    limiter.block("acme", 60)
    assert held_seconds(limiter.ask(LIMITS)) > 55


def test_a_block_of_one_account_is_nothing_to_another(limiter: Limiter) -> None:
    other = replace(LIMITS, account="zenith")
    limiter.restore("zenith", [])
    limiter.block("acme", 30)
    assert ask_for(limiter, uuid4(), limits=other) == Granted()
    assert limiter.ask(other) is None


def test_creates_beyond_the_window_wait_for_its_oldest_to_leave(limiter: Limiter) -> None:
    narrow = replace(LIMITS, slots=9, creates=2, creates_seconds=40)
    assert [ask_for(limiter, uuid4(), limits=narrow) for _ in range(2)] == [Granted(), Granted()]
    told = ask_for(limiter, uuid4(), limits=narrow)
    assert isinstance(told, Busy)
    assert (told.reason, told.place) == (Reason.RATE, 1)
    assert told.wait_seconds is not None
    assert 35 < told.wait_seconds <= 40


def test_a_window_that_has_passed_is_open_again(limiter: Limiter) -> None:
    brief = replace(LIMITS, asks=1, asks_seconds=0.05)
    assert limiter.ask(brief) is None
    pause = threading.Event()
    while held := limiter.ask(brief):
        assert held.reason is Reason.RATE
        assert held_seconds(held) <= 0.05
        pause.wait(held_seconds(held))
    assert held_seconds(limiter.ask(replace(LIMITS, asks=1))) > 0


@pytest.mark.parametrize("kind", ["creates", "asks"])
def test_a_window_slides_and_lets_one_through_as_soon_as_its_oldest_has_left(limiter: Limiter, kind: str) -> None:
    brief = replace(LIMITS, slots=9, creates=2, creates_seconds=0.2, asks=2, asks_seconds=0.2)
    pause = threading.Event()

    def ask() -> Busy | None:
        told = limiter.ask(brief) if kind == "asks" else ask_for(limiter, uuid4(), limits=brief)
        return told if isinstance(told, Busy) else None

    assert ask() is None
    pause.wait(0.1)
    assert ask() is None
    while held := ask():
        assert 0 < held_seconds(held) <= 0.1
        pause.wait(held_seconds(held))
        limiter.leave("acme", limiter.line("acme"))


@pytest.mark.requirement("R11")
def test_status_requests_are_counted_by_themselves(limiter: Limiter) -> None:
    narrow = replace(LIMITS, asks=2, asks_seconds=40)
    assert [limiter.ask(narrow), limiter.ask(narrow)] == [None, None]
    assert 35 < held_seconds(limiter.ask(narrow)) <= 40
    assert ask_for(limiter, uuid4(), limits=narrow) == Granted()


@pytest.mark.requirement("R55", "R50")
def test_an_emptied_redis_admits_nobody_until_the_leases_are_written_again(limiter: Limiter, redis: Redis) -> None:
    holders = fill(limiter)
    redis.flushall()
    newcomer = uuid4()
    assert ask_for(limiter, newcomer) == Lost()
    limiter.restore("acme", holders[:2])
    assert ask_for(limiter, newcomer) == Granted()
    assert ask_for(limiter, uuid4()) == Busy(reason=Reason.SLOT, place=1)


@pytest.mark.requirement("R55")
def test_a_lease_that_ran_out_frees_its_slot_and_a_renewed_one_does_not(limiter: Limiter, redis: Redis) -> None:
    dead, living, _ = fill(limiter)
    redis.zadd(SLOTS_KEY, {dead: 1, living: 1})
    limiter.restore("acme", [living])
    assert ask_for(limiter, uuid4()) == Granted()
    assert isinstance(ask_for(limiter, uuid4()), Busy)
    assert redis.zscore(SLOTS_KEY, dead) is None


@pytest.mark.requirement("R55")
def test_without_redis_there_is_no_permit_and_no_exception() -> None:
    with connect_redis("redis://127.0.0.1:1/0") as nowhere:
        limiter = Limiter(nowhere)
        assert ask_for(limiter, uuid4()) == Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
        assert limiter.ask(LIMITS) == Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
        assert limiter.release(LIMITS, "a:1") == []
        assert (limiter.line("acme"), limiter.stale_slots("acme", [])) == ([], [])
        limiter.block("acme", 5)
        limiter.leave("acme", [uuid4()])
        with pytest.raises(Unavailable, match="Redis"):
            limiter.restore("acme", [])


@pytest.mark.requirement("R55")
def test_slots_that_no_row_owns_are_stale_unless_they_were_handed_out_just_now(limiter: Limiter, redis: Redis) -> None:
    forgotten, used, fresh = fill(limiter)
    seconds, _ = redis.time()
    old = (seconds + LEASE_SECONDS - 60) * 1000
    redis.zadd(SLOTS_KEY, {forgotten: old, used: old})
    assert limiter.stale_slots("acme", [used]) == [forgotten]
    assert set(limiter.stale_slots("acme", [], settled_seconds=-2)) == {forgotten, used, fresh}


def test_who_leaves_the_line_makes_room_for_those_behind(limiter: Limiter) -> None:
    fill(limiter)
    waiting = in_line(limiter, 3)
    limiter.leave("acme", waiting[:2])
    limiter.leave("acme", [])
    assert limiter.line("acme") == waiting[2:]
    assert ask_for(limiter, waiting[2]) == Busy(reason=Reason.SLOT, place=1)
