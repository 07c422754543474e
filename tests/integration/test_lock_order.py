"""Rows are locked in one order, owner, key, job, then the clips that ended, so that nobody waits in a ring."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from pipeline.database.engine import transaction
from pipeline.database.outbox import append
from pipeline.database.runs import DoneClip
from pipeline.database.surveys import InFlight
from pipeline.domain.answers import Picture, Reason, Refused, Working
from pipeline.domain.asset import State
from pipeline.domain.errors import NotInThatState
from pipeline.domain.events import Event, EventType
from tests import servers
from tests.builders import World, world

_PICTURE = Picture(key="takes/a.jpg", clip_key="clips/a.jpg", width=1, height=1, size_bytes=1)
_BLOCKED = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"

# A survey's letter, as one that is still being written.
_NEWS = """
    insert into inbox (provider, webhook_id, attempt_id, prediction_id, answer, final)
    values ('replicate', concat('survey:', :prediction_id, '\\:refused'), :attempt_id, :prediction_id, '{}', true)
"""

_JOB = "select id from jobs where id = :id for no key update"
_ASSET = "select id from assets where id = :id for no key update"


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    settings = {"owner_day_budget_cents": 10_000}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **settings) as built:
        yield built


@contextmanager
def held(here: World, table: str, row_id: UUID) -> Iterator[None]:
    """Somebody else has written this row, and has not committed yet."""
    with transaction(here.services.store.engine) as connection:
        connection.execute(text(f"select id from {table} where id = :id for no key update"), {"id": row_id})  # noqa: S608 -- our own words
        yield


def until_blocked(here: World) -> None:
    """Wait until somebody waits for a lock."""
    give_up_at = time.monotonic() + 10
    while not here.query(_BLOCKED):
        assert time.monotonic() < give_up_at, "nobody waits"
        time.sleep(0.01)


@contextmanager
def kept_waiting(here: World, action: Callable[[], object], table: str, row_id: UUID) -> Iterator[None]:
    """Somebody does this beside us, and by now waits for that row; afterwards they get it."""
    give_up_at = time.monotonic() + 10
    with ThreadPoolExecutor(1) as beside:
        with held(here, table, row_id):
            done = beside.submit(action)
            while not here.query(_BLOCKED):
                assert time.monotonic() < give_up_at, "nobody waits"
                assert not done.done(), done.exception()
                time.sleep(0.01)
            yield
        done.result()


@contextmanager
def undoes_others(here: World) -> Iterator[tuple[ThreadPoolExecutor, Connection]]:
    """Somebody to act beside us, and our transaction: of a ring with it, Postgres undoes the other one."""
    with ThreadPoolExecutor(1) as beside, here.services.store.engine.connect() as connection:
        connection.execute(text("set local deadlock_timeout = '60s'"))
        yield beside, connection


def shuffled(here: World, job_id: UUID) -> tuple[UUID, list[UUID]]:
    """The clip of the job with the lowest id, which comes last in every other order; and those others."""
    [first, *others] = sorted(here.ids(job_id))
    here.query('update assets set "index" = 99 where id = :id', id=first)
    return first, others


def ordered(here: World) -> Sequence[InFlight]:
    """Two clips that are being rendered."""
    for asset_id in here.ids(here.job(scenes=2, prompt="[[sim: stall]]")):
        here.until(asset_id, State.RENDERING)
    return here.services.store.surveys.in_flight("replicate", limit=2)


def is_free(here: World, table: str, row_id: UUID) -> bool:
    found = here.query(f"select id from {table} where id = :id for no key update skip locked", id=row_id)  # noqa: S608 -- our own words
    return bool(found)


@pytest.mark.requirement("R57", "R66")
def test_who_waits_for_the_owners_money_holds_up_nobody_of_the_job(here: World) -> None:
    job_id = here.job(budget_cents=1_000)
    [asset_id] = here.ids(job_id)
    with kept_waiting(here, lambda: here.step(asset_id), "owners", here.owner_id):
        assert is_free(here, "jobs", job_id)
    assert here.until(asset_id)["state"] == State.DONE


@pytest.mark.requirement("R57", "R66")
def test_who_waits_for_the_keys_money_holds_up_nobody_of_the_job(here: World) -> None:
    key, _ = here.services.store.keys.create(owner="studio", name="intern", day_budget_cents=1_000)
    job_id = here.job(budget_cents=1_000)
    here.query("update jobs set api_key_id = :key_id where id = :id", key_id=key.id, id=job_id)
    [asset_id] = here.ids(job_id)
    with kept_waiting(here, lambda: here.step(asset_id), "api_keys", key.id):
        assert is_free(here, "jobs", job_id)
    assert here.until(asset_id)["state"] == State.DONE


@pytest.mark.requirement("R57", "R66")
def test_who_waits_for_the_owners_money_holds_up_nobody_of_the_key(here: World) -> None:
    key, _ = here.services.store.keys.create(owner="studio", name="intern", day_budget_cents=1_000)
    job_id = here.job()
    here.query("update jobs set api_key_id = :key_id where id = :id", key_id=key.id, id=job_id)
    [asset_id] = here.ids(job_id)
    with kept_waiting(here, lambda: here.step(asset_id), "owners", here.owner_id):
        assert is_free(here, "api_keys", key.id)
    assert here.until(asset_id)["state"] == State.DONE


@pytest.mark.requirement("R61")
def test_a_choice_does_not_wait_for_the_step_of_a_clip_that_is_being_made(here: World) -> None:
    job_id = here.job()
    [asset_id] = here.ids(job_id)
    here.step(asset_id)
    [take] = here.takes(asset_id)
    here.query("update attempts set file_key = 'clips/a.mp4' where id = :id", id=take.id)
    with held(here, "assets", asset_id), pytest.raises(NotInThatState, match="the clip is being made"):
        here.services.store.jobs.choose(job_id, asset_id, take.id)
    assert here.until(asset_id)["state"] == State.DONE


@pytest.mark.requirement("R50", "R53")
def test_a_webhook_does_not_wait_for_the_step_that_writes_its_orders_answer(here: World) -> None:
    asset_id = here.clip()
    here.until(asset_id, State.RENDERING)
    [take] = here.takes(asset_id)
    assert take.prediction_id
    with transaction(here.services.store.engine) as connection:
        connection.execute(text("update attempts set prediction_id = 'another' where id = :id"), {"id": take.id})
        report = partial(here.services.store.steps.receive, take.id, provider="replicate", webhook_id="w1")
        assert report(prediction_id=take.prediction_id, answer=Working(progress=50))
        connection.rollback()


@pytest.mark.requirement("R47", "R61")
def test_a_thumbnail_that_waits_for_the_job_holds_no_clip(here: World) -> None:
    job_id = here.job()
    [asset_id] = here.ids(job_id)
    here.end(asset_id, State.DONE, file_key="clips/a.mp4")
    clip = DoneClip(id=asset_id, job_id=job_id, owner_id=here.owner_id, index=0, file_key="clips/a.mp4")
    keep = partial(here.services.store.runs.keep_thumbnail, clip, _PICTURE, [])
    with kept_waiting(here, keep, "jobs", job_id):
        assert is_free(here, "assets", asset_id)
    assert here.row(asset_id)["thumbnail_key"] == _PICTURE.key


@pytest.mark.requirement("R47", "R61")
def test_a_thumbnail_does_not_wait_for_the_step_of_a_clip_that_is_rendered_anew(here: World) -> None:
    job_id = here.job()
    [asset_id] = here.ids(job_id)
    here.query("update assets set file_key = 'clips/a.mp4' where id = :id", id=asset_id)
    clip = DoneClip(id=asset_id, job_id=job_id, owner_id=here.owner_id, index=0, file_key="clips/a.mp4")
    with held(here, "assets", asset_id):
        assert here.services.store.runs.keep_thumbnail(clip, _PICTURE, []) == []


@pytest.mark.requirement("R52")
def test_who_wakes_many_clips_locks_them_in_the_order_of_their_ids(here: World) -> None:
    first, others = shuffled(here, here.job(scenes=6))
    with kept_waiting(here, partial(here.services.store.steps.wake, [*others, first]), "assets", first):
        assert all(is_free(here, "assets", each) for each in others)
    assert [here.row(each)["wakes"] for each in (first, *others)] == [1] * 6


@pytest.mark.requirement("R52")
def test_a_clip_that_is_reopened_while_others_are_waked_is_not_locked_after_them(here: World) -> None:
    one, two, three = sorted(here.ids(here.job(scenes=3)))
    here.end(two, State.FAILED)
    with kept_waiting(here, partial(here.services.store.steps.wake, [one, two, three]), "assets", one):
        here.query("update assets set state = 'waiting' where id = :id", id=two)
    assert [here.row(each)["wakes"] for each in (one, two, three)] == [1, 0, 1]


@pytest.mark.requirement("R52")
def test_a_round_that_gets_in_line_locks_its_clips_in_the_order_of_their_ids(here: World) -> None:
    job_id = here.job(scenes=6)
    first, others = shuffled(here, job_id)
    with kept_waiting(here, partial(here.services.store.lines.park, job_id, 1), "assets", first):
        assert all(is_free(here, "assets", each) for each in others)
    assert {here.row(each)["waiting"]["reason"] for each in (first, *others)} == {Reason.SLOT}


@pytest.mark.requirement("R66")
def test_a_key_that_gets_more_money_locks_the_clips_that_wait_for_it_in_the_order_of_their_ids(here: World) -> None:
    key, _ = here.services.store.keys.create(owner="studio", name="intern", day_budget_cents=1)
    job_id = here.job(scenes=6)
    here.query("update jobs set api_key_id = :key_id where id = :id", key_id=key.id, id=job_id)
    here.query("""update assets set waiting = '{"reason": "budget"}', due_at = 'infinity'""")
    first, others = shuffled(here, job_id)
    with kept_waiting(here, partial(here.services.store.keys.limit, key.id, 0), "assets", first):
        assert all(is_free(here, "assets", each) for each in others)
    assert not here.query("select id from assets where due_at = 'infinity'")


@pytest.mark.requirement("R53")
def test_two_surveys_write_the_same_news_in_one_order(here: World) -> None:
    [one, two] = sorted(ordered(here), key=lambda each: each.prediction_id)
    ended = Refused(code="failed", message="it failed")
    tell = partial(here.services.store.surveys.report, "replicate")
    with ThreadPoolExecutor(1) as beside:
        with transaction(here.services.store.engine) as connection:
            connection.execute(text(_NEWS), {"attempt_id": one.attempt_id, "prediction_id": one.prediction_id})
            slow = beside.submit(tell, {two: ended, one: ended})
            until_blocked(here)
            assert tell({two: ended}) == [two.asset_id]
            connection.rollback()
        assert slow.result() == [one.asset_id]


@pytest.mark.requirement("R55", "R34")
def test_who_marks_events_of_several_jobs_as_told_locks_them_in_the_order_of_the_jobs(here: World) -> None:
    first, second = sorted((here.job(), here.job()), key=str)
    for job_id in (first, second):
        event = Event(type=EventType.JOB_COMPLETE, job_id=str(job_id), payload={})
        with transaction(here.services.store.engine) as connection:
            append(connection, job_id, here.owner_id, [event])
    told = here.events(second) + here.events(first)
    locked = "select seq from events where job_id = :id for no key update"
    with ThreadPoolExecutor(1) as beside, transaction(here.services.store.engine) as connection:
        connection.execute(text(locked), {"id": first})
        done = beside.submit(here.services.store.outbox.published, told)
        until_blocked(here)
        assert here.query(f"{locked} skip locked", id=second)
        connection.rollback()
        done.result()


@pytest.mark.requirement("R50")
def test_the_answer_to_a_paid_order_outlives_a_ring_of_locks(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: stall]]")
    job_id = here.row(asset_id)["job_id"]
    with undoes_others(here) as (beside, connection):
        here.line.after["submit"] = partial(connection.execute, text(_JOB), {"id": job_id})
        step = beside.submit(here.step, asset_id)
        until_blocked(here)
        connection.execute(text(_ASSET), {"id": asset_id})
        connection.commit()
        step.result()
    [take], [sold] = here.takes(asset_id), here.sold()
    assert (here.state(asset_id), take.prediction_id) == (State.RENDERING, sold["id"])


@pytest.mark.requirement("R52")
def test_a_wake_outlives_a_ring_of_locks(here: World) -> None:
    one, two = sorted(here.ids(here.job(scenes=2)))
    with undoes_others(here) as (beside, connection):
        connection.execute(text(_ASSET), {"id": two})
        wake = beside.submit(here.services.store.steps.wake, [one, two])
        until_blocked(here)
        connection.execute(text(_ASSET), {"id": one})
        connection.commit()
        assert [each.asset_id for each in wake.result()] == [one, two]
