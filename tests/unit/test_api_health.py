from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from pipeline.services import Services
from tests.web import KnownKeys, Web, settings, web

KEY = "a key"


class Counted:
    """Jobs that only know how many there are."""

    def counts(self) -> dict[tuple[str, str], int]:
        return {("jobs", "running"): 3, ("assets", "done"): 7}


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    keys = KnownKeys({KEY: "ada"})

    def change(services: Services) -> Services:
        known = keys.know(services)
        return replace(known, store=replace(known.store, jobs=cast("Any", Counted())))

    with web(settings(), change=change) as running:
        yield running


def test_a_process_that_answers_is_alive_whatever_else_is_away(api: Web) -> None:
    assert api.client().get("/healthz").json == {"status": "ok"}


def test_a_process_without_its_parts_is_not_ready_and_says_which(api: Web) -> None:
    told = api.client().get("/readyz")
    assert told.status_code == 503
    assert told.json == {"ready": False, "parts": {"database": False, "redis": False, "storage": False}}


def test_figures_count_every_state_and_name_nobody(api: Web) -> None:
    text = api.client(KEY).get("/metrics").text
    assert 'dailies_jobs{state="running"} 3.0' in text
    assert 'dailies_jobs{state="failed"} 0.0' in text
    assert 'dailies_assets{state="done"} 7.0' in text
    assert "ada" not in text


def test_requests_are_timed_by_route_not_by_address(api: Web) -> None:
    client = api.client(KEY)
    client.get("/v1/jobs/5f0c9a0e-0000-4000-8000-00000000abcd/clips/x")
    client.open("/nothing/here", method="BREW")
    text = client.get("/metrics").text
    assert 'route="/v1/jobs/<job_id>/clips/<index>"' in text
    assert "00000000abcd" not in text
    assert "BREW" not in text


def test_figures_without_a_database_are_those_of_the_process() -> None:
    with web(settings(), change=KnownKeys({KEY: "ada"}).know) as api:
        told = api.client(KEY).get("/metrics")
    assert told.status_code == 200
    assert "dailies_request_seconds" in told.text
    assert "dailies_jobs{" not in told.text
    assert "dailies_slots{" not in told.text
