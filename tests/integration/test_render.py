"""The step against real Postgres, Valkey, S3 and the simulator: what becomes of a clip, whatever the provider does."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline import steer
from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from pipeline.domain.events import EventType
from pipeline.render import Verdict, step
from pipeline.storage import Storage
from tests import servers
from tests.builders import NOWHERE, Killed, World, killed, world
from tests.processes import eventually


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running) as built:
        yield built


def seconds(verdict: Verdict) -> float:
    assert verdict.countdown is not None
    return verdict.countdown.total_seconds()


@pytest.mark.requirement("R05", "R31", "R33", "R50", "R63")
def test_a_clip_is_bought_once_fetched_checked_and_stored(here: World) -> None:
    job_id = here.job(consistency_context="CHARACTER: Ada, a keeper")
    [asset_id] = here.ids(job_id)
    row = here.until(asset_id)
    [sold], [take] = here.sold(), here.takes(asset_id)
    assert (row["state"], row["takes"], row["tries"], row["progress"]) == (State.DONE, 1, 1, 100)
    assert (take.state, take.prediction_id) == (State.DONE, sold["id"])
    assert sold["input"]["prompt"] == "CHARACTER: Ada, a keeper\n\nSCENE: a lighthouse 0"
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]
    assert take.cost_cents == here.read(job_id).actual_cents > 0
    assert here.services.storage.exists(here.services.settings.s3_bucket_clips, row["file_key"])
    assert row["sha256"][:16] in row["file_key"]
    assert row["duration_seconds"] == pytest.approx(sold["input"]["duration"], abs=0.2)
    assert here.holders() == []


@pytest.mark.requirement("R32", "R33")
def test_a_clips_events_tell_its_life_in_order_and_the_link_comes_last(here: World) -> None:
    job_id = here.job()
    here.render(job_id)
    told = [(event.type, event.payload.get("status")) for event in here.events(job_id)]
    assert told == [
        (EventType.VIDEO_PROGRESS, "processing"),
        (EventType.VIDEO_PROGRESS, "rendering"),
        (EventType.VIDEO_PROGRESS, "processing"),
        (EventType.VIDEO_PROGRESS, "complete"),
        (EventType.VIDEO_COMPLETE, None),
        (EventType.THUMBNAIL_READY, None),
    ]
    assert here.services.store.outbox.unpublished(older_than=timedelta(0), limit=9) == []


@pytest.mark.requirement("R05", "R24")
def test_a_step_never_waits_but_says_when_to_look_again(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: stall]]")
    waits = [seconds(here.step(asset_id)) for _ in range(7)]
    for wait, planned in zip(waits, [5, 7.5, 11.25, 16.875, 25.3, 30, 30], strict=True):
        assert planned <= wait <= planned * 1.1 + 0.1
    assert step(here.services, asset_id) == Verdict()


@pytest.mark.requirement("R10")
def test_one_429_pauses_the_whole_account_and_costs_one_request_and_no_attempt(here: World) -> None:
    here.arm("create=429 retry_after=30")
    asset_ids = here.ids(here.job(8))
    verdicts = [here.step(asset_id) for asset_id in asset_ids]
    assert here.stats()["creates"] == 1
    rows = [here.row(asset_id) for asset_id in asset_ids]
    assert {row["tries"] for row in rows} == {0}
    assert {row["waiting"]["reason"] for row in rows} == {Reason.BLOCKED}
    assert set(verdicts) == {Verdict()}, "none of them holds a message"
    assert set(here.in_line()) == set(asset_ids)
    [(provider, wait_seconds)] = here.carrier.turns
    assert provider == "replicate"
    assert 29 < wait_seconds <= 33


@pytest.mark.requirement("R10")
def test_a_429_that_names_no_time_counts_fifteen_seconds(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=429]]")
    here.step(asset_id)
    held = here.held()
    assert held is not None
    assert held.reason is Reason.BLOCKED
    assert 14 < (held.wait_seconds or 0) <= 16.5


@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    ("fault", "armed", "state"),
    [
        ("stall poll=429 retry_after=30", "", State.RENDERING),
        ("create=drop-after", "list=429 retry_after=30", State.UNCERTAIN),
        ("stall cancel=429 retry_after=30", "", State.CANCELLING),
    ],
    ids=["a look", "a search", "a cancel"],
)
def test_a_429_to_any_question_pauses_the_account(here: World, fault: str, armed: str, state: State) -> None:
    job_id = here.job(prompt=f"[[sim: {fault}]]")
    [asset_id] = here.ids(job_id)
    if armed:
        here.arm(armed)
    here.step(asset_id)
    if state is State.CANCELLING:
        steer.cancel(here.services, here.owner_id, job_id)
    if state is not State.UNCERTAIN:
        here.step(asset_id)
    asked = here.stats()
    assert here.state(asset_id) is state
    held = here.held()
    assert held is not None
    assert held.reason is Reason.BLOCKED
    assert 29 < (held.wait_seconds or 0) <= 33
    assert 25 < seconds(here.step(asset_id)) <= 37
    assert here.stats() == asked


@pytest.mark.requirement("R10")
def test_after_the_pause_the_clip_is_made_as_if_nothing_had_been(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=429 retry_after=30 times=1]]")
    here.step(asset_id)
    here.unblock()
    assert here.until(asset_id)["tries"] == 1
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]
    assert len(here.sold()) == 1


@pytest.mark.requirement("R44", "R68", "R36")
@pytest.mark.parametrize(
    ("fault", "code", "sold"),
    [("fail=moderated", "moderated", 1), ("create=402", "no_credit", 0), ("create=422", "rejected_input", 0)],
)
def test_what_no_attempt_can_cure_fails_at_once(here: World, fault: str, code: str, sold: int) -> None:
    asset_id = here.clip(prompt=f"[[sim: {fault}]]")
    row = here.until(asset_id)
    assert (row["state"], row["takes"], row["failure"]["code"]) == (State.FAILED, 1, code)
    assert len(here.sold()) == sold
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit" if sold else "release")]


@pytest.mark.requirement("R44")
def test_what_an_attempt_can_cure_gets_one_after_a_pause_and_with_a_seed_of_its_own(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: fail=E1000 times=1]]")
    here.until(asset_id, State.RENDERING)
    row = here.until(asset_id, State.WAITING)
    assert row["waiting"]["reason"] == Reason.RETRY
    assert here.until(asset_id)["state"] == State.DONE
    assert [take.state for take in here.takes(asset_id)] == [State.FAILED, State.DONE]
    first, second = here.sold()
    assert first["input"]["seed"] != second["input"]["seed"]


@pytest.mark.requirement("R44")
def test_three_attempts_are_made_and_no_more(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: fail=oom]]")
    row = here.until(asset_id)
    assert (row["state"], row["takes"], row["failure"]["retryable"]) == (State.FAILED, 3, True)
    assert len(here.sold()) == 3


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("output", ["truncated", "cut", "html", "empty"])
def test_a_file_that_came_broken_is_fetched_again_and_not_rendered_again(here: World, output: str) -> None:
    asset_id = here.clip(prompt=f"[[sim: output={output} downloads=1]]")
    row = here.until(asset_id)
    assert (row["state"], row["takes"]) == (State.DONE, 1)
    assert here.stats()["downloads"] >= 2
    assert len(here.sold()) == 1


@pytest.mark.requirement("R63")
def test_a_link_that_has_run_out_is_asked_for_anew(here: World) -> None:
    asset_id = here.clip()
    here.until(asset_id, State.RENDERING)
    here.line.before["download"] = killed
    with pytest.raises(Killed):
        here.until(asset_id)
    dead = "regexp_replace(outputs->>0, 'expires=[0-9]+', 'expires=1')"
    here.query(f"update attempts set outputs = jsonb_build_array({dead})")  # noqa: S608 - only our own words
    assert here.until(asset_id)["state"] == State.DONE
    assert here.line.calls.count("submit") == 1


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("output", ["truncated", "html", "expired"])
def test_a_file_that_stays_broken_fails_the_clip_without_a_new_attempt(here: World, output: str) -> None:
    asset_id = here.clip(prompt=f"[[sim: output={output}]]")
    row = here.until(asset_id)
    assert (row["state"], row["takes"], row["failure"]["code"]) == (State.FAILED, 1, "fetch_failed")
    assert (row["file_key"], len(here.sold())) == (None, 1)


@pytest.mark.requirement("R43", "R63")
def test_a_clip_of_another_length_than_asked_is_not_delivered_and_not_bought_again(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: output=wrong-duration]]")
    row = here.until(asset_id)
    assert (row["state"], row["takes"], row["failure"]["code"]) == (State.FAILED, 1, "wrong_duration")
    assert "asked for" in row["failure"]["message"]


@pytest.mark.requirement("R55", "R63")
def test_while_storage_is_away_a_finished_clip_waits_to_be_fetched(here: World) -> None:
    asset_id = here.clip()
    here.until(asset_id, State.RENDERING)
    away = Storage(buckets=("a", "b"), endpoint_url=f"http://{NOWHERE}", access_key="a", secret_key="s")
    blind = replace(here, services=replace(here.services, storage=away))
    blind.until(asset_id, State.FETCHING)
    for _ in range(12):
        here.hurry(asset_id)
        blind.step(asset_id)
    row = here.row(asset_id)
    assert (row["state"], row["silences"]) == (State.FETCHING, 0), "our own trouble uses nothing up"
    assert here.until(asset_id)["state"] == State.DONE
    assert len(here.sold()) == 1


@pytest.mark.requirement("R16")
@pytest.mark.parametrize("poll", ["502", "drop"])
def test_looks_that_fail_in_transit_do_not_hurt_the_clip(here: World, poll: str) -> None:
    asset_id = here.clip(prompt=f"[[sim: poll={poll} requests=4]]")
    assert here.until(asset_id)["state"] == State.DONE
    assert len(here.sold()) == 1


@pytest.mark.requirement("R56")
def test_cancelling_a_rendering_clip_cancels_its_prediction_at_the_provider(here: World) -> None:
    job_id = here.job(prompt="[[sim: stall]]")
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.RENDERING)
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.carrier.published[-1] == asset_id
    assert here.until(asset_id)["state"] == State.CANCELLED
    assert [line["status"] for line in here.sold()] == ["canceled"]
    assert here.holders() == []


@pytest.mark.requirement("R56")
def test_cancelling_a_clip_in_line_gives_up_its_place_and_buys_nothing(here: World) -> None:
    rendering = here.ids(here.job(5, prompt="[[sim: stall]]"))
    job_id = here.job()
    [asset_id] = here.ids(job_id)
    for each in [*rendering, asset_id]:
        here.step(each)
    assert here.in_line() == [asset_id]
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.until(asset_id)["state"] == State.CANCELLED
    assert here.in_line() == []
    assert len(here.sold()) == 5


@pytest.mark.requirement("R56", "R50")
@pytest.mark.parametrize("call", ["status", "download"], ids=["rendering", "fetching"])
def test_a_clip_that_was_finished_before_the_cancel_is_kept_because_it_was_paid_for(here: World, call: str) -> None:
    job_id = here.job()
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.RENDERING)
    eventually(lambda: here.sold()[0]["status"] == "succeeded")
    here.line.before[call] = killed
    with pytest.raises(Killed):
        here.until(asset_id)
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.until(asset_id)["state"] == State.DONE
    assert len(here.sold()) == 1


@pytest.mark.requirement("R56")
def test_a_clip_that_is_not_wanted_any_more_is_not_fetched_again_and_again(here: World) -> None:
    job_id = here.job(prompt="[[sim: output=html]]")
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.FETCHING)
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.until(asset_id)["state"] == State.CANCELLED
    assert here.line.calls.count("download") == 1


@pytest.mark.requirement("R12")
def test_past_its_time_limit_the_same_prediction_is_asked_on_and_none_is_bought(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: stall]]")
    here.until(asset_id, State.RENDERING)
    [before] = here.takes(asset_id)
    here.at(timedelta(seconds=130)).step(asset_id)
    here.at(timedelta(seconds=250)).step(asset_id)
    row = here.row(asset_id)
    assert (row["state"], row["timeout_retries"], row["takes"]) == (State.RENDERING, 2, 1)
    assert [take.prediction_id for take in here.takes(asset_id)] == [before.prediction_id]
    assert len(here.sold()) == 1


@pytest.mark.requirement("R12", "R39")
def test_past_the_hard_limit_the_prediction_is_cancelled_and_the_clip_fails(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: stall]]")
    here.until(asset_id, State.RENDERING)
    here.at(timedelta(hours=2)).step(asset_id)
    row = here.until(asset_id)
    assert (row["state"], row["failure"]["code"]) == (State.FAILED, "timed_out")
    assert [line["status"] for line in here.sold()] == ["canceled"]


@pytest.mark.requirement("R11", "R30")
def test_a_freed_slot_goes_to_work_for_the_next_in_line_at_once(here: World) -> None:
    scenes = [{"description": f"[[sim: seconds={1 if n == 0 else 30}]]", "duration": 2} for n in range(7)]
    asset_ids = here.ids(here.order(scenes))
    verdicts = [here.step(asset_id) for asset_id in asset_ids]
    assert verdicts[5:] == [Verdict(), Verdict()]
    assert here.in_line() == asset_ids[5:]
    here.carrier.published.clear()
    here.until(asset_ids[0], State.FETCHING)
    assert here.state(asset_ids[5]) is State.RENDERING
    assert here.carrier.published == [asset_ids[0], asset_ids[5]], "who brings the file home; and the next one's look"
    assert here.in_line() == asset_ids[6:]
    assert here.stats()["max_in_flight_seen"] == 5
