from collections.abc import Iterator
from typing import Any

import pytest

from tests.web import KnownKeys, Web, settings, storyboard, web

KEY = "a key"


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    with web(settings(), change=KnownKeys({KEY: "ada"}).know) as running:
        yield running


def models(api: Web, query: str = "") -> list[dict[str, Any]]:
    told = api.client(KEY).get(f"/v1/models{query}")
    assert told.status_code == 200
    found: list[dict[str, Any]] = told.get_json()["models"]
    return found


@pytest.mark.requirement("R42")
def test_a_front_end_can_ask_what_every_model_takes(api: Web) -> None:
    found = models(api)
    assert len(found) == len(api.services.catalogue.find())
    for row in found:
        assert {"model", "provider", "modes", "aspect_ratios", "durations", "price", "usual_seconds"} <= set(row)


@pytest.mark.requirement("R42")
def test_models_are_found_by_all_that_they_have_to_do_at_once(api: Web) -> None:
    both = {row["model"] for row in models(api, "?mode=image&aspect_ratio=9:16&duration=5")}
    for query in ("?mode=image", "?aspect_ratio=9:16", "?duration=5"):
        assert both <= {row["model"] for row in models(api, query)}
    assert both
    assert {row["kind"] for row in models(api, "?kind=video")} == {"video"}
    assert not {row["model"] for row in models(api, "?kind=audio")} & {
        row["model"] for row in models(api, "?kind=video")
    }
    assert models(api, "?provider=nobody") == []
    assert models(api, "?duration=100000") == []


@pytest.mark.requirement("R57", "R66")
@pytest.mark.parametrize("address", ["/v1/estimate", "/v1/jobs?dry_run=true"])
def test_a_job_is_priced_without_being_stored(api: Web, address: str) -> None:
    told = api.client(KEY).post(address, json=storyboard(3))  # there is no database to store it in
    assert told.status_code == 200
    priced = told.get_json()
    assert priced["dry_run"] is True
    assert priced["estimate_cents"] == sum(scene["estimate_cents"] for scene in priced["scenes"]) > 0
    assert [scene["index"] for scene in priced["scenes"]] == [0, 1, 2]


@pytest.mark.requirement("R42")
def test_a_model_is_told_with_the_schema_of_its_scenes(api: Web) -> None:
    client = api.client(KEY)
    assert client.get("/v1/models/replicate/veo-3.1").get_json()["model"] == "replicate/veo-3.1"
    told = client.get("/v1/models/replicate/veo-3.1/schema").get_json()
    assert set(told["modes"]) == {"text", "image", "references", "first_last_frame"}
    references = told["modes"]["references"]
    assert references["aspect_ratios"] == ["16:9"]
    assert references["scene"]["properties"]["reference_image_urls"]["maxItems"] == 3
    assert client.get("/v1/models/replicate/veo-9/schema").status_code == 404
