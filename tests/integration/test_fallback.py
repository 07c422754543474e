"""A clip whose provider is down or has no credit goes to an equivalent model elsewhere, where its job allows that."""

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
import requests

from pipeline import show
from pipeline.carrier import Carrier
from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from pipeline.domain.member import Member
from pipeline.limits.breaker import FAILURES_IN_A_ROW, Circuit
from tests import servers
from tests.builders import World, world

MODEL = "replicate/veo-3-fast"
ELSEWHERE = "fal/veo-3-fast"


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    fal = {"fal_key": running.token, "fal_base_url": f"{running.url}/fal"}
    settings: dict[str, Any] = {"replicate_max_in_flight": 8, "settle_absent_after_seconds": 0.01, **fal}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **settings) as built:
        yield built


def ordered(here: World, scenes: int = 1, **more: Any) -> UUID:
    told = {"allow_fallback": True, "model": MODEL, **more}
    return here.order([{"description": f"a lighthouse {n}", "duration": 4} for n in range(scenes)], **told)


def down(here: World, openings: int = 2, model: str = MODEL) -> None:
    """Let orders of the model be held back for the n-th time in a row."""
    circuit = Circuit(provider="replicate", account="replicate", model=model)
    for _ in range(FAILURES_IN_A_ROW):
        here.services.breaker.count(circuit, failed=True, paid=True)
    for _ in range(openings - 1):
        here.services.breaker.probed(circuit, answered=False)


def let_the_pause_end(here: World) -> None:
    here.services.redis.hset(f"dailies:limit:{{replicate}}:breaker:replicate:{MODEL}", "opened_until", 1)


@pytest.mark.requirement("R50", "R57", "R58")
def test_while_a_provider_is_down_its_clips_are_made_by_the_same_model_elsewhere(here: World) -> None:
    job_id = ordered(here, 2)
    down(here)
    clips = here.render(job_id)
    assert {(clip.state, clip.provider, clip.model) for clip in clips} == {(State.DONE, "fal", ELSEWHERE)}
    document = show.clip(here.services, here.owner_id, job_id, 0)
    [fall] = document["fell_back_from"]
    assert (fall["model"], fall["reason"]) == (MODEL, "failing")
    assert [take["model"] for take in document["takes"]] == [ELSEWHERE]
    assert here.ledger(clips[0].id) == [(1, "reserve"), (1, "commit")]
    told = [event for event in here.events(job_id) if event.type == "clip_rerouted"]
    assert [(event.payload["from_model"], event.payload["model"]) for event in told] == [(MODEL, ELSEWHERE)] * 2
    assert len(here.sold()) == 2
    assert here.in_line() == []


@pytest.mark.requirement("R50", "R55", "R58")
def test_an_outage_sends_those_who_wait_elsewhere_and_keeps_those_in_doubt(here: World) -> None:
    job_id = ordered(here, FAILURES_IN_A_ROW + 3)
    asset_ids = here.ids(job_id)
    here.arm("down=500")
    for asset_id in asset_ids:
        here.step(asset_id)
    doubtful, waiting = asset_ids[:FAILURES_IN_A_ROW], asset_ids[FAILURES_IN_A_ROW:]
    assert {here.row(each)["waiting"]["reason"] for each in waiting} == {Reason.BREAKER}
    let_the_pause_end(here)
    published: list[Member] = []
    carrier = cast("Carrier", SimpleNamespace(members=published.extend, turn=here.carrier.turn))
    moving = replace(here, services=replace(here.services, carrier=carrier))
    for asset_id in waiting:
        moving.step(asset_id)
    assert [(each.asset_id, each.provider) for each in published] == [(each, "fal") for each in waiting]
    assert {here.row(each)["provider"] for each in doubtful} == {"replicate"}
    requests.delete(f"{here.simulator.url if here.simulator else ''}/_sim/faults", timeout=10).raise_for_status()
    let_the_pause_end(here)
    clips = here.render(job_id)
    assert {(clip.state, clip.id in waiting) for clip in clips if clip.provider == "fal"} == {(State.DONE, True)}
    assert len(here.sold()) == len(asset_ids)


