"""The limiter on a real Valkey: slots, the line, windows and pauses hold for everybody at once."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from redis import Redis

from pipeline.domain.answers import Busy, Granted, Reason
from pipeline.domain.errors import Unavailable
from pipeline.domain.line import PRIORITY_WEIGHT, Slot, View, Waiter
from pipeline.limits.limiter import LEASE_SECONDS, REDIS_DOWN_SECONDS, RESERVE_SECONDS, Limiter
from pipeline.limits.pool import AccountLimits, Lost, Pool, Turn, Window
from pipeline.services import connect_redis

ACME = AccountLimits(
    account="acme",
    slots=3,
    floor=1,
    ceiling=3,
    gap_seconds=0,
    orders=(Window(name="create", requests=1000, seconds=60),),
    asks=Window(name="status", requests=1000, seconds=60),
)
POOL = Pool("acme", (ACME,))
PREFIX = "dailies:limit:{acme}:"


def pool(**changes: object) -> Pool:
    """The pool of one account, otherwise than usual."""
    return Pool("acme", (replace(ACME, **changes),))  # type: ignore[arg-type]  # each names a field


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    with connect_redis(valkey_url) as client:
        yield client


@pytest.fixture
def limiter(redis: Redis) -> Limiter:
    """A limiter whose pool is open and empty."""
    limiter = Limiter(redis)
    limiter.restore(POOL, [], {})
    return limiter


class Jobs:
    """Makes the assets of jobs, of one owner or of many."""

    def __init__(self) -> None:
        self._came_ms = 1_700_000_000_000

    def scenes(
        self, count: int, *, owner: UUID | None = None, owner_weight: int = 1, priority: str = "normal"
    ) -> list[Waiter]:
        """The assets of one more job."""
        self._came_ms += 1000
        owner, job = owner or uuid4(), uuid4()
        return [
            Waiter(
                asset_id=uuid4(),
                owner_id=owner,
                job_id=job,
                model="acme/one",
                index=index,
                job_came_ms=self._came_ms,
                owner_weight=owner_weight,
                job_weight=PRIORITY_WEIGHT[priority],
            )
            for index in range(count)
        ]


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


def holder(waiter: Waiter) -> str:
    return f"{waiter.asset_id}:1"


def ask_for(limiter: Limiter, waiter: Waiter, in_pool: Pool = POOL) -> Granted | Busy | Lost:
    return limiter.acquire(in_pool, waiter, holder=holder(waiter)).answer


def turn(limiter: Limiter, in_pool: Pool = POOL, *, enter: Sequence[Waiter] = (), end: Sequence[Waiter] = ()) -> Turn:
    """The line moves: some come, the predictions of others have ended."""
    told = limiter.turn(in_pool, enter=enter, release=[("acme", holder(each)) for each in end])
    assert isinstance(told, Turn)
    return told


def view(limiter: Limiter, in_pool: Pool = POOL) -> View:
    seen = limiter.view(in_pool)
    assert seen
    return seen


def fill(limiter: Limiter, jobs: Jobs, in_pool: Pool = POOL) -> list[Waiter]:
    """Take every slot, for somebody else's job."""
    assets = jobs.scenes(in_pool.accounts[0].slots)
    assert all(isinstance(ask_for(limiter, each, in_pool), Granted) for each in assets)
    return assets


def served(limiter: Limiter, waiters: Sequence[Waiter], in_pool: Pool, *, slots: int) -> list[Waiter]:
    """Everybody in the order in which they got a slot, when the oldest prediction is always the next to end."""
    by_id = {each.asset_id: each for each in waiters}
    heads = list(turn(limiter, in_pool, enter=waiters).heads)
    order, running = list[Waiter](), list[Waiter]()
    while heads or running:
        for head in heads:
            assert isinstance(ask_for(limiter, by_id[head], in_pool), Granted)
            order.append(by_id[head])
            running.append(by_id[head])
        assert len(running) <= slots
        heads = list(turn(limiter, in_pool, end=[running.pop(0)]).heads)
    return order


