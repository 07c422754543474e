"""What customers read of their jobs, and strangers don't."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline import show, steer
from pipeline.domain.asset import State
from pipeline.domain.errors import NotFound
from pipeline.services import Services
from tests import servers
from tests.builders import World, owner, world

DONE, FAILED, CANCELLED = State.DONE, State.FAILED, State.CANCELLED


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, painting: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=painting) as built:
        yield built


QUESTIONS: dict[str, Callable[[Services, UUID, UUID], Any]] = {
    "job": show.job,
    "snapshot": show.snapshot,
    "clips": show.clips,
    "clip": lambda services, owner_id, job_id: show.clip(services, owner_id, job_id, 0),
    "events": lambda services, owner_id, job_id: show.events_since(services, owner_id, job_id, 0),
    "retry": lambda services, owner_id, job_id: steer.retry(services, owner_id, job_id, 0),
    "retry_failed": steer.retry_failed,
    "retry_stale": steer.retry_stale,
    "resume": steer.resume,
    "cancel": steer.cancel,
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_somebody_elses_job_is_not_there_and_cannot_be_told_from_none(
    here: World, question: Callable[[Services, UUID, UUID], Any]
) -> None:
    job_id = here.job()
    here.end(here.ids(job_id)[0], FAILED)
    stranger = owner(here.services.store, "stranger")
    before = here.row(here.ids(job_id)[0])
    with pytest.raises(NotFound) as other:
        question(here.services, stranger, job_id)
    with pytest.raises(NotFound) as nothing:
        question(here.services, stranger, uuid4())
    assert str(other.value) == str(nothing.value)
    assert here.row(before["id"]) == before
    assert show.jobs(here.services, stranger)["jobs"] == []


@pytest.mark.requirement("R17", "R18")
def test_clips_are_shown_in_scene_order_and_in_pages(here: World) -> None:
    job_id = here.job(5)
    for asset_id in reversed(here.ids(job_id)):
        here.end(asset_id, DONE)
    pages = [show.clips(here.services, here.owner_id, job_id, start=at, limit=2) for at in (0, 2, 4)]
    assert [[clip["index"] for clip in page["clips"]] for page in pages] == [[0, 1], [2, 3], [4]]
    assert [(page["has_more"], page["next_start_index"]) for page in pages] == [(True, 2), (True, 4), (False, None)]
    document = show.job(here.services, here.owner_id, job_id)
    assert [clip["index"] for clip in document["video_clips"]] == [0, 1, 2, 3, 4]
    with pytest.raises(NotFound, match="count from 0"):
        show.clip(here.services, here.owner_id, job_id, 5)


@pytest.mark.requirement("R10")
def test_a_clip_shows_the_attempts_that_were_made_and_not_those_that_were_turned_away(here: World) -> None:
    job_id = here.job(prompt="[[sim: create=429 retry_after=30 times=1]]")
    [asset_id] = here.ids(job_id)
    here.step(asset_id)
    blocked = show.clip(here.services, here.owner_id, job_id, 0)
    assert (blocked["attempts"], [take["state"] for take in blocked["takes"]]) == (0, [CANCELLED])
    here.unblock()
    here.until(asset_id)
    made = show.clip(here.services, here.owner_id, job_id, 0)
    assert (made["attempts"], [take["state"] for take in made["takes"]]) == (1, [CANCELLED, DONE])


@pytest.mark.requirement("R10", "R56")
def test_an_attempt_that_was_bought_and_then_cancelled_is_shown_as_made(here: World) -> None:
    job_id = here.job(prompt="[[sim: stall]]")
    [asset_id] = here.ids(job_id)
    here.until(asset_id, State.RENDERING)
    steer.cancel(here.services, here.owner_id, job_id)
    here.until(asset_id)
    clip = show.clip(here.services, here.owner_id, job_id, 0)
    assert (clip["state"], clip["attempts"], [take["state"] for take in clip["takes"]]) == (CANCELLED, 1, [CANCELLED])


@pytest.mark.requirement("R14")
@pytest.mark.parametrize(
    ("waiting", "state", "expected"),
    [(None, "running", 8000), ("slot", "running", 8000), ("blocked", "running", 15000), (None, "complete", 0)],
)
def test_a_document_says_when_to_come_back(here: World, waiting: str | None, state: str, expected: int) -> None:
    job_id = here.job()
    here.query("update jobs set state = :state", state=state)
    if waiting:
        here.query("update assets set waiting = jsonb_build_object('reason', cast(:reason as text))", reason=waiting)
    assert show.job(here.services, here.owner_id, job_id)["retry_after_ms"] == expected


@pytest.mark.requirement("R14")
def test_one_clip_that_the_provider_pauses_is_enough_to_come_back_later(here: World) -> None:
    job_id = here.job(3)
    for index, reason in enumerate(["slot", "blocked"]):
        waiting = (
            """update assets set waiting = jsonb_build_object('reason', cast(:reason as text)) where "index" = :n"""
        )
        here.query(waiting, reason=reason, n=index)
    document = show.job(here.services, here.owner_id, job_id)
    assert document["retry_after_ms"] == 15000
    assert [clip["retry_after_ms"] for clip in document["video_clips"]] == [8000, 15000, 8000]
    here.end(here.ids(job_id)[1], FAILED)
    assert show.job(here.services, here.owner_id, job_id)["retry_after_ms"] == 8000


@pytest.mark.requirement("R34")
def test_a_snapshot_and_the_events_after_it_miss_nothing(here: World) -> None:
    job_id = here.job()
    here.render(job_id)
    document, seq = show.snapshot(here.services, here.owner_id, job_id)
    assert seq == len(here.events(job_id))
    assert show.events_since(here.services, here.owner_id, job_id, seq) == []
    told = show.events_since(here.services, here.owner_id, job_id, seq - 2)
    assert [event["type"] for event in told] == ["video_complete", "thumbnail_ready"]
    assert told[0]["payload"]["url"].split("?")[0] == document["video_clips"][0]["url"].split("?")[0]
    assert "key" not in told[0]["payload"]
