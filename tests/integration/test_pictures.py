"""Pictures that a customer names: fetched by us, proven, stored, and handed to providers as links of ours alone."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

import imageio_ffmpeg
import pytest
import requests

from pipeline import accept, material, show, steer
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.errors import ValidationFailed
from pipeline.limits.breaker import FAILURES_IN_A_ROW, Circuit
from pipeline.start import start
from tests import servers
from tests.builders import Killed, World, killed, world
from tests.picture_server import Pictures

FAST, LITE = "replicate/seedance-1-pro-fast", "replicate/seedance-1-lite"
HEADINGS = ("CHARACTER APPEARANCE: ", "PRODUCT FEATURES: ", "COLOR PALETTE: ", "VISUAL STYLE: ")


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("pictures") / "a.jpg"
    source = ["-f", "lavfi", "-i", "testsrc2=s=320x320", "-frames:v", "1"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, str(path)], check=True)
    return path.read_bytes()


@pytest.fixture
def web() -> Iterator[Pictures]:
    with Pictures.running() as server:
        yield server


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting, links_to_loopback=True) as built:
        yield built


def scene(prompt: str = "a lighthouse", **more: Any) -> dict[str, Any]:
    return {"description": prompt, "duration": 2, **more}


def assets(here: World, job_id: UUID, kind: str) -> list[dict[str, Any]]:
    return here.query("select * from assets where job_id = :job and kind = :kind order by index", job=job_id, kind=kind)


def made(here: World, job_id: UUID) -> dict[str, Any]:
    """The job's document, when all of it is over."""
    assert start(here.services, job_id)
    for kind in ("picture", "context", "image", "video"):
        for row in assets(here, job_id, kind):
            here.until(row["id"])
    return show.job(here.services, here.owner_id, job_id)


def links(value: Any) -> set[str]:
    """Every link anywhere in an input."""
    if isinstance(value, dict):
        return set().union(*map(links, value.values()))
    if isinstance(value, list):
        return set().union(*map(links, value))
    return {value} if isinstance(value, str) and re.match(r"https?://", value) else set()


@pytest.mark.requirement("R45", "R31")
def test_reference_images_become_a_context_before_every_scene_and_links_of_ours(
    here: World, web: Pictures, s3: servers.ObjectStore, jpeg: bytes
) -> None:
    keeper, lamp = web.put("keeper.jpg", jpeg), web.put("lamp.jpg", jpeg + b"lamp")
    job_id = here.order(
        [scene("Dawn", model=LITE), scene("Dusk", reference_image_urls=[lamp], model=LITE), scene("Night")],
        reference_images=[keeper],
        model=FAST,
    )
    document = made(here, job_id)
    assert [clip["state"] for clip in document["video_clips"]] == [State.DONE] * 3
    assert sorted(web.asked) == ["/keeper.jpg", "/lamp.jpg"]
    sold = here.sold()
    assert len(sold) == 4
    for order in sold:
        assert {link.partition("?")[0].rpartition("/")[0] for link in links(order["input"])} <= {
            f"{s3.endpoint_url}/dailies-clips/{job_id}"
        }
    context = document["consistency_context"]
    assert [line.startswith(heading) for line, heading in zip(context.splitlines(), HEADINGS, strict=True)] == [
        True
    ] * 4
    clips = [order for order in sold if "duration" in order["input"]]
    assert {order["input"]["prompt"] for order in clips} == {
        f"{context}\n\nSCENE: {said}" for said in ("Dawn", "Dusk", "Night")
    }
    sent = {order["input"]["prompt"][-4:]: order["input"].get("reference_images", []) for order in clips}
    assert [len(sent[said]) for said in ("Dawn", "Dusk", "ight")] == [1, 2, 0]
    own, of_job = (requests.get(link, timeout=10).content for link in sent["Dusk"])
    assert (own, of_job) == (jpeg + b"lamp", jpeg)
    assert document["warnings"] == []
    assert document["actual_cents"] == sum(-(-order["price_cents"] // 1) for order in sold)


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    ("content", "status", "why"),
    [
        (b"", 404, "the link is dead (HTTP 404)"),
        (b"<!doctype html>", 200, "the file is neither a JPEG, nor a PNG, nor a WebP picture"),
        (b"\xff\xd8\xff" + bytes(100), 200, "the picture is cut short"),
    ],
)
def test_a_picture_that_can_not_be_had_fails_its_clip_and_costs_nothing(
    here: World, web: Pictures, jpeg: bytes, content: bytes, status: int, why: str
) -> None:
    good, bad = web.put("good.jpg", jpeg), web.put("bad.jpg", content, status)
    job_id = here.order([scene(image_url=good), scene(image_url=bad), scene()])
    document = made(here, job_id)
    assert [clip["state"] for clip in document["video_clips"]] == [State.DONE, State.FAILED, State.DONE]
    error = document["video_clips"][1]["error"]
    assert (error["code"], error["message"]) == ("dependency_failed", f"scenes.1.image_url: {why}")
    assert document["video_clips"][1]["attempts"] == 0
    assert len(here.sold()) == 2


INNER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/a.jpg",
    "https://[fd00:ec2::254]/a.jpg",
    "http://[::ffff:192.168.0.1]/a.jpg",
]