@pytest.mark.requirement("R04", "R11", "R30")
def test_of_all_who_ask_at_once_exactly_as_many_are_admitted_as_there_are_slots(limiter: Limiter, jobs: Jobs) -> None:
    waiting = jobs.scenes(48)
    with ThreadPoolExecutor(16) as threads:
        told = list(threads.map(lambda each: ask_for(limiter, each), waiting))
    assert sum(isinstance(each, Granted) for each in told) + len(waked(limiter, waiting)) == ACME.slots


def waked(limiter: Limiter, waiters: Sequence[Waiter]) -> list[Waiter]:
    """Those who are reserved a slot that they did not take up yet."""
    standing = {each.asset_id for each in view(limiter).waiting}
    held = {each.asset_id for each in view(limiter).holding if each.held_seconds == 0}
    return [each for each in waiters if each.asset_id in held - standing and not _has_slot(limiter, each)]


def _has_slot(limiter: Limiter, waiter: Waiter) -> bool:
    census = limiter.census(POOL)
    assert census
    return holder(waiter) in census.slots["acme"]


@pytest.mark.requirement("R50")
def test_who_holds_a_slot_and_asks_again_is_granted_it_even_when_all_are_taken_or_paused(
    limiter: Limiter, jobs: Jobs
) -> None:
    first, *_ = fill(limiter, jobs)
    limiter.block("acme", "acme", 60)
    assert ask_for(limiter, first) == Granted(account="acme")
    assert view(limiter).accounts["acme"].in_flight == ACME.slots


@pytest.mark.requirement("R23")
def test_a_freed_slot_is_kept_for_whoever_is_next_and_nobody_pushes_in(limiter: Limiter, jobs: Jobs) -> None:
    running = fill(limiter, jobs)
    mine = jobs.scenes(4)
    assert turn(limiter, enter=mine).heads == ()
    assert turn(limiter, end=running[:1]).heads == (mine[0].asset_id,)
    assert ask_for(limiter, mine[1]) == Busy(reason=Reason.SLOT)
    assert ask_for(limiter, jobs.scenes(1)[0]) == Busy(reason=Reason.SLOT)
    assert ask_for(limiter, mine[0]) == Granted(account="acme")


def test_each_head_is_named_once_and_its_slot_given_on_when_it_does_not_come(
    limiter: Limiter, jobs: Jobs, redis: Redis
) -> None:
    running = fill(limiter, jobs)
    first, second = jobs.scenes(2)
    turn(limiter, enter=[first, second])
    assert turn(limiter, end=running[:1]).heads == (first.asset_id,)
    assert turn(limiter).heads == ()
    redis.zadd(f"{PREFIX}reserved:acme", {str(first.asset_id): time.time() * 1000 - 1})
    assert turn(limiter).heads == (first.asset_id,), "it is the first of its job still"
    assert RESERVE_SECONDS < LEASE_SECONDS


def test_who_leaves_gives_a_reserved_slot_to_the_next(limiter: Limiter, jobs: Jobs) -> None:
    running = fill(limiter, jobs)
    first, second, third = jobs.scenes(3)
    turn(limiter, enter=[first, second, third], end=running[:1])
    told = limiter.turn(POOL, leave=[first.asset_id, third.asset_id])
    assert told == Turn(heads=(second.asset_id,))
    assert [each.asset_id for each in view(limiter).waiting] == []


def test_whoever_stands_in_line_twice_stands_there_once(limiter: Limiter, jobs: Jobs) -> None:
    fill(limiter, jobs)
    mine = jobs.scenes(2)
    turn(limiter, enter=mine)
    turn(limiter, enter=mine)
    ask_for(limiter, mine[0])
    assert sorted(each.index for each in view(limiter).waiting) == [0, 1]


@pytest.mark.requirement("R10")
def test_a_block_pauses_everybody_and_one_alarm_is_set_for_its_end(limiter: Limiter, jobs: Jobs) -> None:
    limiter.block("acme", "acme", 30)
    told = turn(limiter, enter=jobs.scenes(6))
    assert told.heads == ()
    assert told.wait_seconds
    assert 29 < told.wait_seconds <= 30
    assert turn(limiter).wait_seconds is None, "somebody comes back already"
    latecomer = limiter.acquire(POOL, jobs.scenes(1)[0], holder="late:1")
    assert isinstance(latecomer.answer, Busy)
    assert latecomer.answer.reason is Reason.BLOCKED
    assert latecomer.answer.about_seconds
    assert 29 < latecomer.answer.about_seconds <= 30
    held = limiter.ask(POOL, "acme")
    assert held
    assert held.reason is Reason.BLOCKED


