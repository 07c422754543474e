"""Orders of one clip, flat and in the words of clients that spoke to a provider before: read into the body of a job.

A path of old names a row of the catalogue and a mode of it. Beside the names below a client may use those that the row
itself has for its inputs. What nobody knows is refused, as everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import FieldError, MissingInput, Refusal, UnknownModel
from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.model import Model
from pipeline.domain.rows import INPUTS_OF_MODE, Mode, Range
from pipeline.domain.spec import refused, sentence, shortened

#: Each field of a scene, and how clients call it; the first name is the one that is told to who used none.
SCENE_NAMES: Mapping[str, tuple[str, ...]] = {
    "description": ("prompt", "promptText", "description", "text"),
    "image_url": ("image_url", "image", "imageUrl", "promptImage", "first_frame_image", "first_frame_url"),
    "last_frame_url": ("last_frame_url", "last_frame", "end_image_url", "last_frame_image", "lastFrame", "endImageUrl"),
    "reference_image_urls": ("reference_image_urls", "reference_images", "referenceImages", "image_urls"),
    "video_url": ("video_url", "video", "videoUrl", "videoUri"),
    "audio_url": ("audio_url", "audio", "audioUrl", "audioUri"),
    "character_url": ("character_url", "character", "character_image", "characterUrl"),
    "duration": ("duration", "duration_seconds", "seconds"),
    "resolution": ("resolution",),
    "seed": ("seed",),
    "negative_prompt": ("negative_prompt", "negativePrompt"),
}
#: Likewise of the job around it.
JOB_NAMES: Mapping[str, tuple[str, ...]] = {
    "aspect_ratio": ("aspect_ratio", "ratio", "aspectRatio"),
    "webhook_url": ("webhook_url", "webhook", "callback_url", "webhookUrl"),
    **{
        name: (name,)
        for name in ("title", "consistency_context", "priority", "allow_fallback", "budget_cents", "metadata")
    },
}
_MODEL = "model"
# What a client may wrap a link in, and what else may stand in the wrapping.
_WRAPPED = ("uri", "url")
_WRAPPING = {*_WRAPPED, "type", "position", "tag"}


@dataclass(frozen=True, kw_only=True)
class Single:
    """The body of a job of one scene, and how its client called the fields of it."""

    body: Mapping[str, Any]
    spelt: Mapping[str, str] = field(default_factory=dict)

    def named(self, refusal: Refusal) -> Refusal:
        """A refusal of the job, in the words of who wrote the order."""
        errors = [replace(error, field=self._name(error.field)) for error in refusal.errors]
        return type(refusal)(sentence(errors) if errors else refusal.detail, errors=errors)

    def _name(self, place: str) -> str:
        own = place.removeprefix("scenes.0.")
        first = {name: names[0] for name, names in {**SCENE_NAMES, **JOB_NAMES}.items()}
        return self.spelt.get(own) or first.get(own, own)


def row_of(body: Any, catalogue: Catalogue, default: Model) -> Model:
    """The row that an order is for: the path's own, or another of its provider that the body names.

    A model may be named by its slug, its key, or as its provider calls it. Raises UnknownModel.
    """
    named = body.get(_MODEL) if isinstance(body, Mapping) else None
    if named is None:
        return default
    rows = [model for model in catalogue.models.values() if model.provider == default.provider]
    wanted = str(named).casefold()
    for row in rows:
        if wanted in {row.key.casefold(), row.slug.casefold(), row.provider_model.casefold()}:
            return row
    message = f"{default.provider} has no model {str(named)[:100]!r} here; GET /v1/models lists what there is"
    allowed = [row.slug for row in rows if row.orderable]
    raise UnknownModel(
        message, errors=[FieldError(field=_MODEL, value=shortened(named), allowed=allowed, message=message)]
    )


def read(body: Any, model: Model | None = None, mode: Mode | None = None) -> Single:
    """The job that an order of one clip means, for this model, and in this mode of it where the path names one.

    Raises ValidationFailed for fields that nobody knows, and MissingInput for what the mode can't do without.
    """
    if not isinstance(body, Mapping):
        raise refused([FieldError(field="body", value=shortened(body), message="this has to be an object")])
    found, spelt = _sorted(body, _names(model))
    scene = _unwrapped({name: found.pop(name) for name in SCENE_NAMES if name in found})
    if model is not None:
        found[_MODEL] = model.key
        _translate(found, scene, model)
    single = Single(body={**found, "scenes": [scene]}, spelt=spelt)
    if lacking := [INPUT_FIELDS[name][0] for name in (INPUTS_OF_MODE[mode] if mode else ())]:
        _require(single, [name for name in lacking if not scene.get(name)])
    return single


def _names(model: Model | None) -> dict[str, str]:
    """Every name that a client may use, and the field it means; the row's own names go first."""
    common = {name: field for field, names in {**SCENE_NAMES, **JOB_NAMES}.items() for name in names}
    if model is None:
        return common
    own = {
        model.prompt_field: "description",
        model.aspect_ratio.field: "aspect_ratio",
        model.duration.field: "duration",
        model.resolution.field: "resolution",
        model.seed_field: "seed",
        model.negative_prompt_field: "negative_prompt",
    }
    # A path of names is an object to whoever writes it: its first name is the field.
    inputs = {given.field.partition(".")[0]: INPUT_FIELDS[name][0] for name, given in model.inputs if given}
    return common | {name: field for name, field in own.items() if name} | inputs


