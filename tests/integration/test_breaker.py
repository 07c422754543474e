"""The breaker on a real Valkey: which failures open it, who may probe it, and what closes it."""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from pipeline.domain.answers import Granted
from pipeline.domain.line import Waiter
from pipeline.limits.breaker import (
    FAILURES_IN_A_ROW,
    FIRST_PAUSE_SECONDS,
    LEAST_CALLS,
    LONGEST_PAUSE_SECONDS,
    PROBE_SECONDS,
    WINDOW_SECONDS,
    Breaker,
    Circuit,
    Gate,
)
from pipeline.limits.limiter import Limiter
from pipeline.limits.pool import AccountLimits, Pool, Window

CIRCUIT = Circuit(provider="acme", account="acme", model="acme/film")
OTHER_MODEL = replace(CIRCUIT, model="acme/short")
OTHER_ACCOUNT = replace(CIRCUIT, account="acme-two")
KEY = "dailies:limit:{acme}:breaker:acme:acme/film"


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Redis]:
    with Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def breaker(redis: Redis) -> Breaker:
    return Breaker(redis)


def calls(breaker: Breaker, ends: str, *, paid: bool = True, circuit: Circuit = CIRCUIT) -> list[float]:
    """Count calls, one for each letter: ``x`` failed, ``.`` did not; what each was told."""
    return [breaker.count(circuit, failed=end == "x", paid=paid) for end in ends]


def is_open(breaker: Breaker, circuit: Circuit = CIRCUIT) -> bool:
    return breaker.gate([circuit]).closed == ()


def let_the_pause_end(redis: Redis) -> None:
    redis.hset(KEY, "opened_until", 1)


def opened(breaker: Breaker) -> float:
    return calls(breaker, "x" * FAILURES_IN_A_ROW)[-1]


@pytest.mark.parametrize(
    ("ends", "opens"),
    [
        ("xxxx", False),
        ("xxxxx", True),
        (".....xxxxx", True),
        ("xxxx.", False),
        ("xx.xx.xx", False),
        ("xx.xx.xx.x", True),
        (".x.x.x.x.x", True),
        (".x.x.x.x..", False),
        ("." * 30 + "xxxx", False),
        ("." * 30 + "xxx.xx.xxx.x.x", True),
        ("." * 30 + "x..x..x..x..x..x..x..x..x..x", False),
    ],
)
def test_five_failures_in_a_row_or_half_of_at_least_ten_calls_open_it(
    breaker: Breaker, ends: str, *, opens: bool
) -> None:
    told = calls(breaker, ends)
    assert is_open(breaker) == opens
    assert told[:-1] == [0.0] * (len(ends) - 1)
    assert told[-1] == (FIRST_PAUSE_SECONDS if opens else 0)
    assert LEAST_CALLS == 10
    assert FAILURES_IN_A_ROW == 5


def test_looks_that_go_well_do_not_hide_orders_that_fail(breaker: Breaker) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        calls(breaker, "x", paid=True)
        calls(breaker, "....", paid=False)
    assert is_open(breaker)


def test_failures_of_a_minute_ago_do_not_count(breaker: Breaker, redis: Redis) -> None:
    calls(breaker, "xxxx")
    assert 0 < redis.pttl(f"{KEY}:paid") <= WINDOW_SECONDS * 1000
    kept: Any = redis.lrange(f"{KEY}:paid", 0, -1)
    for number, call in enumerate(kept):
        failed, at = call.decode().split(":")
        redis.lset(f"{KEY}:paid", number, f"{failed}:{int(at) - WINDOW_SECONDS * 1000 - 1}")
    assert calls(breaker, "xxxx") == [0.0] * 4
    assert calls(breaker, "x") == [FIRST_PAUSE_SECONDS]


def test_a_model_and_an_account_fail_for_themselves(breaker: Breaker) -> None:
    opened(breaker)
    assert not is_open(breaker, OTHER_MODEL)
    assert breaker.gate([CIRCUIT, OTHER_ACCOUNT]).closed == (OTHER_ACCOUNT,)


def test_of_the_accounts_of_a_pool_those_are_used_where_the_model_does_not_fail(breaker: Breaker, redis: Redis) -> None:
    window = Window(name="create", requests=1000, seconds=60)
    names = (CIRCUIT.account, OTHER_ACCOUNT.account)
    limits = [
        AccountLimits(account=name, slots=2, floor=1, ceiling=2, gap_seconds=0, orders=(window,), asks=window)
        for name in names
    ]
    pool, limiter = Pool("acme", tuple(limits)), Limiter(redis)
    limiter.restore(pool, [], {})

    def granted(model: str) -> str | None:
        waiter = Waiter(
            asset_id=uuid4(),
            owner_id=uuid4(),
            job_id=uuid4(),
            model=model,
            index=0,
            job_came_ms=1_700_000_000_000,
            owner_weight=1,
            job_weight=1,
        )
        told = limiter.acquire(pool, waiter, holder=f"{waiter.asset_id}:1").answer
        return told.account if isinstance(told, Granted) else None

    opened(breaker)
    assert [granted(CIRCUIT.model) for _ in range(2)] == [OTHER_ACCOUNT.account] * 2
    assert granted(OTHER_MODEL.model) == CIRCUIT.account
    calls(breaker, "x" * FAILURES_IN_A_ROW, circuit=OTHER_ACCOUNT)
    assert granted(CIRCUIT.model) == CIRCUIT.account, "whom to hold back is not the line's to say"


