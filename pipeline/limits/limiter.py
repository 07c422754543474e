"""How much an account may do: slots as leases, requests per window, a pause for all, and the line of waiters.

Every question is one Lua script, so that its answer holds for all workers on all hosts. What Redis holds can be rebuilt
from the rows: an account whose leases are gone admits nothing until ``restore`` has written them again. Redis down
means no permit, and no permit means no spend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

from redis import Redis
from redis.exceptions import RedisError

from pipeline.domain.answers import Busy, Granted, Reason
from pipeline.domain.errors import Unavailable

# A lease is written anew by every sweep, so it need only outlive a few of them.
LEASE_SECONDS = 180
# How long the limiter's silence holds an asset back.
REDIS_DOWN_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an account may do: predictions at once, and requests per window for creates and for everything else."""

    account: str
    slots: int
    creates: int
    creates_seconds: float
    asks: int
    asks_seconds: float


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The account's leases are not there; they must be rebuilt from the rows before anything is admitted."""


class Limiter:
    """The questions asked of the line; every method raises Unavailable only where it says so."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts = {
            name: redis.register_script(_lua(name)) for name in ("acquire", "release", "restore", "block", "ask")
        }

    def acquire(self, limits: Limits, *, holder: str, asset_id: UUID, order: float) -> Granted | Busy | Lost:
        """A slot for this take of the asset, or its place in line."""
        keys = _keys(limits.account, "ready", "slots", "line", "blocked", "creates")
        window = (limits.creates, _ms(limits.creates_seconds))
        told = self._run("acquire", keys, holder, str(asset_id), order, limits.slots, _ms(LEASE_SECONDS), *window)
        if told is None:
            return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
        return _admission(told[0].decode(), told[1] / 1000, told[2], free=limits.slots)

    def release(self, limits: Limits, holder: str | None = None) -> list[UUID]:
        """Give a slot back (or none); the assets whose turn it is now come back, to be waked."""
        heads = self._run("release", _keys(limits.account, "slots", "line", "blocked"), holder or "", limits.slots)
        return [UUID(head.decode()) for head in heads or []]

    def restore(self, account: str, holders: Sequence[str]) -> None:
        """Write the leases that the rows prove, and open the account. Raises Unavailable without Redis."""
        if self._run("restore", _keys(account, "ready", "slots"), _ms(LEASE_SECONDS), *holders) is None:
            raise Unavailable("Redis does not answer")

    def block(self, account: str, seconds: float) -> None:
        """Pause the account for all; forgotten when Redis is down, since then nothing is admitted anyway."""
        self._run("block", _keys(account, "blocked"), max(_ms(seconds), 1))

    def ask(self, limits: Limits) -> Busy | None:
        """What holds one more free request back; None means go, and it is counted."""
        window = (limits.asks, _ms(limits.asks_seconds))
        told = self._run("ask", _keys(limits.account, "blocked", "asks"), uuid4().hex, *window)
        if told is None:
            return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
        word, wait_ms = told[0].decode(), told[1]
        return None if word == "go" else Busy(reason=Reason(word), wait_seconds=wait_ms / 1000)

    def enter(self, account: str, orders: Mapping[UUID, float]) -> bool:
        """Take places in line, lower orders first; False without Redis."""
        places = {str(asset_id): order for asset_id, order in orders.items()}
        return self._try(lambda: self._redis.zadd(_keys(account, "line")[0], places, nx=True)) is not None

    def leave(self, account: str, asset_ids: Sequence[UUID]) -> None:
        """Give up places in line."""
        if asset_ids:
            self._try(lambda: self._redis.zrem(_keys(account, "line")[0], *[str(each) for each in asset_ids]))

    def line(self, account: str) -> list[UUID]:
        """Who waits, first in line first; empty without Redis."""
        waiting = self._try(lambda: self._redis.zrange(_keys(account, "line")[0], 0, -1))
        return [UUID(each.decode()) for each in waiting or []]

    def places(self, account: str, asset_ids: Sequence[UUID]) -> dict[UUID, int]:
        """The places in line of these, 1 being next; whoever is not in line, or all without Redis, have none."""

        def ranks() -> list[int | None]:
            with self._redis.pipeline(transaction=False) as pipeline:
                for each in asset_ids:
                    pipeline.zrank(_keys(account, "line")[0], str(each))
                found: list[int | None] = pipeline.execute()
            return found

        ranked = zip(asset_ids, self._try(ranks) or [], strict=False)
        return {each: rank + 1 for each, rank in ranked if rank is not None}

    def stale_slots(self, account: str, holders: Sequence[str], *, settled_seconds: float = 10.0) -> list[str]:
        """Slots that no row in flight owns, and that were not handed out just now."""
        held = self._try(lambda: self._redis.zrange(_keys(account, "slots")[0], 0, -1, withscores=True))
        clock = self._try(self._redis.time)
        if not held or clock is None:
            return []
        newest = clock[0] * 1000 + _ms(LEASE_SECONDS - settled_seconds)
        return [name.decode() for name, ends in held if ends < newest and name.decode() not in set(holders)]

    def _run(self, name: str, keys: list[str], *arguments: Any) -> Any:
        return self._try(lambda: self._scripts[name](keys=keys, args=arguments))

    def _try(self, call: Any) -> Any:
        try:
            return call()
        except RedisError:
            return None


def _admission(word: str, wait_seconds: float, place: int, *, free: int) -> Granted | Busy | Lost:
    match word:
        case "granted":
            return Granted()
        case "lost":
            return Lost()
        case "blocked" if place > free:
            # Only those whose turn comes with the end of the block need to look again then; the rest are waked.
            return Busy(reason=Reason.SLOT, place=place)
        case "blocked" | "rate":
            return Busy(reason=Reason(word), wait_seconds=wait_seconds, place=place, about_seconds=wait_seconds)
        case _:
            return Busy(reason=Reason.SLOT, place=place)


def _keys(account: str, *names: str) -> list[str]:
    """The hash tag keeps an account's keys on one node, as a script needs."""
    return [f"dailies:limit:{{{account}}}:{name}" for name in names]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _lua(name: str) -> str:
    return files("pipeline.limits").joinpath(f"{name}.lua").read_text()
