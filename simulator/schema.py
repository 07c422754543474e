"""What each model takes, read from a TOML file, and the strict check of an order against it."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "uri": (str,),
    "uris": (list,),
    "list": (list,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "text or number": (str, int, float),
}
JSON_TYPES = {"uri": "string", "uris": "array", "list": "array"}
URI = re.compile(r"(https?://|data:)\S+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One thing that is wrong with a body, in the words of a JSON schema validator."""

    type: str
    field: str
    description: str


@dataclass(frozen=True, kw_only=True)
class InputField:
    """One input of a model."""

    type: str = "string"
    required: bool = False
    default: Any = None
    enum: Sequence[Any] | None = None
    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    max_items: int | None = None

    def json_schema(self) -> dict[str, Any]:
        """The field as OpenAPI has it."""
        schema: dict[str, Any] = {"type": JSON_TYPES.get(self.type, self.type)}
        if self.type == "uri":
            schema["format"] = "uri"
        if self.type == "uris":
            schema["items"] = {"type": "string", "format": "uri"}
        bounds = {"default": self.default, "enum": self.enum, "minimum": self.min, "maximum": self.max}
        return schema | {name: value for name, value in bounds.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of the TOML file. Prices are in US cents, per second of result or per result."""

    name: str
    kind: str  #: video, image, audio or text
    seconds: float  #: what rendering usually takes
    input: Mapping[str, InputField]
    version: str | None = None  #: set for a community model, which can be ordered by version only
    clip_seconds: float = 5  #: length of the result when no input says it
    length_of: str | None = None  #: the input whose file is as long as the result: its link says ``?seconds=12``
    frames_field: str | None = None  #: the input whose leading digits count the frames, when no other says its length
    ratio: str = "16:9"  #: shape of the result when no input says it
    output: str = "uri"  #: uri, uris for an array, or words: an array of pieces of text
    cents: float = 0
    cents_by: Mapping[str, float] = field(default_factory=dict)  #: by length, choice or both: ``"6 768p"``, ``"1080p"``
    cents_per_character: float = 0  #: of ``text``
    cents_per_second: float | Mapping[str, float] = 0
    price_field: str = "resolution"  #: which input chooses among several prices

    def with_defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The input as the model sees it."""
        defaults = {name: spec.default for name, spec in self.input.items() if spec.default is not None}
        return defaults | dict(given)

    def result_seconds(self, given: Mapping[str, Any]) -> float:
        """How long the clip or the speech will be."""
        if self.kind == "audio":
            return max(1.0, round(len(str(given.get("text", ""))) / 15, 1))
        whole = self.with_defaults(given)
        if self.length_of:
            link = urlsplit(str(whole.get(self.length_of)))
            return float(parse_qs(link.query).get("seconds", [self.clip_seconds])[0])
        if self.frames_field:
            frames = int(str(whole[self.frames_field]).partition("_")[0])
            return frames / float(whole["frames_per_second"])
        return float(whole.get("duration", self.clip_seconds))

    def price_cents(self, given: Mapping[str, Any]) -> float:
        """What the order costs."""
        whole = self.with_defaults(given)
        rate = self.cents_per_second
        if isinstance(rate, Mapping):
            rate = rate.get(str(whole.get(self.price_field)), max(rate.values()))
        count = int(whole.get("num_outputs", 1))
        spoken = self.cents_per_character * len(str(given.get("text", "")))
        return round(rate * self.result_seconds(given) + self.cents_each(whole) * count + spoken, 3)

    def cents_each(self, whole: Mapping[str, Any]) -> float:
        """What one result costs, beside what its seconds and its characters do."""
        length, choice = str(whole.get("duration", "")), str(whole.get(self.price_field, ""))
        named = (self.cents_by.get(key) for key in (f"{length} {choice}", length, choice))
        return next((cents for cents in named if cents), self.cents)


@dataclass(frozen=True)
class Models:
    """All models of a provider."""

    by_name: Mapping[str, Model] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Models":
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["models"]
        models = (
            Model(**row | {"input": {name: InputField(**spec) for name, spec in row["input"].items()}}) for row in rows
        )
        return cls({model.name: model for model in models})

    def by_version(self, reference: str) -> Model | None:
        """Find by ``owner/name``, ``owner/name:version`` or the bare version of a community model."""
        name, _, version = reference.partition(":")
        model = self.by_name.get(name)
        if model is not None:
            official = model.version is None and version in {"", "hidden"}
            return model if official or (version and version == model.version) else None
        return next((model for model in self.by_name.values() if model.version == reference), None)


def check_input(model: Model, given: Mapping[str, Any]) -> list[Complaint]:
    """Everything that is wrong with ``given`` as an input of ``model``."""
    missing = [
        Complaint(type="required", field="input", description=f"{name} is required")
        for name, spec in model.input.items()
        if spec.required and name not in given
    ]
    return missing + [complaint for name, value in given.items() for complaint in _check_one(model, name, value)]


def _check_one(model: Model, name: str, value: Any) -> Iterator[Complaint]:
    spec = model.input.get(name)
    if spec is None:
        description = f"Additional property {name} is not allowed"
        yield Complaint(type="additional_property_not_allowed", field="input", description=description)
    elif not _has_type(spec.type, value):
        expected = JSON_TYPES.get(spec.type, spec.type)
        description = f"Invalid type. Expected: {expected}, given: {_json_type(value)}"
        yield Complaint(type="invalid_type", field=f"input.{name}", description=description)
    else:
        for kind, description in _broken_bounds(spec, name, value):
            yield Complaint(type=kind, field=f"input.{name}", description=description)


def _has_type(wanted: str, value: Any) -> bool:
    if isinstance(value, bool) and wanted != "boolean":
        return False
    return isinstance(value, PYTHON_TYPES[wanted])


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _broken_bounds(spec: InputField, name: str, value: Any) -> Iterator[tuple[str, str]]:
    if spec.enum is not None and value not in spec.enum:
        allowed = ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in spec.enum)
        yield "enum", f"input.{name} must be one of the following: {allowed}"
    if spec.min is not None and value < spec.min:
        yield "number_gte", f"Must be greater than or equal to {spec.min:g}"
    if spec.max is not None and value > spec.max:
        yield "number_lte", f"Must be less than or equal to {spec.max:g}"
    if spec.max_length is not None and len(value) > spec.max_length:
        yield "string_lte", f"String length must be less than or equal to {spec.max_length}"
    if spec.max_items is not None and len(value) > spec.max_items:
        yield "array_max_items", f"Array must have at most {spec.max_items} items"
    uris = {"uri": [value], "uris": value}.get(spec.type, [])
    if not all(isinstance(uri, str) and URI.match(uri) for uri in uris):
        yield "format", "Does not match format 'uri'"
