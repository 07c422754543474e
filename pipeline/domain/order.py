"""From a job's body to what will be asked of the models: every scene checked, measured and priced before money moves.

``plan`` is the gate of R42: what a model can't do is refused here, with all offending fields, and nothing is stored.
``compose_input`` writes the provider's ``input`` from catalogue data alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import FieldError, OverBudget, UnsupportedDuration
from pipeline.domain.fit import INPUT_FIELDS, Problem, mode_of, model_for, not_yet, refusal, unfit, unfit_words
from pipeline.domain.model import Model
from pipeline.domain.parts import keyframe, model_of_kind, narration, policy_of, prompt_of, source_of, unfit_start
from pipeline.domain.pictures import Describer, description, referring, wants_context, with_references
from pipeline.domain.pictures import warnings as reference_warnings
from pipeline.domain.rows import Kind
from pipeline.domain.shot import Shot
from pipeline.domain.spec import JobSpec, SceneSpec

# A video is rarely cut to the frame.
_SLACK_SECONDS = 0.5

Maker = Callable[[JobSpec, int, Model], tuple[Shot, list[Problem]]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job that can be made: its shots in scene order, the price of one attempt each, what to know beforehand.

    ``parts`` are what is made beside the clips: keyframes, narrations, and words about the reference images.
    """

    shots: tuple[Shot, ...]
    parts: tuple[Shot, ...]
    estimate_cents: int
    warnings: tuple[str, ...]


def plan(spec: JobSpec, catalogue: Catalogue, *, duration_buffer: float, describer: Describer | None = None) -> Plan:
    """The shots of this job and their price; ``describer`` says what its reference images show.

    Raises a Refusal that lists every offending field: its kind when all are of one kind, else ValidationFailed.
    OverBudget comes last, when nothing else is wrong.
    """
    problems = list(not_yet(spec))
    shots, parts = list[Shot](), list[Shot]()
    for index in range(len(spec.scenes)):
        clip, wrong = plan_clip(spec, index, catalogue, duration_buffer=duration_buffer)
        beside, amiss = _parts(spec, index, catalogue)
        problems += [each for each in (*wrong, *amiss) if each not in problems]
        shots += [clip] if clip else []
        parts += beside
    if problems:
        raise refusal(problems)
    parts += [description(spec, describer)] if describer and wants_context(spec) else []
    estimate_cents = sum(shot.estimate_cents for shot in (*shots, *parts))
    _check_budget(spec, estimate_cents)
    warnings = (
        *_warnings((*shots, *parts), catalogue),
        *reference_warnings(spec, shots, _models(shots, catalogue), described=describer is not None),
    )
    return Plan(shots=tuple(shots), parts=tuple(parts), estimate_cents=estimate_cents, warnings=warnings)


def plan_clip(
    spec: JobSpec, index: int, catalogue: Catalogue, *, duration_buffer: float
) -> tuple[Shot | None, list[Problem]]:
    """The shot of one scene's clip, or everything that is wrong with it."""
    model, found = model_for(spec, index, catalogue)
    spec = referring(spec, index, model) if model else spec
    found = [*found, *(unfit(spec, index, model) if model else ()), *unfit_start(spec, index, model)]
    if model is None or found:
        return None, found
    shot = _shot(spec, index, spec.scenes[index], model, duration_buffer)
    too_long = list(unfit_words(f"scenes.{index}.description", shot.prompt, model))
    return (None, too_long) if too_long else (shot, [])


def _parts(spec: JobSpec, index: int, catalogue: Catalogue) -> tuple[list[Shot], list[Problem]]:
    """What a scene has made beside its clip."""
    scene, shots, problems = spec.scenes[index], list[Shot](), list[Problem]()
    makers: list[tuple[Kind, str, Maker]] = [("image", "keyframe", keyframe), ("audio", "narration", narration)]
    for kind, field, made in makers:
        if not getattr(scene, field):
            continue
        model, found = model_of_kind(spec, kind, catalogue)
        problems += found
        if model is not None:
            shot, amiss = made(spec, index, model)
            problems += amiss
            shots.append(with_references(spec, shot, model))
    return shots, problems


