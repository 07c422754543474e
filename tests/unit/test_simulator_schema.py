"""The simulated provider is as strict as the real one, and says what is wrong in its words."""

from typing import Any

import pytest

from simulator.replicate.dialect import MODELS
from simulator.schema import Models, check_input

MODEL_TABLE = Models.read(MODELS)
SEEDANCE = MODEL_TABLE.by_name["bytedance/seedance-1-pro"]
LITE = MODEL_TABLE.by_name["bytedance/seedance-1-lite"]
URL = "https://example.com/a.png"


def test_a_complete_input_has_nothing_wrong() -> None:
    given = {"prompt": "a", "duration": 12, "image": "data:image/png;base64,AA==", "aspect_ratio": "9:21", "seed": 3}
    assert check_input(SEEDANCE, given) == []


@pytest.mark.parametrize(
    ("given", "kind", "field"),
    [
        ({}, "required", "input"),
        ({"prompt": "a", "colour": 1}, "additional_property_not_allowed", "input"),
        ({"prompt": 7}, "invalid_type", "input.prompt"),
        ({"prompt": None}, "invalid_type", "input.prompt"),
        ({"prompt": "a", "duration": "5"}, "invalid_type", "input.duration"),
        ({"prompt": "a", "duration": True}, "invalid_type", "input.duration"),
        ({"prompt": "a", "duration": 5.5}, "invalid_type", "input.duration"),
        ({"prompt": "a", "duration": 1}, "number_gte", "input.duration"),
        ({"prompt": "a", "duration": 13}, "number_lte", "input.duration"),
        ({"prompt": "a", "aspect_ratio": "2:1"}, "enum", "input.aspect_ratio"),
        ({"prompt": "a", "image": "keyframe.png"}, "format", "input.image"),
        ({"prompt": "a", "reference_images": [URL] * 5}, "array_max_items", "input.reference_images"),
        ({"prompt": "a", "reference_images": [7]}, "format", "input.reference_images"),
    ],
)
def test_each_mistake_is_named_with_its_field(given: dict[str, Any], kind: str, field: str) -> None:
    complaints = check_input(LITE, given)
    assert [(complaint.type, complaint.field) for complaint in complaints] == [(kind, field)]


def test_every_mistake_is_named_at_once() -> None:
    assert len(check_input(SEEDANCE, {"duration": 99, "colour": 1})) == 3


def test_an_official_model_is_found_by_name_and_a_community_model_by_version_only() -> None:
    svd = MODEL_TABLE.by_name["stability-ai/stable-video-diffusion"]
    assert MODEL_TABLE.by_version("bytedance/seedance-1-pro") is SEEDANCE
    assert MODEL_TABLE.by_version("bytedance/seedance-1-pro:hidden") is SEEDANCE
    assert MODEL_TABLE.by_version("bytedance/seedance-1-pro:0123") is None
    assert svd.version is not None
    assert MODEL_TABLE.by_version(svd.version) is svd
    assert MODEL_TABLE.by_version(f"{svd.name}:{svd.version}") is svd
    assert MODEL_TABLE.by_version(svd.name) is None
    assert MODEL_TABLE.by_version("nobody/nothing") is None


def test_a_clip_counted_in_frames_is_as_long_as_its_frames() -> None:
    svd = MODEL_TABLE.by_name["stability-ai/stable-video-diffusion"]
    assert svd.result_seconds({"video_length": "25_frames_with_svd_xt", "frames_per_second": 10}) == 2.5
    assert round(svd.result_seconds({}), 2) == 2.33


def test_the_price_follows_the_length_and_the_resolution() -> None:
    assert SEEDANCE.price_cents({"prompt": "a"}) == 62
    assert SEEDANCE.price_cents({"prompt": "a", "duration": 10, "resolution": "480p"}) == 25
    assert MODEL_TABLE.by_name["wan-video/wan-2.5-t2v"].price_cents({"prompt": "a", "size": "832*480"}) == 25
    assert MODEL_TABLE.by_name["black-forest-labs/flux-schnell"].price_cents({"prompt": "a", "num_outputs": 4}) == 1.2


@pytest.mark.parametrize("model", MODEL_TABLE.by_name.values(), ids=lambda model: model.name)
def test_the_defaults_of_every_model_pass_its_own_check(model: Any) -> None:
    defaults = model.with_defaults({})
    assert [complaint for complaint in check_input(model, defaults) if complaint.type != "required"] == []
    assert model.price_cents({"text": "It was night.", **defaults}) > 0
    assert model.result_seconds(defaults) > 0