@pytest.mark.parametrize("link", INNER)
def test_a_link_to_an_inner_address_fails_at_once(here: World, link: str) -> None:
    job_id = here.order([scene(image_url=link)])
    [clip] = made(here, job_id)["video_clips"]
    assert clip["error"]["message"] == "scenes.0.image_url: the link is not followed: it leads to a private address"
    assert here.sold() == []


def test_loopback_is_as_private_as_any_unless_the_operator_says_otherwise(
    database_url: str,
    valkey_url: str,
    s3: servers.ObjectStore,
    painting: servers.Simulator,
    web: Pictures,
    jpeg: bytes,
) -> None:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting) as strict:
        for link in (*INNER, web.put("a.jpg", jpeg), "http://localhost/a.jpg", "http://minio:9000/a.jpg"):
            with pytest.raises(
                ValidationFailed, match=r"scenes\.0\.image_url: this leads to a machine or a net of its own"
            ):
                strict.order([scene(image_url=link)])
        # A name is not looked up before it is fetched: what hides behind one is found out then.
        job_id = strict.order([scene(image_url="http://localhost.studio.example/a.jpg")])
        [row] = assets(strict, job_id, "picture")
        strict.query(
            "update assets set shot = jsonb_set(shot, '{link}', to_jsonb(cast(:link as text))) where id = :id",
            id=row["id"],
            link=web.put("a.jpg", jpeg),
        )
        [clip] = made(strict, job_id)["video_clips"]
        assert clip["state"] == State.FAILED
        assert web.asked == []
        assert strict.sold() == []


def test_a_real_provider_that_can_not_reach_our_store_is_told_of_beforehand(
    database_url: str, s3: servers.ObjectStore
) -> None:
    real: dict[str, Any] = {"replicate_base_url": "https://api.replicate.com"}
    body = {"model": FAST, "scenes": [scene(image_url="https://cdn.example/a.jpg"), scene()]}
    with world(database_url, s3=s3, **real) as hidden:
        warnings = accept.estimate(hidden.services, body)["warnings"]
        assert any(each.startswith("replicate can't fetch files from this installation's store") for each in warnings)
        assert not any(
            "S3_PUBLIC" in each for each in accept.estimate(hidden.services, {**body, "scenes": [scene()]})["warnings"]
        )
    with world(database_url, s3=s3, **real, s3_public_endpoint_url="https://files.studio.example") as reached:
        assert not any("S3_PUBLIC" in each for each in accept.estimate(reached.services, body)["warnings"])