@pytest.mark.requirement("R50", "R57", "R58")
def test_a_provider_without_credit_is_left_and_what_was_reserved_there_is_released(here: World) -> None:
    here.arm("create=402", model="google/veo-3-fast")
    job_id = ordered(here)
    [clip] = here.render(job_id)
    assert (clip.state, clip.model) == (State.DONE, ELSEWHERE)
    takes = here.takes(clip.id)
    assert [(take.model, take.state, take.cost_cents > 0) for take in takes] == [
        (MODEL, State.FAILED, False),
        (ELSEWHERE, State.DONE, True),
    ]
    assert (takes[0].failure or {})["code"] == "no_credit"
    assert here.ledger(clip.id) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]
    assert clip.shot["fell_back_from"][0]["reason"] == "no_credit"
    assert here.holders() == []


@pytest.mark.requirement("R58")
def test_without_leave_a_clip_waits_for_its_own_model_or_fails_with_it(here: World) -> None:
    down(here)
    waiting = here.clip(allow_fallback=False, model=MODEL)
    here.step(waiting)
    assert (here.row(waiting)["model"], here.row(waiting)["waiting"]["reason"]) == (MODEL, Reason.BREAKER)
    here.arm("create=402", model="google/veo-3")
    [clip] = here.render(here.job(model="replicate/veo-3"))
    assert (clip.state, (clip.failure or {})["code"]) == (State.FAILED, "no_credit")


@pytest.mark.requirement("R58")
def test_a_short_trouble_is_waited_for(here: World) -> None:
    job_id = ordered(here)
    down(here, openings=1)
    [asset_id] = here.ids(job_id)
    here.step(asset_id)
    assert (here.row(asset_id)["model"], here.row(asset_id)["waiting"]["reason"]) == (MODEL, Reason.BREAKER)


@pytest.mark.requirement("R50", "R58")
def test_a_clip_that_renders_or_is_in_doubt_goes_nowhere(here: World) -> None:
    patient = replace(here.services, settings=replace(here.services.settings, settle_absent_after_seconds=300))
    waiting = replace(here, services=patient)
    rendering, doubtful = waiting.ids(ordered(waiting, 2, consistency_context="[[sim: stall]]"))
    waiting.until(rendering, State.RENDERING)
    waiting.arm("create=drop")
    waiting.step(doubtful)
    assert waiting.state(doubtful) is State.UNCERTAIN
    down(waiting)
    for asset_id, state in ((rendering, State.RENDERING), (doubtful, State.UNCERTAIN)):
        waiting.step(asset_id)
        assert (waiting.row(asset_id)["model"], waiting.state(asset_id)) == (MODEL, state)


@pytest.mark.requirement("R50", "R58")
def test_a_clip_whose_last_order_could_not_be_found_stays_since_it_may_yet_turn_up(here: World) -> None:
    [asset_id] = here.ids(ordered(here))
    lost = json.dumps({"code": "absent", "message": "the provider never accepted this attempt", "retryable": True})
    here.query("update assets set failure = cast(:lost as jsonb) where id = :id", id=asset_id, lost=lost)
    down(here)
    here.step(asset_id)
    assert (here.row(asset_id)["model"], here.state(asset_id)) == (MODEL, State.WAITING)


