"""Keys and tables at a real database, from the command line."""

import json
import sys
from collections.abc import Callable

import pytest

from cli.main import main
from pipeline.database.engine import connect
from pipeline.database.keys import Keys
from tests import servers

Type = Callable[..., int]


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type a command; its exit code comes back."""

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["dailies", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code if isinstance(ended.value.code, int) else 0

    return run


@pytest.fixture
def here(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return database_url


def caller(url: str, key: str) -> str | None:
    engine = connect(url, pool_size=1)
    try:
        found = Keys(engine).caller(key)
    finally:
        engine.dispose()
    return found.owner if found else None


def test_a_created_key_opens_its_owners_jobs_until_it_is_revoked(
    here: str, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_in("keys", "create", "--owner", "ada", "--name", "laptop", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert caller(here, made["key"]) == "ada"
    assert type_in("keys", "list") == 0
    listed = capsys.readouterr().out
    assert made["id"] in listed
    assert made["key"] not in listed
    assert type_in("keys", "revoke", made["id"]) == 0
    assert caller(here, made["key"]) is None
    assert type_in("keys", "revoke", made["id"]) == 3


def test_a_created_key_stands_alone_on_standard_output(
    here: str, type_in: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_in("keys", "create", "--owner", "ada", "--name", "laptop") == 0
    assert caller(here, capsys.readouterr().out.strip()) == "ada"


@pytest.mark.requirement("R52")
@pytest.mark.usefixtures("here")
def test_an_owner_is_given_another_weight(type_in: Type, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_in("keys", "create", "--owner", "ada", "--name", "laptop") == 0
    capsys.readouterr()
    assert type_in("keys", "weight", "ada", "3") == 0
    assert "ada weighs 3" in capsys.readouterr().out
    assert type_in("keys", "list", "--json") == 0
    assert [(key["owner"], key["weight"]) for key in json.loads(capsys.readouterr().out)["keys"]] == [("ada", 3)]


@pytest.mark.requirement("R52")
@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("nobody", "3"), 3, "no owner of that name"),
        (("ada", "0"), 2, "than or equal to 1"),
        (("ada", "101"), 2, "than or equal to 1"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_weight_that_can_not_be_is_refused(
    type_in: Type, capsys: pytest.CaptureFixture[str], words: tuple[str, str], code: int, complaint: str
) -> None:
    assert type_in("keys", "create", "--owner", "ada", "--name", "laptop") == 0
    assert type_in("keys", "weight", *words) == code
    assert complaint in capsys.readouterr().err


@pytest.mark.requirement("R66")
@pytest.mark.usefixtures("here")
def test_a_key_may_spend_so_much_a_day_and_later_more_or_any(type_in: Type, capsys: pytest.CaptureFixture[str]) -> None:
    def may_spend() -> int:
        assert type_in("keys", "list", "--json") == 0
        [key] = json.loads(capsys.readouterr().out)["keys"]
        return int(key["day_budget_cents"])

    capped = ("--owner", "ada", "--name", "intern", "--day-budget-cents", "500")
    assert type_in("keys", "create", *capped, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["day_budget_cents"], may_spend()) == (500, 500)
    assert type_in("keys", "list") == 0
    assert "CENTS A DAY" in capsys.readouterr().out
    assert type_in("keys", "budget", made["id"], "900") == 0
    assert "900 cents" in capsys.readouterr().out
    assert may_spend() == 900
    assert type_in("keys", "budget", made["id"], "0") == 0
    assert "any amount" in capsys.readouterr().out
    assert may_spend() == 0


@pytest.mark.requirement("R66")
@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("create", "--owner", "ada", "--name", "intern", "--day-budget-cents", "-1"), 2, "should be greater"),
        (("budget", "00000000-0000-4000-8000-000000000001", "5"), 3, "no living key with that id"),
        (("budget", "00000000-0000-4000-8000-000000000001", "much"), 2, "valid integer"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_keys_limit_that_can_not_be_is_refused(
    type_in: Type, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, complaint: str
) -> None:
    assert type_in("keys", *words) == code
    assert complaint in capsys.readouterr().err


def test_migrate_makes_the_tables_that_keys_need(
    postgres: servers.Postgres, type_in: Type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres.database("template1") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert type_in("keys", "list") == 2
        assert "run `dailies migrate` first" in capsys.readouterr().err
        assert type_in("migrate", "--json") == 0
        assert type_in("keys", "list") == 0


@pytest.mark.parametrize(
    ("url", "code", "complaint"),
    [
        ("", 2, "DATABASE_URL is not set"),
        ("nonsense", 2, "DATABASE_URL has to look like"),
        ("postgresql+psycopg2://nobody@127.0.0.1:1/none", 4, "Postgres does not answer"),
    ],
)
def test_a_database_that_can_not_be_used_is_said_in_a_sentence(
    type_in: Type,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    url: str,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert type_in("keys", "list") == code
    assert complaint in capsys.readouterr().err
    assert type_in("migrate") == code
