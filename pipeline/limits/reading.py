"""Read a pool's keys as values: for people, and for the sweeper who compares them with the rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from redis import Redis

from pipeline.domain.line import AccountView, Holding, Share, View, Waiter
from pipeline.limits.pool import AccountLimits, Census, Pool, Window

_ENDLESS = 1e9


def read_census(redis: Redis, prefix: str, pool: Pool) -> Census:
    """Names only: what the rows are compared with."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.time()
    pipeline.exists(f"{prefix}ready")
    pipeline.hkeys(f"{prefix}who")
    pipeline.hgetall(f"{prefix}since")
    for account in pool.accounts:
        pipeline.zrange(f"{prefix}slots:{account.account}", 0, -1, withscores=True)
    clock, ready, names, since, *slots = pipeline.execute()
    now_ms = _ms(clock)
    begun = {name.decode(): float(at) for name, at in since.items()}
    ends = [end for found in slots for _, end in found]
    held = {
        account.account: {
            holder.decode(): (now_ms - begun.get(_asset(holder.decode()), now_ms)) / 1000 for holder, _ in found
        }
        for account, found in zip(pool.accounts, slots, strict=True)
    }
    holding = {_asset(holder) for found in held.values() for holder in found}
    return Census(
        ready=bool(ready),
        slots=held,
        waiting=frozenset(UUID(name.decode()) for name in names if name.decode() not in holding),
        shortest_lease_seconds=(min(ends) - now_ms) / 1000 if ends else _ENDLESS,
    )


def read_view(redis: Redis, prefix: str, pool: Pool) -> View:
    """Everything about the line, as it is at one moment."""
    now_ms = _ms(redis.time())
    pipeline = redis.pipeline(transaction=True)
    pipeline.hgetall(f"{prefix}who")
    pipeline.hgetall(f"{prefix}shares")
    pipeline.hgetall(f"{prefix}since")
    for account in pool.accounts:
        _queue_account(pipeline, prefix, account, now_ms)
    names, shares, since, *told = pipeline.execute()
    people = {UUID(name.decode()): _waiter(name.decode(), who.decode()) for name, who in names.items()}
    per_account = [_account(each, told, now_ms) for each in pool.accounts]
    holding = _holding(people, per_account, _texts(since), now_ms)
    taken = {each.asset_id for each in holding}
    figures = _texts(shares)
    return View(
        waiting=tuple(waiter for asset_id, waiter in people.items() if asset_id not in taken),
        holding=holding,
        owners={each.owner_id: _share(figures, str(each.owner_id), each.owner_weight) for each in people.values()},
        jobs={each.job_id: _share(figures, job_name(each), each.job_weight) for each in people.values()},
        accounts={view.account: view for view, _ in per_account},
    )


def _queue_account(pipeline: Any, prefix: str, account: AccountLimits, now_ms: float) -> None:
    pipeline.zrange(f"{prefix}slots:{account.account}", 0, -1)
    pipeline.zrange(f"{prefix}reserved:{account.account}", 0, -1)
    pipeline.get(f"{prefix}blocked:{account.account}")
    pipeline.get(f"{prefix}used_up:{account.account}")
    pipeline.get(f"{prefix}unpaid:{account.account}")
    pipeline.hgetall(f"{prefix}learned:{account.account}")
    for window in _windows(account):
        pipeline.zcount(f"{prefix}window:{account.account}:{window.name}", now_ms - window.seconds * 1000, "+inf")
    for window in account.orders:
        # The request that has to grow old before there is room for another.
        oldest = -window.requests
        pipeline.zrange(f"{prefix}window:{account.account}:{window.name}", oldest, oldest, withscores=True)


def _account(limits: AccountLimits, told: list[Any], now_ms: float) -> tuple[AccountView, list[str]]:
    """The account as it is, and the assets that hold its slots or are reserved one; takes its answers off ``told``."""
    take: Callable[[], Any] = lambda: told.pop(0)  # noqa: E731 - a word for what is done so often
    slots, reserved, blocked, used_up, unpaid, learned = take(), take(), take(), take(), take(), _texts(take())
    used = {window.name: take() for window in _windows(limits)}
    full = {window.name: (at + window.seconds * 1000 - now_ms) / 1000 for window in limits.orders for _, at in take()}
    full["daily"] = max(full.get("daily", 0.0), (float(used_up) - now_ms) / 1000 if used_up else 0.0)
    most = min(int(learned.get("slots", limits.slots)), limits.ceiling)
    view = AccountView(
        account=limits.account,
        slots=most,
        ceiling=limits.ceiling,
        floor=limits.floor,
        is_learned="slots" in learned and most != limits.slots,
        in_flight=len(slots) + len(reserved),
        blocked_seconds=max([0.0, *((float(until) - now_ms) / 1000 for until in (blocked, unpaid) if until)]),
        used=used,
        set_slots=limits.slots,
        full={name: seconds for name, seconds in full.items() if seconds > 0},
    )
    return view, [*(_asset(each.decode()) for each in slots), *(each.decode() for each in reserved)]


def _holding(
    people: Mapping[UUID, Waiter],
    accounts: Sequence[tuple[AccountView, list[str]]],
    since: Mapping[str, str],
    now_ms: float,
) -> tuple[Holding, ...]:
    found = []
    for view, names in accounts:
        for name in names:
            waiter = people.get(UUID(name))
            if waiter:
                begun = float(since.get(name, now_ms))
                found.append(
                    Holding(
                        account=view.account,
                        asset_id=waiter.asset_id,
                        owner_id=waiter.owner_id,
                        job_id=waiter.job_id,
                        model=waiter.model,
                        held_seconds=max((now_ms - begun) / 1000, 0.0),
                    )
                )
    return tuple(found)


def _waiter(name: str, who: str) -> Waiter:
    owner, job, model, owner_weight, job_weight, index = who.split("|")
    came, _, job_id = job.partition(".")
    return Waiter(
        asset_id=UUID(name),
        owner_id=UUID(owner),
        job_id=UUID(job_id),
        model=model,
        index=int(index),
        job_came_ms=int(came),
        owner_weight=int(owner_weight),
        job_weight=int(job_weight),
    )


def _share(figures: Mapping[str, str], name: str, weight: int) -> Share:
    held, passed = int(figures.get(f"held:{name}", 0)), float(figures.get(f"passed:{name}", 0))
    return Share(held=held, passed=passed, weight=weight)


def job_name(waiter: Waiter) -> str:
    """What the scripts call a job: its age goes first, so that among equals the older one wins."""
    return f"{waiter.job_came_ms:014d}.{waiter.job_id}"


def _windows(account: AccountLimits) -> tuple[Window, ...]:
    return (*account.orders, account.asks)


def _asset(holder: str) -> str:
    return holder.rpartition(":")[0]


def _texts(found: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in found.items()}


def _ms(clock: tuple[int, int]) -> float:
    return clock[0] * 1000 + clock[1] / 1000
