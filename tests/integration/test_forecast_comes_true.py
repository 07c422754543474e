"""The forecast of a line on a real Valkey is what the limiter then does."""

import random
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from uuid import UUID

import pytest

from pipeline.domain.forecast import forecast
from pipeline.domain.line import PRIORITY_WEIGHT, View, Waiter
from pipeline.limits.limiter import Limiter
from pipeline.limits.pool import AccountLimits, Lost, Pool, Turn, Window
from pipeline.services import connect_redis

SLOTS = 4
USUAL = {"acme/quick": 7.0, "acme/slow": 31.0}
POOL = Pool(
    "acme",
    tuple(
        AccountLimits(
            account=name,
            slots=SLOTS,
            floor=1,
            ceiling=SLOTS,
            gap_seconds=0,
            orders=(Window(name="create", requests=1000, seconds=60),),
            asks=Window(name="status", requests=1000, seconds=60),
        )
        for name in ("acme", "acme-two")
    ),
)


def crowd(dice: random.Random) -> list[Waiter]:
    """Jobs of all sizes and priorities, of owners of all weights; none of them came in order."""
    found = []
    for number in range(12):
        owner, size = dice.randrange(4), dice.choice([1, 3, 9])
        job_id, priority = UUID(int=dice.getrandbits(128)), dice.choice(list(PRIORITY_WEIGHT))
        found += [
            Waiter(
                asset_id=UUID(int=dice.getrandbits(128)),
                owner_id=UUID(int=owner + 1),
                job_id=job_id,
                model=dice.choice(list(USUAL)),
                index=index,
                job_came_ms=1_700_000_000_000 + number // 2,
                owner_weight=owner % 3 + 1,
                job_weight=PRIORITY_WEIGHT[priority],
            )
            for index in range(size)
        ]
    dice.shuffle(found)
    return found


class Provider:
    """Renders for exactly as long as is usual, one prediction after the other; the line is asked for who is next."""

    def __init__(self, limiter: Limiter, waiters: list[Waiter]) -> None:
        self._limiter = limiter
        self._known = {each.asset_id: each for each in waiters}
        self._numbers = count()
        self._rendering: list[tuple[float, int, str, str]] = []
        self.begun: dict[UUID, float] = {}

    def begin(self, asset_id: UUID, now: float) -> None:
        """Somebody whose turn it is takes the slot."""
        waiter, holder = self._known[asset_id], f"{asset_id}:1"
        self.begun[asset_id] = now
        account = self._limiter.acquire(POOL, waiter, holder=holder).answer.account  # type: ignore[union-attr]
        heappush(self._rendering, (now + USUAL[waiter.model], next(self._numbers), account, holder))

    def end_one(self) -> list[UUID]:
        """The next prediction ends, and its slot goes on; who was given it."""
        now, _, account, holder = heappop(self._rendering)
        heads = given(self._limiter.turn(POOL, release=[(account, holder)]))
        for head in heads:
            self.begin(head, now)
        return heads


def given(told: Turn | Lost | None) -> list[UUID]:
    assert isinstance(told, Turn)
    return list(told.heads)


def seen(limiter: Limiter) -> View:
    found = limiter.view(POOL)
    assert found
    return found


@pytest.mark.requirement("R52", "R60")
@pytest.mark.parametrize("seed", range(5))
def test_slots_are_given_in_the_order_that_was_foretold(valkey_url: str, seed: int) -> None:
    with connect_redis(valkey_url) as redis:
        limiter, waiters = Limiter(redis), crowd(random.Random(seed))  # noqa: S311 - dice
        limiter.restore(POOL, [], {})
        provider = Provider(limiter, waiters)
        for number, head in enumerate(given(limiter.turn(POOL, enter=waiters))):
            provider.begin(head, -0.3 * number)
        view = seen(limiter)
        aged = tuple(replace(each, held_seconds=-provider.begun[each.asset_id]) for each in view.holding)
        places = forecast(replace(view, holding=aged), USUAL.__getitem__)
        foretold = sorted(places, key=lambda each: places[each].place)
        assert len(foretold) == len(waiters) - 2 * SLOTS
        came: list[UUID] = []
        while len(came) < len(foretold):
            came += provider.end_one()
    assert came == foretold
