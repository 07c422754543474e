"""Scenes that need more than a prompt: keyframes, narrations, and pictures of earlier scenes, each made once."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import requests

from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from pipeline.start import start
from tests import servers
from tests.builders import World, world

IMAGE, SPEECH = "replicate/flux-schnell", "replicate/speech-2.8-hd"
MAKERS = {"image_model": IMAGE, "speech_model": SPEECH}
DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED


@pytest.fixture(scope="module")
def running() -> Iterator[servers.Simulator]:
    with servers.simulator(SIMULATOR_RENDER_SECONDS="0.1", SIMULATOR_FRAME_HEIGHT="90") as simulator:
        yield simulator


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running) as built:
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
    return waiting and waiting["reason"]


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
