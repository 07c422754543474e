"""What can't be made, on a real Postgres: refused by field, with a stable code, and without a trace."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from api import schemas
from pipeline.domain.asset import State
from pipeline.domain.job import JobState
from tests import servers
from tests.web import NOTHING, Web, put, settings, stored, storyboard, submitted, web


@pytest.fixture
def api(database_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url)) as running:
        yield running


def scene(**more: Any) -> dict[str, Any]:
    return storyboard(1, scenes=[{"description": "The lighthouse at dusk", "duration": 5, **more}])


BAD_JOBS: list[tuple[str, Any, str, str]] = [
    ("an unknown model", storyboard(model="replicate/seedanse-1-pro"), "unknown_model", "model"),
    ("an unknown model of a scene", scene(model="nobody/nothing"), "unknown_model", "scenes.0.model"),
    ("no model at all", storyboard(model=None), "missing_input", "model"),
    ("an unsupported ratio", storyboard(aspect_ratio="2:1"), "unsupported_aspect_ratio", "aspect_ratio"),
    ("a clip too long", scene(duration=3000), "unsupported_duration", "scenes.0.duration"),
    ("no scenes", storyboard(0), "validation_failed", "scenes"),
    ("201 scenes", storyboard(201), "too_many_scenes", "scenes"),
    ("10000 scenes", storyboard(10_000), "too_many_scenes", "scenes"),
    ("an empty prompt", scene(description=""), "validation_failed", "scenes.0.description"),
    ("a prompt of spaces", scene(description="   "), "validation_failed", "scenes.0.description"),
    ("a prompt of 10000 characters", scene(description="x" * 10_000), "validation_failed", "scenes.0.description"),
    ("a prompt with a NUL", scene(description="a\0b"), "validation_failed", "scenes.0.description"),
    ("half a surrogate", scene(description="\ud800"), "validation_failed", "scenes.0.description"),
    ("a duration below 0", scene(duration=-1), "validation_failed", "scenes.0.duration"),
    ("a duration of 0", scene(duration=0), "validation_failed", "scenes.0.duration"),
    ("a duration in words", scene(duration="five"), "validation_failed", "scenes.0.duration"),
    ("a duration that is true", scene(duration=True), "validation_failed", "scenes.0.duration"),
    ("a title that is a number", storyboard(title=7), "validation_failed", "title"),
    ("scenes that are an object", storyboard(scenes={"0": {}}), "validation_failed", "scenes"),
    ("a scene that is text", storyboard(scenes=["dusk"]), "validation_failed", "scenes.0"),
    ("an unknown field", storyboard(colour="red"), "validation_failed", "colour"),
    ("an unknown field of a scene", scene(colour="red"), "validation_failed", "scenes.0.colour"),
    ("a field that is ours to set", storyboard(state="complete"), "validation_failed", "state"),
    ("an owner", storyboard(owner_id=str(uuid4())), "validation_failed", "owner_id"),
    ("a seed beyond all numbers", scene(seed=10**30), "validation_failed", "scenes.0.seed"),
    ("a link that is none", scene(image_url="javascript:alert(1)"), "validation_failed", "scenes.0.image_url"),
    ("more money than there is", storyboard(budget_cents=3_000_000_000), "validation_failed", "budget_cents"),
    ("too little money", storyboard(budget_cents=1), "over_budget", "budget_cents"),
    ("more clips than scenes", storyboard(min_clips=3), "validation_failed", "min_clips"),
    ("metadata beyond its size", storyboard(metadata={"a": "x" * 5000}), "validation_failed", "metadata"),
    ("metadata with a NUL", storyboard(metadata={"a": "\0"}), "validation_failed", "metadata"),
    ("a list", [storyboard()], "validation_failed", "body"),
    ("nothing", {}, "validation_failed", "scenes"),
]


@pytest.fixture(scope="module")
def untouched(postgres: servers.Postgres) -> Iterator[tuple[Web, str]]:
    """One database for all that must leave no trace in it."""
    with postgres.database("migrated") as url, web(settings(database_url=url)) as api:
        yield api, api.key("ada")


@pytest.mark.requirement("R42")
@pytest.mark.parametrize("address", ["/v1/jobs", "/v1/jobs?dry_run=true", "/v1/estimate"])
@pytest.mark.parametrize(("body", "code", "field"), [row[1:] for row in BAD_JOBS], ids=[row[0] for row in BAD_JOBS])
def test_what_can_not_be_made_is_refused_by_field_and_leaves_no_trace(
    untouched: tuple[Web, str], address: str, body: Any, code: str, field: str
) -> None:
    api, key = untouched
    told = api.client(key).post(address, json=body, headers={"Idempotency-Key": "a key"})

    assert (told.status_code, told.content_type) == (422, "application/problem+json")
    problem = told.get_json()
    schemas.Problem.model_validate(problem)
    assert problem["code"] == code
    assert field in [error["field"] for error in problem["errors"]]
    assert len(told.data) < 50_000
    assert stored(api) == NOTHING
    assert api.carrier.started == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"scenes": [{"description": "x", "duration": NaN}]}', 400),
        (b'{"scenes": [{"description": "x", "duration": 1e999}], "model": "replicate/seedance-1-pro"}', 422),
        (b'{"metadata": {"a": 1e999}, "scenes": [{"description": "x"}], "model": "replicate/seedance-1-pro"}', 422),
        (b'{"scenes": [', 400),
        (b'{"title": "a", "title": "b"}', 400),
        (b'{"metadata": ' + b'{"a":' * 1000 + b"1" + b"}" * 1000 + b"}", 400),
        (b"\xff\xfe", 400),
    ],
)
def test_json_that_is_none_leaves_no_trace(untouched: tuple[Web, str], body: bytes, status: int) -> None:
    api, key = untouched
    told = api.client(key).post("/v1/jobs", data=body, content_type="application/json")

    assert (told.status_code, told.content_type) == (status, "application/problem+json")
    assert told.get_json()["code"] == "validation_failed"
    assert stored(api) == NOTHING


@pytest.mark.parametrize("idempotency_key", ["", " ", "x" * 256, "schlüssel"])
def test_an_idempotency_key_that_can_be_none_is_refused(untouched: tuple[Web, str], idempotency_key: str) -> None:
    api, key = untouched
    told = api.client(key).post("/v1/jobs", json=storyboard(), headers={"Idempotency-Key": idempotency_key})
    assert told.status_code == 422
    assert stored(api) == NOTHING


def test_without_a_key_nothing_is_taken_in(untouched: tuple[Web, str]) -> None:
    api, _ = untouched
    assert api.client().post("/v1/jobs", json=storyboard()).status_code == 401
    assert api.client("dailies_wrong").post("/v1/jobs", json=storyboard()).status_code == 401
    assert stored(api) == NOTHING


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"colour": "red"}, "validation_failed"),
        ({"prompt": 7}, "validation_failed"),
        ({"prompt": ""}, "validation_failed"),
        ({"prompt": "x" * 10_000}, "validation_failed"),
        ({"prompt": "\ud800"}, "validation_failed"),
        ({"seed": -1}, "validation_failed"),
        ({"seed": 10**30}, "validation_failed"),
        ({"model": "nobody/nothing"}, "unknown_model"),
        ([], "validation_failed"),
        ("text", "validation_failed"),
    ],
)
def test_a_retry_that_can_not_be_changes_nothing(api: Web, changes: Any, code: str) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    put(api, job, JobState.FAILED, State.FAILED, State.FAILED)
    client = api.client(key)
    told = client.post(f"{job}/clips/0/retry", json=changes)

    assert (told.status_code, told.get_json()["code"]) == (422, code)
    assert client.get(job).get_json()["state"] == "failed"
    assert len(api.carrier.started) == 1
