"""A job ends: once, whoever asks and however often; its film is there, or never holds it up."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import imageio_ffmpeg
import pytest
from sqlalchemy import text

from pipeline.domain.asset import State
from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.domain.events import EventType
from pipeline.domain.job import JobState
from pipeline.finish import finish, make_film, make_thumbnail
from pipeline.media import Media
from pipeline.storage import Storage
from tests import servers
from tests.builders import NOWHERE, Killed, World, world
from tests.processes import eventually

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}
DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clip of one second in each colour."""
    folder = tmp_path_factory.mktemp("clips")
    for colour in COLOURS:
        source = ["-f", "lavfi", "-i", f"color={colour}:size=64x36:rate=24:duration=1"]
        run([*source, "-pix_fmt", "yuv420p", str(folder / f"{colour}.mp4")])
    return {colour: folder / f"{colour}.mp4" for colour in COLOURS}


def run(words: list[str]) -> bytes:
    done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *words], check=True, capture_output=True)
    return done.stdout


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3) as built:
        yield built


@pytest.fixture
def deliver(here: World, clips: dict[str, Path]) -> Callable[[UUID, str], None]:
    """Let a clip be done, with a file of this colour in the store."""

    def delivered(asset_id: UUID, colour: str) -> None:
        key = f"{asset_id}/{colour}.mp4"
        here.services.storage.put_file(here.services.settings.s3_bucket_clips, key, clips[colour], "video/mp4")
        here.end(asset_id, DONE, file_key=key)

    return delivered


def ended(here: World, *states: State) -> UUID:
    """A job whose clips have ended so, without files."""
    job_id = here.job(len(states))
    for asset_id, state in zip(here.ids(job_id), states, strict=True):
        here.end(asset_id, state, file_key="missing.mp4" if state is DONE else None)
    return job_id


def closings(here: World, job_id: UUID) -> list[dict[str, Any]]:
    return [dict(event.payload) for event in here.events(job_id) if event.type is EventType.JOB_COMPLETE]


def closed(here: World, job_id: UUID) -> JobState:
    """End the job as the chord and the media pool do; its state."""
    assert finish(here.services, job_id)
    make_film(here.services, job_id)
    return here.read(job_id).state


def colour_at(path: Path, seconds: float) -> str:
    """The colour of a film at a moment."""
    picture = ["-frames:v", "1", "-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = run(["-ss", str(seconds), "-i", str(path), *picture])
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], shown, strict=True)))


@pytest.mark.requirement("R17", "R48", "R35")
def test_a_job_with_all_clips_is_complete_with_a_film_in_scene_order_however_they_came(
    here: World, deliver: Callable[[UUID, str], None], tmp_path: Path
) -> None:
    job_id = here.job(3)
    for asset_id, colour in reversed(list(zip(here.ids(job_id), COLOURS, strict=True))):
        deliver(asset_id, colour)
    assert closed(here, job_id) is JobState.COMPLETE
    job = here.read(job_id)
    assert job.film_key
    # Each scene is as long as it was ordered, though its clip is a second shorter.
    assert job.film_duration_seconds == pytest.approx(6, abs=0.1)
    assert job.film_why is None
    film = tmp_path / "film.mp4"
    here.services.storage.get_file(here.services.settings.s3_bucket_clips, job.film_key, film)
    assert [colour_at(film, moment) for moment in (0.5, 2.5, 4.5)] == list(COLOURS)
    [told] = closings(here, job_id)
    assert (told["state"], told["film_key"]) == (JobState.COMPLETE, job.film_key)
    [row] = here.query("select video_clips from jobs")
    assert [clip["index"] for clip in row["video_clips"]] == [0, 1, 2]
    assert {clip["status"] for clip in row["video_clips"]} == {"complete"}


