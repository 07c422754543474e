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
FILM = "https://films.example/a.mp4"
VOICE = "https://voices.example/a.mp3"
HAILUO = "replicate/hailuo-2.3"


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


@pytest.mark.requirement("R40", "R42")
@pytest.mark.parametrize(
    ("slug", "scene", "wanted"),
    [
        ("kling-lip-sync", {}, ["video_url", "audio_url"]),
        ("kling-lip-sync", {"video_url": FILM}, ["audio_url"]),
        ("kling-lip-sync", {"audio_url": VOICE}, ["video_url"]),
        ("wan-2.2-animate-replace", {}, ["video_url", "character_url"]),
        ("wan-2.2-animate-animation", {"video_url": FILM}, ["character_url"]),
        ("kling-v2.1", {"last_frame_url": PICTURE}, ["image_url"]),
        ("veo-3.1", {"last_frame_url": PICTURE}, ["image_url"]),
    ],
)
def test_a_scene_that_gives_a_part_of_what_a_mode_needs_is_asked_for_the_rest(
    slug: str, scene: dict[str, Any], wanted: list[str]
) -> None:
    errors = refusal(MissingInput, scene, model=f"replicate/{slug}")
    assert list(errors) == [f"scenes.0.{field}" for field in wanted]
    assert f"give {' and '.join(wanted)}" in errors[f"scenes.0.{wanted[0]}"].message


@pytest.mark.requirement("R40")
@pytest.mark.parametrize(
    ("slug", "scene", "mode"),
    [
        ("seedance-1-pro", {}, "text"),
        ("seedance-1-pro", {"image_url": PICTURE}, "image"),
        ("seedance-1-pro", {"image_url": PICTURE, "last_frame_url": PICTURE}, "first_last_frame"),
        ("veo-3.1", {"reference_image_urls": [PICTURE]}, "references"),
        ("kling-lip-sync", {"video_url": FILM, "audio_url": VOICE}, "lip_sync"),
        ("wan-2.2-animate-replace", {"video_url": FILM, "character_url": PICTURE}, "character"),
    ],
)
def test_the_mode_of_a_scene_is_what_it_gives(slug: str, scene: dict[str, Any], mode: str) -> None:
    assert on(slug, scene).shots[0].mode == mode


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(
    ("slug", "scene", "resolution", "allowed"),
    [
        ("seedance-1-pro", {}, "4k", ["480p", "720p", "1080p"]),
        ("seedance-1-lite", {"reference_image_urls": [PICTURE]}, "1080p", ["480p", "720p"]),
        ("kling-v2.5-turbo-pro", {}, "720p", ["1080p"]),
    ],
)
def test_a_resolution_that_the_model_does_not_make_is_refused(
    slug: str, scene: dict[str, Any], resolution: str, allowed: list[str]
) -> None:
    errors = refusal(ValidationFailed, scene | {"resolution": resolution}, model=f"replicate/{slug}")
    found = errors["scenes.0.resolution"]
    assert (found.value, found.allowed) == (resolution, allowed)


@pytest.mark.requirement("R42")
def test_a_length_that_exists_at_another_resolution_only_is_refused() -> None:
    own = 'lines = [{ cents = 28, per = "clip", seconds = 6 }, { cents = 56, per = "clip", seconds = 10 }]'
    dear = '{ cents = 49, per = "clip", seconds = 6, resolution = "1080p" }'
    both = own.replace(" }", ', resolution = "768p" }').replace("[", f"[{dear}, ")
    offered = TEXTS["replicate.toml"].replace('allowed = ["768p"] }', 'allowed = ["768p", "1080p"] }', 1)
    offered = offered.replace(own, both)
    scene: dict[str, Any] = {"resolution": "1080p"}
    told: dict[str, Any] = {"catalogue": load({"replicate.toml": offered}), "model": HAILUO}
    assert planned(scene | {"duration": 6}, **told).estimate_cents == 49
    errors = refusal(UnsupportedDuration, scene | {"duration": 7}, **told)
    assert errors["scenes.0.duration"].allowed == [6]


@pytest.mark.requirement("R42")
def test_a_model_that_makes_no_clips_is_refused_for_a_scene() -> None:
    pictures = TEXTS["replicate.toml"].replace('slug = "veo-3"\n', 'slug = "veo-3"\nkind = "image"\n')
    errors = refusal(ValidationFailed, catalogue=load({"replicate.toml": pictures}), model="replicate/veo-3")
    assert "makes no clips, its kind is image" in errors["model"].message


def test_a_retired_model_is_refused_with_others_that_do_the_same() -> None:
    retired = TEXTS["replicate.toml"].replace('slug = "veo-3"\n', 'slug = "veo-3"\nretired = 2026-07-15\n')
    errors = refusal(ModelRetired, catalogue=load({"replicate.toml": retired}), model="replicate/veo-3")
    assert "2026-07-15" in errors["model"].message
    assert "replicate/veo-3.1" in errors["model"].allowed
    assert not {"replicate/veo-3", "replicate/wan-2.5-i2v"} & set(errors["model"].allowed)


@pytest.mark.parametrize(
    ("scene", "job", "field"),
    [
        ({}, {"webhook_url": "https://me.example/hook"}, "webhook_url"),
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
