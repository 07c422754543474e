"""A round begins: once, with everybody in line and only those sent whose turn it is."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from pipeline import steer
from pipeline.domain.asset import State
from pipeline.domain.hold import Hold
from pipeline.render import CLAIM
from pipeline.start import start
from pipeline.turn import turn
from tests.builders import World, world


@pytest.fixture
def here(database_url: str, valkey_url: str) -> Iterator[World]:
    with world(database_url, valkey_url=valkey_url) as built:
        yield built


def claimable(here: World, asset_id: UUID) -> bool:
    return isinstance(here.services.store.steps.claim(asset_id, CLAIM), Hold)


@pytest.mark.requirement("R01", "R02")
def test_a_round_opens_its_chord_for_all_and_sends_as_many_as_have_a_slot(here: World) -> None:
    job_id = here.job(8)
    asset_ids = here.ids(job_id)
    assert here.carrier.started == [job_id]
    assert start(here.services, job_id)
    assert here.carrier.opened == [(job_id, 1, 8)]
    assert here.carrier.published == asset_ids[:5]
    assert here.in_line() == asset_ids[5:]
    assert [claimable(here, asset_id) for asset_id in asset_ids] == [True] * 5 + [False] * 3


@pytest.mark.requirement("R52")
def test_whoever_is_waked_is_sent_in_turn_wherever_the_rows_lie(here: World) -> None:
    asset_ids = here.ids(here.job(3))
    turns = [asset_ids[1], asset_ids[2], asset_ids[0]]
    here.services.wake(turns)
    assert here.carrier.published == turns


@pytest.mark.requirement("R02")
def test_a_round_begins_once_however_often_it_is_asked_for(here: World) -> None:
    job_id = here.job(2)
    assert [start(here.services, job_id) for _ in range(3)] == [True, False, False]
    assert len(here.carrier.opened) == 1
    assert here.carrier.published == here.ids(job_id)


@pytest.mark.requirement("R55")
def test_while_the_broker_is_away_nothing_begins_and_it_can_begin_later(here: World) -> None:
    job_id = here.job(2)
    here.carrier.away = True
    assert not start(here.services, job_id)
    assert (here.carrier.published, here.in_line()) == ([], [])
    here.carrier.away = False
    assert start(here.services, job_id)


@pytest.mark.requirement("R23", "R52")
def test_a_jobs_priority_and_its_owners_weight_go_into_the_line_with_it(here: World) -> None:
    assert here.services.store.keys.weigh("studio", 3)
    start(here.services, here.job(8, priority="interactive"))
    line = here.services.line("replicate")
    assert line
    assert {(each.owner_weight, each.job_weight) for each in line.waiting} == {(3, 8)}


@pytest.mark.requirement("R55")
def test_while_redis_is_away_all_are_sent_and_wait_in_their_rows(database_url: str) -> None:
    with world(database_url) as here:
        job_id = here.job(8)
        assert start(here.services, job_id)
        assert here.carrier.published == here.ids(job_id)


@pytest.mark.requirement("R52")
def test_a_small_job_that_comes_later_is_served_beside_a_large_one(here: World) -> None:
    large, small = here.job(12), here.job(2)
    for job_id in (large, small):
        start(here.services, job_id)
    assert here.carrier.published == here.ids(large)[:5]
    for asset_id in here.ids(large)[:2]:
        turn(here.services, "replicate", leave=[asset_id])
    assert here.carrier.published[5:] == here.ids(small)
    assert here.in_line() == here.ids(large)[5:]


@pytest.mark.requirement("R56")
def test_a_job_that_was_cancelled_before_it_began_does_not_wait_in_line(here: World) -> None:
    job_id = here.job(8)
    steer.cancel(here.services, here.owner_id, job_id)
    start(here.services, job_id)
    for asset_id in here.ids(job_id):
        assert claimable(here, asset_id)


@pytest.mark.requirement("R13")
def test_a_later_round_is_for_those_alone_that_are_made_anew(here: World) -> None:
    job_id = here.job(3)
    start(here.services, job_id)
    asset_ids = here.ids(job_id)
    for asset_id, state in zip(asset_ids, (State.DONE, State.FAILED, State.FAILED), strict=True):
        here.end(asset_id, state)
    here.step_aside(asset_ids)
    here.carrier.published.clear()
    steer.retry_failed(here.services, here.owner_id, job_id)
    assert start(here.services, job_id)
    assert here.carrier.opened[-1] == (job_id, 2, 2)
    assert here.carrier.published == asset_ids[1:]
    members = here.services.store.steps.wake(asset_ids)
    assert sorted((member.round, member.group_index) for member in members) == [(2, 0), (2, 1)]