@pytest.mark.requirement("R10")
def test_a_head_that_was_waked_before_the_block_goes_back_into_line(limiter: Limiter, jobs: Jobs) -> None:
    mine = jobs.scenes(2)
    assert turn(limiter, enter=mine).heads == tuple(each.asset_id for each in mine)
    limiter.block("acme", "acme", 30)
    told = ask_for(limiter, mine[0])
    assert isinstance(told, Busy)
    assert told.reason is Reason.BLOCKED
    assert mine[0].asset_id in {each.asset_id for each in view(limiter).waiting}


@pytest.mark.requirement("R10")
def test_a_longer_block_that_stands_is_kept_and_a_shorter_one_made_longer(limiter: Limiter) -> None:
    limiter.block("acme", "acme", 30)
    limiter.block("acme", "acme", 5)
    assert 29 < view(limiter).accounts["acme"].blocked_seconds <= 30
    limiter.block("acme", "acme", 60)
    assert 59 < view(limiter).accounts["acme"].blocked_seconds <= 60


@pytest.mark.parametrize(("name", "reason"), [("create", Reason.RATE), ("daily", Reason.DAILY_LIMIT)])
def test_a_full_window_lets_nobody_pass_and_says_when_it_does(
    limiter: Limiter, jobs: Jobs, name: str, reason: Reason
) -> None:
    full = pool(orders=(ACME.orders[0], Window(name=name, requests=2, seconds=600)))
    mine = jobs.scenes(3)
    told = turn(limiter, full, enter=mine)
    assert len(told.heads) == 2
    assert told.wait_seconds
    assert 590 < told.wait_seconds <= 600
    late = ask_for(limiter, mine[2], full)
    assert isinstance(late, Busy)
    assert late.reason is reason
    assert view(limiter, full).accounts["acme"].used[name] == 2


@pytest.mark.requirement("R11")
def test_orders_of_an_account_that_wants_a_gap_keep_it(limiter: Limiter, jobs: Jobs) -> None:
    slow = pool(gap_seconds=8)
    told = turn(limiter, slow, enter=jobs.scenes(3))
    assert len(told.heads) == 1
    assert told.wait_seconds
    assert 7.9 < told.wait_seconds <= 8


@pytest.mark.requirement("R15")
def test_an_account_at_ease_gives_all_its_slots_at_once_and_one_by_one_after_a_refusal(
    limiter: Limiter, jobs: Jobs, redis: Redis
) -> None:
    mine = jobs.scenes(6)
    assert len(turn(limiter, enter=mine).heads) == ACME.slots
    for each in mine[:3]:
        ask_for(limiter, each)
    limiter.refused(POOL, "acme", holder(mine[0]))
    redis.set(f"{PREFIX}last:acme", 1)
    told = turn(limiter, end=mine[:3])
    assert len(told.heads) == 1
    assert told.wait_seconds
    assert 0.09 < told.wait_seconds <= 0.1


@pytest.mark.requirement("R52")
def test_owners_share_by_weight_whatever_they_bring(limiter: Limiter, jobs: Jobs) -> None:
    small, big = uuid4(), uuid4()
    waiting = [*jobs.scenes(60, owner=big), *jobs.scenes(30, owner=small), *jobs.scenes(30, owner=small)]
    first = served(limiter, waiting, POOL, slots=3)[:40]
    assert abs(Counter(each.owner_id for each in first)[small] - 20) <= 1
    heavy = [replace(each, owner_weight=3) if each.owner_id == small else each for each in waiting]
    first = served(limiter, heavy, POOL, slots=3)[:40]
    assert abs(Counter(each.owner_id for each in first)[small] - 30) <= 3


