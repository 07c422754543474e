"""The schema of a scene and the check of an order never contradict each other."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.catalogue import load
from pipeline.domain.errors import Refusal
from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.order import plan
from pipeline.domain.rows import INPUTS_OF_MODE, Mode
from pipeline.domain.scene_form import form, scene_schema
from pipeline.domain.spec import parse_job

FOLDER = Path(__file__).parents[2] / "pipeline" / "catalogue"
SHIPPED = load({path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.toml")})
ORDERABLE = [model for model in SHIPPED.models.values() if model.orderable]
CASES = [(model.key, mode) for model in ORDERABLE for mode in model.modes]
PICTURE = "https://pictures.example/a.png"


def least(key: str, mode: Mode) -> dict[str, Any]:
    """The least that a scene in this mode gives."""
    fields = [INPUT_FIELDS[name][0] for name in INPUTS_OF_MODE[mode]]
    given = {field: [PICTURE] if field == "reference_image_urls" else PICTURE for field in fields}
    lengths = SHIPPED.model(key).lengths(mode)
    return {"description": "A lighthouse", "duration": min(2, lengths.longest), **given}


def accepted(key: str, mode: Mode, scene: dict[str, Any]) -> bool:
    shapes = SHIPPED.model(key).aspect_ratios(mode)
    body = {"model": key, "scenes": [scene], **({"aspect_ratio": shapes[0]} if shapes else {})}
    try:
        plan(parse_job(body), SHIPPED, duration_buffer=1.0)
    except Refusal:
        return False
    return True


def allowed(key: str, mode: Mode, scene: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft202012Validator(scene_schema(SHIPPED.model(key), mode)).is_valid(scene)


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(("key", "mode"), CASES)
def test_the_least_scene_of_each_mode_is_allowed_and_accepted(key: str, mode: Mode) -> None:
    assert jsonschema_rs.meta.is_valid(scene_schema(SHIPPED.model(key), mode))
    assert allowed(key, mode, least(key, mode))
    assert accepted(key, mode, least(key, mode))


MORE = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["", " ", "A keeper", "x" * 900, "x" * 3000, "x" * 5000]),
        "duration": st.sampled_from([0, 1, 3.5, 5, 8, 10, 12, 15, 20, 31]),
        "resolution": st.sampled_from(["480p", "720p", "768p", "1080p", "4k", "8k"]),
        "seed": st.sampled_from([0, 7, -1, 2**31]),
        "negative_prompt": st.just("rain"),
        "image_url": st.sampled_from([PICTURE, "no link"]),
        "last_frame_url": st.just(PICTURE),
        "reference_image_urls": st.lists(st.just(PICTURE), max_size=11),
        "video_url": st.just(PICTURE),
        "shutter": st.just(180),
    },
)


@pytest.mark.requirement("R42")
@settings(deadline=None, max_examples=300)
@given(case=st.sampled_from(CASES), more=MORE)
def test_what_the_schema_allows_is_accepted(case: tuple[str, Mode], more: dict[str, Any]) -> None:
    key, mode = case
    scene = least(key, mode) | more
    if allowed(key, mode, scene):
        assert accepted(key, mode, scene)


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(("key", "mode"), CASES)
def test_what_a_mode_can_not_do_without_is_required(key: str, mode: Mode) -> None:
    whole = least(key, mode)
    for field in [INPUT_FIELDS[name][0] for name in INPUTS_OF_MODE[mode]]:
        assert not allowed(key, mode, {name: value for name, value in whole.items() if name != field})


def test_a_form_names_every_mode() -> None:
    model = SHIPPED.model("replicate/seedance-1-lite")
    assert tuple(form(model)["modes"]) == model.modes
