"""Videos and sounds that a customer gives: brought home, proven, stored, and told to providers by our links alone."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import imageio_ffmpeg
import pytest
import requests

from pipeline import material, show, steer
from pipeline.domain.asset import State
from pipeline.domain.errors import ValidationFailed
from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.needs import MATERIAL
from pipeline.start import start
from tests import servers
from tests.builders import World, world
from tests.picture_server import Pictures

ANIMATE, LIP_SYNC = "replicate/wan-2.2-animate-replace", "replicate/kling-lip-sync"
SECONDS = 5  # as long as the simulator takes a video to be that it does not look into
TESTSRC = ["-f", "lavfi", "-i", f"testsrc2=s=320x320:r=8:d={SECONDS}"]
SINE = ["-f", "lavfi", "-i", "sine=duration=3"]
FILES = {
    "still.jpg": [*TESTSRC, "-frames:v", "1"],
    "film.mp4": TESTSRC,
    "film.mov": [*TESTSRC, *SINE, "-c:a", "pcm_s16le"],
    "film.webm": [*TESTSRC, "-c:v", "libvpx", "-deadline", "realtime"],
    "film.mkv": TESTSRC,
    "long.mp4": ["-f", "lavfi", "-i", "testsrc2=s=320x320:r=1:d=31"],
    "voice.mp3": SINE,
    "voice.m4a": SINE,
    "voice.wav": SINE,
}
#: Every row that works from a video, and all that a scene of it gives.
ROWS = {
    ANIMATE: ("video", "character"),
    LIP_SYNC: ("video", "audio"),
    "kling/kling-lip-sync": ("video", "audio"),
    "runway/act-two": ("video", "character"),
    "runway/aleph-2": ("video",),
}


@pytest.fixture(scope="module")
def running() -> Iterator[servers.Simulator]:
    with servers.simulator(SIMULATOR_RENDER_SECONDS="0.1", SIMULATOR_FRAME_HEIGHT="90") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("material")
    for name, how in FILES.items():
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *how, str(folder / name)], check=True)
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture
def web(files: dict[str, bytes]) -> Iterator[Pictures]:
    with Pictures.running() as server:
        for name, content in files.items():
            server.put(name, content)
        yield server


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    others = ("KLING", "RUNWAY")
    own: dict[str, Any] = {name.lower(): told for name, told in running.environment.items() if name.startswith(others)}
    own |= {"links_to_loopback": True}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **own) as built:
        yield built


def scene(web: Pictures, model: str = ANIMATE, **other: str) -> dict[str, Any]:
    """A scene of this model with all that it works from; ``other`` are the files of some of its inputs."""
    files = {"video": "film.mp4", "audio": "voice.mp3", "character": "still.jpg"} | other
    given = {INPUT_FIELDS[name][0]: at(web, files[name]) for name in ROWS[model]}
    return {"description": "a lighthouse", "duration": SECONDS, "model": model, **given}


def at(web: Pictures, name: str) -> str:
    return f"http://127.0.0.1:{web.server_port}/{name}"


def brought(here: World, job_id: UUID) -> dict[str, dict[str, Any]]:
    """What was to be brought home, by what it is."""
    rows = here.query("select * from assets where job_id = :job and kind = any(:kinds)", job=job_id, kinds=[*MATERIAL])
    return {row["kind"]: row for row in rows}


def made(here: World, job_id: UUID) -> list[dict[str, Any]]:
    """The job's clips as its document shows them, when all of it is over."""
    assert start(here.services, job_id)
    for row in brought(here, job_id).values():
        here.until(row["id"])
    here.render(job_id)
    return list(show.job(here.services, here.owner_id, job_id)["video_clips"])


@pytest.mark.requirement("R45")
@pytest.mark.parametrize("model", ROWS)
def test_no_provider_is_told_a_link_of_a_customers_whatever_it_works_from(
    here: World, web: Pictures, s3: servers.ObjectStore, files: dict[str, bytes], model: str
) -> None:
    job_id = here.order([scene(web, model)])
    [clip] = made(here, job_id)
    assert clip["state"] == State.DONE, clip["error"]
    [sold] = here.sold()
    sent = re.findall(r'"((?:https?|runway)://[^"]+)"', json.dumps(sold))
    # Runway can't fetch from our store, so it is given the file.
    own = ("runway://",) if model.startswith("runway") else (f"{s3.endpoint_url}/dailies-clips/{job_id}/",)
    files_sent = [link for link in sent if link.startswith(own)]
    assert len(files_sent) == len(ROWS[model])
    assert f":{web.server_port}" not in json.dumps(sold)
    assert all(requests.get(link, timeout=10).content in files.values() for link in files_sent if link[:4] == "http")
    assert len(web.asked) == len(ROWS[model])