@pytest.mark.requirement("R45")
def test_a_vision_model_that_fails_leaves_the_job_without_a_context_and_says_so(
    here: World, web: Pictures, jpeg: bytes
) -> None:
    here.arm("fail=moderated", model="google/gemini-2.5-flash")
    job_id = here.order([scene("Dawn", model=LITE)], reference_images=[web.put("a.jpg", jpeg)])
    document = made(here, job_id)
    assert document["video_clips"][0]["state"] == State.DONE
    assert document["consistency_context"] is None
    [warning] = document["warnings"]
    assert warning.startswith("nothing could be said of reference_images, so no context was put before the scenes: ")
    [clip] = [order["input"] for order in here.sold() if "duration" in order["input"]]
    assert clip["prompt"] == "SCENE: Dawn"
    assert len(clip["reference_images"]) == 1


@pytest.mark.requirement("R45", "R50", "R66")
def test_words_none_of_whose_orders_ever_arrived_cost_nothing(here: World, web: Pictures, jpeg: bytes) -> None:
    settings = replace(here.services.settings, settle_absent_after_seconds=0.01)
    hasty = replace(here, services=replace(here.services, settings=settings))
    hasty.arm("create=503", model="google/gemini-2.5-flash")
    job_id = hasty.order([scene("Dawn")], reference_images=[web.put("a.jpg", jpeg)])
    document = made(hasty, job_id)
    [context] = assets(hasty, job_id, "context")
    tries = range(1, settings.clip_max_attempts + 1)
    assert hasty.ledger(context["id"]) == [(number, kind) for number in tries for kind in ("reserve", "release")]
    assert (context["failure"]["code"], document["video_clips"][0]["state"]) == ("absent", State.DONE)


@pytest.mark.requirement("R45", "R50")
def test_a_vision_model_that_is_down_holds_nobody_up_for_long(here: World, web: Pictures, jpeg: bytes) -> None:
    circuit = Circuit(provider="replicate", account="replicate", model="replicate/gemini-2.5-flash")
    for _ in range(FAILURES_IN_A_ROW):
        here.services.breaker.count(circuit, failed=True, paid=True)
    here.services.breaker.probed(circuit, answered=False)
    document = made(here, here.order([scene("Dawn")], reference_images=[web.put("a.jpg", jpeg)]))
    assert document["video_clips"][0]["state"] == State.DONE
    assert document["warnings"][0].endswith("replicate/gemini-2.5-flash is failing")
    [clip] = here.sold()
    assert clip["input"]["prompt"] == "SCENE: Dawn"


@pytest.mark.requirement("R31")
def test_a_context_that_is_given_is_the_one_and_no_vision_model_is_paid(
    here: World, web: Pictures, jpeg: bytes
) -> None:
    given = {"reference_images": [web.put("a.jpg", jpeg)], "consistency_context": "A keeper in yellow"}
    document = made(here, here.order([scene("Dawn", model=LITE)], **given))
    [order] = here.sold()
    assert order["input"]["prompt"] == "A keeper in yellow\n\nSCENE: Dawn"
    assert len(order["input"]["reference_images"]) == 1
    assert document["consistency_context"] == "A keeper in yellow"


@pytest.mark.requirement("R36", "R45")
def test_a_retry_fetches_again_what_could_not_be_had(here: World, web: Pictures, jpeg: bytes) -> None:
    job_id = here.order([scene(image_url=web.put("a.jpg", b"", 404))])
    [clip] = made(here, job_id)["video_clips"]
    assert (clip["state"], clip["error"]["actions"][0]["label"]) == (State.FAILED, "Retry this clip")
    web.put("a.jpg", jpeg)
    steer.retry(here.services, here.owner_id, job_id, 0)
    [clip] = made(here, job_id)["video_clips"]
    assert clip["state"] == State.DONE
    [order] = here.sold()
    assert requests.get(order["input"]["image"], timeout=10).content == jpeg


