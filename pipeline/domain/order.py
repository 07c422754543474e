"""From a job's body to what will be asked of the models: every scene checked, measured and priced before money moves.

``plan`` is the gate of R42: what a model can't do is refused here, with all offending fields, and nothing is stored.
``compose_input`` writes the provider's ``input`` from catalogue data alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import FieldError, OverBudget
from pipeline.domain.fit import INPUT_FIELDS, mode_of, model_for, not_yet, refusal, unfit
from pipeline.domain.model import Model
from pipeline.domain.rows import Mode, Seconds
from pipeline.domain.spec import JobSpec, SceneSpec


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One scene as it will be asked for: the prompt in full, the length to order, the price of one attempt."""

    index: int
    model: str
    prompt: str
    target_seconds: float
    asked_seconds: Seconds
    aspect_ratio: str
    seed: int | None
    negative_prompt: str | None
    image_url: str | None
    reference_image_urls: tuple[str, ...]
    estimate_cents: int
    mode: Mode = "text"
    last_frame_url: str | None = None
    video_url: str | None = None
    audio_url: str | None = None
    character_url: str | None = None
    resolution: str | None = None  #: None, as in orders of old: the model's own


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job that can be made: its shots in scene order, the price of one attempt each, what to know beforehand."""

    shots: tuple[Shot, ...]
    estimate_cents: int
    warnings: tuple[str, ...]


def plan(spec: JobSpec, catalogue: Catalogue, *, duration_buffer: float) -> Plan:
    """The shots of this job and their price.

    Raises a Refusal that lists every offending field: its kind when all are of one kind, else ValidationFailed.
    OverBudget comes last, when nothing else is wrong.
    """
    problems = list(not_yet(spec))
    shots: list[Shot] = []
    models: dict[str, Model] = {}
    for index, scene in enumerate(spec.scenes):
        model, found = model_for(spec, index, catalogue)
        if model is not None:
            found = [*found, *unfit(spec, index, model)]
        problems += [problem for problem in found if problem not in problems]
        if model is not None and not found:
            models[model.key] = model
            shots.append(_shot(spec, index, scene, model, duration_buffer))
    if problems:
        raise refusal(problems)
    estimate_cents = sum(shot.estimate_cents for shot in shots)
    _check_budget(spec, estimate_cents)
    return Plan(shots=tuple(shots), estimate_cents=estimate_cents, warnings=tuple(_warnings(shots, models)))


def compose_input(model: Model, shot: Shot, *, seed: int | None) -> dict[str, Any]:
    """The provider's ``input`` for one attempt at a shot; the seed may differ from attempt to attempt."""
    shapes, lengths, resolution = model.aspect_ratio, model.duration, model.resolution
    dials = [dial for dial in (model.fps, model.motion, model.steps) if dial is not None]
    shape = None if shot.image_url and shapes.from_image else shapes.values.get(shot.aspect_ratio)
    given: list[tuple[str | None, Any]] = [
        *model.always.items(),
        *((dial.field, dial.default) for dial in dials),
        (model.prompt_field, shot.prompt),
        (shapes.field, shape),
        (lengths.field, lengths.value(shot.asked_seconds)),
        (resolution.field, shot.resolution or resolution.default),
        *((given.field, _given(shot, name)) for name, given in model.inputs if given),
        (model.seed_field, seed),
        (model.negative_prompt_field, shot.negative_prompt),
    ]
    return {field: value for field, value in given if field and value is not None}


def _given(shot: Shot, name: str) -> Any:
    """What a shot gives for an input, as JSON; None for nothing."""
    value = getattr(shot, INPUT_FIELDS[name][0])
    return (list(value) or None) if isinstance(value, tuple) else value


def prompt_of(context: str | None, description: str) -> str:
    """The consistency context, a blank line, then the scene; just the scene where there is no context."""
    scene = f"SCENE: {description}"
    return f"{context}\n\n{scene}" if context else scene


def _shot(spec: JobSpec, index: int, scene: SceneSpec, model: Model, buffer: float) -> Shot:
    mode = mode_of(scene)
    resolution = scene.resolution or model.default_resolution(mode)
    asked_seconds = model.asked_seconds(scene.duration, buffer, mode=mode, resolution=resolution)
    return Shot(
        index=index,
        model=model.key,
        prompt=prompt_of(spec.consistency_context, scene.description),
        target_seconds=scene.duration,
        asked_seconds=asked_seconds,
        aspect_ratio=spec.aspect_ratio,
        seed=scene.seed,
        negative_prompt=scene.negative_prompt or None,
        image_url=scene.image_url,
        reference_image_urls=scene.reference_image_urls,
        estimate_cents=model.price_cents(asked_seconds, resolution),
        mode=mode,
        last_frame_url=scene.last_frame_url,
        video_url=scene.video_url,
        audio_url=scene.audio_url,
        character_url=scene.character_url,
        resolution=resolution,
    )


def _check_budget(spec: JobSpec, estimate_cents: int) -> None:
    if spec.budget_cents is None or estimate_cents <= spec.budget_cents:
        return
    message = f"the job is estimated at {estimate_cents} cents: raise the budget, or ask for fewer or shorter scenes"
    allowed = {"min": estimate_cents}
    error = FieldError(field="budget_cents", value=spec.budget_cents, allowed=allowed, message=message)
    raise OverBudget(message, errors=[error])


def _warnings(shots: list[Shot], models: dict[str, Model]) -> Iterator[str]:
    """What is not wrong but good to know before paying, once per model."""
    for key, model in models.items():
        pictured = any(shot.image_url for shot in shots if shot.model == key)
        if pictured and model.aspect_ratio.from_image:
            yield f"{key} takes the shape of the image that is given; aspect_ratio is not sent"
        if model.duration.strategy == "input":
            yield f"a clip of {key} is as long as the video that is given: duration only sets the price"
        if not model.prompt_field:
            yield f"{key} takes no prompt; descriptions are not sent"
        if not model.price.verified:
            day = model.price.checked.isoformat()
            yield f"the price of {key} is an estimate of {day}, not confirmed by {model.provider}"
        if model.sunset:
            instead = f"; take {model.successor} instead" if model.successor else ""
            yield f"{model.provider} withdraws {key} on {model.sunset.isoformat()}{instead}"
