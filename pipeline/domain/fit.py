"""Whether a model can do what a scene asks: every offending field found, none of them raised on the way."""

from collections.abc import Collection, Iterator, Sequence
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
from pipeline.domain.rows import INPUTS_OF_MODE, Mode
from pipeline.domain.spec import MAX_ERRORS_NAMED, JobSpec, SceneSpec, sentence, shortened

_FROM: dict[Mode, str] = {
    "text": "from words alone",
    "image": "from an image",
    "references": "from reference images",
    "first_last_frame": "between a first and a last frame",
    "video": "from a video",
    "lip_sync": "from a video and a voice",
    "character": "from a video and a character",
}

#: Each input of a model: the field of a scene that gives it, and what it is called in a sentence.
INPUT_FIELDS: dict[str, tuple[str, str]] = {
    "image": ("image_url", "an image"),
    "last_frame": ("last_frame_url", "a last frame"),
    "references": ("reference_image_urls", "reference images"),
    "video": ("video_url", "a video"),
    "audio": ("audio_url", "a voice"),
    "character": ("character_url", "a character"),
}


@dataclass(frozen=True)
class Problem:
    """One field that can't be, and the refusal that it would be on its own."""

    kind: type[Refusal]
    error: FieldError


def image_field(scene: SceneSpec) -> str:
    """The field by which a scene says what its shot starts from: a link, or a picture that is made first."""
    return next((name for name in ("starts_from", "keyframe") if getattr(scene, name)), INPUT_FIELDS["image"][0])


def inputs_of(scene: SceneSpec) -> tuple[str, ...]:
    """The inputs that a scene gives, by the names of the catalogue."""
    return tuple(name for name in INPUT_FIELDS if getattr(scene, _field(scene, name)))


def _field(scene: SceneSpec, name: str) -> str:
    return image_field(scene) if name == "image" else INPUT_FIELDS[name][0]


def mode_of(scene: SceneSpec) -> Mode:
    """What the scene asks the model to work from."""
    return mode_from(inputs_of(scene))


def mode_from(given: Collection[str]) -> Mode:
    """The mode whose own input is given, the rarest first."""
    own: dict[str, Mode] = {
        "character": "character",
        "audio": "lip_sync",
        "video": "video",
        "last_frame": "first_last_frame",
        "references": "references",
        "image": "image",
    }
    return next((mode for name, mode in own.items() if name in given), "text")


def refusal(problems: Sequence[Problem]) -> Refusal:
    """One refusal for all: of their kind when they are of one kind, else ValidationFailed."""
    kinds = {each.kind for each in problems}
    kind = kinds.pop() if len(kinds) == 1 else ValidationFailed
    errors = [each.error for each in problems]
    return kind(sentence(errors), errors=errors[:MAX_ERRORS_NAMED])


def problem(kind: type[Refusal], field: str, value: Any, allowed: Any, message: str) -> Problem:
    """What is wrong with one field: what it was, what would be allowed, and what to do."""
    return Problem(kind, FieldError(field=field, value=shortened(value), allowed=allowed, message=message))


def not_yet(spec: JobSpec) -> Iterator[Problem]:
    """Parts of the contract that are kept but not done yet: refused, never silently ignored."""
    yield from _set_too_early("", spec, {"webhook_url": None})


def _set_too_early(place: str, form: JobSpec | SceneSpec, unset: dict[str, Any]) -> Iterator[Problem]:
    for name, nothing in unset.items():
        value = getattr(form, name)
        if value != nothing:
            message = "this is not available yet: leave it out"
            yield problem(ValidationFailed, place + name, value, nothing, message)


def model_for(spec: JobSpec, index: int, catalogue: Catalogue) -> tuple[Model | None, list[Problem]]:
    """The model of a scene, or why there is none."""
    field, key = _model_field(spec, index)
    if not key:
        message = "name a model, for the job or for each scene; GET /v1/models lists them"
        return None, [problem(MissingInput, field, key, "provider/slug of the catalogue", message)]
    try:
        model = catalogue.model(key)
    except UnknownModel as unknown:
        return None, [problem(UnknownModel, field, key, catalogue.close_to(key), unknown.detail)]
    if model.retired is not None:
        found = [other.key for other in catalogue.find(mode=mode_of(spec.scenes[index]), kind="video")]
        others = list(dict.fromkeys([*([model.successor] if model.successor else []), *found]))
        instead = f"take {model.successor} instead" if model.successor else "choose another model"
        message = f"{model.key} was withdrawn on {model.retired.isoformat()}: {instead}"
        return None, [problem(ModelRetired, field, key, others, message)]
    if model.kind != "video":
        message = f"{model.key} makes no clips, its kind is {model.kind}: choose a model of kind video"
        return None, [problem(ValidationFailed, field, key, "a model of kind video", message)]
    return model, []


