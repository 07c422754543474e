"""What the environment says, and how what it says wrongly is told."""

import pytest

from pipeline.domain.errors import SettingsError
from pipeline.settings import Settings, read

NEEDED = {
    "DATABASE_URL": "postgresql+psycopg2://dailies:secret-of-postgres@localhost/dailies",
    "REDIS_URL": "redis://:secret-of-redis@localhost/0",
    "S3_ACCESS_KEY_ID": "access",
    "S3_SECRET_ACCESS_KEY": "secret-of-s3",
    "SECRET_KEY": "k" * 32,
}


def told(**more: str) -> Settings:
    return read(NEEDED | more)


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
    assert told(REPLICATE_ACCOUNTS=text).replicate_accounts == accounts


@pytest.mark.requirement("R64")
@pytest.mark.parametrize(
    "text",
    ["r8_hush", "studio=", "=r8_hush", "Studio=r8_hush", "a=r8_hush,", "a=r8_hush,a=r8_other", "a=r8_hush,b=r8_hush"],
)
def test_accounts_that_make_no_sense_are_refused_without_telling_a_token(text: str) -> None:
    with pytest.raises(SettingsError, match="REPLICATE_ACCOUNTS is not a list like name=token") as refused:
        told(REPLICATE_ACCOUNTS=text)
    assert "hush" not in str(refused.value)


def test_no_secret_shows_when_settings_are_printed() -> None:
    printed = repr(told(REPLICATE_API_TOKEN="r8_hush", REPLICATE_ACCOUNTS="studio=r8_hush"))
    assert [word for word in ("hush", "secret-of", "k" * 32) if word in printed] == []


def test_every_complaint_is_made_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read({"SWEEP_SECONDS": "often", "REPLICATE_MAX_IN_FLIGHT": "1.5", "SECRET_KEY": "short"})
    wanted = {"SWEEP_SECONDS is not a number", "REPLICATE_MAX_IN_FLIGHT is not a number", "DATABASE_URL is not set"}
    assert wanted < set(str(refused.value).split("; "))
