"""The simulator as a measuring instrument: clips that cost nothing, durations that come again, an account's books."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator.limits import account_of
from tests.integration.simulator_process import QUICK, TOKEN, SimulatorProcess, described

pytestmark = pytest.mark.requirement("R59")

BENCH = QUICK | {"SIMULATOR_RENDER": "shared", "SIMULATOR_RENDER_SPREAD": "0.15", "SIMULATOR_FSYNC": "0"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("simulator") / "data", BENCH) as running:
        yield running


@pytest.fixture
def provider(bench: SimulatorProcess) -> SimulatorProcess:
    bench.control("reset", "POST")
    return bench


def renders_of(provider: SimulatorProcess, *prompts: str) -> list[float]:
    """How long each of these prompts takes."""
    for prompt in prompts:
        provider.create(prompt)
    return [order["render_seconds"] for order in provider.control("ledger")]


def test_clips_of_one_shape_are_rendered_once_and_each_says_whose_it_is(
    provider: SimulatorProcess, tmp_path: Path
) -> None:
    made = [provider.finished(prompt, input={"aspect_ratio": "4:3"}) for prompt in ("one", "two")]
    files = [requests.get(each["output"], timeout=10).content for each in made]
    assert len({hashlib.sha256(data).hexdigest() for data in files}) == 2
    assert len({len(data) for data in files}) == 1
    for each, data in zip(made, files, strict=True):
        (tmp_path / "clip.mp4").write_bytes(data)
        words = described(tmp_path / "clip.mp4")
        assert "160x120" in words
        assert json.loads(re.findall(r"comment\s*: (\{.*\})", words)[0])["prediction"] == each["id"]
    assert [path.name for path in (provider.folder / "shapes").glob("160*")] == ["160x120-48.mp4"]
    assert not list((provider.folder / "outputs").glob("*"))


def test_a_shared_clip_is_served_in_parts_too_and_to_its_own_link_only(provider: SimulatorProcess) -> None:
    url = provider.finished()["output"]
    part = requests.get(url, headers={"Range": "bytes=4-7"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert requests.get(url.partition("?")[0], timeout=10).status_code == 403


def test_pictures_are_still_rendered_one_by_one(provider: SimulatorProcess) -> None:
    given = {"prompt": "a lighthouse", "num_outputs": 2}
    path = "/v1/models/black-forest-labs/flux-schnell/predictions"
    made = provider.ended(provider.call("POST", path, json={"input": given}).json()["id"])
    assert len({requests.get(url, timeout=10).content for url in made["output"]}) == 2


def test_the_same_scene_takes_the_same_time_whatever_stands_before_it(provider: SimulatorProcess) -> None:
    first, again, styled, other = renders_of(provider, "a ship", "a ship", "In watercolour.\n\na ship", "a harbour")
    assert first == again == styled
    assert first != other
    provider.control("reset", "POST")
    assert renders_of(provider, "a ship") == [first]
    assert provider.create(fault="seconds=0.7").ok
    assert provider.control("ledger")[-1]["render_seconds"] == 0.7


def test_the_ledger_alone_tells_how_many_were_in_flight_together(provider: SimulatorProcess) -> None:
    provider.control("limits", "POST", max_in_flight=2)
    made = [provider.create(fault="seconds=3").status_code for _ in range(3)]
    assert made == [201, 201, 429]
    for order in provider.control("ledger"):
        provider.ended(order["id"])
    provider.finished()
    first, second, third = provider.control("ledger")
    assert {order["account"] for order in (first, second, third)} == {account_of(TOKEN)}
    for order in (first, second, third):
        born, began, ended = (
            datetime.fromisoformat(order[name]) for name in ("created_at", "started_at", "completed_at")
        )
        assert born < began < ended
        assert ended - born >= timedelta(seconds=order["render_seconds"])
        assert re.fullmatch(r".*\.\d{6}\+00:00", order["completed_at"])
    assert third["created_at"] > max(first["completed_at"], second["completed_at"])
    assert provider.control("ledger?after=2") == [third]


def test_every_refusal_is_in_the_books_with_its_account_time_and_reason(provider: SimulatorProcess) -> None:
    account, other = account_of(TOKEN), account_of("other")
    provider.control("limits", "POST", max_in_flight=1)
    for _ in range(2):
        provider.create(fault="stall")
    provider.control("limits", "POST", other_per_minute=1)
    provider.call("GET", "/v1/predictions")
    provider.call("GET", "/v1/predictions")
    provider.create(fault="create=429", token="other")
    refusals = provider.control("refusals")
    assert [(each["account"], each["what"], each["why"]) for each in refusals] == [
        (account, "creates", "in_flight"),
        (account, "lists", "rate"),
        (other, "creates", "fault"),
    ]
    assert refusals == sorted(refusals, key=lambda each: datetime.fromisoformat(each["at"]))
    books = provider.control("stats")["by_account"]
    expected: dict[str, Any] = {"creates": 2, "accepted": 1, "lists": 2, "refused_in_flight": 1, "refused_rate": 1}
    assert expected.items() <= books[account].items()
    assert (books[account]["in_flight"], books[account]["max_in_flight_seen"]) == (1, 1)
    assert (books[other]["creates"], books[other]["rate_limited"], books[other]["max_in_flight_seen"]) == (1, 1, 0)


def test_an_account_can_have_a_hidden_limit_of_its_own_that_changes_live(provider: SimulatorProcess) -> None:
    provider.control("limits", "POST", max_in_flight=3)
    provider.control("limits", "POST", token=TOKEN, max_in_flight=1)
    assert [provider.create(fault="stall").status_code for _ in range(2)] == [201, 429]
    assert [provider.create(fault="stall", token="other").status_code for _ in range(4)] == [201, 201, 201, 429]
    limits = provider.control("limits", "POST", account=account_of(TOKEN), max_in_flight=2)
    assert (limits["max_in_flight"], limits["by_account"]) == (3, {account_of(TOKEN): {"max_in_flight": 2}})
    assert [provider.create(fault="stall").status_code for _ in range(2)] == [201, 429]


@pytest.mark.parametrize("form", ["date", "ms", "text"])
def test_a_refusal_tells_the_wait_in_the_form_that_was_asked_for(provider: SimulatorProcess, form: str) -> None:
    provider.control("limits", "POST", max_in_flight=0, busy_retry_after_seconds=2.5, busy_retry_after_form=form)
    limited = provider.create()
    ordered = provider.create(fault=f"create=429 retry_after=2.5 retry_form={form}", token="other")
    for refused in (limited, ordered):
        assert refused.status_code == 429
        if form == "date":
            told = parsedate_to_datetime(refused.headers["Retry-After"])
            assert told > parsedate_to_datetime(refused.headers["Date"])
        elif form == "ms":
            assert (refused.headers["retry-after-ms"], "Retry-After" in refused.headers) == ("2500", False)
        else:
            assert refused.json() == {"detail": "Request was throttled. Your rate limit resets in ~3s."}


def test_the_list_shows_what_a_get_shows(provider: SimulatorProcess) -> None:
    made = provider.finished()
    assert provider.call("GET", "/v1/predictions").json()["results"] == [made]
    assert provider.call("GET", "/v1/account").json()["username"] == f"simulated-{account_of(TOKEN)}"