@pytest.mark.requirement("R36", "R37", "R48")
def test_a_job_with_enough_clips_is_partial_and_its_film_is_of_those_that_are_there(
    here: World, deliver: Callable[[UUID, str], None]
) -> None:
    job_id = here.job(5)
    first, second, *lost, last = here.ids(job_id)
    for asset_id, colour in zip((first, second, last), COLOURS, strict=True):
        deliver(asset_id, colour)
    for asset_id in lost:
        here.end(asset_id, FAILED)
    assert closed(here, job_id) is JobState.PARTIAL
    assert here.read(job_id).film_duration_seconds == pytest.approx(6, abs=0.1)


@pytest.mark.requirement("R37")
@pytest.mark.parametrize(
    ("states", "expected"),
    [([DONE, DONE, FAILED, FAILED], JobState.FAILED), ([FAILED, CANCELLED], JobState.FAILED)],
    ids=["too few", "none"],
)
def test_a_job_without_enough_clips_fails_and_has_no_film(here: World, states: list[State], expected: JobState) -> None:
    job_id = ended(here, *states)
    assert closed(here, job_id) is expected
    assert here.read(job_id).film_key is None
    assert [told["film_key"] for told in closings(here, job_id)] == [None]


@pytest.mark.requirement("R56")
def test_a_cancelled_job_ends_as_cancelled(here: World) -> None:
    job_id = here.job(2)
    here.services.store.jobs.cancel(job_id)
    for asset_id in here.ids(job_id):
        here.end(asset_id, CANCELLED)
    assert closed(here, job_id) is JobState.CANCELLED


@pytest.mark.requirement("R02")
@pytest.mark.parametrize("state", [State.WAITING, State.UNCERTAIN, State.CANCELLING, State.FETCHING])
def test_a_job_is_not_over_while_a_clip_is_not(here: World, state: State) -> None:
    job_id = ended(here, DONE, DONE)
    here.query("update assets set state = :state where index = 0", state=state)
    assert not finish(here.services, job_id)
    make_film(here.services, job_id)
    assert (here.read(job_id).state, here.carrier.films) == (JobState.QUEUED, [])


@pytest.mark.requirement("R02", "R55")
def test_of_sixteen_who_would_end_a_job_one_does(here: World) -> None:
    job_id = ended(here, FAILED, FAILED)
    with ThreadPoolExecutor(16) as pool:
        begun = list(pool.map(lambda _: finish(here.services, job_id), range(16)))
        assert (sorted(begun), here.carrier.films) == ([False] * 15 + [True], [job_id])
        list(pool.map(lambda _: make_film(here.services, job_id), range(16)))
    assert len(closings(here, job_id)) == 1
    assert here.read(job_id).state is JobState.FAILED
    assert not finish(here.services, job_id)


@pytest.mark.requirement("R36", "R55")
def test_a_job_that_is_reopened_at_the_very_moment_of_its_end_stays_open(here: World) -> None:
    job_id = ended(here, DONE, FAILED)
    failed = here.ids(job_id)[1]
    waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    answers: list[bool] = []
    ender = threading.Thread(target=lambda: answers.append(finish(here.services, job_id)))
    with here.services.store.engine.begin() as retrying:
        retrying.execute(text("update jobs set round = round + 1, state = 'running'"))
        retrying.execute(text("update assets set state = 'waiting' where id = :id"), {"id": failed})
        ender.start()
        eventually(lambda: bool(here.query(waiting)))
    ender.join()
    assert (answers, here.read(job_id).state) == ([False], JobState.RUNNING)


@pytest.mark.requirement("R48")
def test_a_clip_that_cannot_be_stitched_costs_the_film_and_not_the_job(
    here: World, deliver: Callable[[UUID, str], None]
) -> None:
    job_id = here.job(2)
    first, second = here.ids(job_id)
    deliver(first, "red")
    here.services.storage.put_bytes(here.services.settings.s3_bucket_clips, "broken.mp4", b"no film", "video/mp4")
    here.end(second, DONE, file_key="broken.mp4")
    assert closed(here, job_id) is JobState.COMPLETE
    assert here.read(job_id).film_key is None


