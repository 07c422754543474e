"""A thumbnail comes home with its clip, in one run of ffmpeg and one transaction; and nothing waits for it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.domain.asset import State
from pipeline.domain.events import EventType
from pipeline.finish import make_thumbnail
from tests import servers
from tests.builders import World, world


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting) as built:
        yield built


def refusing_pictures(here: World) -> World:
    """The same world with a store that takes clips and no thumbnails."""
    settings = replace(here.services.settings, s3_bucket_thumbnails="never-made")
    return replace(here, services=replace(here.services, settings=settings))


def told(here: World, clip_id: str) -> list[EventType]:
    """What was said of a clip's end."""
    ends = (EventType.VIDEO_COMPLETE, EventType.THUMBNAIL_READY)
    rows = here.query("select type, payload from events order by seq")
    return [EventType(row["type"]) for row in rows if row["type"] in ends and row["payload"]["clip_id"] == clip_id]


@pytest.mark.requirement("R47", "R33")
def test_a_clip_comes_home_with_its_thumbnail_and_leaves_the_media_pool_nothing_to_do(
    here: World, tmp_path: Path
) -> None:
    job_id = here.job(2)
    clip_id = here.ids(job_id)[1]
    done = here.until(clip_id)
    [row] = here.query("select * from clip_thumbnails")
    assert row["key"] == f"{job_id}/clip_1_thumbnail.jpg"
    [take] = here.takes(clip_id)
    assert take.thumbnail_key == done["thumbnail_key"] == done["file_key"].replace(".mp4", ".jpg")
    assert here.services.storage.exists(here.services.settings.s3_bucket_thumbnails, done["thumbnail_key"])
    assert (row["clip_id"], row["job_id"], row["clip_index"]) == (clip_id, job_id, 1)
    here.services.storage.get_file(here.services.settings.s3_bucket_thumbnails, row["key"], tmp_path / "t.jpg")
    assert (row["width"], row["height"], row["size_bytes"]) == (320, 180, (tmp_path / "t.jpg").stat().st_size)
    assert told(here, str(clip_id)) == [EventType.VIDEO_COMPLETE, EventType.THUMBNAIL_READY]
    assert here.carrier.thumbnails == []


@pytest.mark.requirement("R47", "R63")
def test_a_store_that_refuses_the_thumbnail_neither_fails_nor_delays_the_clip(here: World) -> None:
    clip_id = here.clip()
    here.until(clip_id, State.FETCHING)
    refusing_pictures(here).step(clip_id)
    row = here.row(clip_id)
    assert (row["state"], row["silences"], row["thumbnail_key"]) == (State.DONE, 0, None)
    assert told(here, str(clip_id)) == [EventType.VIDEO_COMPLETE]
    assert here.carrier.thumbnails == [clip_id]
    make_thumbnail(here.services, clip_id)
    assert here.row(clip_id)["thumbnail_key"]
    assert told(here, str(clip_id)) == [EventType.VIDEO_COMPLETE, EventType.THUMBNAIL_READY]


@pytest.mark.requirement("R47", "R55")
def test_a_step_that_lost_its_claim_leaves_no_thumbnail_either(here: World) -> None:
    clip_id = here.clip()
    here.until(clip_id, State.FETCHING)
    here.line.after["download"] = lambda: here.query("update assets set version = version + 1")
    here.step(clip_id)
    assert here.state(clip_id) is State.FETCHING
    assert here.query("select * from clip_thumbnails") == []
    assert here.until(clip_id)["thumbnail_key"]


@pytest.mark.requirement("R47")
def test_the_thumbnail_of_a_later_take_takes_the_place_of_the_one_before(here: World) -> None:
    clip_id = here.clip()
    old = "insert into clip_thumbnails (clip_id, job_id, clip_index, key, width, height, size_bytes)"
    here.query(f"{old} select id, job_id, index, 'old.jpg', 1, 1, 1 from assets")  # noqa: S608 - only our own words
    done = here.until(clip_id)
    [row] = here.query("select * from clip_thumbnails")
    assert (row["key"], row["width"]) == (f"{done['job_id']}/clip_0_thumbnail.jpg", 320)
    assert row["size_bytes"] > 1
