"""Clips by Runway, through real steps: throttled over there, cancelled, in doubt for ever, and brought home."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from pipeline import steer
from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from pipeline.domain.attempt import Prediction
from pipeline.start import start
from simulator.limits import account_of
from tests import servers
from tests.builders import World, world

MODEL = "runway/gen4.5"


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    told = {
        "runwayml_api_secret": running.token,
        "runway_base_url": f"{running.url}/runway",
        "runway_max_in_flight": "4",
    }
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **told) as built:
        yield built


def holders(here: World) -> list[str]:
    census = here.services.limiter.census(here.services.pool("runway"))
    assert census
    return sorted(census.slots["runway"])


def asset(here: World, job_id: UUID, kind: str) -> UUID:
    [found] = here.query("select id from assets where job_id = :job and kind = :kind", job=job_id, kind=kind)
    return UUID(str(found["id"]))


@pytest.mark.requirement("R40", "R46", "R50", "R63")
def test_a_keyframe_a_voice_and_the_clip_from_the_keyframe_are_each_bought_once_and_stored(here: World) -> None:
    scene = {"description": "the lamp turns", "duration": 4, "keyframe": "a tower", "narration": "It was night." * 9}
    makers = {"image_model": "runway/gen4-image", "speech_model": "runway/eleven-multilingual-v2"}
    job_id = here.order([scene], model="runway/gen4-turbo", aspect_ratio="21:9", **makers)
    assert start(here.services, job_id)
    picture, voice, clip = (asset(here, job_id, kind) for kind in ("image", "audio", "video"))
    assert [here.until(each)["state"] for each in (picture, voice, clip)] == [State.DONE] * 3
    sold = {line["model"]: line for line in here.sold()}
    assert {model: line["price_cents"] for model, line in sold.items()} == {
        "text_to_image/gen4_image": 5,
        "text_to_speech/eleven_multilingual_v2": 3,
        "image_to_video/gen4_turbo": 25,
    }
    sent = sold["image_to_video/gen4_turbo"]["input"]
    assert (sent["model"], sent["ratio"], sent["duration"]) == ("gen4_turbo", "1584:672", 5)
    # The store's link is signed for GET alone, and the provider asks with HEAD.
    assert sent["promptImage"].startswith("runway://")
    assert here.ledger(clip) == [(1, "reserve"), (1, "commit")]
    assert holders(here) == []


@pytest.mark.requirement("R10", "R24")
def test_what_is_throttled_over_there_waits_without_an_error_and_its_time_does_not_count(here: World) -> None:
    job_id = here.order([{"description": f"{n} [[sim: stall]]", "duration": 2} for n in range(3)], model=MODEL)
    *first, third = here.ids(job_id)
    for asset_id in (*first, third):
        here.until(asset_id, State.RENDERING)
    here.step(third)
    row = here.row(third)
    assert row["waiting"]["reason"] == Reason.PROVIDER_QUEUE
    later = here.at(timedelta(hours=1))
    later.step(third)
    row = here.row(third)
    assert (row["state"], row["timeout_retries"], row["tries"]) == (State.RENDERING, 0, 1)
    assert here.stats()["rate_limited"] == 0


@pytest.mark.requirement("R56")
def test_a_cancelled_job_deletes_its_task_and_the_clip_ends_as_cancelled(here: World) -> None:
    job_id = here.job(prompt="[[sim: stall]]", model=MODEL)
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.RENDERING)
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.until(asset_id)["state"] == State.CANCELLED
    assert [line["status"] for line in here.sold()] == ["canceled"]
    assert holders(here) == []


@pytest.mark.requirement("R50", "R56")
def test_a_task_that_is_gone_already_when_its_job_is_cancelled_ends_as_cancelled(here: World) -> None:
    job_id = here.job(prompt="[[sim: stall]]", model=MODEL)
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.RENDERING)
    [take] = here.takes(asset_id)
    assert take.prediction_id
    here.services.provider("runway").cancel(Prediction(id=take.prediction_id))
    steer.cancel(here.services, here.owner_id, job_id)
    assert here.until(asset_id)["state"] == State.CANCELLED


@pytest.mark.requirement("R50")
def test_an_order_without_an_answer_is_never_repeated_and_booked_as_spent_when_its_time_is_over(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=drop-after times=1]]", model=MODEL)
    here.until(asset_id, State.UNCERTAIN)
    for _ in range(3):
        here.step(asset_id)
    assert (here.state(asset_id), len(holders(here))) == (State.UNCERTAIN, 1)
    here.at(timedelta(seconds=901)).step(asset_id)
    row = here.row(asset_id)
    assert (row["state"], row["failure"]["code"], row["failure"]["retryable"]) == (State.FAILED, "maybe_spent", True)
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "commit")]
    assert (here.stats()["creates"], holders(here)) == (1, [])


@pytest.mark.requirement("R63")
def test_a_dead_link_is_replaced_by_a_fresh_one_of_the_same_task(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: output=expired downloads=1]]", model=MODEL)
    assert here.until(asset_id)["state"] == State.DONE
    assert len(here.sold()) == 1


@pytest.mark.requirement("R10")
def test_a_day_that_is_over_holds_the_account_and_uses_no_attempt_up(here: World, running: servers.Simulator) -> None:
    here._control("limits", account=account_of(running.token, "runway"), creates_per_day=1)
    before = here.clip(prompt="[[sim: seconds=1]]", model=MODEL)
    here.until(before, State.RENDERING)
    asset_id, next_in_line = here.clip(model=MODEL), here.clip(model=MODEL)
    here.step(asset_id)
    here.step(next_in_line)
    row = here.row(asset_id)
    assert (row["state"], row["tries"], row["waiting"]["reason"]) == (State.WAITING, 0, Reason.DAILY_LIMIT)
    assert here.row(next_in_line)["waiting"]["reason"] == Reason.DAILY_LIMIT
    assert here.stats()["creates"] == 2, "one refusal tells for all"
    assert here.until(before)["state"] == State.DONE, "what was bought is asked for as ever"
    [(provider, wait_seconds)] = here.carrier.turns
    assert (provider, 3600 <= wait_seconds <= 3960) == ("runway", True)


@pytest.mark.requirement("R44", "R68")
@pytest.mark.parametrize(
    ("fault", "code", "takes"),
    [
        ("create=402", "no_credit", 1),
        ("fail=SAFETY.INPUT.TEXT", "moderated", 1),
        ("fail=ASSET.INVALID", "rejected_input", 1),
        ("fail=INTERNAL.BAD_OUTPUT.CODE01", "provider_error", 3),
        ("fail=THIRD_PARTY.UNAVAILABLE", "provider_error", 3),
    ],
)
def test_what_another_attempt_can_cure_is_tried_again_and_the_rest_is_not(
    here: World, fault: str, code: str, takes: int
) -> None:
    asset_id = here.clip(prompt=f"[[sim: {fault}]]", model=MODEL)
    row = here.until(asset_id)
    assert (row["state"], row["failure"]["code"], row["takes"]) == (State.FAILED, code, takes)