@pytest.mark.requirement("R36", "R45")
def test_a_retry_with_another_model_gets_the_pictures_that_this_one_takes(
    here: World, web: Pictures, jpeg: bytes
) -> None:
    keeper = web.put("a.jpg", jpeg)
    job_id = here.order([scene("Dawn")], reference_images=[keeper])
    context = made(here, job_id)["consistency_context"]
    steer.retry(here.services, here.owner_id, job_id, 0, {"model": LITE, "prompt": "Dusk"})
    made(here, job_id)
    first, second = [order["input"] for order in here.sold() if "duration" in order["input"]]
    assert "reference_images" not in first
    assert len(second["reference_images"]) == 1
    assert keeper not in links(second)
    assert second["prompt"] == f"{context}\n\nSCENE: Dusk"
    assert web.asked == ["/a.jpg"]


@pytest.mark.requirement("R45", "R58")
def test_a_model_that_takes_over_gets_our_link_too(
    database_url: str,
    valkey_url: str,
    s3: servers.ObjectStore,
    painting: servers.Simulator,
    web: Pictures,
    jpeg: bytes,
) -> None:
    own: dict[str, Any] = {"fal_key": painting.token, "fal_base_url": f"{painting.url}/fal", "links_to_loopback": True}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting, **own) as both:
        both.arm("create=402", model="kwaivgi/kling-v2.1")
        wanted = {"model": "replicate/kling-v2.1", "allow_fallback": True}
        job_id = both.order([scene(duration=5, image_url=web.put("a.jpg", jpeg))], **wanted)
        [clip] = made(both, job_id)["video_clips"]
        assert (clip["state"], clip["provider"]) == (State.DONE, "fal"), clip["error"]
        [order] = both.sold()
        [link] = links(order["input"])
        assert requests.get(link, timeout=10).content == jpeg


def test_pictures_of_slow_hosts_leave_room_for_everything_else_that_comes_home(
    here: World, web: Pictures, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = here.order([scene(image_url=web.put("a.jpg", jpeg))])
    [row] = assets(here, job_id, "picture")
    with monkeypatch.context() as patched:
        room = BoundedSemaphore(1)
        patched.setattr(material, "_AT_ONCE", room)
        assert room.acquire(blocking=False)
        verdict = here.step(row["id"])
        assert verdict.countdown
        assert verdict.countdown < timedelta(seconds=3)
        assert (here.row(row["id"])["silences"], web.asked) == (0, [])
    assert here.until(row["id"])["state"] == State.DONE


def test_a_worker_that_dies_over_a_picture_is_followed_by_another(
    here: World, web: Pictures, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = here.order([scene(image_url=web.put("a.jpg", jpeg))])
    [row] = assets(here, job_id, "picture")
    with monkeypatch.context() as patched:
        patched.setattr(material, "follow", lambda *_: killed())
        with pytest.raises(Killed):
            here.step(row["id"])
    assert here.until(row["id"])["state"] == State.DONE
    assert web.asked == ["/a.jpg"]


def test_a_job_that_is_cancelled_fetches_nothing_more(here: World, web: Pictures, jpeg: bytes) -> None:
    job_id = here.order([scene(image_url=web.put("a.jpg", jpeg))])
    here.services.store.jobs.cancel(job_id)
    document = made(here, job_id)
    assert document["video_clips"][0]["state"] == State.CANCELLED
    assert {row["state"] for row in assets(here, job_id, "picture")} <= TERMINAL
    assert web.asked == []


def test_the_stored_picture_is_called_by_what_it_is(here: World, web: Pictures, jpeg: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(jpeg)
    job_id = here.order([scene(image_url=web.put("a.png", path.read_bytes()))])
    made(here, job_id)
    [row] = assets(here, job_id, "picture")
    assert re.fullmatch(rf"{job_id}/picture_0_[0-9a-f]{{16}}\.jpg", row["file_key"])
    assert (row["size_bytes"], row["provider"], row["attempt_id"]) == (len(jpeg), "", None)