@pytest.mark.requirement("R45", "R63")
@pytest.mark.parametrize(
    ("model", "field", "name", "stored", "content_type"),
    [
        (ANIMATE, "video", "film.mp4", r"footage_0_\w{16}\.mp4", "video/mp4"),
        (ANIMATE, "video", "film.mov", r"footage_0_\w{16}\.mov", "video/quicktime"),
        (ANIMATE, "video", "film.webm", r"footage_0_\w{16}\.webm", "video/webm"),
        (LIP_SYNC, "audio", "voice.mp3", r"sound_0_\w{16}\.mp3", "audio/mpeg"),
        (LIP_SYNC, "audio", "voice.wav", r"sound_0_\w{16}\.wav", "audio/wav"),
    ],
)
def test_a_file_is_stored_and_handed_on_as_what_it_is_whatever_it_is_called(
    here: World,
    web: Pictures,
    files: dict[str, bytes],
    model: str,
    field: str,
    name: str,
    stored: str,
    content_type: str,
) -> None:
    web.put("thing.bin", files[name])
    job_id = here.order([scene(web, model, **{field: "thing.bin"})])
    row = here.until(brought(here, job_id)["footage" if field == "video" else "sound"]["id"])
    assert row["state"] == State.DONE, row["failure"]
    assert re.fullmatch(f"{job_id}/{stored}", row["file_key"])
    assert (row["size_bytes"], row["provider"], row["attempt_id"]) == (len(files[name]), "", None)
    assert row["duration_seconds"] == pytest.approx(SECONDS if field == "video" else 3, abs=0.1)
    link = here.services.storage.link("dailies-clips", row["file_key"])
    got = requests.get(link, timeout=10)
    assert (got.content, got.headers["Content-Type"]) == (files[name], content_type)


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    ("field", "content", "status", "code", "why"),
    [
        ("video", b"", 404, "bad_video", "the link is dead (HTTP 404)"),
        ("video", b"<!doctype html>", 200, "bad_video", "the file is neither MP4 nor WebM"),
        ("video", "still.jpg", 200, "bad_video", "the file is neither MP4 nor WebM"),
        ("video", "film.mkv", 200, "bad_video", "the video is Matroska; we take MP4, MOV and WebM"),
        ("audio", b"#EXTM3U\nhttp://10.0.0.1/", 200, "bad_audio", "the file is neither MP4 nor WebM"),
        ("video", "voice.m4a", 200, "bad_video", "the file has no moving picture in it"),
        ("audio", "film.mp4", 200, "bad_audio", "the file has no sound in it"),
    ],
)
def test_what_can_not_be_had_or_is_something_else_fails_its_clip_and_costs_nothing(
    here: World,
    web: Pictures,
    files: dict[str, bytes],
    field: str,
    content: bytes | str,
    status: int,
    code: str,
    why: str,
) -> None:
    web.put("thing", files[content] if isinstance(content, str) else content, status)
    job_id = here.order([scene(web, LIP_SYNC, **{field: "thing"})])
    [clip] = made(here, job_id)
    assert (clip["state"], clip["error"]["code"], clip["attempts"]) == (State.FAILED, "dependency_failed", 0)
    assert clip["error"]["message"] == f"scenes.0.{field}_url: {why}"
    row = brought(here, job_id)["footage" if field == "video" else "sound"]
    assert row["failure"]["code"] == code
    assert here.sold() == []


@pytest.mark.parametrize(("kind", "field"), [("footage", "video_url"), ("sound", "audio_url")])
def test_a_file_that_is_larger_than_its_kind_may_be_is_not_taken(
    here: World, web: Pictures, monkeypatch: pytest.MonkeyPatch, kind: str, field: str
) -> None:
    sort = material.SORTS[kind]
    monkeypatch.setitem(material.SORTS, kind, replace(sort, most=replace(sort.most, max_bytes=999)))
    [clip] = made(here, here.order([scene(web, LIP_SYNC)]))
    assert clip["error"]["message"] == f"scenes.0.{field}: the file is larger than 999 bytes"


def test_a_video_that_is_cut_short_is_found_out(here: World, web: Pictures, files: dict[str, bytes]) -> None:
    web.put("film.mp4", files["film.mp4"][:-100])
    [clip] = made(here, here.order([scene(web)]))
    assert clip["error"]["message"] == "scenes.0.video_url: the file is cut short: at least 100 bytes are missing"


@pytest.mark.parametrize("field", ["video_url", "audio_url"])
def test_no_video_and_no_sound_makes_us_call_an_inner_address(
    here: World,
    database_url: str,
    valkey_url: str,
    s3: servers.ObjectStore,
    running: servers.Simulator,
    web: Pictures,
    field: str,
) -> None:
    told = "the link is not followed: it leads to a private address"
    job_id = here.order([scene(web, LIP_SYNC) | {field: "http://169.254.169.254/latest/meta-data/"}])
    [clip] = made(here, job_id)
    assert clip["error"]["message"] == f"scenes.0.{field}: {told}"
    asked = len(web.asked)
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running) as strict:
        public = {"video_url": "https://films.example/a.mp4", "audio_url": "https://films.example/a.mp3"}
        for link in (at(web, "film.mp4"), "http://minio:9000/a.mp4", "http://10.0.0.1/a.mp4"):
            with pytest.raises(
                ValidationFailed, match=rf"scenes\.0\.{field}: this leads to a machine or a net of its own"
            ):
                strict.order([scene(web, LIP_SYNC) | public | {field: link}])
    assert len(web.asked) == asked


