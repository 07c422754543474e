"""What a scene for a model may hold, as JSON Schema, so that a front end can build its form and check it first.

One schema for each mode. Whatever it allows is accepted in a job of that model and ratio that has no context. What
other scenes or other models of a job make (keyframes, narrations, an earlier scene's picture) is left out.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.model import Model
from pipeline.domain.parts import prompt_of
from pipeline.domain.rows import INPUTS_OF_MODE, Mode, Seconds
from pipeline.domain.spec import SceneSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LINK = {"type": "string", "format": "uri", "pattern": "^https?://[^ /]+", "maxLength": 2048}
# What a scene is without a duration.
_DEFAULT_SECONDS = SceneSpec.model_fields["duration"].default

_OWN = SceneSpec.model_json_schema()["properties"]

Schema = dict[str, Any]


def form(model: Model) -> Schema:
    """Each mode of a model with the schema of its scenes, and the ratios that the job around them may have."""
    modes = {
        mode: {"aspect_ratios": list(model.aspect_ratios(mode)), "scene": scene_schema(model, mode)}
        for mode in model.modes
    }
    return {"model": model.key, "title": model.title, "orderable": model.orderable, "modes": modes}


def scene_schema(model: Model, mode: Mode) -> Schema:
    """The schema of a scene in this mode."""
    needed = {INPUT_FIELDS[name][0]: _input(model, name) for name in INPUTS_OF_MODE[mode]}
    longest = model.lengths(mode, model.default_resolution(mode)).longest
    shorter = list(_shorter(model, mode, longest))
    taken = {"seed": model.seed_field, "negative_prompt": model.negative_prompt_field}
    return {
        "$schema": DIALECT,
        "title": f"{model.title}: {mode.replace('_', ' ')}",
        "type": "object",
        "additionalProperties": False,
        "required": ["description", *needed, *(["duration"] if longest < _DEFAULT_SECONDS else [])],
        "properties": {
            "description": _description(model),
            **needed,
            "duration": {"type": "number", "exclusiveMinimum": 0, "maximum": longest, "description": "Seconds."},
            "resolution": {"enum": list(model.resolutions(mode)), "default": model.default_resolution(mode)},
            **{name: _OWN[name] for name, field in taken.items() if field},
            "metadata": {"type": "object", "description": _OWN["metadata"]["description"]},
        },
        **({"allOf": shorter} if shorter else {}),
    }


def _description(model: Model) -> Schema:
    """Beside the words go those that are put before each scene."""
    longest = _OWN["description"]["maxLength"]
    if model.prompt_max is not None:
        longest = min(longest, model.prompt_max - len(prompt_of(None, "")))
    # White space alone is no word.
    return {**_OWN["description"], "maxLength": longest, "pattern": r"\S"}


def _input(model: Model, name: str) -> Schema:
    field = INPUT_FIELDS[name][0]
    words = _OWN[field]["description"]
    if _OWN[field].get("type") != "array":
        return {**_LINK, "description": words}
    most = min(getattr(model.inputs, name).max, _OWN[field]["maxItems"])
    return {"type": "array", "items": _LINK, "minItems": 1, "maxItems": most, "description": words}


def _shorter(model: Model, mode: Mode, longest: Seconds) -> Iterator[Schema]:
    """Resolutions at which not every length is to be had."""
    for resolution in model.resolutions(mode):
        most = model.lengths(mode, resolution).longest
        if most < longest:
            chosen = {"properties": {"resolution": {"const": resolution}}, "required": ["resolution"]}
            yield {"if": chosen, "then": {"properties": {"duration": {"maximum": most}}}}
