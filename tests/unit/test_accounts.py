"""The accounts that predictions are bought with, as the settings name them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipeline.domain.errors import SettingsError, Unavailable
from pipeline.services import Services, build
from tests.builders import KeepingCarrier
from tests.web import settings

pytestmark = pytest.mark.requirement("R64")
POOL = {"studio": "r8_studio", "archive": "r8_archive"}


@contextmanager
def services(**more: Any) -> Iterator[Services]:
    built = build(settings(**more), KeepingCarrier())
    try:
        yield built
    finally:
        built.close()


@pytest.mark.parametrize(
    ("main", "pool", "accounts"),
    [
        ("", {}, ()),
        ("r8_main", {}, ("replicate",)),
        ("", POOL, ("replicate-studio", "replicate-archive")),
        ("r8_main", POOL, ("replicate", "replicate-studio", "replicate-archive")),
    ],
)
def test_a_providers_accounts_are_those_with_a_key_the_main_one_first(
    main: str, pool: dict[str, str], accounts: tuple[str, ...]
) -> None:
    with services(replicate_api_token=main, replicate_accounts=pool) as here:
        assert here.accounts("replicate") == accounts
        assert tuple(here.providers) == accounts
        assert [each.account for each in here.pool("replicate").accounts] == list(accounts)


def test_each_account_of_a_pool_has_the_same_limits_of_its_own() -> None:
    figures = {"replicate_max_in_flight": 7, "replicate_ceiling_in_flight": 9}
    with services(replicate_accounts=POOL, **figures) as here:
        assert [(each.slots, each.ceiling) for each in here.pool("replicate").accounts] == [(7, 9)] * 3


def test_an_account_is_asked_with_its_own_key_which_never_shows() -> None:
    with services(replicate_accounts=POOL) as here:
        assert here.provider("replicate-studio") is not here.provider("replicate-archive")
        assert "r8_" not in repr(here)


def test_a_key_under_two_names_is_refused() -> None:
    clash = "REPLICATE_ACCOUNTS repeats the key of REPLICATE_API_TOKEN"
    with pytest.raises(SettingsError, match=clash), services(replicate_accounts={"again": "r8_token"}):
        pass


def test_one_account_of_a_pool_is_enough_to_take_orders_and_none_is_not() -> None:
    with services(replicate_api_token="", replicate_accounts={"studio": "r8_studio"}) as here:
        here.require_account("replicate")
    with services(replicate_api_token="") as here, pytest.raises(Unavailable, match="replicate is not configured here"):
        here.require_account("replicate")
