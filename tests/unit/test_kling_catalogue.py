"""What the catalogue says of Kling: shapes, lengths, prices, and orders that the dialect takes in every mode."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.domain.catalogue import load
from pipeline.domain.model import Model
from pipeline.domain.order import compose_input, plan
from pipeline.domain.rows import Mode
from pipeline.domain.spec import parse_job
from pipeline.providers.kling import LIP_SYNC, _body
from pipeline.providers.protocol import Order
from pipeline.services import catalogue_texts
from simulator.kling.forms import legacy_order, new_order

ROWS = [model for model in load(catalogue_texts("")).models.values() if model.provider == "kling"]
CATALOGUE = load(catalogue_texts(""))
PICTURE = "https://pictures.example/keyframe.png"
#: What a scene gives in each mode.
GIVEN: dict[Mode, dict[str, Any]] = {
    "text": {},
    "image": {"image_url": PICTURE},
    "first_last_frame": {"image_url": PICTURE, "last_frame_url": PICTURE},
    "references": {"reference_image_urls": [PICTURE, PICTURE]},
    "lip_sync": {"video_url": "https://v.example/a.mp4", "audio_url": "https://v.example/a.mp3"},
}


def orders(model: Model) -> Iterator[tuple[str, dict[str, Any]]]:
    """The path and the body of an order in every mode, shape and resolution that a scene can have."""
    for mode in model.modes:
        for shape in model.aspect_ratios(mode) or ("16:9",):
            for resolution in model.resolutions(mode):
                scene = {"description": "a lighthouse", "duration": 3, "resolution": resolution, **GIVEN[mode]}
                body = {"model": model.key, "aspect_ratio": shape, "scenes": [scene]}
                [shot] = plan(parse_job(body), CATALOGUE, duration_buffer=1.25).shots
                given = compose_input(model, shot, seed=7)
                order = Order(model=model.provider_model, endpoint=model.endpoint(mode), marker="m", input=given)
                yield order.endpoint, json.loads(json.dumps(_body(order)))


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("model", [row for row in ROWS if row.kind == "video"], ids=lambda row: row.slug)
def test_whatever_a_scene_can_ask_for_is_an_order_that_the_dialect_takes(model: Model) -> None:
    for path, body in orders(model):
        read = (legacy_order if path.startswith("v1/") else new_order)(path, body)
        assert read[2].get("external_task_id") == (None if path == LIP_SYNC else "m")
        assert read[0].price_cents(_plain(read[1])) > 0


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return given | ({"duration": int(given["duration"])} if "duration" in given else {})


@pytest.mark.requirement("R41")
@pytest.mark.parametrize(
    ("slug", "shapes"), [("kling-v2.1", {"16:9"}), ("kling-v2.5-turbo", {"16:9", "9:16", "1:1", "4:3", "3:4"})]
)
def test_the_shapes_of_the_named_models(slug: str, shapes: set[str]) -> None:
    model = CATALOGUE.model(f"kling/{slug}")
    assert set(model.aspect_ratios()) == set(model.aspect_ratios("image")) == shapes


@pytest.mark.requirement("R43")
@pytest.mark.parametrize(("target", "asked"), [(0.5, 5), (5, 5), (5.01, 10), (10, 10)])
def test_kling_makes_five_seconds_or_ten(target: float, asked: int) -> None:
    for slug in ("kling-2.6", "kling-v2.5-turbo", "kling-v2.1", "kling-v2.1-master", "kling-v1.6"):
        assert CATALOGUE.model(f"kling/{slug}").asked_seconds(target, 1.25) == asked


@pytest.mark.requirement("R57")
@pytest.mark.parametrize(
    ("slug", "resolution", "cents"),
    [
        ("kling-3.0", "720p", 42),
        ("kling-3.0", "1080p", 56),
        ("kling-3.0", "4k", 210),
        ("kling-3.0-turbo", "1080p", 70),
        ("kling-2.6", "720p", 21),
        ("kling-v2.5-turbo", "1080p", 35),
    ],
)
def test_five_seconds_cost_what_the_providers_list_says_and_none_of_it_is_called_certain(
    slug: str, resolution: str, cents: int
) -> None:
    model = CATALOGUE.model(f"kling/{slug}")
    assert model.price_cents(5, resolution) == cents
    assert not model.price.verified


@pytest.mark.requirement("R40")
def test_a_last_frame_of_the_turbo_exists_at_1080p_only_and_two_shots_are_never_made_of_one() -> None:
    assert CATALOGUE.model("kling/kling-v2.5-turbo").resolutions("first_last_frame") == ("1080p",)
    assert CATALOGUE.model("kling/kling-3.0").always["multi_shot"] is False
