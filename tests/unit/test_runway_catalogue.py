"""What can be asked of Runway: pixels for shapes, an endpoint for each mode, and what is refused beforehand."""

from typing import Any

import pytest

from pipeline.domain.catalogue import load
from pipeline.domain.errors import MissingInput, UnsupportedAspectRatio
from pipeline.domain.model import Model
from pipeline.domain.order import compose_input, plan
from pipeline.domain.rows import Mode
from pipeline.domain.spec import parse_job
from pipeline.services import catalogue_texts

CATALOGUE = load(catalogue_texts(""))
ROWS = [model for model in CATALOGUE.models.values() if model.provider == "runway"]
PICTURE, VIDEO = "https://pictures.example/a.png", "https://pictures.example/a.mp4"
SIX = {
    "16:9": "1280:720",
    "9:16": "720:1280",
    "4:3": "1104:832",
    "1:1": "960:960",
    "3:4": "832:1104",
    "21:9": "1584:672",
}


def sent(model: str, aspect_ratio: str = "16:9", **scene: Any) -> dict[str, Any]:
    """The input of the one clip of a job."""
    body = {"model": model, "aspect_ratio": aspect_ratio, "scenes": [{"description": "a", "duration": 4, **scene}]}
    [shot] = plan(parse_job(body), CATALOGUE, duration_buffer=1.0).shots
    return compose_input(CATALOGUE.model(model), shot, seed=7)


@pytest.mark.requirement("R40", "R41")
@pytest.mark.parametrize(("ratio", "pixels"), SIX.items())
def test_a_shape_is_told_in_pixels(ratio: str, pixels: str) -> None:
    assert sent("runway/gen4.5", ratio, image_url=PICTURE)["ratio"] == pixels
    assert sent("runway/gen4-turbo", ratio, image_url=PICTURE)["ratio"] == pixels
    assert sent("runway/act-two", ratio, video_url=VIDEO, character_url=PICTURE)["ratio"] == pixels


@pytest.mark.requirement("R41", "R42")
def test_words_alone_make_two_shapes_only() -> None:
    assert sent("runway/gen4.5", "9:16")["ratio"] == "720:1280"
    with pytest.raises(UnsupportedAspectRatio):
        sent("runway/gen4.5", "1:1")


@pytest.mark.requirement("R40")
def test_beside_an_image_hosted_klings_shape_is_not_sent() -> None:
    assert sent("runway/kling-v2.5-turbo-pro", "1:1")["ratio"] == "1440:1440"
    assert "ratio" not in sent("runway/kling-v2.5-turbo-pro", "4:3", image_url=PICTURE)


@pytest.mark.requirement("R40")
@pytest.mark.parametrize(
    ("mode", "endpoint"),
    [
        ("text", {"text_to_video", "text_to_image", "text_to_speech"}),
        ("image", {"image_to_video"}),
        ("first_last_frame", {"image_to_video"}),
        ("video", {"video_to_video"}),
        ("character", {"character_performance"}),
        ("references", {"text_to_image"}),
    ],
)
def test_each_mode_has_its_endpoint(mode: Mode, endpoint: set[str]) -> None:
    assert {row.endpoint(mode) for row in ROWS if mode in row.modes} == endpoint


@pytest.mark.requirement("R21")
def test_the_paths_that_clients_use_belong_to_rows() -> None:
    paths = {path: row.slug for row in ROWS for path in row.legacy_paths.values()}
    assert paths == {"/api/runway/video": "gen4.5", "/api/runway/character-performance": "act-two"}


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.slug)
def test_no_task_is_looked_at_more_often_than_every_five_seconds(row: Model) -> None:
    assert min(row.polling.first_seconds, row.polling.min_seconds) >= 5


@pytest.mark.requirement("R42", "R46")
def test_a_picture_model_that_needs_pictures_is_refused_without_any() -> None:
    scene = {"description": "a", "duration": 4, "keyframe": "a tower"}
    body = {"model": "runway/gen4-turbo", "image_model": "runway/gen4-image-turbo", "scenes": [scene]}
    with pytest.raises(MissingInput, match="reference_images"):
        plan(parse_job(body), CATALOGUE, duration_buffer=1.0)
    found = plan(parse_job({**body, "reference_images": [PICTURE]}), CATALOGUE, duration_buffer=1.0)
    [keyframe] = [part for part in found.parts if part.kind == "image"]
    given = compose_input(CATALOGUE.model(keyframe.model), keyframe, seed=7)
    assert (given["referenceImages"], given["ratio"]) == ([PICTURE], "1280:720")


@pytest.mark.requirement("R40")
def test_a_voice_is_one_of_runways_own_unless_somebody_else_is_asked_for() -> None:
    body: dict[str, Any] = {
        "model": "runway/gen4.5",
        "speech_model": "runway/eleven-v3",
        "scenes": [{"description": "a", "duration": 4, "narration": "It was night."}],
    }
    for voice, expected in (({}, "Leslie"), ({"voice": "Maya"}, "Maya")):
        found = plan(parse_job({**body, **voice}), CATALOGUE, duration_buffer=1.0)
        [spoken] = [part for part in found.parts if part.kind == "audio"]
        given = compose_input(CATALOGUE.model(spoken.model), spoken, seed=7)
        assert (given["voice.type"], given["voice.presetId"]) == ("runway-preset", expected)