@pytest.mark.requirement("R52")
def test_a_small_job_does_not_wait_for_a_large_one_of_the_same_owner(limiter: Limiter, jobs: Jobs) -> None:
    owner, four = uuid4(), pool(slots=4, ceiling=4)
    large, small = jobs.scenes(200, owner=owner), jobs.scenes(3, owner=owner)
    running = [each.asset_id for each in large[:4]]
    assert turn(limiter, four, enter=large).heads == tuple(running)
    for each in large[:4]:
        ask_for(limiter, each, four)
    turn(limiter, four, enter=small)
    given = [turn(limiter, four, end=[each]).heads for each in large[:3]]
    assert [head for heads in given for head in heads] == [each.asset_id for each in small]


@pytest.mark.requirement("R23", "R52")
def test_priority_gives_a_job_more_of_its_owners_share_and_starves_nobody(limiter: Limiter, jobs: Jobs) -> None:
    owner = uuid4()
    kinds = {kind: jobs.scenes(60, owner=owner, priority=kind) for kind in ("batch", "normal", "interactive")}
    one = pool(slots=1, ceiling=1)
    order = served(limiter, [each for scenes in kinds.values() for each in scenes], one, slots=1)[:65]
    jobs_of = {scenes[0].job_id: kind for kind, scenes in kinds.items()}
    counts = Counter(jobs_of[each.job_id] for each in order)
    assert abs(counts["interactive"] - 40) <= 2
    assert abs(counts["normal"] - 20) <= 2
    assert counts["batch"] >= 4


@pytest.mark.requirement("R17", "R52")
def test_within_a_job_scenes_go_in_order_and_among_equal_jobs_the_older_first(limiter: Limiter, jobs: Jobs) -> None:
    owner = uuid4()
    older, newer = jobs.scenes(4, owner=owner), jobs.scenes(4, owner=owner)
    order = served(limiter, [*reversed(newer), *reversed(older)], pool(slots=1, ceiling=1), slots=1)
    assert order == [each for pair in zip(older, newer, strict=True) for each in pair]


@pytest.mark.requirement("R52")
def test_who_was_away_has_no_credit_and_no_debt(limiter: Limiter, jobs: Jobs) -> None:
    one = pool(slots=1, ceiling=1)
    regular, newcomer = jobs.scenes(30), jobs.scenes(10)
    assert len(served(limiter, regular[:20], one, slots=1)) == 20
    order = served(limiter, [*regular[20:], *newcomer], one, slots=1)
    owners = [each.owner_id for each in order]
    assert abs(Counter(owners[:10])[newcomer[0].owner_id] - 5) <= 1


@pytest.mark.requirement("R64")
def test_accounts_share_one_line_and_each_keeps_its_own_limits(limiter: Limiter, jobs: Jobs) -> None:
    both = Pool("acme", (replace(ACME, slots=2, ceiling=2), replace(ACME, account="studio", slots=1, ceiling=1)))
    mine = jobs.scenes(5)
    heads = turn(limiter, both, enter=mine).heads
    given = [ask_for(limiter, each, both) for each in mine if each.asset_id in heads]
    assert Counter(each.account for each in given if isinstance(each, Granted)) == {"acme": 2, "studio": 1}
    limiter.block("acme", "acme", 30)
    on_studio = next(each for each, told in zip(mine, given, strict=False) if told == Granted(account="studio"))
    told = limiter.turn(both, release=[("studio", holder(on_studio)), ("acme", holder(mine[0]))])
    assert isinstance(told, Turn)
    assert told.heads == (mine[3].asset_id,)
    assert ask_for(limiter, mine[3], both) == Granted(account="studio")


@pytest.mark.requirement("R51")
def test_a_refusal_lowers_the_limit_to_what_the_provider_really_takes(limiter: Limiter, jobs: Jobs) -> None:
    many = pool(slots=10, ceiling=10)
    running = fill(limiter, jobs, many)
    for each in running[:6]:
        limiter.accepted(many, "acme", holder(each))
    lesson = limiter.refused(many, "acme", holder(running[6]))
    assert lesson
    assert (lesson.slots, lesson.in_flight) == (6, 6)
    assert limiter.refused(many, "acme", holder(running[7])) is None, "they were on their way together"
    assert ask_for(limiter, jobs.scenes(1)[0], many) == Busy(reason=Reason.LEARNED_LIMIT)
    seen = view(limiter, many).accounts["acme"]
    assert (seen.slots, seen.is_learned) == (6, True)


