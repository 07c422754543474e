"""Whether a model can do what a scene asks: every offending field found, none of them raised on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain.catalogue import Catalogue
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
from pipeline.domain.model import Model
from pipeline.domain.rows import INPUTS_OF_MODE, ORDERABLE_MODES, Mode
from pipeline.domain.spec import MAX_ERRORS_NAMED, JobSpec, SceneSpec, sentence, shortened

_FROM: dict[Mode, str] = {
    "text": "from words alone",
    "image": "from an image",
    "references": "from reference images",
}


@dataclass(frozen=True)
class Problem:
    """One field that can't be, and the refusal that it would be on its own."""

    kind: type[Refusal]
    error: FieldError


def mode_of(scene: SceneSpec) -> Mode:
    """What the scene asks the model to work from."""
    if scene.reference_image_urls:
        return "references"
    return "image" if scene.image_url else "text"


def refusal(problems: Sequence[Problem]) -> Refusal:
    """One refusal for all: of their kind when they are of one kind, else ValidationFailed."""
    kinds = {problem.kind for problem in problems}
    kind = kinds.pop() if len(kinds) == 1 else ValidationFailed
    errors = [problem.error for problem in problems]
    return kind(sentence(errors), errors=errors[:MAX_ERRORS_NAMED])


def _problem(kind: type[Refusal], field: str, value: Any, allowed: Any, message: str) -> Problem:
    return Problem(kind, FieldError(field=field, value=shortened(value), allowed=allowed, message=message))


def not_yet(spec: JobSpec) -> Iterator[Problem]:
    """Parts of the contract that are kept but not done yet: refused, never silently ignored."""
    yield from _set_too_early("", spec, {"reference_images": (), "webhook_url": None, "allow_fallback": False})
    for index, scene in enumerate(spec.scenes):
        yield from _set_too_early(f"scenes.{index}.", scene, {"narration": None, "starts_from": None})


def _set_too_early(place: str, form: JobSpec | SceneSpec, unset: dict[str, Any]) -> Iterator[Problem]:
    for name, nothing in unset.items():
        value = getattr(form, name)
        if value != nothing:
            message = "this is not available yet: leave it out"
            yield _problem(ValidationFailed, place + name, value, nothing, message)


def model_for(spec: JobSpec, index: int, catalogue: Catalogue) -> tuple[Model | None, list[Problem]]:
    """The model of a scene, or why there is none."""
    field, key = _model_field(spec, index)
    if not key:
        message = "name a model, for the job or for each scene; GET /v1/models lists them"
        return None, [_problem(MissingInput, field, key, "provider/slug of the catalogue", message)]
    try:
        model = catalogue.model(key)
    except UnknownModel as unknown:
        return None, [_problem(UnknownModel, field, key, catalogue.close_to(key), unknown.detail)]
    if model.retired is not None:
        others = [other.key for other in catalogue.find(mode=mode_of(spec.scenes[index]))]
        message = f"{model.provider} withdrew it on {model.retired.isoformat()}: choose another model"
        return None, [_problem(ModelRetired, field, key, others, message)]
    return model, []


def _model_field(spec: JobSpec, index: int) -> tuple[str, str | None]:
    own = spec.scenes[index].model
    return (f"scenes.{index}.model", own) if own is not None else ("model", spec.model)


def unfit(spec: JobSpec, index: int, model: Model) -> Iterator[Problem]:
    """Everything about a scene that its model can't do."""
    scene, mode = spec.scenes[index], mode_of(spec.scenes[index])
    problem = _unfit_mode(spec, index, model)
    if problem is not None:
        yield problem
        return
    shapes, lengths = model.aspect_ratios(mode), model.lengths(mode)
    if spec.aspect_ratio not in shapes:
        pictured = mode == "text" and spec.aspect_ratio in model.aspect_ratio.from_image
        hint = "give an image_url of that shape" if pictured else "choose one of these or another model"
        message = f"{model.key} makes {', '.join(shapes)} {_FROM[mode]}: {hint}"
        yield _problem(UnsupportedAspectRatio, "aspect_ratio", spec.aspect_ratio, list(shapes), message)
    if scene.duration > lengths.longest:
        message = f"{model.key} makes at most {lengths.longest:g} s: shorten the scene or split it in two"
        yield _problem(UnsupportedDuration, f"scenes.{index}.duration", scene.duration, lengths.allowed, message)
    for name, value, field in (
        ("seed", scene.seed, model.seed_field),
        ("negative_prompt", scene.negative_prompt or None, model.negative_prompt_field),
    ):
        if value is not None and field is None:
            message = f"{model.key} takes no {name}: leave it out"
            yield _problem(ValidationFailed, f"scenes.{index}.{name}", value, None, message)


def _unfit_mode(spec: JobSpec, index: int, model: Model) -> Problem | None:
    """The pictures of a scene against what the model works from."""
    scene, mode, place = spec.scenes[index], mode_of(spec.scenes[index]), f"scenes.{index}"
    if ORDERABLE_MODES.isdisjoint(model.modes):
        needs = " and ".join(INPUTS_OF_MODE[model.modes[0]])
        field, key = _model_field(spec, index)
        message = f"{model.key} needs {needs}, which a scene can't give yet: choose another model"
        return _problem(ValidationFailed, field, key, "a model for text, image or references", message)
    if mode == "text" and mode not in model.modes:
        wanted = "image_url" if "image" in model.modes else "reference_image_urls"
        message = f"{model.key} starts from a picture: give {wanted}"
        return _problem(MissingInput, f"{place}.{wanted}", None, "an http:// or https:// link", message)
    if mode == "image" and mode not in model.modes:
        message = f"{model.key} takes no image: leave it out"
        return _problem(ValidationFailed, f"{place}.image_url", scene.image_url, None, message)
    if mode == "references":
        return _unfit_references(scene, place, model)
    return None


def _unfit_references(scene: SceneSpec, place: str, model: Model) -> Problem | None:
    given, field = scene.reference_image_urls, f"{place}.reference_image_urls"
    takes = model.inputs.references
    if takes is None:
        return _problem(ValidationFailed, field, given, [], f"{model.key} takes no reference images: leave them out")
    if len(given) > takes.max:
        message = f"{model.key} takes at most {takes.max} reference images"
        return _problem(ValidationFailed, field, given, {"max_length": takes.max}, message)
    if scene.image_url:
        message = f"{model.key} takes an image or reference images, not both in one scene"
        return _problem(ValidationFailed, f"{place}.image_url", scene.image_url, None, message)
    return None
