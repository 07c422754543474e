"""What a job may cost is held where an attempt begins, in the transaction that reserves its price."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.accept import accept
from pipeline.database import ledger
from pipeline.database.engine import transaction
from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from pipeline.render import Verdict, step
from tests import servers
from tests.builders import MODEL, Killed, World, killed, world

NOT_YET = Verdict()


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


@pytest.mark.usefixtures("one_day")
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


def released(here: World, asset_id: UUID) -> None:
    """Let a worker die before it sends an order whose price it reserved a day ago, and the order be proven absent."""
    here.line.before["submit"] = killed
    with pytest.raises(Killed):
        here.step(asset_id)
    here.query("update spend set at = at - interval '1 day'")
    here.until(asset_id, State.WAITING)
    assert here.ledger(asset_id) == [(1, "reserve"), (1, "release")]


@pytest.mark.usefixtures("one_day")
@pytest.mark.requirement("R57", "R60", "R66")
def test_what_was_reserved_yesterday_and_is_released_today_buys_nothing_more_today(here: World) -> None:
    late = here.clip()
    price_cents = here.row(late)["shot"]["estimate_cents"]
    settings = replace(here.services.settings, owner_day_budget_cents=price_cents)
    frugal = replace(here, services=replace(here.services, settings=settings))
    released(frugal, late)
    first, second = here.ids(here.job(2))
    assert frugal.until(first)["state"] == State.DONE
    frugal.step(second)
    assert (frugal.row(second)["waiting"] or {}).get("reason") == Reason.BUDGET


@pytest.mark.requirement("R50", "R57", "R66")
def test_what_was_released_as_absent_and_turned_up_after_all_is_spent_money(here: World) -> None:
    job_id = here.job(2)
    lost, other = here.ids(job_id)
    here.query("update jobs set budget_cents = :most", most=here.row(lost)["shot"]["estimate_cents"])
    released(here, lost)
    here.query(
        "insert into spend (attempt_id, job_id, owner_id, kind, cents)"
        " select attempt_id, job_id, owner_id, 'commit', cents from spend where kind = 'release'"
    )
    here.step(other)
    assert (here.row(other)["failure"] or {}).get("code") == "over_budget"


def ordered_with(here: World, key_id: UUID, scenes: int) -> list[UUID]:
    """The clips of a job that was ordered with this key."""
    body = {"model": MODEL, "scenes": [{"description": f"a lighthouse {n}", "duration": 2} for n in range(scenes)]}
    return here.ids(UUID(accept(here.services, owner_id=here.owner_id, key_id=key_id, body=body)["id"]))


@pytest.mark.usefixtures("one_day")
@pytest.mark.requirement("R57", "R60", "R66")
def test_a_keys_money_of_a_day_is_for_the_jobs_that_it_ordered_and_binds_no_other_key(here: World) -> None:
    keys = here.services.store.keys
    (capped, _), (free, _) = (keys.create(owner="studio", name=name) for name in ("intern", "boss"))
    bound = [asset_id for _ in range(2) for asset_id in ordered_with(here, capped.id, 5)]
    unbound = ordered_with(here, free.id, 5)
    price_cents = here.row(bound[0])["shot"]["estimate_cents"]
    keys.limit(capped.id, 4 * price_cents)
    with ThreadPoolExecutor(15) as workers:
        list(workers.map(here.step, [*bound, *unbound]))
    waiting = [row for row in map(here.row, bound) if row["state"] == State.WAITING]
    assert len(waiting) == 6
    assert {row["waiting"]["reason"] for row in waiting} == {Reason.BUDGET}
    assert State.WAITING not in {here.state(asset_id) for asset_id in unbound}
    assert all(0 < row["waiting"]["about_seconds"] <= 86_400 for row in waiting)
    here.query("update spend set at = at - interval '1 day'")
    assert here.until(waiting[0]["id"])["state"] == State.DONE


@pytest.mark.requirement("R57", "R66")
def test_who_waits_for_a_keys_money_is_looked_at_again_when_the_key_may_spend_more(here: World) -> None:
    key, _ = here.services.store.keys.create(owner="studio", name="intern", day_budget_cents=1)
    [asset_id] = ordered_with(here, key.id, 1)
    here.step(asset_id)
    assert here.row(asset_id)["waiting"]["reason"] == Reason.BUDGET
    assert here.services.store.keys.limit(key.id, 0)
    assert step(here.services, asset_id) != NOT_YET
    assert here.until(asset_id)["state"] == State.DONE


@pytest.mark.requirement("R57", "R66")
def test_what_was_spent_today_is_found_without_reading_what_was_ever_spent(here: World) -> None:
    bound = ledger._OF_DAY.params(of=here.owner_id)
    sql = bound.compile(here.services.store.engine, compile_kwargs={"literal_binds": True})
    with transaction(here.services.store.engine) as connection:
        # A table of a test is always read whole, if it may be.
        connection.execute(text("set local enable_seqscan = off"))
        plan = connection.execute(text(f"explain {sql}")).scalars().all()
    assert any("Index Cond: (at >= " in line for line in plan), plan