def test_while_it_is_open_everybody_is_told_when_to_look_again_and_nobody_probes(breaker: Breaker) -> None:
    opened(breaker)
    gate = breaker.gate([CIRCUIT])
    assert gate.to_probe is None
    assert FIRST_PAUSE_SECONDS - 5 < gate.wait_seconds <= FIRST_PAUSE_SECONDS
    assert calls(breaker, "xxxxxx", paid=False) == [0.0] * 6


def test_after_the_pause_exactly_one_of_all_who_ask_is_to_probe_it(breaker: Breaker, redis: Redis) -> None:
    opened(breaker)
    let_the_pause_end(redis)
    with ThreadPoolExecutor(16) as pool:
        gates = list(pool.map(lambda _: breaker.gate([CIRCUIT]), range(32)))
    assert [gate.to_probe for gate in gates].count(CIRCUIT) == 1
    others = [gate for gate in gates if gate.to_probe is None]
    assert {gate.closed for gate in others} == {()}
    assert all(0 < gate.wait_seconds <= PROBE_SECONDS for gate in others)


def test_a_prober_that_died_is_followed_by_another(breaker: Breaker, redis: Redis) -> None:
    opened(breaker)
    let_the_pause_end(redis)
    assert breaker.gate([CIRCUIT]).to_probe == CIRCUIT
    redis.hset(KEY, "probed_until", int(time.time() * 1000) - 1)
    assert breaker.gate([CIRCUIT]).to_probe == CIRCUIT
    breaker.unprobed(CIRCUIT)
    assert breaker.gate([CIRCUIT]).to_probe == CIRCUIT


def test_a_probe_that_is_answered_closes_it(breaker: Breaker, redis: Redis) -> None:
    opened(breaker)
    let_the_pause_end(redis)
    breaker.gate([CIRCUIT])
    assert breaker.probed(CIRCUIT, answered=True) == 0
    assert breaker.gate([CIRCUIT]) == Gate(closed=(CIRCUIT,), to_probe=None, wait_seconds=0)
    assert breaker.view("acme", "acme") == {}
    assert calls(breaker, "xxxx") == [0.0] * 4


def test_each_failed_probe_doubles_the_pause_up_to_five_minutes(breaker: Breaker, redis: Redis) -> None:
    pauses = [opened(breaker)]
    for _ in range(5):
        let_the_pause_end(redis)
        assert breaker.gate([CIRCUIT]).to_probe == CIRCUIT
        pauses.append(breaker.probed(CIRCUIT, answered=False))
        assert breaker.gate([CIRCUIT]).to_probe is None
    assert pauses == [30, 60, 120, 240, 300, LONGEST_PAUSE_SECONDS]


@pytest.mark.parametrize(("paid", "pause"), [(True, 30), (False, 60)], ids=["an order", "a look"])
def test_only_an_order_that_went_through_makes_the_next_pause_short_again(
    breaker: Breaker, redis: Redis, *, paid: bool, pause: float
) -> None:
    opened(breaker)
    let_the_pause_end(redis)
    breaker.gate([CIRCUIT])
    breaker.probed(CIRCUIT, answered=True)
    calls(breaker, ".", paid=paid)
    assert opened(breaker) == pause


def test_the_view_tells_what_is_open_for_how_long_and_why(breaker: Breaker, redis: Redis) -> None:
    opened(breaker)
    calls(breaker, "x" * 9, circuit=OTHER_ACCOUNT)
    [(model, told)] = breaker.view("acme", "acme").items()
    assert (model, told.openings, told.failures) == (CIRCUIT.model, 1, 5)
    assert FIRST_PAUSE_SECONDS - 5 < told.open_seconds <= FIRST_PAUSE_SECONDS
    let_the_pause_end(redis)
    assert breaker.view("acme", "acme")[CIRCUIT.model].open_seconds == 0
    redis.delete(KEY)
    assert breaker.view("acme", "acme") == {}


def test_without_redis_nothing_is_counted_and_nothing_held_back() -> None:
    breaker = Breaker(Redis.from_url("redis://127.0.0.1:1/0"))
    assert calls(breaker, "x" * 20) == [0.0] * 20
    assert breaker.gate([CIRCUIT, OTHER_ACCOUNT]).closed == (CIRCUIT, OTHER_ACCOUNT)
    assert breaker.probed(CIRCUIT, answered=False) == 0
    assert breaker.view("acme", "acme") == {}


def test_all_keys_of_a_breaker_live_with_its_pool_and_end_by_themselves(breaker: Breaker, redis: Redis) -> None:
    for circuit, paid in itertools.product((CIRCUIT, OTHER_MODEL), (True, False)):
        calls(breaker, "xxx", circuit=circuit, paid=paid)
    opened(breaker)
    keys: Any = redis.keys()
    assert len(keys) == 4
    assert all(key.startswith(b"dailies:limit:{acme}:breaker") for key in keys)
    assert all(redis.pttl(key) > 0 for key in keys)
