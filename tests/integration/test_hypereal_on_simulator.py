"""Hypereal's clips through real steps: false alarms, time-outs, and looks that keep their distance."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from pipeline.domain.answers import Finished, Reason
from pipeline.domain.asset import State
from pipeline.domain.catalogue import load
from pipeline.domain.rows import Mode
from pipeline.domain.timing import next_look
from pipeline.domain.webhook import mac
from pipeline.providers.hypereal import Hypereal
from pipeline.providers.protocol import Credentials, Order
from pipeline.receive import webhook
from pipeline.services import catalogue_texts
from simulator.limits import account_of
from tests import servers
from tests.builders import World, world
from tests.processes import ROOT

MODEL = "hypereal/kling-3-std"


def told(running: servers.Simulator) -> dict[str, str]:
    return {name.lower(): value for name, value in running.environment.items() if name.startswith("HYPEREAL_")}


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **told(running)) as built:
        yield built


def catalogue(folder: Path, *changes: tuple[str, str]) -> str:
    """A folder with the provider's rows, otherwise than they ship, and with those that every world needs."""
    shipped = ROOT / "pipeline" / "catalogue"
    words = (shipped / "hypereal.toml").read_text()
    for before, after in changes:
        assert before in words
        words = words.replace(before, after)
    (folder / "hypereal.toml").write_text(words)
    (folder / "replicate.toml").write_text((shipped / "replicate.toml").read_text())
    return str(folder)


@pytest.fixture
def hurried(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator, tmp_path: Path
) -> Iterator[World]:
    """A world that asks as often as it likes, and where a clip is late after a tenth of a second."""
    often = ("status = { requests = 1, seconds = 1 }", "status = { requests = 1000, seconds = 1 }")
    late = ("\ntime_limit_seconds = 120", "\ntime_limit_seconds = 0.1")
    more = {**told(running), "catalogue_dir": catalogue(tmp_path, often, late)}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **more) as built:
        yield built


def scene(prompt: str = "a lighthouse") -> dict[str, object]:
    return {"description": prompt, "duration": 3}


def allow(running: servers.Simulator, at_once: int) -> None:
    """Let the provider take more at once than it usually does."""
    account = account_of(running.environment["HYPEREAL_API_KEY"], "hypereal")
    limits = {"account": account, "max_in_flight": at_once}
    requests.post(f"{running.url}/_sim/limits", json=limits, timeout=10).raise_for_status()


@pytest.mark.requirement("R11")
def test_a_second_clip_waits_in_our_line_and_is_never_refused(here: World) -> None:
    first, second = here.ids(here.order([scene(), scene()], model=MODEL))
    here.step(first)
    here.step(second)
    assert (here.state(first), here.state(second)) == (State.RENDERING, State.WAITING)
    assert here.row(second)["waiting"]["reason"] == Reason.SLOT
    assert (here.stats()["creates"], here.stats()["rate_limited"]) == (1, 0)


@pytest.mark.requirement("R11", "R24")
def test_a_look_comes_every_eight_seconds_however_quick_the_model_is_known_to_be(here: World) -> None:
    [asset_id] = here.ids(here.order([scene("[[sim: stall]]")], model=MODEL))
    waits = [here.step(asset_id).countdown]
    for _ in range(2):
        here.services.redis.delete("dailies:limit:{hypereal}:window:hypereal:status")
        waits.append(here.step(asset_id).countdown)
    quick = replace(here.services.policy(MODEL), took_seconds=(0.2,) * 5)
    waits += [next_look(quick, timedelta(seconds=passed), looks=9) for passed in (0, 0.2, 1, 60)]
    assert waits == [timedelta(seconds=8)] * 7


@pytest.mark.requirement("R11")
def test_of_three_clips_that_are_due_together_one_is_asked_for_and_the_others_a_second_later(
    database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator, tmp_path: Path
) -> None:
    # The second is ten here: the three looks are within it, even when the machine pauses.
    slowly = catalogue(tmp_path, ("status = { requests = 1, seconds = 1 }", "status = { requests = 1, seconds = 10 }"))
    more = {**told(running), "hypereal_max_in_flight": 3, "catalogue_dir": slowly}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **more) as here:
        allow(running, 3)
        asset_ids = here.ids(here.order([scene("[[sim: stall]]")] * 3, model=MODEL))
        for asset_id in asset_ids:
            here.step(asset_id)
        assert {here.state(asset_id) for asset_id in asset_ids} == {State.RENDERING}
        waits = [here.step(asset_id).countdown for asset_id in asset_ids]
        assert here.stats()["gets"] == 1
        reasons = [(here.row(asset_id)["waiting"] or {}).get("reason") for asset_id in asset_ids]
        assert reasons == [None, Reason.RATE, Reason.RATE]
        assert all(wait and wait.total_seconds() > 0 for wait in waits)