def _sorted(body: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands in the body by our names, and under which of theirs. Raises ValidationFailed."""
    found: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    problems = []
    for name, value in body.items():
        if name == _MODEL or value is None:
            continue
        if name not in names:
            message = "there is no such field; look for a typing mistake, or leave it out"
            allowed = sorted({_MODEL, *names})
            problems.append(FieldError(field=name, value=shortened(value), allowed=allowed, message=message))
        elif names[name] in found:
            message = f"this says the same as {spelt[names[name]]}: leave one of them out"
            problems.append(FieldError(field=name, value=shortened(value), message=message))
        else:
            found[names[name]], spelt[names[name]] = value, name
    if problems:
        raise refused(problems)
    return found, spelt


def _unwrapped(scene: dict[str, Any]) -> dict[str, Any]:
    """Links without their wrapping; a list of frames tells by their positions which is the last."""
    frames = scene.get("image_url")
    if isinstance(frames, list) and all(isinstance(each, Mapping) for each in frames):
        places = ["last_frame_url" if each.get("position") == "last" else "image_url" for each in frames]
        if len(set(places)) == len(places):
            scene = {name: value for name, value in scene.items() if name != "image_url"}
            scene |= dict(zip(places, frames, strict=True))
    return {name: _link(value) for name, value in scene.items()}


def _link(value: Any) -> Any:
    if isinstance(value, list):
        return [_link(each) for each in value]
    if isinstance(value, Mapping) and set(value) <= _WRAPPING:
        return next((value[name] for name in _WRAPPED if name in value), value)
    return value


def _translate(found: dict[str, Any], scene: dict[str, Any], model: Model) -> None:
    """Values in the provider's words become ours: a size that is a ratio, seconds that are text."""
    ratios = {sent: ratio for ratio, sent in model.aspect_ratio.values.items() if isinstance(sent, str)}
    if (shape := found.get("aspect_ratio")) in {"auto", *ratios}:
        found.pop("aspect_ratio")
        found |= {"aspect_ratio": ratios[shape]} if shape in ratios else {}
    if isinstance(scene.get("duration"), str):
        scene["duration"] = _seconds(scene["duration"], model)
    if isinstance(scene.get("resolution"), str):
        known = {each.casefold(): each for each in model.resolution.allowed}
        scene["resolution"] = known.get(scene["resolution"].casefold(), scene["resolution"])
    if not model.prompt_field:
        scene.setdefault("description", model.title)


def _seconds(told: str, model: Model) -> Any:
    """``"8s"``, ``"8"`` or the row's own word as seconds; what is none of these is left for its refusal."""
    if told in model.duration.sent and not isinstance(model.duration.seconds, Range):
        return model.duration.seconds[model.duration.sent.index(told)]
    number = told.removesuffix("s")
    return float(number) if number.replace(".", "", 1).isascii() and number.replace(".", "", 1).isdigit() else told


def _require(single: Single, lacking: Sequence[str]) -> None:
    if not lacking:
        return
    errors = [
        FieldError(
            field=f"scenes.0.{name}", allowed="an http:// or https:// link", message="this path can't do without"
        )
        for name in lacking
    ]
    raise single.named(MissingInput(sentence(errors), errors=errors))
