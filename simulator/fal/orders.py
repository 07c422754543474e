"""Reads an order the way fal does: the body is the model's input, and every complaint names its place."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from simulator.desk import EXTENSIONS, Sale, root_url
from simulator.predictions import Media
from simulator.schema import Complaint, InputField, Model, check_input

CHARACTERS_PER_SECOND = 15
SHAPES = {
    "square_hd": "1:1",
    "square": "1:1",
    "portrait_4_3": "3:4",
    "portrait_16_9": "9:16",
    "landscape_4_3": "4:3",
    "landscape_16_9": "16:9",
}
#: A complaint of our schema → the error type that fal has for it.
TYPES = {
    "additional_property_not_allowed": "extra_forbidden",
    "required": "missing",
    "invalid_type": "type_error",
    "enum": "literal_error",
    "number_gte": "greater_than_equal",
    "number_lte": "less_than_equal",
    "string_lte": "string_too_long",
    "array_max_items": "too_long",
    "format": "url_parsing",
}


@dataclass(frozen=True, kw_only=True)
class FalModel(Model):
    """One endpoint."""

    def result_seconds(self, given: Mapping[str, Any]) -> float:
        """How long the clip or the speech will be; ``8s``, ``"8"`` and ``8`` are the same."""
        if self.kind == "audio":
            return max(1.0, round(len(prompt_of(given)) / CHARACTERS_PER_SECOND, 1))
        if self.length_of:
            return super().result_seconds(given)
        return float(str(self.with_defaults(given).get("duration", self.clip_seconds)).removesuffix("s"))

    def price_cents(self, given: Mapping[str, Any]) -> float:
        """What the order costs."""
        whole = self.with_defaults(given)
        rate = self.cents_per_second
        if isinstance(rate, Mapping):
            rate = rate[str(whole.get("resolution", ""))]
        spoken = self.cents_per_character * len(prompt_of(given))
        per_second = rate * self.result_seconds(given) if rate else 0
        return round(per_second + self.cents_each(whole) * int(whole.get("num_images", 1)) + spoken, 3)


def read_models(path: Path) -> dict[str, FalModel]:
    """The models of a file by their endpoints; a row may stand for several."""
    models: dict[str, FalModel] = {}
    for row in tomllib.loads(path.read_text(encoding="utf-8"))["models"]:
        names, given = row.pop("names"), row.pop("input")
        inputs = {name: InputField(**spec) for name, spec in given.items()}
        models |= {name: FalModel(name=name, input=inputs, **row) for name in names}
    return models


def complaints(model: FalModel, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything that is wrong with an input, as fal's ``detail`` has it."""
    return [_detail(complaint, given) for complaint in check_input(model, given)]


def _detail(complaint: Complaint, given: Mapping[str, Any]) -> dict[str, Any]:
    name = complaint.field.partition(".")[2] or complaint.description.split()[0]
    if complaint.type == "additional_property_not_allowed":
        name = complaint.description.split()[2]
    kind = TYPES[complaint.type]
    return {"loc": ["body", name], "msg": complaint.description, "type": kind, "input": given.get(name)}


def prompt_of(given: Mapping[str, Any]) -> str:
    """The text that an input turns on, wherever the model has it."""
    return str(given.get("prompt") or given.get("text") or "")


def sale_of(model: FalModel, given: Mapping[str, Any], *, at_once: int | None, webhook: str | None) -> Sale:
    """An order that was found right, as the desk sells it."""
    return Sale(
        id=str(uuid4()),
        model=model,
        given=given,
        body=dict(given),
        prompt=prompt_of(given),
        base_url=root_url(),
        webhook=webhook,
        at_once=at_once,
        media=_media(model, given),
    )


def _media(model: FalModel, given: Mapping[str, Any]) -> Media:
    whole = model.with_defaults(given)
    asked = str(whole.get("output_format", "")) if model.kind == "image" else ""
    return Media(
        kind=model.kind,
        extension={"jpeg": "jpg"}.get(asked, asked) or EXTENSIONS[model.kind],
        count=int(whole.get("num_images", 1)),
        ratio=_ratio([whole.get("aspect_ratio"), SHAPES.get(str(whole.get("image_size"))), model.ratio]),
        seconds=model.result_seconds(given),
    )


def _ratio(candidates: Sequence[Any]) -> float:
    """The first that names a shape; ``auto`` does not."""
    named = (re.fullmatch(r"(\d+):(\d+)", str(each)) for each in candidates)
    return next(int(each[1]) / int(each[2]) for each in named if each)