@pytest.mark.requirement("R36", "R45")
def test_a_retry_fetches_again_what_could_not_be_had_and_nothing_else(here: World, web: Pictures) -> None:
    content = web.files["/voice.mp3"]
    web.put("voice.mp3", b"", 404)
    job_id = here.order([scene(web, LIP_SYNC)])
    [clip] = made(here, job_id)
    assert clip["error"]["message"] == "scenes.0.audio_url: the link is dead (HTTP 404)"
    web.files["/voice.mp3"] = content
    steer.retry(here.services, here.owner_id, job_id, 0)
    [clip] = made(here, job_id)
    assert clip["state"] == State.DONE, clip["error"]
    assert sorted(web.asked) == ["/film.mp4", "/voice.mp3", "/voice.mp3"]


@pytest.mark.requirement("R45", "R58")
def test_a_model_that_takes_over_and_a_new_take_get_our_links_too(here: World, web: Pictures) -> None:
    here.arm("create=402", model="kwaivgi/kling-lip-sync")
    job_id = here.order([scene(web, LIP_SYNC)], allow_fallback=True)
    [clip] = made(here, job_id)
    assert (clip["state"], clip["provider"]) == (State.DONE, "kling"), clip["error"]
    steer.retry(here.services, here.owner_id, job_id, 0, {"prompt": "a foghorn"})
    [clip] = made(here, job_id)
    assert clip["state"] == State.DONE, clip["error"]
    sold = here.sold()
    assert (len(sold), len(web.asked)) == (2, 2)
    assert f":{web.server_port}" not in json.dumps(sold)


@pytest.mark.requirement("R66")
def test_a_clip_costs_what_its_video_is_long_and_not_what_was_said_of_it(here: World, web: Pictures) -> None:
    [clip] = made(here, here.order([scene(web) | {"duration": 2}]))
    # 8 cents a second; the audit at the end looks at what the provider took.
    assert clip["cost_cents"] == 8 * SECONDS


@pytest.mark.requirement("R66")
def test_a_video_that_is_longer_than_the_budget_bears_buys_nothing(here: World, web: Pictures) -> None:
    job_id = here.order([scene(web) | {"duration": 1}], budget_cents=8 * SECONDS - 1)
    [clip] = made(here, job_id)
    assert (clip["state"], clip["error"]["code"]) == (State.FAILED, "over_budget")
    assert here.sold() == []


@pytest.mark.requirement("R42")
def test_a_video_that_is_longer_than_the_model_takes_buys_nothing(here: World, web: Pictures) -> None:
    [clip] = made(here, here.order([scene(web, video="long.mp4")]))
    assert (clip["state"], clip["error"]["code"]) == (State.FAILED, "rejected_input")
    assert clip["error"]["message"] == (
        f"scenes.0.video_url: the video is 31.0 s long, and {ANIMATE} takes at most 30 s"
    )
    assert here.sold() == []


@pytest.mark.requirement("R45", "R50")
def test_a_clip_that_was_ordered_before_we_fetched_videos_is_made_from_the_video_that_it_names(
    here: World, web: Pictures
) -> None:
    job_id = here.order([scene(web)])
    [asset_id], footage = here.ids(job_id), brought(here, job_id)["footage"]["id"]
    row = here.row(asset_id)
    inputs = {name: source for name, source in row["shot"]["inputs"].items() if name != "video"}
    here.query(
        "update assets set shot = shot || cast(:shot as jsonb), needs = needs - :footage where id = :id",
        shot=json.dumps({"inputs": inputs, "video_url": at(web, "film.mp4")}),
        footage=str(footage),
        id=asset_id,
    )
    here.query("delete from assets where id = :id", id=footage)
    [clip] = made(here, job_id)
    assert clip["state"] == State.DONE, clip["error"]
    assert here.sold()[0]["input"]["video"] == at(web, "film.mp4")


@pytest.mark.requirement("R45", "R60")
def test_a_clip_that_waits_for_a_customers_file_waits_for_no_scene(here: World, web: Pictures) -> None:
    job_id = here.order([{"description": "dawn", "duration": 2}, scene(web)])
    assert start(here.services, job_id)
    told = show.job(here.services, here.owner_id, job_id)["video_clips"][1]
    assert (told["waiting"]["reason"], told["dependency"]) == ("dependency", None)