@pytest.mark.requirement("R48", "R55")
def test_a_film_waits_for_the_store_as_long_as_it_is_away(here: World) -> None:
    job_id = ended(here, DONE)
    away = Storage(buckets=("a", "b"), endpoint_url=f"http://{NOWHERE}", access_key="a", secret_key="s")
    blind = replace(here.services, storage=away)
    assert finish(blind, job_id)
    for _ in range(5):
        with pytest.raises(Unavailable):
            make_film(blind, job_id)
        lapse(here)
    assert here.read(job_id).state is JobState.ASSEMBLING
    assert here.query("select film_tries from jobs") == [{"film_tries": 0}]


def lapse(here: World) -> None:
    """Time passes until the film may be claimed again."""
    here.query("update jobs set film_claimed_until = clock_timestamp()")


class Deadly(Media):
    """A clip that kills whoever stitches it."""

    def film(self, *_: Any, **__: Any) -> Any:
        raise Killed


@pytest.mark.requirement("R48", "R55")
def test_a_film_that_kills_its_makers_does_not_hold_the_job_up_for_ever(
    here: World, deliver: Callable[[UUID, str], None]
) -> None:
    job_id = here.job(1)
    deliver(here.ids(job_id)[0], "red")
    deadly = replace(here.services, media=Deadly("ffmpeg"))
    assert finish(deadly, job_id)
    for _ in range(3):
        with pytest.raises(Killed):
            make_film(deadly, job_id)
        lapse(here)
    make_film(deadly, job_id)
    assert (here.read(job_id).state, here.read(job_id).film_key) == (JobState.COMPLETE, None)


@pytest.mark.requirement("R30")
def test_a_jobs_total_is_from_its_first_provider_call_to_its_last_stored_clip(here: World) -> None:
    job_id = ended(here, DONE, DONE, FAILED)
    here.query("update jobs set started_at = '2026-03-01T12:00:00Z'")
    for index, second in enumerate((41, 57, 59)):
        at = f"2026-03-01T12:00:{second}Z"
        here.query("update assets set finished_at = :at where index = :index", at=at, index=index)
    closed(here, job_id)
    assert [told["total_seconds"] for told in closings(here, job_id)] == [57.0]


@pytest.mark.requirement("R47")
def test_a_thumbnail_is_made_once_stored_and_told(
    here: World, deliver: Callable[[UUID, str], None], tmp_path: Path
) -> None:
    job_id = here.job(2)
    clip_id = here.ids(job_id)[1]
    deliver(clip_id, "blue")
    for _ in range(2):
        make_thumbnail(here.services, clip_id)
    [row] = here.query("select * from clip_thumbnails")
    assert (row["clip_id"], row["clip_index"], row["key"]) == (clip_id, 1, f"{job_id}/clip_1_thumbnail.jpg")
    picture = tmp_path / "thumbnail.jpg"
    here.services.storage.get_file(here.services.settings.s3_bucket_thumbnails, row["key"], picture)
    assert (row["width"], row["height"], row["size_bytes"]) == (320, 180, picture.stat().st_size)
    assert colour_at(picture, 0) == "blue"
    own = f"{clip_id}/blue.jpg"
    assert [event.payload["thumbnail_key"] for event in here.events(job_id)] == [own]
    assert here.row(clip_id)["thumbnail_key"] == own
    assert here.services.storage.exists(here.services.settings.s3_bucket_thumbnails, own)


@pytest.mark.requirement("R47")
def test_a_thumbnail_that_cannot_be_made_is_tried_three_times_and_never_hurts_the_clip(here: World) -> None:
    job_id = here.job(1)
    [clip_id] = here.ids(job_id)
    here.services.storage.put_bytes(here.services.settings.s3_bucket_clips, "broken.mp4", b"no film", "video/mp4")
    here.end(clip_id, DONE, file_key="broken.mp4")
    for _ in range(3):
        with pytest.raises(BrokenMedia):
            make_thumbnail(here.services, clip_id)
    make_thumbnail(here.services, clip_id)
    assert (here.state(clip_id), here.row(clip_id)["thumbnail_tries"]) == (DONE, 3)
    assert here.events(job_id) == []
