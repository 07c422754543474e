"""Kill each part under a running job: it still ends, nothing is lost, and nothing is paid for twice."""

import time
from typing import Any

import pytest
import redis

from tests.chaos.conftest import Studio

CLIPS = 8  # more than the account's five slots, so that some always wait in line


def is_rendering(job: dict[str, Any]) -> bool:
    return [clip["state"] for clip in job["video_clips"]].count("rendering") >= 3


def is_waiting(job: dict[str, Any]) -> bool:
    return any(clip["waiting"] for clip in job["video_clips"])


def assert_whole_and_paid_once(studio: Studio, job_id: str) -> dict[str, Any]:
    job = studio.finished(job_id)
    assert job["state"] == "complete", job
    assert [clip["index"] for clip in job["video_clips"]] == list(range(len(job["video_clips"])))
    assert job["film"], "a complete job has its film"
    bought = studio.paid(job)
    assert list(bought.values()) == [1] * len(job["video_clips"]), bought
    assert job["actual_cents"] == job["estimate_cents"]
    return job


@pytest.mark.requirement("R50", "R55")
def test_workers_killed_again_and_again_lose_nothing_and_pay_nothing_twice(studio: Studio) -> None:
    job_id = studio.order(CLIPS)
    for pause_seconds in (0.2, 1.5, 3.0, 1.0):
        time.sleep(pause_seconds)
        studio.stack.kill("worker-io")
    assert_whole_and_paid_once(studio, job_id)


@pytest.mark.requirement("R55")
def test_a_media_worker_killed_while_clips_come_home_leaves_the_film_to_the_next(studio: Studio) -> None:
    job_id = studio.order(3)
    studio.until(job_id, lambda job: any(clip["status"] == "complete" for clip in job["video_clips"]))
    studio.stack.kill("worker-media")
    job = assert_whole_and_paid_once(studio, job_id)
    shown = studio.until(job["id"], lambda now: all(clip["thumbnail_url"] for clip in now["video_clips"]))
    assert shown["state"] == "complete"


@pytest.mark.requirement("R55")
def test_redis_restarted_under_parked_messages_does_not_take_the_workers_with_it(studio: Studio) -> None:
    job_id = studio.order(CLIPS)
    studio.until(job_id, is_rendering)
    before = studio.stack.restarts("worker-io")
    studio.stack.kill("redis")
    studio.stack.start("redis")
    assert_whole_and_paid_once(studio, job_id)
    assert studio.stack.restarts("worker-io") == before, "the worker's process died with its connection"


@pytest.mark.requirement("R55")
def test_redis_that_comes_back_empty_costs_seconds_and_nothing_else(studio: Studio) -> None:
    job_id = studio.order(CLIPS)
    studio.until(job_id, is_waiting)
    studio.stack.restart("redis", keep_data=False)
    assert_whole_and_paid_once(studio, job_id)


@pytest.mark.requirement("R55", "R04")
def test_a_flushed_redis_admits_nothing_above_the_limit(studio: Studio) -> None:
    job_id = studio.order(CLIPS)
    studio.until(job_id, is_rendering)
    with redis.Redis.from_url(studio.stack.environment["REDIS_URL"]) as client:
        client.flushall()
    assert_whole_and_paid_once(studio, job_id)
    assert studio.stats()["max_in_flight_seen"] <= 5


@pytest.mark.requirement("R55")
def test_postgres_restarted_under_a_job_holds_it_up_and_no_more(studio: Studio) -> None:
    job_id = studio.order(CLIPS)
    studio.until(job_id, is_rendering)
    studio.stack.restart("postgres")
    assert_whole_and_paid_once(studio, job_id)


@pytest.mark.requirement("R55")
def test_without_api_and_beat_for_a_while_the_job_still_ends(studio: Studio) -> None:
    job_id = studio.order(3)
    studio.until(job_id, is_rendering)
    studio.stack.kill("beat")
    studio.stack.kill("api")
    assert_whole_and_paid_once(studio, job_id)


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("fault", ["create=drop-after", "create=500-after"])
def test_a_paid_order_whose_answer_was_lost_is_found_and_not_bought_again(studio: Studio, fault: str) -> None:
    job_id = studio.order(3, f"[[sim: {fault}]]")
    job = assert_whole_and_paid_once(studio, job_id)
    assert {clip["attempts"] for clip in job["video_clips"]} == {1}
