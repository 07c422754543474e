"""The canvas over HTTP: a clip is ordered without a model, and the answer says who makes it and why."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.single import Chosen, PricedChoice
from pipeline.domain.choice import Why
from pipeline.limits.breaker import FAILURES_IN_A_ROW, Circuit
from tests.web import NOTHING, Web, settings, stored, web

PATH = "/api/canvas/generate-video"
PICTURE = "https://pictures.example/a.png"


@pytest.fixture
def api(database_url: str, valkey_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url, redis_url=valkey_url)) as running:
        yield running


def ordered(api: Web, *, status: int = 202, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    client = api.client(api.key("ada"))
    told = client.post(PATH, json={"prompt": "A lighthouse", **body}, headers=headers or {})
    assert told.status_code == status, told.text
    document: dict[str, Any] = told.get_json()
    return document


def fail(api: Web, model: str) -> None:
    """Let the orders of a model be held back."""
    circuit = Circuit(provider="replicate", account="replicate", model=model)
    for _ in range(FAILURES_IN_A_ROW):
        api.services.breaker.count(circuit, failed=True, paid=True)


def reason(document: dict[str, Any], model: str) -> str:
    return str(next(each["reason"] for each in document["choice"]["passed_over"] if each["model"] == model))


@pytest.mark.requirement("R20", "R22")
def test_an_order_without_a_model_is_a_job_and_says_who_makes_it_and_why(api: Web) -> None:
    told = ordered(api, duration=5, aspect_ratio="16:9")
    Chosen.model_validate(told)
    model = told["choice"]["model"]
    assert told["choice"]["why"].startswith(f"{model} is the first choice of ")
    assert told["estimate_cents"] == told["choice"]["estimate_cents"]
    client = api.client(api.key("ada"))
    assert client.get(told["links"]["self"]).get_json()["video_clips"][0]["model"] == model
    others = [each["model"] for each in told["choice"]["passed_over"]]
    assert sorted([model, *others]) == sorted(row.key for row in api.services.catalogue.find(kind="video"))
    assert reason(told, "replicate/kling-lip-sync") == Why.UNFIT


@pytest.mark.requirement("R22", "R42")
def test_a_model_whose_announced_end_has_come_is_never_picked_and_sold_only_by_its_name(api: Web) -> None:
    over = [row.key for row in api.services.catalogue.models.values() if row.ended(api.services.now().date())]
    assert "fal/sora-2" in over
    assert {reason(ordered(api), model) for model in over} == {Why.WITHDRAWN}
    refused = ordered(api, model="fal/sora-2", status=422)
    assert (refused["errors"][0]["field"], "2026-09-30" in refused["detail"]) == ("model", True)


@pytest.mark.requirement("R22")
def test_a_model_that_fails_is_passed_over_until_there_is_no_other(api: Web) -> None:
    first = ordered(api, image_url=PICTURE, provider="replicate")["choice"]["model"]
    fail(api, first)
    told = ordered(api, image_url=PICTURE, provider="replicate")
    assert told["choice"]["model"] != first
    assert reason(told, first) == Why.FAILING
    only = ordered(api, model=first, image_url=PICTURE)
    assert only["choice"]["model"] == first
    assert "held back just now" in only["choice"]["why"]


@pytest.mark.requirement("R22")
@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"reference_images": [PICTURE], "duration": 8}, "seedance-1-lite"),
        ({"image_url": PICTURE, "last_frame": PICTURE, "aspect_ratio": "9:21"}, "seedance-1-lite"),
        ({"video_url": PICTURE, "audio_url": PICTURE}, "kling-lip-sync"),
        ({"mode": "character", "video_url": PICTURE, "character": PICTURE}, "wan-2.2-animate-animation"),
        ({"aspect_ratio": "3:2", "duration": 6}, "cogvideox-5b"),
    ],
)
def test_what_is_given_decides_what_a_model_has_to_do(api: Web, body: dict[str, Any], model: str) -> None:
    assert ordered(api, provider="replicate", **body)["choice"]["model"] == f"replicate/{model}"


@pytest.mark.requirement("R22", "R42")
@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"duration": 600}, 422, "unsupported_duration", "duration"),
        ({"aspect_ratio": "5:1"}, 422, "unsupported_aspect_ratio", "aspect_ratio"),
        ({"provider": "nobody"}, 422, "validation_failed", "provider"),
        ({"mode": "dance"}, 422, "validation_failed", "mode"),
        ({"mode": "image"}, 422, "missing_input", "image_url"),
        ({"mode": "text", "image_url": PICTURE}, 422, "validation_failed", "mode"),
        ({"budget_cents": 1}, 422, "over_budget", "budget_cents"),
        ({"shutter": 180}, 422, "validation_failed", "shutter"),
        ({"prompt": ""}, 422, "validation_failed", "prompt"),
    ],
)
def test_what_nobody_can_make_is_refused_in_the_words_of_the_order(
    api: Web, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    told = ordered(api, status=status, **body)
    assert (told["code"], told["errors"][0]["field"]) == (code, field)
    assert stored(api) == NOTHING


@pytest.mark.requirement("R22", "R66")
def test_a_dry_run_tells_the_choice_and_its_price_and_stores_nothing(api: Web) -> None:
    told = api.client(api.key("ada")).post(f"{PATH}?dry_run=true", json={"prompt": "A lighthouse"}).get_json()
    PricedChoice.model_validate(told)
    assert stored(api) == NOTHING


@pytest.mark.requirement("R22", "R23")
def test_the_same_order_again_keeps_its_model_however_the_providers_stand_by_then(api: Web) -> None:
    named = {"Idempotency-Key": "canvas 1"}
    first = ordered(api, headers=named)
    fail(api, first["choice"]["model"])
    again = ordered(api, headers=named)
    assert again["id"] == first["id"]
    assert again["choice"]["model"] == first["choice"]["model"]
    assert "came first" in again["choice"]["why"]
    assert stored(api)["jobs"] == 1


@pytest.mark.requirement("R22")
def test_whoever_could_make_it_but_has_no_key_here_is_named(database_url: str) -> None:
    with web(settings(database_url=database_url, replicate_api_token="")) as api:
        told = ordered(api, status=503, provider="replicate")
        assert "has no key here: replicate/" in told["detail"]
