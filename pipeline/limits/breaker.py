"""Which models fail at which accounts: enough failures stop orders until a call that costs nothing is answered again.

Failures are 5xx, time-outs and lost connections; what a provider refuses or postpones is not its failing. Orders and
free calls are counted apart, so that looks which go well do not hide orders which do not. Redis away: nothing is
counted and nothing held back, since the limiter then admits nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError

WINDOW_SECONDS = 60
# So many calls make a share of failures worth something; half of them open the breaker, or a row of failures.
LEAST_CALLS = 10
FAILURES_IN_A_ROW = 5
FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 300
# The next opening lasts longer than this one, unless an order went through before, or so long nothing happened.
REMEMBERED_SECONDS = 600
# All tries of one free call end before this.
PROBE_SECONDS = 45
_SCRIPTS = ("count", "gate", "probed")
_PAUSES = (FIRST_PAUSE_SECONDS * 1000, LONGEST_PAUSE_SECONDS * 1000, REMEMBERED_SECONDS * 1000)

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """What fails and recovers as one: a model at an account."""

    provider: str
    account: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Which circuits let orders through, which one the caller is to probe, and when to look again without either."""

    closed: tuple[Circuit, ...]
    to_probe: Circuit | None
    wait_seconds: float


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An open breaker: for how long yet (0: it waits for its probe), how often in a row, after how many failures."""

    open_seconds: float
    openings: int
    failures: int


class Breaker:
    """The failures of each model at each account, shared by all workers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts = {name: redis.register_script(_lua(name)) for name in _SCRIPTS}

    def count(self, circuit: Circuit, *, failed: bool, paid: bool) -> float:
        """Note how a call ended; for how many seconds that opened the breaker, 0 when it did not."""
        kinds = [_key(circuit, kind) for kind in (("paid", "free") if paid else ("free", "paid"))]
        limits = (WINDOW_SECONDS * 1000, LEAST_CALLS, FAILURES_IN_A_ROW, *_PAUSES)
        keys = [_key(circuit), *kinds, _index(circuit.provider, circuit.account)]
        return float(self._run("count", keys, int(failed), int(paid), *limits, circuit.model, otherwise=0) / 1000)

    def gate(self, circuits: Sequence[Circuit]) -> Gate:
        """Whether orders may go out. Who is told to probe a circuit has to say what came of it, by ``probed``."""
        all_closed = [0, 0, *range(1, len(circuits) + 1)]
        told = self._run("gate", [_key(each) for each in circuits], PROBE_SECONDS * 1000, otherwise=all_closed)
        number, wait_ms, *closed = told
        return Gate(
            closed=tuple(circuits[each - 1] for each in closed),
            to_probe=circuits[number - 1] if number else None,
            wait_seconds=wait_ms / 1000,
        )

    def probed(self, circuit: Circuit, *, answered: bool) -> float:
        """Close the breaker, or open it for longer; for how many seconds it is open now."""
        keys = [_key(circuit), _index(circuit.provider, circuit.account)]
        return float(self._run("probed", keys, int(answered), *_PAUSES, circuit.model, otherwise=0) / 1000)

    def view(self, provider: str, account: str) -> dict[str, Opened]:
        """The open breakers of an account, by model; empty without Redis."""
        return self._try(lambda: self._read(provider, account), otherwise={})

    def unprobed(self, circuit: Circuit) -> None:
        """The probe could not be made just now: somebody else is to make it."""
        self._try(lambda: self._redis.hdel(_key(circuit), "probed_until"), otherwise=0)

    def _read(self, provider: str, account: str) -> dict[str, Opened]:
        seconds, microseconds = self._redis.time()
        models: Any = self._redis.smembers(_index(provider, account))
        found = {}
        for model in sorted(each.decode() for each in models):
            kept: Any = self._redis.hgetall(_key(Circuit(provider=provider, account=account, model=model)))
            told = {name.decode(): float(value) for name, value in kept.items()}
            if told.get("opened_until"):
                found[model] = Opened(
                    open_seconds=max(told["opened_until"] / 1000 - seconds - microseconds / 1e6, 0.0),
                    openings=int(told["openings"]),
                    failures=int(told["failures"]),
                )
        return found

    def _run(self, name: str, keys: list[str], *arguments: Any, otherwise: Any) -> Any:
        return self._try(lambda: self._scripts[name](keys=keys, args=arguments), otherwise=otherwise)

    def _try(self, call: Callable[[], _T], *, otherwise: _T) -> _T:
        try:
            return call()
        except RedisError:
            return otherwise


def _key(circuit: Circuit, *kind: str) -> str:
    """The hash tag keeps a pool's keys on one node, as a script needs."""
    return ":".join((f"dailies:limit:{{{circuit.provider}}}:breaker:{circuit.account}:{circuit.model}", *kind))


def _index(provider: str, account: str) -> str:
    return f"dailies:limit:{{{provider}}}:breakers:{account}"


def _lua(name: str) -> str:
    return files("pipeline.limits").joinpath(f"breaker_{name}.lua").read_text()
