"""The line moves: whoever leaves, comes or gives a slot back, the next in turn are waked, or somebody comes back later.

A waiting asset holds no message and no timer: the release wakes it, or one timed turn of the whole line at the end of a
block or of a full window. The sweeper takes a turn every few seconds, should either have been lost.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from pipeline import logs, metrics
from pipeline.domain.answers import Accepted, Answer, Busy, Finished, Granted, Reason
from pipeline.domain.asset import State
from pipeline.domain.errors import Unavailable
from pipeline.domain.hold import Hold
from pipeline.domain.line import Waiter
from pipeline.limits.limiter import REDIS_DOWN_SECONDS
from pipeline.limits.pool import Lost, Pool, Turn
from pipeline.services import Services

_LOG = logs.get(__name__)


def turn(
    services: Services,
    provider: str,
    *,
    enter: Sequence[Waiter] = (),
    leave: Sequence[UUID] = (),
    release: Sequence[tuple[str, str]] = (),
) -> bool:
    """Let the line move on; False without Redis. Raises Unavailable when leases are lost and the rows can't be read."""
    told = _turned(services, provider, enter=enter, leave=leave, release=release)
    if told:
        follow(services, provider, told)
    return told is not None


def _turned(services: Services, provider: str, *, enter: Sequence[Waiter] = (), **moves: Any) -> Turn | None:
    pool = services.pool(provider)
    told = services.limiter.turn(pool, enter=enter, **moves)
    if isinstance(told, Lost):
        rebuild(services, pool)
        told = services.limiter.turn(pool, enter=enter)
    return told if isinstance(told, Turn) else None


def admit(services: Services, hold: Hold) -> Granted | Busy:
    """A slot for this asset, or the reason why it keeps its place in line. Raises Unavailable as ``turn`` does."""
    pool = services.pool(hold.provider)
    told = services.limiter.acquire(pool, hold.waiter, holder=hold.slot)
    if isinstance(told.answer, Lost):
        rebuild(services, pool)
        told = services.limiter.acquire(pool, hold.waiter, holder=hold.slot)
    follow(services, hold.provider, told.turn)
    if isinstance(told.answer, Lost):
        return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
    return told.answer


def follow(services: Services, provider: str, told: Turn) -> None:
    """Wake whoever's turn it is, and see that somebody comes back when nobody else would."""
    services.wake(told.heads)
    if told.wait_seconds:
        services.carrier.turn(provider, told.wait_seconds)


def rebuild(services: Services, pool: Pool) -> None:
    """Write what the rows prove into an empty Redis. Raises Unavailable when either of them is away."""
    learned = services.store.lines.learned([each.account for each in pool.accounts])
    services.limiter.restore(pool, services.store.lines.slots(pool.provider), learned)
    _LOG.warning("line.rebuilt", provider=pool.provider)


def moved_on(services: Services, before: Hold, after: Hold, answer: Answer) -> UUID | None:
    """What a step of an asset means for the line: its slot goes to the next, and its account's limit is learned.

    Whoever gets the slot that it held is not waked but comes back, so that this worker can go on with it.
    """
    if before.asset.state is State.SUBMITTING:
        _learn(services, before, answer)
    if before.asset.holds_slot and not after.asset.holds_slot:
        # Who was told to wait stands in line again; everybody else has left it.
        again = [after.waiter] if isinstance(answer, Busy) and after.asset.state is State.WAITING else []
        told = _turned(services, before.provider, enter=again, release=[(before.account, before.slot)]) or Turn()
        follow(services, before.provider, replace(told, heads=told.heads[1:]))
        return next(iter(told.heads), None)
    if before.asset.state is State.WAITING and after.asset.state not in {State.WAITING, State.SUBMITTING}:
        turn(services, before.provider, leave=[before.asset_id])
    return None


def _learn(services: Services, hold: Hold, answer: Answer) -> None:
    """What the provider's word about an order tells of how many it takes at once (R51)."""
    pool, limiter = services.pool(hold.provider), services.limiter
    if isinstance(answer, Accepted | Finished):
        why, lesson = "accepted", limiter.accepted(pool, hold.account, hold.slot)
    elif isinstance(answer, Busy) and answer.reason is Reason.BLOCKED:
        why, lesson = "refused", limiter.refused(pool, hold.account, hold.slot)
    else:
        return
    if lesson is None:
        return
    _LOG.info("limit.learned", account=hold.account, slots=lesson.slots, in_flight=lesson.in_flight, why=why)
    metrics.LESSONS.labels(account=hold.account, why=why).inc()
    try:
        services.store.lines.learn(hold.account, slots=lesson.slots, in_flight=lesson.in_flight, why=why)
    except Unavailable:
        return  # it holds in Redis; only its history has a gap
