"""Scenes that need more than a prompt: keyframes, narrations, and pictures of earlier scenes, each made once."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import requests

from pipeline import accept, show, steer
from pipeline.database.waits import Waits
from pipeline.domain.answers import Reason
from pipeline.domain.asset import HOLDS_SLOT, State
from pipeline.domain.events import EventType
from pipeline.domain.job import JobState
from pipeline.finish import finish, make_film
from pipeline.start import start
from pipeline.sweep import sweep
from tests import servers
from tests.builders import MODEL, Killed, World, killed, world
from tests.told import operator_says

IMAGE, SPEECH = "replicate/flux-schnell", "replicate/speech-2.8-hd"
MAKERS = {"image_model": IMAGE, "speech_model": SPEECH}
DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting) as built:
        yield built


def scene(prompt: str = "a lighthouse", **more: Any) -> dict[str, Any]:
    return {"description": prompt, "duration": 2, **more}


def begun(here: World, *scenes: dict[str, Any], **more: Any) -> UUID:
    """A job of these scenes whose round has begun."""
    job_id = here.order(list(scenes), **MAKERS, **more)
    assert start(here.services, job_id)
    return job_id


def asset(here: World, job_id: UUID, kind: str, index: int = 0) -> UUID:
    found = here.query(
        "select id from assets where job_id = :job and kind = :kind and index = :index",
        job=job_id,
        kind=kind,
        index=index,
    )
    return UUID(str(found[0]["id"]))


def reason(here: World, asset_id: UUID) -> str | None:
    waiting = here.row(asset_id)["waiting"]
    return str(waiting["reason"]) if waiting else None


def inputs(here: World, asset_id: UUID) -> list[dict[str, Any]]:
    """What was sent for an asset, attempt by attempt."""
    found = here.query("select input from attempts where asset_id = :id order by number", id=asset_id)
    return [row["input"] for row in found]


def published(here: World) -> set[UUID]:
    """Who was sent since this was asked last."""
    found = set(here.carrier.published)
    here.carrier.published.clear()
    return found


@pytest.mark.requirement("R46", "R02")
def test_a_clip_waits_for_its_keyframe_and_starts_from_it_with_the_narration_beside_it(here: World) -> None:
    job_id = begun(here, scene(keyframe="a tower", narration="It was night."))
    clip, picture, words = (asset(here, job_id, kind) for kind in ("video", "image", "audio"))
    assert here.carrier.opened == [(job_id, 1, 3)]
    assert published(here) == {picture, words}
    assert (reason(here, clip), here.in_line()) == (Reason.DEPENDENCY, [])
    here.until(words)
    assert published(here) == {words}
    here.until(picture)
    assert clip in published(here)
    row = here.until(clip)
    assert row["state"] == DONE
    [sent] = inputs(here, clip)
    keyframe = requests.get(sent["image"], timeout=10)
    assert (keyframe.status_code, keyframe.headers["Content-Type"]) == (200, "image/jpeg")
    assert here.row(picture)["file_key"].startswith(f"{job_id}/image_0_1_")
    assert here.row(words)["file_key"].startswith(f"{job_id}/audio_0_1_")
    assert here.row(words)["duration_seconds"] > 0.5
    assert len(here.sold()) == 3


@pytest.mark.requirement("R62", "R17")
def test_three_scenes_go_on_from_each_others_last_picture(here: World) -> None:
    job_id = begun(here, scene(), scene(starts_from={"scene": 0}), scene(starts_from={"scene": 1}))
    first, second, third = here.ids(job_id)
    assert published(here) == {first}
    assert [clip.dependency for clip in here.clips(job_id)] == [None, 0, 1]
    here.until(first)
    assert published(here) >= {second}
    assert third not in published(here)
    assert [clip.state for clip in here.render(job_id)] == [DONE] * 3
    assert "image" not in inputs(here, first)[0]
    for before, after in ((first, second), (second, third)):
        picture = requests.get(inputs(here, after)[0]["image"], timeout=10)
        assert picture.content[:3] == b"\xff\xd8\xff"
        assert here.row(before)["last_frame_key"].endswith("_last.jpg")
    assert inputs(here, second)[0]["image"] != inputs(here, third)[0]["image"]
    assert here.row(third)["last_frame_key"] is None
    assert len(here.sold()) == 3


@pytest.mark.requirement("R62")
def test_a_scene_starts_from_the_keyframe_of_another_beside_that_scenes_own_clip(here: World) -> None:
    job_id = begun(here, scene(keyframe="a tower"), scene(starts_from={"scene": 0, "frame": "keyframe"}))
    first, second = here.ids(job_id)
    here.until(asset(here, job_id, "image"))
    assert published(here) >= {first, second}
    here.render(job_id)
    objects = {inputs(here, each)[0]["image"].partition("?")[0] for each in (first, second)}
    assert len(objects) == 1


@pytest.mark.requirement("R62")
@pytest.mark.parametrize(
    ("policy", "state", "code", "status"),
    [("fail", FAILED, "dependency_failed", "failed"), ("skip", CANCELLED, "dependency_failed", "cancelled")],
)
def test_when_the_earlier_scene_fails_the_later_one_ends_as_was_said_and_costs_nothing(
    here: World, policy: str, state: State, code: str, status: str
) -> None:
    later = scene("dusk", starts_from={"scene": 0, "if_failed": policy})
    job_id = begun(here, scene("dawn [[sim: fail=moderated]]"), later, scene("noon"))
    first, second, third = here.ids(job_id)
    assert here.until(first)["state"] == FAILED
    assert second in published(here)
    row = here.until(second)
    assert (row["state"], row["failure"]["code"]) == (state, code)
    assert "scene 0" in row["failure"]["message"]
    assert here.until(third)["state"] == DONE
    document = show.job(here.services, here.owner_id, job_id)
    clip = document["video_clips"][1]
    assert (clip["status"], clip["error"]["code"], clip["dependency"]) == (status, code, None)
    assert inputs(here, second) == []
    assert document["clips"] == {"total": 3, "complete": 1, "failed": 2 if state is FAILED else 1}


@pytest.mark.requirement("R62")
def test_an_independent_scene_goes_on_from_words_alone_when_the_earlier_one_fails(here: World) -> None:
    later = scene("dusk", starts_from={"scene": 0, "if_failed": "independent"})
    job_id = begun(here, scene("dawn [[sim: fail=moderated]]"), later)
    first, second = here.ids(job_id)
    here.until(first)
    assert here.until(second)["state"] == DONE
    [sent] = inputs(here, second)
    assert ("image" in sent, sent["aspect_ratio"]) == (False, "16:9")


@pytest.mark.requirement("R46", "R36")
def test_a_narration_that_fails_costs_the_clip_nothing_and_is_retried_alone(here: World) -> None:
    job_id = begun(here, scene(narration="Once [[sim: fail=error, times=3]]"))
    clip, words = here.ids(job_id)[0], asset(here, job_id, "audio")
    here.query("update assets set tries = 2 where id = :id", id=words)
    assert here.until(words)["state"] == FAILED
    assert here.until(clip)["state"] == DONE
    close(here, job_id)
    assert here.read(job_id).state == JobState.COMPLETE
    [part] = show.job(here.services, here.owner_id, job_id)["video_clips"][0]["parts"]
    assert (part["kind"], part["status"], part["error"]["code"]) == ("audio", "failed", "provider_error")
    here.query("update assets set shot = jsonb_set(shot, '{prompt}', '\"Once.\"') where id = :id", id=words)
    steer.retry(here.services, here.owner_id, job_id, 0)
    assert start(here.services, job_id)
    assert here.carrier.opened[-1] == (job_id, 2, 1)
    assert here.until(words)["state"] == DONE
    [shown] = show.job(here.services, here.owner_id, job_id)["video_clips"]
    assert (shown["narration_url"] is None, shown["attempts"]) == (False, 1)


@pytest.mark.requirement("R46", "R36", "R13")
def test_a_clip_without_its_keyframe_fails_and_a_retry_makes_both_anew(here: World) -> None:
    job_id = begun(here, scene(keyframe="a tower [[sim: fail=error, times=3]]"), scene())
    picture, (clip, other) = asset(here, job_id, "image"), here.ids(job_id)
    here.until(picture)
    row = here.until(clip)
    assert (row["state"], row["failure"]["message"]) == (FAILED, "the keyframe of scene 0 was needed first, and failed")
    here.until(other)
    close(here, job_id)
    steer.retry_failed(here.services, here.owner_id, job_id)
    assert start(here.services, job_id)
    assert here.carrier.opened[-1] == (job_id, 2, 2)
    assert (here.state(picture), reason(here, clip)) == (State.WAITING, Reason.DEPENDENCY)
    here.until(picture)
    assert here.until(clip)["state"] == DONE
    assert len(inputs(here, other)) == 1


@pytest.mark.requirement("R13", "R62")
def test_a_resume_brings_a_whole_chain_back_and_nothing_that_is_there(here: World) -> None:
    chain = [scene("one"), scene("two", starts_from={"scene": 0, "if_failed": "skip"}), scene("three")]
    job_id = begun(here, *chain)
    first, second, third = here.ids(job_id)
    here.until(third)
    steer.cancel(here.services, here.owner_id, job_id)
    assert [here.until(each)["state"] for each in (first, second)] == [CANCELLED, CANCELLED]
    close(here, job_id)
    steer.resume(here.services, here.owner_id, job_id)
    assert start(here.services, job_id)
    assert [clip.state for clip in here.render(job_id)] == [DONE] * 3
    assert [len(inputs(here, each)) for each in (first, second, third)] == [1, 1, 1]


def close(here: World, job_id: UUID) -> None:
    finish(here.services, job_id)
    make_film(here.services, job_id)


def in_flight(here: World, kind: str) -> int:
    rows = here.query("select state from assets where kind = :kind", kind=kind)
    return sum(State(row["state"]) in HOLDS_SLOT for row in rows)


@pytest.mark.requirement("R15")
@pytest.mark.parametrize(("kind", "field", "most"), [("audio", "narration", 3), ("image", "keyframe", 2)])
def test_a_job_makes_no_more_of_a_kind_at_once_than_it_may_and_holds_nobody_up(
    here: World, kind: str, field: str, most: int
) -> None:
    here = replace(here, services=operator_says(here.services, max_in_flight=20))
    job_id = begun(here, *[scene(f"clip {n}", **{field: f"part {n}"}) for n in range(6)])
    parts = [asset(here, job_id, kind, n) for n in range(6)]
    sent = published(here)
    assert sent & set(parts) == set(parts[:most])
    assert [reason(here, each) for each in parts[most:]] == [Reason.JOB_LIMIT] * (6 - most)
    assert not set(here.in_line()) & set(parts)
    shown = show.job(here.services, here.owner_id, job_id)["video_clips"][5]
    assert [part["waiting"]["reason"] for part in shown["parts"]] == [Reason.JOB_LIMIT]
    for asset_id in parts:
        here.step(asset_id)
        assert in_flight(here, kind) <= most
    for n, asset_id in enumerate(parts):
        here.until(asset_id)
        assert in_flight(here, kind) <= most
        if n + most < 6:
            assert parts[n + most] in published(here)
    assert [here.state(each) for each in parts] == [DONE] * 6
    # Another job of the same owner does not wait for this one.
    other = begun(here, *[scene(f"other {n}", **{field: f"word {n}"}) for n in range(most)])
    assert published(here) >= {asset(here, other, kind, n) for n in range(most)}


@pytest.mark.requirement("R15", "R55")
def test_what_a_person_has_to_judge_takes_no_place_among_its_kind(here: World) -> None:
    here = replace(here, services=operator_says(here.services, max_in_flight=20))
    job_id = begun(here, *[scene(f"clip {n}", keyframe=f"part {n} [[sim: stall]]") for n in range(3)])
    *early, third = (asset(here, job_id, "image", n) for n in range(3))
    for asset_id in early:
        here.until(asset_id, State.RENDERING)
    here.step(third)
    assert reason(here, third) == Reason.JOB_LIMIT
    doubtful = "update assets set state = 'uncertain', waiting = '{\"reason\": \"needs_person\"}' where id = :id"
    here.query(doubtful, id=early[0])
    published(here)
    sweep(here.services)
    assert third in published(here)
    here.until(third, State.RENDERING)


@pytest.mark.requirement("R15", "R36")
def test_a_retry_of_an_early_one_waits_until_a_later_one_has_made_room(here: World) -> None:
    here = replace(here, services=operator_says(here.services, max_in_flight=20))
    job_id = begun(here, *[scene(f"clip {n}", narration=f"word {n}") for n in range(4)])
    first, *later = (asset(here, job_id, "audio", n) for n in range(4))
    here.end(first, FAILED)
    for asset_id in later:
        here.until(asset_id, State.RENDERING)
    here.end(here.ids(job_id)[0], FAILED)
    steer.retry(here.services, here.owner_id, job_id, 0)
    assert start(here.services, job_id)
    assert reason(here, first) == Reason.JOB_LIMIT
    here.step(first)
    assert (here.state(first), reason(here, first)) == (State.WAITING, Reason.JOB_LIMIT)
    published(here)
    here.until(later[1])
    assert first in published(here)
    here.until(first, State.RENDERING)
    assert in_flight(here, "audio") == 3


@pytest.mark.requirement("R50", "R55", "R62")
def test_a_worker_that_dies_after_it_ordered_the_dependent_has_paid_once_and_its_link_proves_it(here: World) -> None:
    sure = replace(here.services.settings, settle_absent_after_seconds=0.001)
    here = replace(here, services=replace(here.services, settings=sure))
    job_id = begun(here, scene(keyframe="a tower"))
    clip = here.ids(job_id)[0]
    here.until(asset(here, job_id, "image"))
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        here.step(clip)
    assert here.until(clip)["state"] == DONE
    assert len(inputs(here, clip)) == 1
    assert len(here.sold()) == 2
    assert here.ledger(clip) == [(1, "reserve"), (1, "commit")]


@pytest.mark.requirement("R55", "R62")
def test_the_sweeper_wakes_whom_a_dead_worker_did_not(here: World) -> None:
    job_id = begun(here, scene(), scene(starts_from={"scene": 0}))
    first, second = here.ids(job_id)
    here.until(first, State.FETCHING)
    published(here)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Waits, "needing", lambda *_: [])
        here.until(first)
    assert (second in published(here), reason(here, second)) == (False, Reason.DEPENDENCY)
    sweep(here.services)
    assert second in published(here)
    assert here.until(second)["state"] == DONE


@pytest.mark.requirement("R46", "R57", "R66")
def test_a_dry_run_shows_and_prices_all_that_would_be_made_and_stores_nothing(here: World) -> None:
    body = {"model": MODEL, "scenes": [scene(keyframe="a tower", narration="Once."), scene()], **MAKERS}
    told = accept.estimate(here.services, body)
    assert [(part["kind"], part["index"], part["model"]) for part in told["parts"]] == [
        ("image", 0, IMAGE),
        ("audio", 0, SPEECH),
    ]
    assert told["estimate_cents"] == sum(each["estimate_cents"] for each in (*told["scenes"], *told["parts"]))
    assert here.query("select id from jobs") == []


@pytest.mark.requirement("R46", "R33")
def test_what_is_made_beside_a_clip_has_events_of_its_own_and_none_of_a_clips(here: World) -> None:
    job_id = begun(here, scene(keyframe="a tower"))
    clip, picture = here.ids(job_id)[0], asset(here, job_id, "image")
    here.until(picture)
    told = [event for event in here.events(job_id) if event.payload.get("asset_id") == str(picture)]
    assert {event.type for event in told} == {EventType.ASSET_PROGRESS}
    assert [event.payload["status"] for event in told] == ["processing", "rendering", "processing", "complete"]
    assert str(here.services.present(told[-1])["url"]).startswith("http")
    here.until(clip)
    of_clips = {event.payload.get("clip_id") for event in here.events(job_id)} - {None}
    assert of_clips == {str(clip)}


@pytest.mark.requirement("R57", "R66")
def test_all_kinds_are_booked_in_the_jobs_own_cost(here: World) -> None:
    job_id = begun(here, scene(keyframe="a tower", narration="Once."))
    for kind in ("image", "audio", "video"):
        here.until(asset(here, job_id, kind))
    job = here.read(job_id)
    assert job.actual_cents == job.estimate_cents