@pytest.mark.requirement("R50", "R57", "R58")
def test_a_clip_none_of_whose_orders_ever_arrived_goes_elsewhere_instead_of_failing(here: World) -> None:
    here.arm("create=503", model="google/veo-3-fast")
    [clip] = here.render(ordered(here))
    assert (clip.state, clip.model) == (State.DONE, ELSEWHERE)
    tries = here.services.settings.clip_max_attempts
    assert [take.model for take in here.takes(clip.id)] == [MODEL] * tries + [ELSEWHERE]
    lost = [(number, kind) for number in range(1, tries + 1) for kind in ("reserve", "release")]
    assert here.ledger(clip.id) == [*lost, (tries + 1, "reserve"), (tries + 1, "commit")]
    assert clip.shot["fell_back_from"][0]["reason"] == "failing"
    assert here.holders() == []


@pytest.mark.requirement("R57", "R58")
def test_nobody_takes_over_who_costs_more_than_the_operator_allows(here: World) -> None:
    settings = replace(here.services.settings, fallback_price_factor=0.05)
    frugal = replace(here, services=replace(here.services, settings=settings))
    down(frugal)
    [asset_id] = frugal.ids(ordered(frugal))
    frugal.step(asset_id)
    assert frugal.row(asset_id)["model"] == MODEL


@pytest.mark.requirement("R57", "R66", "R58")
def test_whoever_takes_over_keeps_the_jobs_budget(here: World) -> None:
    # A clip is 90 cents at either provider; since then the customer has less to spend.
    job_id = ordered(here, 2)
    here.query("update jobs set spec = jsonb_set(spec, '{budget_cents}', '179')")
    down(here)
    for asset_id in here.ids(job_id):
        here.step(asset_id)
    rows = [here.row(asset_id) for asset_id in here.ids(job_id)]
    assert {row["provider"] for row in rows} == {"fal"}
    assert sum(row["shot"]["estimate_cents"] for row in rows) <= 179


@pytest.mark.requirement("R57", "R66", "R58")
def test_whoever_takes_over_leaves_what_is_made_beside_the_clip_its_price(here: World) -> None:
    scene = {"description": "a lighthouse", "duration": 4, "narration": "It was night. " * 100}
    told = {"allow_fallback": True, "model": MODEL, "speech_model": "replicate/speech-2.8-hd"}
    job_id = here.order([scene], **told)
    priced = {row["kind"]: row for row in here.query("select kind, shot from assets where job_id = :id", id=job_id)}
    both_cents = sum(row["shot"]["estimate_cents"] for row in priced.values())
    here.query("update jobs set spec = jsonb_set(spec, '{budget_cents}', to_jsonb(:most))", most=both_cents - 1)
    down(here)
    [asset_id] = here.ids(job_id)
    here.step(asset_id)
    after = here.query("select shot from assets where job_id = :id", id=job_id)
    assert here.row(asset_id)["provider"] == "fal"
    assert sum(row["shot"]["estimate_cents"] for row in after) < both_cents


@pytest.mark.requirement("R58")
def test_where_nobody_else_has_a_key_a_clip_waits_or_fails_as_ever(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator
) -> None:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running) as alone:
        down(alone)
        [asset_id] = alone.ids(ordered(alone))
        alone.step(asset_id)
        assert alone.row(asset_id)["waiting"]["reason"] == Reason.BREAKER
        alone.arm("create=402", model="google/veo-3")
        [clip] = alone.render(ordered(alone, model="replicate/veo-3"))
        assert (clip.state, (clip.failure or {})["code"]) == (State.FAILED, "no_credit")


@pytest.mark.requirement("R58")
def test_a_clip_goes_on_to_a_third_provider_but_never_back(here: World) -> None:
    down(here)
    [asset_id] = here.ids(ordered(here))
    here.step(asset_id)
    assert here.row(asset_id)["provider"] == "fal"
    circuit = Circuit(provider="fal", account="fal", model=ELSEWHERE)
    for _ in range(FAILURES_IN_A_ROW):
        here.services.breaker.count(circuit, failed=True, paid=True)
    here.services.breaker.probed(circuit, answered=False)
    here.step(asset_id)
    row = here.row(asset_id)
    assert (row["provider"], row["waiting"]["reason"]) == ("fal", Reason.BREAKER)
