"""What a model can't do is refused before anything is stored, with every offending field."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.domain.catalogue import Catalogue, load
from pipeline.domain.errors import (
    FieldError,
    MissingInput,
    ModelRetired,
    Refusal,
    UnknownModel,
    UnsupportedAspectRatio,
    UnsupportedDuration,
    ValidationFailed,
)
from pipeline.domain.order import Plan, plan
from pipeline.domain.spec import parse_job

FOLDER = Path(__file__).parents[2] / "pipeline" / "catalogue"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.toml")}
SHIPPED = load(TEXTS)
PICTURE = "https://pictures.example/a.png"


def planned(*scenes: dict[str, Any], catalogue: Catalogue = SHIPPED, **job: Any) -> Plan:
    """The plan of a job on Seedance, or on the model that is given."""
    spelled = [{"description": "A lighthouse"} | scene for scene in scenes or [{}]]
    body = {"model": "replicate/seedance-1-pro", "scenes": spelled} | job
    return plan(parse_job(body), catalogue, duration_buffer=1.25)


def on(slug: str, *scenes: dict[str, Any], **job: Any) -> Plan:
    return planned(*scenes, model=f"replicate/{slug}", **job)


def refusal(kind: type[Refusal], *scenes: dict[str, Any], **job: Any) -> dict[str, FieldError]:
    with pytest.raises(Refusal) as caught:
        planned(*scenes, **job)
    assert type(caught.value) is kind
    return {error.field: error for error in caught.value.errors}


@pytest.mark.requirement("R42")
def test_an_unknown_model_names_the_field_the_value_and_what_comes_close() -> None:
    errors = refusal(UnknownModel, {}, {"model": "replicate/seedance-1-prow"})
    assert list(errors) == ["scenes.1.model"]
    assert errors["scenes.1.model"].value == "replicate/seedance-1-prow"
    assert "replicate/seedance-1-pro" in errors["scenes.1.model"].allowed


def test_an_unknown_model_of_the_job_is_named_once_however_many_scenes_use_it() -> None:
    assert list(refusal(UnknownModel, {}, {}, {}, model="replicate/nothing-like-it")) == ["model"]


@pytest.mark.requirement("R42")
def test_a_job_without_a_model_is_asked_for_one() -> None:
    assert "GET /v1/models" in refusal(MissingInput, model=None)["model"].message


def test_a_job_needs_no_model_when_each_scene_has_one() -> None:
    assert planned({"model": "replicate/veo-3"}, model=None).shots[0].model == "replicate/veo-3"


@pytest.mark.requirement("R41", "R42")
@pytest.mark.parametrize(
    ("slug", "scene", "ratio", "allowed"),
    [
        ("kling-v2.1", {"image_url": PICTURE}, "9:16", ["16:9"]),
        ("kling-v2.5-turbo-pro", {"image_url": PICTURE}, "21:9", ["16:9", "9:16", "1:1", "4:3", "3:4"]),
        ("kling-v2.5-turbo-pro", {}, "4:3", ["16:9", "9:16", "1:1"]),
        ("hailuo-2.3", {}, "9:16", ["16:9"]),
        ("hailuo-2.3", {"image_url": PICTURE}, "4:3", ["16:9", "9:16", "1:1"]),
        ("wan-2.5-i2v", {"image_url": PICTURE}, "4:3", ["16:9", "1:1", "9:16"]),
        ("veo-3.1", {}, "1:1", ["16:9", "9:16"]),
        ("veo-3.1", {"reference_image_urls": [PICTURE]}, "9:16", ["16:9"]),
        ("seedance-1-pro", {}, "banana", ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "9:21"]),
    ],
)
def test_a_shape_that_the_model_can_not_make_is_refused(
    slug: str, scene: dict[str, Any], ratio: str, allowed: list[str]
) -> None:
    errors = refusal(UnsupportedAspectRatio, scene, scene, model=f"replicate/{slug}", aspect_ratio=ratio)
    assert list(errors) == ["aspect_ratio"]
    assert (errors["aspect_ratio"].value, errors["aspect_ratio"].allowed) == (ratio, allowed)


@pytest.mark.requirement("R41")
@pytest.mark.parametrize(
    ("slug", "ratios"),
    [
        ("kling-v2.1", ["16:9"]),
        ("kling-v2.5-turbo-pro", ["16:9", "9:16", "1:1", "4:3", "3:4"]),
        ("hailuo-2.3", ["16:9", "9:16", "1:1"]),
        ("wan-2.5-i2v", ["16:9", "1:1", "9:16"]),
        ("veo-3.1", ["16:9", "9:16"]),
    ],
)
def test_every_shape_of_the_named_models_can_be_ordered_beside_an_image(slug: str, ratios: list[str]) -> None:
    for ratio in ratios:
        assert on(slug, {"image_url": PICTURE}, aspect_ratio=ratio).shots[0].aspect_ratio == ratio


def test_a_shape_that_only_an_image_can_give_is_refused_with_that_hint() -> None:
    errors = refusal(UnsupportedAspectRatio, model="replicate/hailuo-2.3", aspect_ratio="9:16")
    assert "give an image_url of that shape" in errors["aspect_ratio"].message


@pytest.mark.requirement("R42", "R43")
@pytest.mark.parametrize(
    ("slug", "target", "allowed"),
    [
        ("kling-v2.5-turbo-pro", 12, [5, 10]),
        ("kling-v2.5-turbo-pro", 10.01, [5, 10]),
        ("veo-3.1", 8.5, [4, 6, 8]),
        ("seedance-1-pro", 12.1, {"min": 2, "max": 12}),
        ("seedance-1-pro", 1e300, {"min": 2, "max": 12}),
    ],
)
def test_a_scene_longer_than_the_model_makes_is_refused(slug: str, target: float, allowed: Any) -> None:
    errors = refusal(UnsupportedDuration, {}, {"duration": target}, model=f"replicate/{slug}")
    assert list(errors) == ["scenes.1.duration"]
    assert (errors["scenes.1.duration"].value, errors["scenes.1.duration"].allowed) == (target, allowed)


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(
    ("kind", "slug", "scene", "field"),
    [
        (MissingInput, "wan-2.5-i2v", {}, "image_url"),
        (MissingInput, "kling-v2.1", {}, "image_url"),
        (ValidationFailed, "wan-2.5-t2v", {"image_url": PICTURE}, "image_url"),
        (ValidationFailed, "seedance-1-pro", {"reference_image_urls": [PICTURE]}, "reference_image_urls"),
        (ValidationFailed, "veo-3.1", {"reference_image_urls": [PICTURE] * 4}, "reference_image_urls"),
        (ValidationFailed, "veo-3.1", {"reference_image_urls": [PICTURE], "image_url": PICTURE}, "image_url"),
        (ValidationFailed, "kling-v2.5-turbo-pro", {"seed": 7}, "seed"),
        (ValidationFailed, "seedance-1-pro", {"negative_prompt": "rain"}, "negative_prompt"),
    ],
)
def test_an_input_that_the_model_lacks_or_can_not_take_is_refused(
    kind: type[Refusal], slug: str, scene: dict[str, Any], field: str
) -> None:
    errors = refusal(kind, scene, model=f"replicate/{slug}")
    assert list(errors) == [f"scenes.0.{field}"]
    assert f"replicate/{slug}" in errors[f"scenes.0.{field}"].message


@pytest.mark.parametrize("slug", ["kling-lip-sync", "wan-2.2-animate-replace", "wan-2.2-animate-animation"])
def test_a_model_that_needs_a_video_says_that_a_scene_can_not_give_one_yet(slug: str) -> None:
    assert "needs video and" in refusal(ValidationFailed, model=f"replicate/{slug}")["model"].message


def test_a_retired_model_is_refused_with_others_that_do_the_same() -> None:
    retired = TEXTS["replicate.toml"].replace('slug = "veo-3"\n', 'slug = "veo-3"\nretired = 2026-07-15\n')
    errors = refusal(ModelRetired, catalogue=load({"replicate.toml": retired}), model="replicate/veo-3")
    assert "2026-07-15" in errors["model"].message
    assert "replicate/veo-3.1" in errors["model"].allowed
    assert not {"replicate/veo-3", "replicate/wan-2.5-i2v"} & set(errors["model"].allowed)


@pytest.mark.parametrize(
    ("scene", "job", "field"),
    [
        ({"narration": "Once"}, {}, "scenes.0.narration"),
        ({"starts_from": 0}, {}, "scenes.0.starts_from"),
        ({"starts_from": {"scene": 1}}, {}, "scenes.0.starts_from"),
        ({}, {"reference_images": [PICTURE]}, "reference_images"),
        ({}, {"webhook_url": "https://me.example/hook"}, "webhook_url"),
        ({}, {"allow_fallback": True}, "allow_fallback"),
    ],
)
def test_what_is_not_available_yet_is_refused_and_not_ignored(
    scene: dict[str, Any], job: dict[str, Any], field: str
) -> None:
    assert "not available yet" in refusal(ValidationFailed, scene, **job)[field].message


@pytest.mark.requirement("R42")
def test_all_offending_fields_are_listed_and_mixed_kinds_are_a_failed_validation() -> None:
    errors = refusal(
        ValidationFailed,
        {"duration": 13},
        {"model": "no/such"},
        {"negative_prompt": "rain", "duration": 2},
        {},
        aspect_ratio="2:1",
    )
    assert set(errors) == {"scenes.0.duration", "scenes.1.model", "scenes.2.negative_prompt", "aspect_ratio"}