@pytest.mark.requirement("R51")
def test_one_refusal_never_takes_more_than_half(limiter: Limiter, jobs: Jobs) -> None:
    many = pool(slots=10, ceiling=10)
    (first, *_) = fill(limiter, jobs, many)
    lesson = limiter.refused(many, "acme", holder(first))
    assert lesson
    assert lesson.slots == 5


@pytest.mark.requirement("R51")
def test_the_floor_holds(limiter: Limiter, jobs: Jobs, redis: Redis) -> None:
    few = pool(slots=4, floor=3, ceiling=4)
    (first, *_) = fill(limiter, jobs, few)
    for _ in range(3):
        limiter.refused(few, "acme", holder(first))
        redis.hset(f"{PREFIX}learned:acme", "refused_at", 1)
    assert view(limiter, few).accounts["acme"].slots == 3


@pytest.mark.requirement("R51")
def test_more_than_was_set_is_tried_up_to_the_ceiling_until_somebody_says_no(limiter: Limiter, jobs: Jobs) -> None:
    open_end = pool(slots=2, ceiling=5)
    mine = jobs.scenes(10)
    turn(limiter, open_end, enter=mine)
    for each in mine:
        if isinstance(ask_for(limiter, each, open_end), Granted):
            limiter.accepted(open_end, "acme", holder(each))
            turn(limiter, open_end)
    seen = view(limiter, open_end).accounts["acme"]
    assert (seen.slots, seen.in_flight) == (5, 5)


@pytest.mark.requirement("R51")
def test_a_limit_that_was_set_and_never_refused_is_not_touched(limiter: Limiter, jobs: Jobs) -> None:
    for each in fill(limiter, jobs):
        assert limiter.accepted(POOL, "acme", holder(each)) is None
    assert not view(limiter).accounts["acme"].is_learned


@pytest.mark.requirement("R51")
def test_after_a_refusal_one_more_is_tried_when_the_pause_is_over_and_the_limit_used_up(
    limiter: Limiter, jobs: Jobs, redis: Redis
) -> None:
    many = pool(slots=4, ceiling=4)
    running = fill(limiter, jobs, many)
    for each in running[:2]:
        limiter.accepted(many, "acme", holder(each))
    limiter.refused(many, "acme", holder(running[2]))
    assert limiter.accepted(many, "acme", holder(running[0])) is None
    redis.hset(f"{PREFIX}learned:acme", "refused_at", 1)
    lesson = limiter.accepted(many, "acme", holder(running[1]))
    assert lesson
    assert lesson.slots == 3


@pytest.mark.requirement("R55")
def test_a_pool_whose_leases_are_gone_admits_nothing_until_they_are_rebuilt(
    limiter: Limiter, jobs: Jobs, redis: Redis
) -> None:
    running = fill(limiter, jobs)
    redis.flushall()
    newcomer = jobs.scenes(1)[0]
    assert ask_for(limiter, newcomer) == Lost()
    assert limiter.turn(POOL, enter=[newcomer]) == Lost()
    assert limiter.refused(POOL, "acme", "anybody:1") is None
    proven = [
        Slot(account="acme", holder=holder(each), waiter=each, accepted=True, held_seconds=5.0) for each in running
    ]
    limiter.restore(POOL, proven, {"acme": 3})
    assert ask_for(limiter, newcomer) == Busy(reason=Reason.SLOT)
    assert turn(limiter, end=running[:1]).heads == (newcomer.asset_id,)
    assert all(each.held_seconds >= 5 for each in view(limiter).holding if each.asset_id != newcomer.asset_id)


def test_a_lease_that_nobody_renews_ends_and_its_slot_is_given_on(limiter: Limiter, jobs: Jobs, redis: Redis) -> None:
    running = fill(limiter, jobs)
    newcomer = jobs.scenes(1)[0]
    turn(limiter, enter=[newcomer])
    redis.zadd(f"{PREFIX}slots:acme", {holder(running[0]): time.time() * 1000 - 1})
    assert turn(limiter).heads == (newcomer.asset_id,)


