"""How much a pool of accounts may do: slots as leases, requests per window, pauses, and the one line of who waits.

Every question is one Lua script, so that its answer holds for all workers on all hosts. What Redis holds can be rebuilt
from the rows: a pool whose leases are gone admits nothing until ``restore`` has written them again. Redis down means
no permit, and no permit means no spend.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

from redis import Redis
from redis.exceptions import RedisError

from pipeline.domain.answers import Busy, Granted, Reason
from pipeline.domain.errors import Unavailable
from pipeline.domain.line import Slot, View, Waiter
from pipeline.limits.pool import Admission, Census, Learned, Lost, Pool, Turn
from pipeline.limits.reading import job_name, read_census, read_view

# A lease is written anew long before its end, by a sweep that comes every few seconds.
LEASE_SECONDS = 180
# A head that was waked takes its slot within milliseconds; one whose worker died gives it back after this.
RESERVE_SECONDS = 15
# How long the limiter's silence holds an asset back.
REDIS_DOWN_SECONDS = 5.0
_BATCH = 500
_SCRIPTS = ("acquire", "turn", "restore", "learn")


class Limiter:
    """The questions asked of the line; every method raises Unavailable only where it says so."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        shared = _lua("line")
        self._scripts = {name: redis.register_script(shared + _lua(name)) for name in _SCRIPTS}
        self._scripts |= {name: redis.register_script(_lua(name)) for name in ("block", "ask", "unpaid")}

    def acquire(self, pool: Pool, waiter: Waiter, *, holder: str) -> Admission:
        """A slot for this take of the asset, or its place in line; and what the line does next."""
        told = self._line("acquire", pool, holder, str(waiter.asset_id), _who(waiter))
        if told is None:
            busy = Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
            return Admission(answer=busy, turn=Turn())
        word, detail, wait_ms = told[0].decode(), told[1].decode(), told[2]
        if word == "lost":
            return Admission(answer=Lost(), turn=Turn())
        if word == "granted":
            return Admission(answer=Granted(account=detail), turn=_turn(told))
        about_seconds = wait_ms / 1000 if wait_ms else None
        return Admission(answer=Busy(reason=Reason(detail), about_seconds=about_seconds), turn=_turn(told))

    def turn(
        self,
        pool: Pool,
        *,
        enter: Sequence[Waiter] = (),
        leave: Sequence[UUID] = (),
        release: Sequence[tuple[str, str]] = (),
    ) -> Turn | Lost | None:
        """Take and give up places, give slots (account, holder) back, then give what is free to whoever's turn it is.

        None without Redis.
        """
        entries = [[str(each.asset_id), _who(each)] for each in enter]
        going = {"leave": [str(each) for each in leave], "release": [list(each) for each in release]}
        turn, heads = self._moved(pool, enter=entries[:_BATCH], **going), list[UUID]()
        for at in range(_BATCH, len(entries), _BATCH):
            heads += turn.heads if isinstance(turn, Turn) else ()
            turn = self._moved(pool, enter=entries[at : at + _BATCH])
        return replace(turn, heads=(*heads, *turn.heads)) if isinstance(turn, Turn) else turn

    def restore(self, pool: Pool, slots: Sequence[Slot], learned: Mapping[str, int]) -> None:
        """Write the leases that the rows prove, and what was learned, and open the pool. Raises Unavailable."""
        proven = [
            [each.account, each.holder, _who(each.waiter), int(each.accepted), int(each.held_seconds * 1000)]
            for each in slots
        ]
        if self._line("restore", pool, json.dumps(proven), json.dumps(learned), opening=True) is None:
            raise Unavailable("Redis does not answer")

    def accepted(self, pool: Pool, account: str, holder: str) -> Learned | None:
        """The provider took an order; what that changed about the account's limit."""
        return self._learned(pool, account, holder, accepted=True)

    def refused(self, pool: Pool, account: str, holder: str) -> Learned | None:
        """The provider said "not now" to an order; what that changed about the account's limit."""
        return self._learned(pool, account, holder, accepted=False)

    def block(self, provider: str, account: str, seconds: float, *, orders_only: bool = False) -> None:
        """Pause the account for all, or for orders alone; forgotten when Redis is down: then nothing is admitted."""
        name = "used_up" if orders_only else "blocked"
        self._run("block", [f"{_prefix(provider)}{name}:{account}"], max(int(seconds * 1000), 1))

    def pass_over(self, pool: Pool, account: str, seconds: float) -> bool:
        """Order nothing with an account for a while; False, and nothing changes, where no other one may do."""
        names = [account, *(each.account for each in pool.accounts if each.account != account)]
        keys = [f"{_prefix(pool.provider)}unpaid:{each}" for each in names]
        return bool(self._run("unpaid", keys, int(seconds * 1000)))

    def ask(self, pool: Pool, account: str) -> Busy | None:
        """What holds one more free request back; None means go, and it is counted."""
        prefix, limits = _prefix(pool.provider), pool.of(account)
        keys = [f"{prefix}blocked:{account}", f"{prefix}window:{account}:{limits.asks.name}"]
        told = self._run("ask", keys, uuid4().hex, limits.asks.requests, int(limits.asks.seconds * 1000))
        if told is None:
            return Busy(reason=Reason.REDIS_DOWN, wait_seconds=REDIS_DOWN_SECONDS)
        word, wait_ms = told[0].decode(), told[1]
        return None if word == "go" else Busy(reason=Reason(word), wait_seconds=wait_ms / 1000)

    def view(self, pool: Pool) -> View | None:
        """The pool at this moment; None without Redis."""
        view: View | None = self._try(lambda: read_view(self._redis, _prefix(pool.provider), pool))
        return view

    def census(self, pool: Pool) -> Census | None:
        """Who has a slot or a place, to be compared with the rows; None without Redis."""
        census: Census | None = self._try(lambda: read_census(self._redis, _prefix(pool.provider), pool))
        return census

    def _moved(self, pool: Pool, **moves: Any) -> Turn | Lost | None:
        told = self._line("turn", pool, json.dumps(moves))
        if told is None:
            return None
        return Lost() if told[0] == b"lost" else _turn(told)

    def _learned(self, pool: Pool, account: str, holder: str, *, accepted: bool) -> Learned | None:
        told = self._line("learn", pool, account, holder, int(accepted))
        if told is None or told[0] == b"lost" or not told[1]:
            return None
        return Learned(account=account, slots=int(told[1]), in_flight=told[2])

    def _line(self, name: str, pool: Pool, *arguments: Any, opening: bool = False) -> Any:
        told = {**pool.document, "lease": LEASE_SECONDS * 1000, "reserve": RESERVE_SECONDS * 1000, "opening": opening}
        return self._run(name, [_prefix(pool.provider)], json.dumps(told), *arguments)

    def _run(self, name: str, keys: list[str], *arguments: Any) -> Any:
        return self._try(lambda: self._scripts[name](keys=keys, args=arguments))

    def _try(self, call: Any) -> Any:
        try:
            return call()
        except RedisError:
            return None


def _turn(told: Sequence[Any]) -> Turn:
    return Turn(heads=tuple(UUID(each.decode()) for each in told[4:]), wait_seconds=told[3] / 1000 or None)


def _who(waiter: Waiter) -> str:
    """A waiter as the scripts keep it. Jobs are named by their age first, so that among equals the older one wins."""
    weights = f"{waiter.owner_weight}|{waiter.job_weight}"
    return f"{waiter.owner_id}|{job_name(waiter)}|{waiter.model}|{weights}|{waiter.index}"


def _prefix(provider: str) -> str:
    """The hash tag keeps a pool's keys on one node, as a script needs."""
    return f"dailies:limit:{{{provider}}}:"


def _lua(name: str) -> str:
    return files("pipeline.limits").joinpath(f"{name}.lua").read_text()
