"""Our render worker with waking switched off: nobody stands in line, and whoever finds no slot comes back later.

That is how a limiter is usually put in front of Celery: a slot or ``retry(countdown=2 ** n)``. Composed from the
product's own parts; the product has no switch for it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from uuid import UUID

from redis import Redis

from pipeline.domain.answers import Busy, Reason
from pipeline.domain.line import Waiter
from pipeline.limits.limiter import Limiter
from pipeline.limits.pool import Admission, Lost, Pool, Turn
from pipeline.services import Services
from worker import app as product

LONGEST_SECONDS = 60.0


class NoLine(Limiter):
    """Gives slots to whoever asks while one is free, and wakes nobody."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self._refused: Counter[UUID] = Counter()

    def acquire(self, pool: Pool, waiter: Waiter, *, holder: str) -> Admission:
        told = super().acquire(pool, waiter, holder=holder)
        self._dismiss(pool, told.turn.heads)
        if not isinstance(told.answer, Busy):
            return Admission(answer=told.answer, turn=Turn())
        self._dismiss(pool, [waiter.asset_id])
        wait_seconds = min(2.0 ** self._refused[waiter.asset_id], LONGEST_SECONDS)
        self._refused[waiter.asset_id] += 1
        # A pause of its own, since a full account holds its place in a line by a message that nobody sends here.
        return Admission(answer=Busy(reason=Reason.RETRY, wait_seconds=wait_seconds), turn=Turn())

    def turn(
        self,
        pool: Pool,
        *,
        enter: Sequence[Waiter] = (),
        leave: Sequence[UUID] = (),
        release: Sequence[tuple[str, str]] = (),
    ) -> Turn | Lost | None:
        told = super().turn(pool, leave=leave, release=release)
        if not isinstance(told, Turn):
            return told
        self._dismiss(pool, told.heads)
        # None: there is no line to stand in, so all are sent at once.
        return None if enter else Turn()

    def _dismiss(self, pool: Pool, asset_ids: Sequence[UUID]) -> None:
        while asset_ids:
            told = super().turn(pool, leave=asset_ids)
            asset_ids = told.heads if isinstance(told, Turn) else ()


_built = product.services


@cache
def _without_a_line() -> Services:
    services = _built()
    return replace(services, limiter=NoLine(services.redis))


# Before Celery imports the tasks, which take it from there.
product.services = _without_a_line
app = product.app
