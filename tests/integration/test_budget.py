"""What a job may cost is held where an attempt begins, in the transaction that reserves its price."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from tests import servers
from tests.builders import World, world


@pytest.fixture(scope="module")
def running() -> Iterator[servers.Simulator]:
    with servers.simulator(SIMULATOR_RENDER_SECONDS="0.1", SIMULATOR_FRAME_HEIGHT="90") as simulator:
        yield simulator


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[World]:
    settings = {"replicate_max_in_flight": 20, "settle_absent_after_seconds": 0.01}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **settings) as built:
        yield built


@pytest.mark.requirement("R50", "R57", "R66")
def test_clips_that_begin_together_buy_no_more_than_the_budget_bears(here: World) -> None:
    job_id = here.job(20)
    asset_ids = here.ids(job_id)
    price_cents = here.row(asset_ids[0])["shot"]["estimate_cents"]
    here.query("update jobs set budget_cents = :most", most=6 * price_cents + price_cents - 1)
    with ThreadPoolExecutor(20) as workers:
        rows = list(workers.map(here.until, asset_ids))
    assert [row["state"] for row in rows].count(State.DONE) == len(here.sold()) == 6
    failed = [row for row in rows if row["state"] == State.FAILED]
    assert {row["failure"]["code"] for row in failed} == {"over_budget"}
    assert len(failed) == 14
    assert here.holders() == here.in_line() == []


@pytest.mark.requirement("R57", "R66")
def test_what_a_failed_order_had_reserved_is_there_for_the_next(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: create=503 times=1]]", budget_cents=100)
    price_cents = here.row(asset_id)["shot"]["estimate_cents"]
    here.query("update jobs set budget_cents = :most", most=price_cents)
    assert here.until(asset_id)["state"] == State.DONE


@pytest.mark.requirement("R44", "R57", "R66")
def test_another_try_is_not_begun_when_the_first_has_used_the_budget_up(here: World) -> None:
    asset_id = here.clip(prompt="[[sim: fail=oom]]", budget_cents=100)
    price_cents = here.row(asset_id)["shot"]["estimate_cents"]
    here.query("update jobs set budget_cents = :most", most=price_cents)
    row = here.until(asset_id)
    assert (row["state"], row["takes"], row["failure"]["code"]) == (State.FAILED, 1, "over_budget")
    assert len(here.sold()) == 1


@pytest.mark.requirement("R57", "R60", "R66")
def test_an_owners_money_of_a_day_is_for_all_of_their_jobs_and_the_rest_waits_for_the_next(here: World) -> None:
    asset_ids = [asset_id for _ in range(2) for asset_id in here.ids(here.job(5))]
    price_cents = here.row(asset_ids[0])["shot"]["estimate_cents"]
    settings = replace(here.services.settings, owner_day_budget_cents=4 * price_cents)
    frugal = replace(here, services=replace(here.services, settings=settings))
    with ThreadPoolExecutor(10) as workers:
        list(workers.map(frugal.step, asset_ids))
    rows = [frugal.row(asset_id) for asset_id in asset_ids]
    waiting = [row for row in rows if row["state"] == State.WAITING]
    assert len(waiting) == 6
    assert {row["waiting"]["reason"] for row in waiting} == {Reason.BUDGET}
    assert all(0 < row["waiting"]["about_seconds"] <= 86_400 for row in waiting)
    assert all(row["failure"] is None for row in waiting)
    here.query("update spend set at = at - interval '1 day'")
    assert frugal.until(waiting[0]["id"])["state"] == State.DONE