def _model_field(spec: JobSpec, index: int) -> tuple[str, str | None]:
    own = spec.scenes[index].model
    return (f"scenes.{index}.model", own) if own is not None else ("model", spec.model)


def unfit(spec: JobSpec, index: int, model: Model) -> Iterator[Problem]:
    """Everything about a scene that its model can't do."""
    scene, place = spec.scenes[index], f"scenes.{index}"
    if problems := list(_unfit_inputs(scene, place, model)):
        yield from problems
        return
    mode = mode_of(scene)
    yield from _unfit_shape(spec.aspect_ratio, mode, model)
    yield from _unfit_measures(scene, place, mode, model)
    for name, value, field in (
        ("seed", scene.seed, model.seed_field),
        ("negative_prompt", scene.negative_prompt or None, model.negative_prompt_field),
    ):
        if value is not None and field is None:
            message = f"{model.key} takes no {name}: leave it out"
            yield problem(ValidationFailed, f"{place}.{name}", value, None, message)


def _unfit_inputs(scene: SceneSpec, place: str, model: Model) -> Iterator[Problem]:
    """The pictures, videos and sounds of a scene against what the model works from."""
    given = inputs_of(scene)
    for name in given:
        field, words = _field(scene, name), INPUT_FIELDS[name][1]
        takes, value = getattr(model.inputs, name), getattr(scene, field)
        if takes is None:
            message = f"{model.key} does not take {words}: leave it out"
            yield problem(ValidationFailed, f"{place}.{field}", value, None, message)
            return
        if isinstance(value, tuple) and len(value) > takes.max:
            message = f"{model.key} takes at most {takes.max} reference images"
            yield problem(ValidationFailed, f"{place}.{field}", value, {"max_length": takes.max}, message)
            return
    # Whoever gives a part of what a mode needs is asked for the rest, of the mode that needs least.
    fitting = sorted(
        (mode for mode in model.modes if set(given) <= set(INPUTS_OF_MODE[mode])),
        key=lambda mode: len(INPUTS_OF_MODE[mode]),
    )
    yield from _missing(place, given, fitting[0], model) if fitting else _too_many(scene, place, given, model)


def _missing(place: str, given: Sequence[str], mode: Mode, model: Model) -> Iterator[Problem]:
    """The inputs of a mode that a scene does not give."""
    wanted = [INPUT_FIELDS[name][0] for name in INPUTS_OF_MODE[mode] if name not in given]
    for field in wanted:
        message = f"{model.key} works {_FROM[mode]}: give {' and '.join(wanted)}"
        yield problem(MissingInput, f"{place}.{field}", None, "an http:// or https:// link", message)


def _too_many(scene: SceneSpec, place: str, given: Sequence[str], model: Model) -> Iterator[Problem]:
    """Inputs that the model takes one by one, but not together."""
    own = INPUTS_OF_MODE[mode_of(scene)]
    name = next((name for name in given if name not in own), given[-1])
    field, words = _field(scene, name), INPUT_FIELDS[name][1]
    message = f"{model.key} does not take {words} beside what else this scene gives: leave it out"
    yield problem(ValidationFailed, f"{place}.{field}", getattr(scene, field), None, message)


def _unfit_shape(aspect_ratio: str, mode: Mode, model: Model) -> Iterator[Problem]:
    """A clip that is made from a video has its shape, so such a model lists none."""
    shapes = model.aspect_ratios(mode)
    if not shapes or aspect_ratio in shapes:
        return
    pictured = mode == "text" and aspect_ratio in model.aspect_ratio.from_image
    hint = "give an image_url of that shape" if pictured else "choose one of these or another model"
    message = f"{model.key} makes {', '.join(shapes)} {_FROM[mode]}: {hint}"
    yield problem(UnsupportedAspectRatio, "aspect_ratio", aspect_ratio, list(shapes), message)


def unfit_words(field: str, prompt: str, model: Model) -> Iterator[Problem]:
    """A prompt that is too long with all that is said before it, of which the field is the customer's part."""
    if not model.takes_words(prompt):
        message = f"{model.key} takes prompts of {model.prompt_max} characters, the context among them: shorten it"
        yield problem(ValidationFailed, field, prompt, {"max_length": model.prompt_max}, message)


def _unfit_measures(scene: SceneSpec, place: str, mode: Mode, model: Model) -> Iterator[Problem]:
    resolutions = model.resolutions(mode)
    if scene.resolution and scene.resolution not in resolutions:
        message = f"{model.key} makes {', '.join(resolutions)} {_FROM[mode]}: choose one of these or leave it out"
        yield problem(ValidationFailed, f"{place}.resolution", scene.resolution, list(resolutions), message)
        return
    lengths = model.lengths(mode, scene.resolution or model.default_resolution(mode))
    if scene.duration > lengths.longest:
        message = f"{model.key} makes at most {lengths.longest:g} s: shorten the scene or split it in two"
        yield problem(UnsupportedDuration, f"{place}.duration", scene.duration, lengths.allowed, message)
