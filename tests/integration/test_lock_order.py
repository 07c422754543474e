"""Rows are locked in one order, owner, key, job, then the clips that ended, so that nobody waits in a ring."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.database.engine import transaction
from pipeline.database.runs import DoneClip
from pipeline.domain.answers import Picture, Working
from pipeline.domain.asset import State
from pipeline.domain.errors import NotInThatState
from tests import servers
from tests.builders import World, world

_PICTURE = Picture(key="takes/a.jpg", clip_key="clips/a.jpg", width=1, height=1, size_bytes=1)
_BLOCKED = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


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
