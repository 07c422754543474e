"""What the environment says, and how what it says wrongly is told."""

import pytest

from pipeline.domain.errors import SettingsError
from pipeline.settings import ProviderSettings, Settings, read

NEEDED = {
    "DATABASE_URL": "postgresql+psycopg2://dailies:secret-of-postgres@localhost/dailies",
    "REDIS_URL": "redis://:secret-of-redis@localhost/0",
    "S3_ACCESS_KEY_ID": "access",
    "S3_SECRET_ACCESS_KEY": "secret-of-s3",
    "SECRET_KEY": "k" * 32,
}


def told(**more: str) -> Settings:
    return read(NEEDED | more)


def replicate(**more: str) -> ProviderSettings:
    return told(**more).provider("replicate", key_variable="REPLICATE_API_TOKEN")


@pytest.mark.requirement("R64")
@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        ("", {}),
        ("studio=r8_one", {"studio": "r8_one"}),
        ("studio=r8_one,archive=r8_two", {"studio": "r8_one", "archive": "r8_two"}),
        (" studio = r8_one , b-2 = r8_two== ", {"studio": "r8_one", "b-2": "r8_two=="}),
    ],
)
def test_accounts_are_told_by_name_and_token(text: str, accounts: dict[str, str]) -> None:
    assert replicate(REPLICATE_ACCOUNTS=text).accounts == accounts


@pytest.mark.requirement("R64")
@pytest.mark.parametrize(
    "text",
    ["r8_hush", "studio=", "=r8_hush", "Studio=r8_hush", "a=r8_hush,", "a=r8_hush,a=r8_other", "a=r8_hush,b=r8_hush"],
)
def test_accounts_that_make_no_sense_are_refused_without_telling_a_token(text: str) -> None:
    with pytest.raises(SettingsError, match="REPLICATE_ACCOUNTS is not a list like name=token") as refused:
        replicate(REPLICATE_ACCOUNTS=text)
    assert "hush" not in str(refused.value)


def test_no_secret_shows_when_settings_are_printed() -> None:
    words = {"REPLICATE_API_TOKEN": "r8_hush", "REPLICATE_ACCOUNTS": "studio=r8_hush"}
    printed = repr(told(**words)) + repr(replicate(**words))
    assert [word for word in ("hush", "secret-of", "k" * 32) if word in printed] == []


def test_every_complaint_is_made_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read({"SWEEP_SECONDS": "often", "SECRET_KEY": "short"})
    assert {"SWEEP_SECONDS is not a number", "DATABASE_URL is not set"} < set(str(refused.value).split("; "))


def test_every_complaint_about_a_provider_is_made_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        replicate(REPLICATE_MAX_IN_FLIGHT="1.5", REPLICATE_ACCOUNTS="r8_one")
    complaints = str(refused.value)
    assert "REPLICATE_MAX_IN_FLIGHT is not a number" in complaints
    assert "REPLICATE_ACCOUNTS is not a list" in complaints


def test_a_provider_is_told_of_under_its_own_name_and_its_key_under_its_users() -> None:
    words = {"FAL_KEY": "hush", "FAL_MAX_IN_FLIGHT": "7", "REPLICATE_MAX_IN_FLIGHT": "9"}
    own = told(**words).provider("fal", key_variable="FAL_KEY")
    assert (own.key, own.max_in_flight) == ("hush", 7)


@pytest.mark.parametrize(("word", "allowed"), [("", False), ("true", True), ("True", True), (" false ", False)])
def test_a_switch_is_true_or_false(word: str, allowed: bool) -> None:  # noqa: FBT001 - a row of a table
    assert told(LINKS_TO_LOOPBACK=word).links_to_loopback is allowed


@pytest.mark.parametrize("word", ["yes", "1", "on"])
def test_a_switch_that_is_neither_is_named(word: str) -> None:
    with pytest.raises(SettingsError, match="LINKS_TO_LOOPBACK is not true or false"):
        told(LINKS_TO_LOOPBACK=word)
