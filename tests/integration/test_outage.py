"""A provider that fails is left in peace: few orders find out, one free question at a time asks whether it is well."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
import requests

from pipeline import show
from pipeline.domain.answers import Busy, Reason
from pipeline.domain.asset import State
from pipeline.limits.breaker import FAILURES_IN_A_ROW, Circuit, Opened
from pipeline.start import start
from tests import servers
from tests.builders import MODEL, PATIENCE_SECONDS, World, world

OTHER_MODEL = "replicate/wan-2.5-t2v"
BREAKER = "dailies:limit:{replicate}:breaker:replicate:"


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    settings = {"replicate_max_in_flight": 8, "settle_absent_after_seconds": 0.01}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **settings) as built:
        yield built


def let_the_pause_end(here: World, model: str = MODEL) -> None:
    here.services.redis.hset(f"{BREAKER}{model}", "opened_until", 1)


def well_again(here: World) -> None:
    """Nothing goes wrong at the provider any more."""
    assert here.simulator
    requests.delete(f"{here.simulator.url}/_sim/faults", timeout=10).raise_for_status()


def opened(here: World) -> dict[str, Opened]:
    return here.services.breaker.view("replicate", "replicate")


@pytest.mark.requirement("R10", "R50", "R55")
def test_an_outage_costs_five_orders_and_no_attempt_of_those_who_wait_and_ends_by_itself(here: World) -> None:
    job_id = here.job(FAILURES_IN_A_ROW + 3)
    asset_ids = here.ids(job_id)
    here.arm("down=500")
    for asset_id in asset_ids:
        here.step(asset_id)
    assert here.stats()["creates"] == FAILURES_IN_A_ROW
    assert list(opened(here)) == [MODEL]
    waiting = asset_ids[FAILURES_IN_A_ROW:]
    documents = [show.clip(here.services, here.owner_id, job_id, index) for index in range(5, 8)]
    assert {document["waiting"]["reason"] for document in documents} == {Reason.BREAKER}
    told = documents[-1]["waiting"]["about_seconds"]
    assert 0 < told <= 30
    assert documents[-1]["retry_after_ms"] == 1000 * math.ceil(told)
    here.query("update assets set updated_at = updated_at - interval '15 seconds'")
    later = show.clip(here.services, here.owner_id, job_id, 7)["waiting"]["about_seconds"]
    assert later <= max(told - 14, 0), "time goes by"
    assert {here.row(each)["takes"] for each in waiting} == {0}
    assert here.in_line() == []

    for pause in (60, 120):
        let_the_pause_end(here)
        asked = here.stats()["other"]
        for asset_id in waiting:
            here.step(asset_id)
        assert here.stats()["other"] == asked + 1, "one free question, by whoever came first"
        assert pause / 2 < opened(here)[MODEL].open_seconds <= pause
    assert here.stats()["creates"] == FAILURES_IN_A_ROW, "not one order was risked to find out"

    well_again(here)
    let_the_pause_end(here)
    here.carrier.published.clear()
    here.step(waiting[0])
    assert opened(here) == {}
    assert set(here.carrier.published) == set(waiting[1:])
    assert {clip.state for clip in here.render(job_id)} == {State.DONE}
    assert len(here.sold()) == len(asset_ids)


@pytest.mark.requirement("R23", "R60")
def test_a_model_that_fails_steps_out_of_the_way_of_the_others(here: World) -> None:
    # No order is proven absent here: its slot would go to the next in line within the same step.
    patient = replace(here.services.settings, settle_absent_after_seconds=300)
    here = replace(here, services=replace(here.services, settings=patient))
    here.arm("create=503", model="bytedance/seedance-1-pro-fast")
    failing = here.job(FAILURES_IN_A_ROW + 8)
    start(here.services, failing)
    heads, rest = here.carrier.published[:8], here.in_line()
    assert len(rest) == 5
    for asset_id in heads[:FAILURES_IN_A_ROW]:
        here.step(asset_id)
    assert here.in_line() == []
    assert set(rest) <= set(here.carrier.published), "they are waked to learn why they wait"
    for asset_id in (*heads[FAILURES_IN_A_ROW:], *rest):
        here.step(asset_id)
        assert here.row(asset_id)["waiting"]["reason"] == Reason.BREAKER
    other = here.job(model=OTHER_MODEL)
    start(here.services, other)
    [clip] = here.render(other)
    assert (clip.state, here.stats()["creates"]) == (State.DONE, FAILURES_IN_A_ROW + 1)


@pytest.mark.parametrize("fault", ["422", "402"])
def test_what_a_provider_refuses_is_not_its_failing(here: World, fault: str) -> None:
    here.render(here.job(6, prompt=f"[[sim: create={fault}]]"))
    assert opened(here) == {}


def test_looks_that_fail_stop_the_orders_too(here: World) -> None:
    rendering = here.ids(here.job(FAILURES_IN_A_ROW, prompt="[[sim: stall]]"))
    for asset_id in rendering:
        here.until(asset_id, State.RENDERING)
    here.arm("down=500")
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not opened(here):
        assert time.monotonic() < give_up_at
        for asset_id in rendering:
            here.step(asset_id)
    assert {here.state(asset_id) for asset_id in rendering} == {State.RENDERING}


def opened_and_due(here: World) -> UUID:
    """A clip that waits for its model to be probed; its id."""
    circuit = Circuit(provider="replicate", account="replicate", model=MODEL)
    for _ in range(FAILURES_IN_A_ROW):
        here.services.breaker.count(circuit, failed=True, paid=True)
    let_the_pause_end(here)
    return here.clip(prompt="[[sim: stall]]")


@pytest.mark.requirement("R10")
def test_a_probe_that_is_told_to_wait_was_answered_and_pauses_the_account(here: World) -> None:
    asset_id = opened_and_due(here)
    here.line.instead["probe"] = lambda _: Busy(reason=Reason.BLOCKED, wait_seconds=30)
    here.step(asset_id)
    assert opened(here) == {}
    assert (here.row(asset_id)["waiting"]["reason"], here.stats()["creates"]) == (Reason.BLOCKED, 0)


@pytest.mark.requirement("R10")
def test_while_the_account_is_paused_nobody_probes(here: World) -> None:
    asset_id = opened_and_due(here)
    here.services.limiter.block("replicate", "replicate", 30)
    here.step(asset_id)
    waiting = here.row(asset_id)["waiting"]
    assert (here.line.calls, waiting["reason"]) == ([], Reason.BREAKER)
    assert 25 < waiting["about_seconds"] <= 30
    here.unblock()
    here.step(asset_id)
    assert here.line.calls == ["probe", "submit"]
    assert here.state(asset_id) is State.RENDERING