def test_restoring_renews_every_lease_and_counts_anew(limiter: Limiter, jobs: Jobs, redis: Redis) -> None:
    running = fill(limiter, jobs)
    redis.zadd(f"{PREFIX}slots:acme", {holder(running[0]): time.time() * 1000 + 5000})
    redis.hset(f"{PREFIX}shares", f"held:{running[0].owner_id}", 17)
    limiter.restore(POOL, [], {})
    census = limiter.census(POOL)
    assert census
    assert census.shortest_lease_seconds > LEASE_SECONDS - 5
    assert view(limiter).owners[running[0].owner_id].held == ACME.slots


def test_nothing_is_left_behind_by_whoever_is_through(limiter: Limiter, jobs: Jobs, redis: Redis) -> None:
    everybody = [each for _ in range(3) for each in jobs.scenes(5)]
    served(limiter, everybody, POOL, slots=3)
    left = {str(key, "utf-8").removeprefix(PREFIX) for key in redis.scan_iter()}
    assert left <= {"ready", "shares", "last:acme", "window:acme:create", "learned:acme"}
    assert set(redis.hkeys(f"{PREFIX}shares")) <= {b"level"}


def test_without_redis_there_is_no_permit_and_a_reason(jobs: Jobs) -> None:
    away = Limiter(connect_redis("redis://127.0.0.1:1/0"))
    told = ask_for(away, jobs.scenes(1)[0])
    assert told == Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
    assert away.ask(POOL, "acme") == Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
    assert away.turn(POOL) is None
    assert away.view(POOL) is None
    assert away.census(POOL) is None
    with pytest.raises(Unavailable):
        away.restore(POOL, [], {})


FAMILY = Window(name="slow", requests=1, seconds=60, models=("acme/slow",))
MIXED = pool(slots=5, ceiling=5, orders=(*ACME.orders, FAMILY))


def asked(limiter: Limiter, *waiters: Waiter) -> list[Granted | Busy | Lost]:
    return [limiter.acquire(MIXED, each, holder=f"{each.asset_id}:1").answer for each in waiters]


def of(model: str, waiters: Sequence[Waiter]) -> list[Waiter]:
    return [replace(each, model=model) for each in waiters]


@pytest.mark.requirement("R04", "R10")
def test_a_window_of_a_family_of_models_counts_their_orders_alone(limiter: Limiter) -> None:
    quick, slow = of("acme/quick", Jobs().scenes(2)), of("acme/slow", Jobs().scenes(2))
    told = asked(limiter, *quick, *slow)
    assert [type(each) for each in told] == [Granted, Granted, Granted, Busy]
    held = told[-1]
    assert isinstance(held, Busy)
    assert held.reason is Reason.RATE
    assert 50 < (held.about_seconds or 0) <= 60


@pytest.mark.requirement("R04", "R52")
def test_whoever_makes_something_else_passes_a_family_whose_window_is_full(limiter: Limiter) -> None:
    jobs = Jobs()
    slow, quick = of("acme/slow", jobs.scenes(300)), of("acme/quick", jobs.scenes(2))
    told = asked(limiter, *slow, *quick)
    assert [type(each) for each in told] == [Granted, *[Busy] * 299, Granted, Granted]


@pytest.mark.requirement("R04", "R52")
def test_in_one_job_too_another_model_passes(limiter: Limiter) -> None:
    scenes = Jobs().scenes(4)
    told = asked(limiter, *of("acme/slow", scenes[:3]), *of("acme/quick", scenes[3:]))
    assert [type(each) for each in told] == [Granted, Busy, Busy, Granted]


@pytest.mark.requirement("R04")
def test_when_the_familys_window_has_room_again_its_head_goes_on(limiter: Limiter, redis: Redis) -> None:
    slow = of("acme/slow", Jobs().scenes(2))
    asked(limiter, *slow)
    redis.delete(f"{PREFIX}window:acme:slow")
    turn = limiter.turn(MIXED)
    assert isinstance(turn, Turn)
    assert turn.heads == (slow[1].asset_id,)