def as_long_as(shot: Shot, model: Model, seconds: float) -> Shot:
    """The shot with the length and the price of the video that it is made from, where its model goes by that.

    Raises UnsupportedDuration for a video that is longer than the model takes.
    """
    if model.duration.strategy != "input":
        return shot
    longest = model.lengths(shot.mode, shot.resolution).longest
    if seconds > longest + _SLACK_SECONDS:
        raise UnsupportedDuration(f"the video is {seconds:.1f} s long, and {model.key} takes at most {longest:g} s")
    asked_seconds = model.asked_seconds(min(seconds, longest), 1.0, mode=shot.mode, resolution=shot.resolution)
    return replace(shot, asked_seconds=asked_seconds, estimate_cents=model.price_cents(asked_seconds, shot.resolution))


def compose_input(model: Model, shot: Shot, *, seed: int | None) -> dict[str, Any]:
    """The provider's ``input`` for one attempt at a shot; the seed may differ from attempt to attempt."""
    shapes, lengths, resolution = model.aspect_ratio, model.duration, model.resolution
    dials = [dial for dial in (model.fps, model.motion, model.steps) if dial is not None]
    shape = None if shot.image_url and shapes.from_image else shapes.values.get(shot.aspect_ratio)
    given: list[tuple[str | None, Any]] = [
        *model.always.items(),
        *((dial.field, dial.default) for dial in dials),
        (model.prompt_field, shot.prompt),
        *(shape.items() if isinstance(shape, dict) and not shapes.field else [(shapes.field, shape)]),
        (lengths.field, lengths.value(shot.asked_seconds)),
        (resolution.field, shot.resolution or resolution.default),
        *((given.field, _given(shot, name, given.max)) for name, given in model.inputs if given),
        (model.voice.field, shot.voice or model.voice.default) if model.voice else (None, None),
        (model.seed_field, seed),
        (model.negative_prompt_field, shot.negative_prompt),
    ]
    return {field: value for field, value in given if field and value is not None}


def _given(shot: Shot, name: str, most: int) -> Any:
    """What a shot gives for an input, as JSON and no more than the model takes; None for nothing."""
    value = getattr(shot, INPUT_FIELDS[name][0])
    return (list(value[:most]) or None) if isinstance(value, tuple) else value


def _shot(spec: JobSpec, index: int, scene: SceneSpec, model: Model, buffer: float) -> Shot:
    mode, source = mode_of(scene), source_of(scene, index)
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
        sources={"image": source} if source else {},
        if_needed_fails=policy_of(scene),
    )


def endings(planned: Plan, catalogue: Catalogue, today: date) -> Iterator[str]:
    """Which models of a plan are to be withdrawn by their providers; louder from the day that was told."""
    for model in _models((*planned.shots, *planned.parts), catalogue):
        instead = f"; take {model.successor} instead" if model.successor else ""
        if model.ended(today):
            yield f"{model.key} was to end on {model.sunset}: its provider may refuse or lose the order{instead}"
        elif model.sunset:
            yield f"the end of {model.key} is announced for {model.sunset}{instead}"


def _check_budget(spec: JobSpec, estimate_cents: int) -> None:
    if spec.budget_cents is None or estimate_cents <= spec.budget_cents:
        return
    message = f"the job is estimated at {estimate_cents} cents: raise the budget, or ask for fewer or shorter scenes"
    allowed = {"min": estimate_cents}
    error = FieldError(field="budget_cents", value=spec.budget_cents, allowed=allowed, message=message)
    raise OverBudget(message, errors=[error])


def _models(shots: Sequence[Shot], catalogue: Catalogue) -> list[Model]:
    """The models of these shots, each once."""
    return [catalogue.model(key) for key in dict.fromkeys(shot.model for shot in shots)]


def _warnings(shots: Sequence[Shot], catalogue: Catalogue) -> Iterator[str]:
    """What is not wrong but good to know before paying, once per model."""
    for model in _models(shots, catalogue):
        key = model.key
        pictured = any(shot.image_url or "image" in shot.sources for shot in shots if shot.model == key)
        if pictured and model.aspect_ratio.from_image:
            yield f"{key} takes the shape of the image that is given; aspect_ratio is not sent"
        if model.kind == "video" and model.duration.strategy == "input":
            yield f"a clip of {key} is as long as the video that is given, and is paid by that; duration is a guess"
        if not model.prompt_field:
            yield f"{key} takes no prompt; descriptions are not sent"
        if not model.price.verified:
            day = model.price.checked.isoformat()
            yield f"the price of {key} is an estimate of {day}, not confirmed by {model.provider}"
