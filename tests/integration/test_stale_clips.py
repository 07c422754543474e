"""A scene that started from another is not made anew when that one is; it says so, and one call makes it anew."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from pipeline import show, steer
from pipeline.domain.asset import State
from pipeline.domain.errors import NotInThatState, OverBudget
from pipeline.finish import finish
from pipeline.start import start
from tests import servers
from tests.builders import World, world

IMAGE = "replicate/flux-schnell"
FLAGGED = "[[sim: fail=moderated]]"


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


def chain(here: World, *policies: str, **more: Any) -> UUID:
    """A job that is over, whose every scene started from the last picture of the one before."""
    later = [scene(f"clip {n}", starts_from={"scene": n, "if_failed": each}) for n, each in enumerate(policies)]
    job_id = here.order([scene("dawn"), *later], **more)
    closed(here, job_id)
    return job_id


def closed(here: World, job_id: UUID) -> None:
    """Make what there is to make, and let the job end."""
    start(here.services, job_id)
    for row in here.query("select id from assets where job_id = :id order by kind, index", id=job_id):
        here.until(row["id"])
    finish(here.services, job_id)


def retaken(here: World, job_id: UUID, index: int, **changes: Any) -> None:
    steer.retry(here.services, here.owner_id, job_id, index, changes)
    closed(here, job_id)


def chosen(here: World, job_id: UUID, index: int, number: int) -> None:
    """Let a clip be its take of this number."""
    take = show.clip(here.services, here.owner_id, job_id, index)["takes"][number - 1]
    steer.choose(here.services, here.owner_id, job_id, index, {"attempt_id": take["attempt_id"]})


def stale(here: World, job_id: UUID) -> list[int | None]:
    """Of each clip, the scene that is another now than when the clip started from it."""
    clips = show.job(here.services, here.owner_id, job_id)["video_clips"]
    return [clip["stale"] and clip["stale"]["scene"] for clip in clips]


def started_from(here: World, job_id: UUID, index: int) -> str:
    """The picture of ours that the newest attempt at a clip was sent with."""
    sql = "select input from attempts where asset_id = :id order by number desc limit 1"
    return str(here.query(sql, id=here.ids(job_id)[index])[0]["input"]["image"]).partition("?")[0]


@pytest.mark.requirement("R61", "R62")
def test_a_clip_says_that_it_started_from_a_take_that_is_no_longer_shown(here: World) -> None:
    job_id = chain(here, "fail", "fail")
    assert stale(here, job_id) == [None, None, None]
    retaken(here, job_id, 0, prompt="dawn in a storm")
    clip = show.clip(here.services, here.owner_id, job_id, 1)
    assert clip["stale"]["scene"] == 0
    assert "scene 0" in clip["stale"]["message"]
    assert stale(here, job_id) == [None, 0, None]
    assert len(here.sold()) == 4


@pytest.mark.requirement("R61", "R62")
def test_choosing_marks_it_and_choosing_back_takes_the_mark_away(here: World) -> None:
    job_id = chain(here, "fail")
    retaken(here, job_id, 0, seed=7)
    chosen(here, job_id, 0, 1)
    assert stale(here, job_id) == [None, None]
    chosen(here, job_id, 0, 2)
    assert stale(here, job_id) == [None, 0]


@pytest.mark.requirement("R61", "R50")
def test_such_a_clip_is_retaken_without_a_change_and_once(here: World) -> None:
    job_id = chain(here, "fail")
    retaken(here, job_id, 0, seed=7)
    before = started_from(here, job_id, 1)
    retaken(here, job_id, 1)
    assert started_from(here, job_id, 1) != before
    assert stale(here, job_id) == [None, None]
    with pytest.raises(NotInThatState, match="done as asked"):
        steer.retry(here.services, here.owner_id, job_id, 1)
    # Each take knows what it started from.
    chosen(here, job_id, 1, 1)
    assert stale(here, job_id) == [None, 0]
    chosen(here, job_id, 0, 1)
    assert stale(here, job_id) == [None, None]


@pytest.mark.requirement("R61", "R62", "R65")
def test_one_call_makes_all_anew_that_hang_on_it_each_from_the_new_one_before(here: World) -> None:
    job_id = chain(here, "fail", "fail")
    retaken(here, job_id, 0, seed=7)
    before = [started_from(here, job_id, index) for index in (1, 2)]
    told = steer.retry_stale(here.services, here.owner_id, job_id)
    assert [clip["status"] for clip in told["video_clips"]] == ["complete", "queued", "queued"]
    closed(here, job_id)
    assert stale(here, job_id) == [None, None, None]
    assert len({*before, *(started_from(here, job_id, index) for index in (1, 2))}) == 4
    assert len(here.sold()) == 6
    with pytest.raises(NotInThatState, match="no clip of this job"):
        steer.retry_stale(here.services, here.owner_id, job_id)


@pytest.mark.requirement("R61", "R66")
def test_what_hangs_on_it_is_bought_within_the_budget_or_not_at_all(here: World) -> None:
    job_id = chain(here, "fail")
    retaken(here, job_id, 0, seed=7)
    here.query("update jobs set budget_cents = 1")
    with pytest.raises(OverBudget):
        steer.retry_stale(here.services, here.owner_id, job_id)
    assert stale(here, job_id) == [None, 0]


@pytest.mark.requirement("R62")
def test_a_clip_that_was_made_without_its_picture_is_stale_when_that_is_there(here: World) -> None:
    later = scene("dusk", starts_from={"scene": 0, "if_failed": "independent"})
    job_id = here.order([scene(f"dawn {FLAGGED}"), later])
    closed(here, job_id)
    assert stale(here, job_id) == [None, None]
    retaken(here, job_id, 0, prompt="dawn")
    assert stale(here, job_id) == [None, 0]
    retaken(here, job_id, 1)
    assert stale(here, job_id) == [None, None]


@pytest.mark.requirement("R62")
def test_a_take_that_failed_marks_nothing_and_a_clip_that_is_made_is_not_marked(here: World) -> None:
    job_id = chain(here, "fail")
    retaken(here, job_id, 0, prompt=f"a wreck {FLAGGED}")
    assert stale(here, job_id) == [None, None]
    retaken(here, job_id, 0, seed=7)
    steer.retry(here.services, here.owner_id, job_id, 1)
    assert stale(here, job_id) == [None, None]


@pytest.mark.requirement("R62")
def test_keyframes_that_stay_and_scenes_that_need_nothing_are_never_stale(here: World) -> None:
    later = scene("dusk", starts_from={"scene": 0, "frame": "keyframe"})
    job_id = here.order([scene("dawn", keyframe="a tower"), later, scene("noon")], image_model=IMAGE)
    closed(here, job_id)
    retaken(here, job_id, 0, seed=7)
    assert stale(here, job_id) == [None, None, None]
    assert here.clips(job_id)[0].state is State.DONE
