"""A clip is paid for once: workers die, answers get lost, claims lapse, and the provider's ledger is the judge."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline import ask
from pipeline.domain.answers import Accepted, Finished, Reason
from pipeline.domain.asset import State
from pipeline.domain.hold import Hold
from pipeline.providers.protocol import Found, Order
from pipeline.render import Verdict, step
from tests import servers
from tests.builders import NOWHERE, Killed, World, killed, world

DIES = pytest.mark.requirement("R50", "R55")


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    """A world that believes in absence at once: the simulator's list does not lag."""
    with world(
        database_url, valkey_url=valkey_url, s3=s3, simulator=running, settle_absent_after_seconds=0.001
    ) as built:
        yield built


def done_and_paid_once(here: World, asset_id: Any) -> dict[str, Any]:
    """The clip ends well, with one prediction in the provider's ledger, which is ours; that line."""
    assert here.until(asset_id)["state"] == State.DONE
    [sold] = here.sold()
    assert here.takes(asset_id)[-1].prediction_id == sold["id"]
    return sold


def settled_by(here: World) -> list[str | None]:
    return [row["settled_by"] for row in here.query("select settled_by from attempts order by number")]


@DIES
def test_a_worker_that_dies_before_it_sends_has_bought_nothing_and_another_buys_once(here: World) -> None:
    asset_id = here.clip()
    here.line.before["submit"] = killed
    with pytest.raises(Killed):
        here.step(asset_id)
    assert (here.state(asset_id), here.sold()) == (State.SUBMITTING, [])
    done_and_paid_once(here, asset_id)
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]
    assert [take.failure and take.failure["code"] for take in here.takes(asset_id)] == ["absent", None]


@DIES
def test_a_worker_that_dies_after_it_sent_has_bought_and_its_prediction_is_adopted(here: World) -> None:
    asset_id = here.clip()
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        here.step(asset_id)
    done_and_paid_once(here, asset_id)
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]
    assert settled_by(here) == ["list"]


@DIES
@pytest.mark.parametrize("call", ["status", "download"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_that_dies_at_any_later_call_costs_nothing(here: World, call: str, moment: str) -> None:
    asset_id = here.clip()
    here.until(asset_id, State.RENDERING)
    getattr(here.line, moment)[call] = killed
    with pytest.raises(Killed):
        here.until(asset_id)
    done_and_paid_once(here, asset_id)


@DIES
def test_a_worker_that_dies_while_it_settles_is_followed_by_another(here: World) -> None:
    asset_id = here.clip()
    here.line.after |= {"submit": killed, "find": killed}
    for _ in range(2):
        with pytest.raises(Killed):
            here.step(asset_id)
    done_and_paid_once(here, asset_id)


@DIES
def test_a_dead_workers_row_is_nobodys_until_its_claim_lapses(here: World) -> None:
    asset_id = here.clip()
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        here.step(asset_id)
    assert step(here.services, asset_id) == Verdict()
    here.query("update assets set claimed_until = clock_timestamp() - interval '1 ms'")
    step(here.services, asset_id)
    assert here.state(asset_id) is State.RENDERING


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("fault", ["create=500-after", "create=503-after", "create=drop-after"])
def test_an_order_that_was_taken_without_a_clear_answer_is_adopted(here: World, fault: str) -> None:
    asset_id = here.clip(prompt=f"[[sim: {fault}]]")
    done_and_paid_once(here, asset_id)
    assert settled_by(here) == ["list"]


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("fault", ["create=500", "create=503", "create=drop", "create=hang hang=0.2"])
def test_an_order_that_was_never_taken_is_proven_absent_and_bought_then(here: World, fault: str) -> None:
    asset_id = here.clip(prompt=f"[[sim: {fault} times=1]]")
    done_and_paid_once(here, asset_id)
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]


@pytest.mark.requirement("R50")
def test_an_answer_that_comes_late_is_simply_awaited(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=hang-after hang=0.3]]")
    done_and_paid_once(here, asset_id)
    assert settled_by(here) == [None]


@pytest.mark.requirement("R50")
def test_nothing_is_proven_by_a_list_that_cannot_be_read(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=500-after]]")
    here.arm("list=500 times=9")
    for _ in range(2):
        here.step(asset_id)
    assert here.state(asset_id) is State.UNCERTAIN
    done_and_paid_once(here, asset_id)


@pytest.mark.requirement("R50")
def test_nothing_is_proven_by_a_list_that_is_not_whole(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=drop]]")
    here.line.instead["find"] = lambda *_: Found(predictions=(), complete=False)
    here.step(asset_id)
    assert here.state(asset_id) is State.UNCERTAIN
    here.step(asset_id)
    assert here.state(asset_id) is State.WAITING


@pytest.mark.requirement("R50")
def test_a_list_that_was_asked_for_too_early_proves_no_absence_however_long_it_took(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=drop]]")
    patient = replace(here.services.settings, settle_absent_after_seconds=100)
    clock = {"ahead": timedelta(0)}
    slow = replace(here.services, settings=patient, now=lambda: here.services.now() + clock["ahead"])
    here.line.after["find"] = lambda: clock.update(ahead=timedelta(seconds=200))
    step(slow, asset_id)
    assert here.state(asset_id) is State.UNCERTAIN
    here.hurry(asset_id)
    step(slow, asset_id)
    assert here.state(asset_id) is State.WAITING


