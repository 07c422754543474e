"""Jobs that come together are started one after the other; one that comes alone is started at once."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pipeline.accept import accept
from tests.builders import MODEL, World, world

pytestmark = pytest.mark.requirement("R25")
COUNT = "dailies:arrivals"
AT_ONCE, SPREAD = timedelta(0), timedelta(seconds=2)


@pytest.fixture
def here(database_url: str, valkey_url: str) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url) as built:
        yield built


def arrived(here: World, count: int) -> None:
    """So many jobs have just come, and this moment lasts."""
    here.services.redis.set(COUNT, count, ex=60)


def test_a_job_that_comes_alone_is_started_at_once(here: World) -> None:
    monitor: Any = here.services.redis.monitor  # untyped in redis-py
    with monitor() as heard:
        here.job()
        lives = next(each["command"] for each in heard.listen() if "pexpire" in each["command"].lower())
    assert here.carrier.delays == [AT_ONCE]
    assert lives.lower() == f"pexpire {COUNT} {SPREAD // timedelta(milliseconds=1)}"


def test_from_the_twenty_first_on_jobs_start_within_two_seconds_at_random(here: World) -> None:
    arrived(here, 19)
    for _ in range(6):
        here.job()
    first, *others = here.carrier.delays
    assert first == AT_ONCE
    assert all(AT_ONCE < delay <= SPREAD for delay in others)
    assert len(set(others)) == len(others)


def test_a_request_that_is_repeated_is_no_crowd(here: World) -> None:
    arrived(here, 19)
    body = {"model": MODEL, "scenes": [{"description": "a lighthouse", "duration": 2}]}
    for _ in range(3):
        accept(here.services, owner_id=here.owner_id, body=body, idempotency_key="order 7")
    assert here.carrier.delays == [AT_ONCE]
    assert here.services.redis.get(COUNT) == b"20"


def test_without_redis_every_job_is_started_at_once(database_url: str) -> None:
    with world(database_url) as here:
        for _ in range(2):
            here.job()
        assert here.carrier.delays == [AT_ONCE] * 2
