"""Whatever got lost is set going again, whatever is well is left alone, and to sweep twice does no harm."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from redis import Redis

from pipeline.database.outbox import append
from pipeline.domain.asset import State
from pipeline.domain.events import Event, EventType
from pipeline.domain.job import JobState
from pipeline.finish import finish
from pipeline.render import step
from pipeline.start import start
from pipeline.sweep import Findings, sweep
from tests import servers
from tests.builders import Killed, World, killed, world

NOTHING = Findings(started=0, waked=0, finished=0, films=0, thumbnails=0, told=0)
SLOTS_KEY = "dailies:limit:{replicate}:slots:replicate"


@pytest.fixture
def here(database_url: str, valkey_url: str, running: servers.Simulator) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url, simulator=running) as built:
        yield built


def started(here: World, scenes: int, prompt: str = "[[sim: stall]]") -> tuple[UUID, list[UUID]]:
    """A job whose round has begun, and whose first messages were delivered; the job and its clips."""
    job_id = here.job(scenes, prompt)
    start(here.services, job_id)
    for asset_id in here.carrier.published:
        step(here.services, asset_id)
    here.carrier.published.clear()
    here.carrier.started.clear()
    return job_id, here.ids(job_id)


def overdue(here: World, seconds: float) -> None:
    """Let everything have been due for so long."""
    here.query("update assets set due_at = clock_timestamp() - :late * interval '1 s'", late=seconds)


@pytest.mark.requirement("R55")
def test_where_nothing_is_lost_nothing_is_found(here: World) -> None:
    started(here, 7)
    assert [sweep(here.services), sweep(here.services)] == [NOTHING, NOTHING]
    assert (here.carrier.published, here.carrier.started) == ([], [])


@pytest.mark.requirement("R55")
def test_a_job_whose_start_was_lost_is_started_but_not_before_it_had_its_time(here: World) -> None:
    job_id = here.job()
    here.carrier.started.clear()
    assert sweep(here.services) == NOTHING
    overdue(here, 6)
    assert sweep(here.services) == replace(NOTHING, started=1)
    assert (here.carrier.started, here.carrier.published) == ([job_id], [])


@pytest.mark.requirement("R55")
def test_the_clips_of_a_round_whose_beginner_died_half_way_are_sent(here: World) -> None:
    job_id = here.job(3)
    here.services.store.runs.dispatched(job_id, 1)
    overdue(here, 3)
    assert sweep(here.services).waked == 3
    assert here.carrier.published == here.ids(job_id)


@pytest.mark.requirement("R55")
def test_a_member_whose_message_was_lost_is_sent_again(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Half of the grace has to be more than a busy machine pauses for.
    monkeypatch.setattr("pipeline.sweep._GRACE", timedelta(seconds=60))
    _, [first, second, third] = started(here, 3)
    overdue(here, 90)
    here.query("update assets set claimed_until = clock_timestamp() + interval '90 s' where id = :id", id=second)
    here.query("update assets set due_at = clock_timestamp() - interval '30 s' where id = :id", id=third)
    assert sweep(here.services).waked == 1
    assert here.carrier.published == [first]


@pytest.mark.requirement("R55", "R63")
def test_files_that_nobody_fetches_keep_no_other_lost_message_from_being_sent_again(here: World) -> None:
    _, [*finished, rendering] = started(here, 4)
    overdue(here, 3)
    for hours, asset_id in enumerate(reversed(finished), 1):
        older = "update assets set state = 'fetching', due_at = due_at - :hours * interval '1 h' where id = :id"
        here.query(older, hours=hours, id=asset_id)
    due = here.services.store.forgotten.due(grace=timedelta(seconds=2), limit=2)
    assert [each.asset_id for each in due if not each.fetching] == [rendering]
    assert [each.asset_id for each in due if each.fetching] == finished[:2]


@pytest.mark.requirement("R55")
def test_the_row_of_a_worker_that_died_is_sent_again_when_its_claim_has_lapsed(here: World) -> None:
    job_id = here.job()
    start(here.services, job_id)
    [asset_id] = here.ids(job_id)
    here.line.after["submit"] = killed
    with pytest.raises(Killed):
        step(here.services, asset_id)
    here.carrier.published.clear()
    overdue(here, 3)
    assert sweep(here.services).waked == 0
    here.query("update assets set claimed_until = clock_timestamp() - interval '1 ms'")
    assert sweep(here.services).waked == 1
    assert here.carrier.published == [asset_id]


@pytest.mark.requirement("R55")
def test_those_who_lost_their_place_in_line_are_waked_to_take_it_again(here: World) -> None:
    _, asset_ids = started(here, 8)
    here.services.redis.flushall()
    sweep(here.services)
    assert set(here.carrier.published) == set(asset_ids[5:])
    for asset_id in reversed(asset_ids[5:]):
        step(here.services, asset_id)
    assert here.in_line() == asset_ids[5:]
    assert here.stats()["max_in_flight_seen"] == 5


@pytest.mark.requirement("R55", "R04")
def test_slots_are_rebuilt_from_the_rows_that_are_in_flight(here: World) -> None:
    _, asset_ids = started(here, 7)
    here.services.redis.flushall()
    sweep(here.services)
    held = here.holders()
    assert sorted(held) == sorted(f"{asset_id}:1" for asset_id in asset_ids[:5])


@pytest.mark.requirement("R55")
def test_a_slot_that_nobody_uses_is_freed_and_the_next_in_line_is_waked(here: World) -> None:
    _, asset_ids = started(here, 6)
    here.end(asset_ids[0], State.FAILED)
    here.services.redis.hset("dailies:limit:{replicate}:since", str(asset_ids[0]), 1)
    sweep(here.services)
    assert here.carrier.published == [asset_ids[5]]


def soon_over(redis: Redis) -> float:
    """The end of a lease that was written long ago and still holds."""
    seconds, _ = redis.time()
    return float((seconds + 60) * 1000)


@pytest.mark.requirement("R55")
def test_leases_in_use_are_renewed_and_those_who_are_gone_leave_the_line(here: World) -> None:
    _, asset_ids = started(here, 7)
    old = soon_over(here.services.redis)
    here.services.redis.zadd(SLOTS_KEY, {f"{asset_ids[0]}:1": old})
    here.end(asset_ids[5], State.CANCELLED)
    sweep(here.services)
    renewed = here.services.redis.zscore(SLOTS_KEY, f"{asset_ids[0]}:1")
    assert isinstance(renewed, float)
    assert renewed > old
    assert here.in_line() == [asset_ids[6]]


@pytest.mark.requirement("R55", "R02")
def test_a_job_that_is_over_and_that_nobody_ended_is_ended(here: World) -> None:
    job_id, [asset_id] = started(here, 1)
    here.end(asset_id, State.FAILED)
    assert sweep(here.services).finished == 1
    assert here.carrier.finished == [job_id]


@pytest.mark.requirement("R55", "R48")
def test_a_film_that_nobody_makes_is_sent_again_when_its_maker_has_had_its_time(here: World) -> None:
    job_id, [asset_id] = started(here, 1)
    here.end(asset_id, State.FAILED)
    finish(here.services, job_id)
    assert sweep(here.services).films == 0
    here.query("update jobs set film_claimed_until = clock_timestamp() - interval '60 s'")
    assert sweep(here.services).films == 1
    assert here.carrier.films == [job_id, job_id]
    assert here.read(job_id).state is JobState.ASSEMBLING


@pytest.mark.requirement("R55", "R47")
def test_a_thumbnail_that_was_never_made_is_asked_for_again_a_few_times(here: World) -> None:
    _, [asset_id] = started(here, 1)
    here.end(asset_id, State.DONE, file_key="a.mp4")
    assert sweep(here.services).thumbnails == 0
    here.query("update assets set finished_at = clock_timestamp() - interval '60 s'")
    assert sweep(here.services).thumbnails == 1
    assert here.carrier.thumbnails == [asset_id]
    here.query("update assets set thumbnail_tries = 3")
    assert sweep(here.services).thumbnails == 0


@pytest.mark.requirement("R55", "R34")
def test_an_event_whose_teller_died_is_told_once_with_its_number(here: World) -> None:
    job_id, _ = started(here, 1)
    listener = here.services.progress.listen(job_id)
    assert isinstance(listener, Generator)
    assert next(listener) is None
    here.query(
        "update events set published_at = null, created_at = now() - interval '9 s' where job_id = :id and seq = 1",
        id=job_id,
    )
    assert [sweep(here.services).told, sweep(here.services).told] == [1, 0]
    told = next(event for event in listener if event)
    assert (told["type"], told["payload"]["seq"]) == (EventType.VIDEO_PROGRESS, 1)
    listener.close()


@pytest.mark.requirement("R55")
def test_events_that_redis_would_not_take_stay_untold_until_it_does(database_url: str, valkey_url: str) -> None:
    with world(database_url) as deaf:
        job_id = deaf.job()
        event = Event(type=EventType.VIDEO_FAILED, job_id=str(job_id), payload={"job_id": str(job_id)})
        with deaf.services.store.engine.begin() as connection:
            written = append(connection, job_id, deaf.owner_id, [event])
        deaf.services.tell(written)
    with world(database_url, valkey_url=valkey_url) as here:
        untold = here.services.store.outbox.unpublished(older_than=timedelta(0), limit=9)
        assert [each.seq for each in untold] == [1]
        here.services.tell(untold)
        assert here.services.store.outbox.unpublished(older_than=timedelta(0), limit=9) == []


@pytest.mark.requirement("R55")
def test_without_redis_the_sweep_mends_what_the_rows_alone_tell(database_url: str) -> None:
    with world(database_url) as here:
        job_id = here.job()
        for asset_id in here.ids(job_id):
            here.end(asset_id, State.FAILED)
        assert sweep(here.services).finished == 1
