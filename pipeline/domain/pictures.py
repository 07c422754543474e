"""A job's reference images: which shots get them, and what a vision model is asked about them (R45)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.fit import inputs_of, unfit
from pipeline.domain.model import Model
from pipeline.domain.references import combined
from pipeline.domain.shot import Shot, Source
from pipeline.domain.spec import JobSpec

CONTEXT = "context"
_WORDS = Source(kind=CONTEXT, index=0, part="words")


@dataclass(frozen=True, kw_only=True)
class Describer:
    """The vision model that says what reference images show, and what it is asked."""

    model: Model
    prompt: str


def referring(spec: JobSpec, index: int, model: Model) -> JobSpec:
    """The job whose scene has the job's reference images beside its own, where its model takes them with what it gives.

    As many as the model takes, the scene's own first; more of its own than that is a mistake, and stays one.
    """
    scene, takes = spec.scenes[index], model.inputs.references
    if not spec.reference_images or takes is None or set(inputs_of(scene)) - {"references"}:
        return spec
    if len(scene.reference_image_urls) > takes.max:
        return spec
    links = combined(scene.reference_image_urls, spec.reference_images, at_most=takes.max).links
    scenes = list(spec.scenes)
    scenes[index] = scene.model_copy(update={"reference_image_urls": links})
    with_them = spec.model_copy(update={"scenes": tuple(scenes)})
    amiss = any(True for _ in unfit(with_them, index, model)) and not any(True for _ in unfit(spec, index, model))
    return spec if amiss else with_them


def with_references(spec: JobSpec, shot: Shot, model: Model) -> Shot:
    """A keyframe's shot with the job's reference images, as many as its model takes."""
    takes = model.inputs.references
    if shot.kind != "image" or not spec.reference_images or takes is None:
        return shot
    links = combined((), spec.reference_images, at_most=takes.max).links
    return replace(shot, reference_image_urls=links, mode="references")


def wants_context(spec: JobSpec) -> bool:
    """Whether what the reference images show has to be said; a context that the customer gives is not added to."""
    return bool(spec.reference_images) and not spec.consistency_context


def description(spec: JobSpec, describer: Describer) -> Shot:
    """What is asked of the vision model about the job's reference images."""
    model = describer.model
    takes = model.inputs.references
    return Shot(
        kind=CONTEXT,
        index=0,
        model=model.key,
        prompt=describer.prompt,
        target_seconds=0,
        asked_seconds=0,
        aspect_ratio=spec.aspect_ratio,
        seed=None,
        negative_prompt=None,
        image_url=None,
        reference_image_urls=spec.reference_images[: takes.max if takes else 0],
        estimate_cents=model.price_cents(model.duration.longest),
        mode="references",
    )


def after_words(shot: Shot) -> Shot:
    """The shot before whose prompt comes what is said of the reference images; a narration stands for itself."""
    if shot.kind not in {"video", "image"}:
        return shot
    return replace(shot, sources={**shot.sources, CONTEXT: _WORDS})


def warnings(spec: JobSpec, shots: Sequence[Shot], models: Sequence[Model], *, described: bool) -> Iterator[str]:
    """What of the reference images does not get to the models, once per model. ``shots`` still have their links."""
    if not spec.reference_images:
        return
    if wants_context(spec) and not described:
        yield "no vision model can be asked here what reference_images show (CONTEXT_MODEL): no context is made of them"
    for model in models:
        left_out = [_left_out(spec, shot) for shot in shots if shot.model == model.key]
        takes = model.inputs.references
        if takes is None:
            yield f"{model.key} takes no reference images; only words about them get to it"
        elif any(left_out):
            most = f"{model.key} takes at most {takes.max} reference images, and none beside an image"
            yield f"{most}: up to {max(left_out)} of reference_images are not sent with a scene"


def _left_out(spec: JobSpec, shot: Shot) -> int:
    return len(set(spec.reference_images) - set(shot.reference_image_urls))
