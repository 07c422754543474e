import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.headers import page_policy
from tests.web import FILES_URL, KnownKeys, Web, settings, web

KEY = "a key"
DASHBOARD = Path(__file__).parents[2] / "api" / "dashboard"


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    with web(settings(), change=KnownKeys({KEY: "ada"}).know) as running:
        yield running


def rules(policy: str) -> dict[str, str]:
    return {name: value for name, _, value in (rule.partition(" ") for rule in policy.split("; "))}


@pytest.mark.requirement("R38")
@pytest.mark.parametrize("address", ["/", "/accounts", "/jobs/new", "/jobs/5f0c9a0e-0000-4000-8000-000000000000"])
def test_every_page_of_the_dashboard_is_its_one_page(api: Web, address: str) -> None:
    with api.client().get(address) as told:
        assert told.data == (DASHBOARD / "index.html").read_bytes()
        assert told.mimetype == "text/html"


def test_the_files_of_the_dashboard_are_sent_again_only_when_they_changed(api: Web) -> None:
    with api.client().get("/dashboard/app.js") as told:
        assert told.data == (DASHBOARD / "app.js").read_bytes()
        assert str(told.mimetype).endswith("/javascript")
        assert "no-cache" in told.headers["Cache-Control"]
        etag = told.headers["ETag"]
    with api.client().get("/dashboard/app.js", headers={"If-None-Match": etag}) as again:
        assert (again.status_code, again.data) == (304, b"")


def test_the_sample_storyboard_can_be_made(api: Web) -> None:
    with api.client().get("/dashboard/lighthouse.json") as told:
        body = json.loads(told.data)
    priced = api.client(KEY).post("/v1/estimate", json=body)
    assert priced.status_code == 200, priced.text


def test_a_page_runs_and_loads_nothing_that_is_not_ours(api: Web) -> None:
    with api.client().get("/") as told:
        policy = rules(told.headers["Content-Security-Policy"])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == policy["media-src"] == f"'self' {FILES_URL}"
    assert policy["frame-ancestors"] == "'none'"


def test_clips_are_played_from_where_their_links_lead() -> None:
    assert rules(page_policy("https://files.example/bucket?x"))["media-src"] == "'self' https://files.example"
    assert rules(page_policy(""))["media-src"] == "'self' https://*.amazonaws.com"


@pytest.mark.parametrize("address", ["/", "/healthz", "/nothing", "/v1/jobs", "/docs", "/openapi.json"])
def test_every_answer_says_what_a_browser_may_do_with_it(api: Web, address: str) -> None:
    with api.client().get(address) as told:
        assert told.headers["X-Content-Type-Options"] == "nosniff"
        assert told.headers["Referrer-Policy"] == "same-origin"
        assert told.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in told.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in told.headers
        assert "Strict-Transport-Security" not in told.headers


def test_answers_about_jobs_stay_in_no_cache(api: Web) -> None:
    assert api.client(KEY).get("/v1/models").headers["Cache-Control"] == "no-store"


def test_over_tls_browsers_are_told_to_stay_there(api: Web) -> None:
    told = api.client().get("/healthz", base_url="https://localhost")
    assert "max-age=" in told.headers["Strict-Transport-Security"]