@pytest.mark.requirement("R50")
def test_the_intent_and_its_price_are_on_disk_before_anything_is_sent(here: World) -> None:
    asset_id, seen = here.clip(), []
    here.line.before["submit"] = lambda: seen.append((here.takes(asset_id), here.ledger(asset_id)))
    here.step(asset_id)
    [([take], ledger)] = seen
    assert (take.state, take.prediction_id, take.seed is not None) == (State.SUBMITTING, None, True)
    assert ledger == [(1, "reserve")]
    [sold] = here.sold()
    assert sold["input"]["seed"] == take.seed
    assert sold["input"]["prompt"] == take.prompt


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("answered", ["accepted", "finished"])
def test_a_worker_that_lost_its_claim_still_keeps_the_id_of_what_it_bought(here: World, answered: str) -> None:
    asset_id = here.clip()
    real = here.services.providers["replicate"]

    def finished_at_once(order: Order) -> Finished:
        accepted = real.submit(order)
        assert isinstance(accepted, Accepted)
        return Finished(outputs=("http://127.0.0.1:1/clip.mp4",), prediction_id=accepted.prediction_id)

    def taken_over() -> None:
        here.hurry(asset_id)
        assert isinstance(here.services.store.steps.claim(asset_id, timedelta(seconds=30)), Hold)

    here.line.instead |= {"submit": finished_at_once} if answered == "finished" else {}
    here.line.after["submit"] = taken_over
    assert here.step(asset_id) == Verdict()
    assert here.state(asset_id) is State.SUBMITTING
    [sold] = here.sold()
    assert [take.prediction_id for take in here.takes(asset_id)] == [sold["id"]]
    done_and_paid_once(here, asset_id)


@pytest.mark.requirement("R50")
def test_a_prediction_that_is_known_is_not_searched_for_nor_proven_absent(here: World) -> None:
    asset_id = here.clip()
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        here.step(asset_id)
    [sold], [take] = here.sold(), here.takes(asset_id)
    here.services.store.steps.adopt(take.id, sold["id"])
    here.query("update attempts set input = '{}'")  # the provider's list shows it otherwise than it was sent
    done_and_paid_once(here, asset_id)
    assert "find" not in here.line.calls


@pytest.mark.requirement("R50")
def test_two_orders_that_are_word_for_word_the_same_get_one_prediction_each(here: World) -> None:
    scene = {"description": "a lighthouse", "duration": 2, "seed": 7}
    job_id = here.order([scene, scene])
    for asset_id in here.ids(job_id):
        here.line.after["submit"] = killed
        with pytest.raises(Killed):
            here.step(asset_id)
    assert [clip.state for clip in here.render(job_id)] == [State.DONE, State.DONE]
    ours = {here.takes(asset_id)[0].prediction_id for asset_id in here.ids(job_id)}
    assert ours == {line["id"] for line in here.sold()}
    assert len(ours) == 2


@pytest.mark.requirement("R50")
def test_a_worker_that_slept_since_it_wrote_its_intent_does_not_send(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset_id = here.clip()
    monkeypatch.setattr(ask, "_FRESH_SECONDS", -1.0)
    here.step(asset_id)
    assert (here.state(asset_id), here.sold(), here.row(asset_id)["tries"]) == (State.WAITING, [], 0)
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "release")]


@pytest.mark.requirement("R50", "R55")
def test_without_redis_nothing_is_bought(database_url: str, running: servers.Simulator) -> None:
    with world(database_url, valkey_url=f"redis://{NOWHERE}/0", simulator=running) as here:
        asset_id = here.clip()
        verdict = here.step(asset_id)
        assert verdict.countdown
        assert timedelta(seconds=5) <= verdict.countdown <= timedelta(seconds=6)
        assert here.row(asset_id)["waiting"]["reason"] == Reason.REDIS_DOWN
        assert here.sold() == []


@pytest.mark.requirement("R50", "R55", "R04")
def test_an_emptied_redis_lets_no_prediction_too_many_through(here: World) -> None:
    asset_ids = here.ids(here.job(7, prompt="[[sim: stall]]"))
    for asset_id in asset_ids[:5]:
        here.step(asset_id)
    here.services.redis.flushall()
    for asset_id in asset_ids:
        here.step(asset_id)
    assert [here.state(each) for each in asset_ids] == [State.RENDERING] * 5 + [State.WAITING] * 2
    assert here.stats()["max_in_flight_seen"] == 5


@pytest.mark.requirement("R55")
def test_a_provider_that_refuses_connections_costs_no_attempts_and_is_asked_ever_more_rarely(here: World) -> None:
    asset_id = here.clip()
    nowhere = here.services.settings
    with world(nowhere.database_url, valkey_url=nowhere.redis_url) as elsewhere:
        waits = []
        for _ in range(4):
            countdown = elsewhere.step(asset_id).countdown
            assert countdown
            waits.append(countdown.total_seconds())
    assert [int(wait) for wait in waits] == [1, 2, 4, 8]
    assert (here.row(asset_id)["tries"], here.row(asset_id)["state"]) == (0, State.WAITING)
    assert {kind for _, kind in here.ledger(asset_id)} == {"reserve", "release"}