@pytest.mark.requirement("R12", "R50")
def test_early_looks_that_wrongly_say_failed_cost_neither_the_clip_nor_a_second_order(hurried: World) -> None:
    [asset_id] = hurried.ids(hurried.order([scene("[[sim: seconds=1 early=6]]")], model=MODEL))
    hurried.until(asset_id, State.RENDERING)
    rows = []
    for _ in range(6):
        hurried.step(asset_id)
        rows.append(hurried.row(asset_id))
    assert [(row["state"], row["silences"]) for row in rows] == [(State.RENDERING, n) for n in range(1, 7)]
    assert hurried.until(asset_id)["state"] == State.DONE
    assert len(hurried.sold()) == 1


@pytest.mark.requirement("R12", "R50")
def test_a_failure_that_is_said_seven_times_is_believed_and_not_bought_anew(hurried: World) -> None:
    [asset_id] = hurried.ids(hurried.order([scene("[[sim: stall early=99]]")], model=MODEL))
    row = hurried.until(asset_id)
    assert (row["state"], row["failure"]["code"], row["takes"]) == (State.FAILED, "lost", 1)
    assert hurried.stats()["gets"] == 7
    assert hurried.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R12")
def test_a_clip_that_takes_too_long_is_asked_for_again_under_the_same_id(hurried: World) -> None:
    [asset_id] = hurried.ids(hurried.order([scene("[[sim: seconds=4]]")], model=MODEL))
    row = hurried.until(asset_id)
    assert (row["state"], row["takes"]) == (State.DONE, 1)
    assert row["timeout_retries"] >= 1
    [sold] = hurried.sold()
    assert [take.prediction_id for take in hurried.takes(asset_id)] == [sold["id"]]


@pytest.mark.requirement("R50")
def test_a_lost_order_holds_the_only_slot_until_its_time_is_over_and_then_counts_as_spent(here: World) -> None:
    lost, other = here.ids(here.order([scene("[[sim: create=drop-after]]"), scene()], model=MODEL))
    here.until(lost, State.UNCERTAIN)
    here.step(other)
    assert here.state(other) is State.WAITING
    here.query("update assets set uncertain_since = uncertain_since - interval '901 seconds' where id = :id", id=lost)
    row = here.until(lost)
    assert (row["state"], row["failure"]["code"]) == (State.FAILED, "maybe_spent")
    assert here.until(other)["state"] == State.DONE
    assert len(here.sold()) == 2


@pytest.mark.requirement("R50", "R53")
def test_a_report_brings_a_lost_order_back_and_its_end_is_believed_only_by_a_look(here: World) -> None:
    [asset_id] = here.ids(here.order([scene("[[sim: create=drop-after]]")], model=MODEL))
    here.until(asset_id, State.UNCERTAIN)
    [take], [sold] = here.takes(asset_id), here.sold()
    where = {"provider": "hypereal", "attempt_id": str(take.id)}
    given = mac(here.services.settings.secret_key, "hypereal", str(take.id))
    body = json.dumps({"jobId": sold["id"], "status": "completed", "outputUrl": "https://thief.example/a.mp4"}).encode()
    assert webhook(here.services, **where, mac="0" * 32, headers={}, body=body) is None
    assert here.state(asset_id) is State.UNCERTAIN
    assert webhook(here.services, **where, mac=given, headers={}, body=body) == {}
    row = here.until(asset_id)
    assert (row["state"], row["takes"], here.takes(asset_id)[0].prediction_id) == (State.DONE, 1, sold["id"])
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R11", "R63")
def test_a_look_for_a_fresh_link_waits_for_the_account_like_any_other(here: World) -> None:
    [asset_id] = here.ids(here.order([scene("[[sim: output=expired]]")], model=MODEL))
    here.until(asset_id, State.FETCHING)
    here.services.limiter.block("hypereal", "hypereal", 600)
    before = here.stats()["gets"]
    here.step(asset_id)
    assert (here.stats()["gets"], here.state(asset_id)) == (before, State.FETCHING)


@pytest.mark.requirement("R46", "R59")
@pytest.mark.parametrize("mode", ["text", "references"])
def test_a_picture_is_there_when_its_order_is_answered(running: servers.Simulator, tmp_path: Path, mode: Mode) -> None:
    model = load(catalogue_texts("")).model("hypereal/nano-banana-pro")
    given = {"images": ["https://p.example/a.png"]} if mode == "references" else {}
    order = Order(
        model=model.provider_model,
        endpoint=model.endpoint(mode),
        input={"prompt": "a lighthouse", "aspect_ratio": "21:9", "output_format": "jpeg", "resolution": "2k", **given},
    )
    own = running.environment
    adapter = Hypereal(Credentials(base_url=own["HYPEREAL_BASE_URL"], token=own["HYPEREAL_API_KEY"]))
    answer = adapter.submit(order)
    assert isinstance(answer, Finished)
    adapter.download(answer.outputs[0], tmp_path / "picture.jpg", max_bytes=10_000_000)
    assert (tmp_path / "picture.jpg").read_bytes()[:2] == b"\xff\xd8"
