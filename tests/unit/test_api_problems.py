from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from flask import Flask
from structlog.testing import capture_logs

from api import context, problems
from pipeline.domain import errors
from tests.web import NOWHERE, KnownKeys, Web, settings, web

KEY = "a key"
FIELDS = {"type", "title", "status", "detail", "code", "retryable", "actions", "request_id", "errors"}


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    with web(settings(), change=KnownKeys({KEY: "ada"}).know) as running:
        yield running


def saying(error: Exception) -> Flask:
    """An app of one route, which raises this."""
    app = Flask("saying")
    problems.install(app)

    @app.get("/")
    def say() -> str:
        raise error

    return app


def test_every_refusal_and_nothing_else_has_a_row() -> None:
    assert set(problems.TABLE) == {*errors.Refusal.__subclasses__(), errors.Unavailable}


@pytest.mark.parametrize("kind", [kind for kind in problems.TABLE if issubclass(kind, errors.Refusal)])
def test_a_refusal_is_said_with_its_own_code_and_sentence(kind: type[errors.Refusal]) -> None:
    told = saying(kind("do this next")).test_client().get("/")

    assert told.status_code == problems.TABLE[kind].status
    assert told.content_type == "application/problem+json"
    assert told.json is not None
    assert set(told.json) == FIELDS
    assert (told.json["code"], told.json["detail"]) == (kind.code, "do this next")
    assert told.json["retryable"] is kind.retryable


def test_codes_are_unique_among_refusals() -> None:
    codes = [kind.code for kind in problems.TABLE if issubclass(kind, errors.Refusal)]
    assert len(set(codes)) == len(codes)


def test_the_fields_of_a_refusal_reach_the_reader() -> None:
    wrong = errors.FieldError(field="scenes.0.duration", value=float("inf"), allowed={"max": 10}, message="too long")
    told = saying(errors.UnsupportedDuration("no", errors=[wrong])).test_client().get("/").json

    assert told is not None
    assert told["errors"][0]["field"] == "scenes.0.duration"
    assert told["errors"][0]["allowed"] == {"max": 10}


@pytest.mark.requirement("R14")
def test_what_may_be_tried_again_says_when() -> None:
    for kind in (errors.InProgress, errors.RateLimited, errors.Unavailable):
        told = saying(kind("wait")).test_client().get("/")
        assert int(told.headers["Retry-After"]) > 0
        assert told.json is not None
        assert told.json["retryable"] is True


def test_a_part_that_is_away_is_a_503_that_names_no_host(api: Web) -> None:
    told = api.client(KEY).get("/v1/jobs")

    assert told.status_code == 503
    assert told.json is not None
    assert told.json["code"] == "unavailable"
    assert NOWHERE.partition(":")[0] not in told.text
    assert "secret" not in told.text
    assert "Postgres" not in told.text


def test_what_we_say_ourselves_about_a_missing_part_is_said() -> None:
    told = saying(errors.Unavailable("replicate is not configured here")).test_client().get("/").json
    assert told is not None
    assert told["detail"] == "replicate is not configured here"


def test_a_bug_tells_nothing_but_a_request_id_and_is_logged_under_it() -> None:
    with web(settings(), change=KnownKeys({KEY: "ada"}).know) as api, capture_logs() as logged:
        context.install(api.app, replace(api.services, catalogue=cast("Any", "secret text")))
        told = api.client(KEY).get("/v1/models")

    assert told.status_code == 500
    assert told.json is not None
    assert set(told.json) == FIELDS
    assert told.json["code"] == "internal_error"
    assert told.json["request_id"] == told.headers["X-Request-Id"]
    for internal in ("Traceback", "AttributeError", "find", ".py", "secret"):
        assert internal not in told.text
    assert [entry["event"] for entry in logged] == ["request.failed"]


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/dashboard/nothing.js", 404, "not_found"),
        ("GET", "/dashboard/../auth.py", 404, "not_found"),
        ("GET", "/dashboard/%2e%2e/auth.py", 404, "not_found"),
        ("GET", "/docs/swagger/../__init__.py", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/jobs/not-an-id", 404, "not_found"),
        ("GET", "/v1/jobs/%00", 404, "not_found"),
        ("GET", "/v1/jobs/5f0c9a0e-0000-4000-8000-000000000000/clips/-1", 404, "not_found"),
        ("GET", f"/v1/jobs/5f0c9a0e-0000-4000-8000-000000000000/clips/{10**40}", 404, "not_found"),
        ("GET", "/v1/jobs?limit=0", 422, "validation_failed"),
        ("GET", "/v1/jobs?limit=201", 422, "validation_failed"),
        ("GET", "/v1/jobs?start=-1", 422, "validation_failed"),
        ("GET", f"/v1/jobs?start={10**30}", 422, "validation_failed"),
        ("GET", "/v1/jobs?state=done", 422, "validation_failed"),
        ("GET", "/v1/jobs?colour=red", 422, "validation_failed"),
        ("GET", "/v1/models?duration=nan", 422, "validation_failed"),
        ("GET", "/v1/models?duration=-1", 422, "validation_failed"),
        ("GET", "/v1/models?mode=smell", 422, "validation_failed"),
        ("POST", "/v1/jobs?dry_run=perhaps", 422, "validation_failed"),
    ],
)
def test_a_wrong_address_or_query_is_a_problem(api: Web, method: str, address: str, status: int, code: str) -> None:
    told = api.client(KEY).open(address, method=method)

    assert (told.status_code, told.content_type) == (status, "application/problem+json")
    assert told.json is not None
    assert told.json["code"] == code
    assert told.json["request_id"] == told.headers["X-Request-Id"]


def test_a_wrong_query_names_the_field_and_what_is_allowed(api: Web) -> None:
    told = api.client(KEY).get("/v1/jobs?state=done").json
    assert told is not None
    assert [error["field"] for error in told["errors"]] == ["state"]
    assert "queued" in told["errors"][0]["allowed"]
    assert told["errors"][0]["value"] == "done"


def test_a_wrong_method_names_the_right_ones(api: Web) -> None:
    assert api.client(KEY).put("/v1/jobs").headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_each_request_has_an_id_of_its_own(api: Web) -> None:
    seen = {api.client().get("/healthz").headers["X-Request-Id"] for _ in range(3)}
    assert len(seen) == 3


def test_a_request_keeps_its_id() -> None:
    app = Flask("ids")
    with app.test_request_context():
        assert context.request_id() == context.request_id()
