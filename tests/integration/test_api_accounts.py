"""The accounts over HTTP, on real servers: limits, slots, line and spend, and nobody else's jobs."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from api.accounts import Account, Accounts
from pipeline.database.engine import transaction
from pipeline.database.tables import attempts, spend
from pipeline.domain.answers import Granted
from pipeline.domain.line import Waiter
from pipeline.limits.breaker import Circuit
from tests.web import SECRET_KEY, Web, settings, storyboard, submitted, web

TOKEN = "r8_of_a_test"


@pytest.fixture
def api(database_url: str, valkey_url: str) -> Iterator[Web]:
    told = settings(database_url=database_url, redis_url=valkey_url, replicate_api_token=TOKEN)
    with web(told) as running:
        yield running


def lined_up(api: Web, key: str, scenes: int) -> list[Waiter]:
    """A job whose clips stand in line, as after its start."""
    job_id = UUID(submitted(api, key, storyboard(scenes)).rpartition("/")[2])
    [waiters] = api.services.store.lines.park(job_id, 1).values()
    pool = api.services.pool("replicate")
    api.services.limiter.restore(pool, [], {})
    api.services.limiter.turn(pool, enter=waiters)
    return waiters


def take_slots(api: Web, waiters: list[Waiter]) -> None:
    for each in waiters:
        told = api.services.limiter.acquire(api.services.pool("replicate"), each, holder=f"{each.asset_id}:1")
        assert isinstance(told.answer, Granted)


def account(api: Web, key: str) -> dict[str, Any]:
    api.services.lines_read.clear()
    told = api.client(key).get("/v1/accounts/replicate")
    assert told.status_code == 200, told.text
    document: dict[str, Any] = told.get_json()
    Account.model_validate(document)
    return document


@pytest.mark.requirement("R51")
def test_an_account_shows_its_limits_its_slots_and_its_line(api: Web) -> None:
    key = api.key("ada")
    take_slots(api, lined_up(api, key, 8)[:5])
    told = account(api, key)
    assert told["limits"]["set"] == {"slots": 5, "floor": 1, "ceiling": 5}
    assert (told["limits"]["slots"], told["limits"]["learned"]) == (5, [])
    assert [each["name"] for each in told["limits"]["windows"]] == ["create", "status"]
    assert told["limits"]["windows"][0]["used"] == 5
    assert {name: told["slots"][name] for name in ("in_use", "free", "yours", "others")} == {
        "in_use": 5, "free": 0, "yours": 5, "others": 0,
    }  # fmt: skip
    assert told["line"] == {"length": 3, "yours": 3}
    assert (told["blocked_until"], told["breakers"]) == (None, [])
    assert told["spend"] == {"today_cents": 0, "total_cents": 0}
    [listed] = Accounts.model_validate(api.client(key).get("/v1/accounts").get_json()).accounts
    assert (listed.name, listed.provider) == ("replicate", "replicate")


def test_slots_of_somebody_else_are_counted_and_not_named(api: Web) -> None:
    ada, bob = api.key("ada"), api.key("bob")
    hers, his = lined_up(api, ada, 3), lined_up(api, bob, 4)
    take_slots(api, [*hers[:3], *his[:2]])
    told = account(api, bob)
    assert (told["slots"]["yours"], told["slots"]["others"]) == (2, 3)
    assert {each["clip_id"] for each in told["slots"]["holders"]} == {str(each.asset_id) for each in his[:2]}
    assert told["line"] == {"length": 2, "yours": 2}
    shown = str(told)
    assert not any(str(id_) in shown for each in hers for id_ in (each.asset_id, each.job_id, each.owner_id))


@pytest.mark.requirement("R51")
def test_accounts_and_lines_are_figures_too(api: Web) -> None:
    key = api.key("ada")
    take_slots(api, lined_up(api, key, 8)[:5])
    api.services.lines_read.clear()
    text = api.client(key).get("/metrics").text
    assert 'dailies_slots{account="replicate",what="in_use"} 5.0' in text
    assert 'dailies_slots{account="replicate",what="limit"} 5.0' in text
    assert 'dailies_line{provider="replicate"} 3.0' in text
    assert 'dailies_blocked_seconds{account="replicate"} 0.0' in text


@pytest.mark.requirement("R51")
def test_what_was_learned_is_shown_newest_first(api: Web) -> None:
    key = api.key("ada")
    for slots in range(60):
        api.services.store.lines.learn("replicate", slots=slots, in_flight=slots + 1, why="accepted")
    api.services.store.lines.learn("another", slots=99, in_flight=99, why="accepted")
    learned = account(api, key)["limits"]["learned"]
    assert [each["slots"] for each in learned] == list(range(59, 9, -1))
    assert {name: learned[0][name] for name in ("in_flight", "why")} == {"in_flight": 60, "why": "accepted"}
    assert learned[0]["at"].endswith("Z")


@pytest.mark.requirement("R10")
def test_a_pause_and_an_open_breaker_are_shown_with_their_ends(api: Web) -> None:
    key, model = api.key("ada"), "replicate/seedance-1-pro"
    lined_up(api, key, 1)
    api.services.limiter.block("replicate", "replicate", 600)
    for _ in range(5):
        api.services.breaker.count(
            Circuit(provider="replicate", account="replicate", model=model), failed=True, paid=True
        )
    told = account(api, key)
    assert 590 < told["blocked_seconds"] <= 600
    assert told["blocked_until"] > api.services.now().isoformat()
    [breaker] = told["breakers"]
    assert (breaker["model"], breaker["openings"], breaker["failures"]) == (model, 1, 5)
    assert 0 < breaker["open_seconds"] <= 30


def paid(api: Web, waiter: Waiter, cents: int, *, days_ago: int) -> None:
    """An attempt that was paid so many days ago, past all steps."""
    attempt_id = UUID(int=waiter.asset_id.int ^ 1)
    values = {"prompt": "", "state": ""} | {"number": 1, "input": {}, "estimate_cents": cents}
    about = {"job_id": waiter.job_id, "owner_id": waiter.owner_id}
    with transaction(api.services.store.engine) as connection:
        connection.execute(
            attempts.insert().values(
                id=attempt_id,
                asset_id=waiter.asset_id,
                provider="replicate",
                account="replicate",
                model=waiter.model,
                **about,
                **values,
            )
        )
        entry = {"attempt_id": attempt_id, "cents": cents, **about}
        for kind in ("reserve", "commit"):
            at = api.services.now() - timedelta(days=days_ago)
            connection.execute(spend.insert().values(kind=kind, at=at, **entry))


@pytest.mark.usefixtures("one_day")
def test_spend_is_the_callers_own_of_today_and_in_all(api: Web) -> None:
    ada, bob = api.key("ada"), api.key("bob")
    mine = lined_up(api, ada, 2)
    paid(api, mine[0], 75, days_ago=0)
    paid(api, mine[1], 60, days_ago=1)
    paid(api, lined_up(api, bob, 1)[0], 1000, days_ago=0)
    assert account(api, ada)["spend"] == {"today_cents": 75, "total_cents": 135}


def test_no_token_is_ever_shown_and_an_unknown_account_is_not_found(api: Web) -> None:
    key = api.key("ada")
    lined_up(api, key, 1)
    for address in ("/v1/accounts", "/v1/accounts/replicate"):
        shown = api.client(key).get(address).text
        assert TOKEN not in shown
        assert SECRET_KEY not in shown
    for address in ("/v1/accounts/nobody", "/v1/accounts/" + "x" * 101):
        told = api.client(key).get(address)
        assert (told.status_code, told.get_json()["code"]) == (404, "not_found")
    assert api.client().get("/v1/accounts").status_code == 401


def test_without_redis_the_figures_of_postgres_are_still_shown(database_url: str) -> None:
    with web(settings(database_url=database_url)) as api:
        told = account(api, api.key("ada"))
    assert (told["slots"], told["line"], told["limits"]["slots"]) == (None, None, None)
    assert told["limits"]["set"]["slots"] == 5
    assert told["limits"]["windows"][0]["used"] is None
