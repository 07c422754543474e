"""What a scene has made beside its clip: the keyframe that the clip starts from, the narration that is heard with it.

And what it takes from an earlier scene. All of it is checked and priced here, before anything is stored or paid for.
"""

from collections.abc import Iterator

from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import MissingInput, ModelRetired, UnknownModel, UnsupportedAspectRatio, ValidationFailed
from pipeline.domain.fit import Problem, image_field, problem, unfit, unfit_words
from pipeline.domain.model import Model
from pipeline.domain.needs import IfFailed
from pipeline.domain.rows import Kind
from pipeline.domain.shot import Shot, Source
from pipeline.domain.spec import JobSpec, SceneSpec

_SCENE = "SCENE: "
_FIELDS: dict[Kind, tuple[str, str]] = {
    "image": ("image_model", "a picture model, for keyframes"),
    "audio": ("speech_model", "a speech model, for narrations"),
}


def prompt_of(context: str | None, description: str) -> str:
    """The consistency context, a blank line, then the scene; just the scene where there is no context."""
    scene = f"{_SCENE}{description}"
    return f"{context}\n\n{scene}" if context else scene


def description_of(prompt: str) -> str:
    """The scene in a prompt that ``prompt_of`` wrote."""
    context, _, scene = prompt.rpartition(f"\n\n{_SCENE}")
    return scene if context else prompt.removeprefix(_SCENE)


def model_of_kind(spec: JobSpec, kind: Kind, catalogue: Catalogue) -> tuple[Model | None, list[Problem]]:
    """The job's model for keyframes or narrations, or why there is none."""
    field, words = _FIELDS[kind]
    key = getattr(spec, field)
    if not key:
        return None, [problem(MissingInput, field, None, f"a model of kind {kind}", f"name {words}")]
    try:
        model = catalogue.model(key)
    except UnknownModel as unknown:
        return None, [problem(UnknownModel, field, key, catalogue.close_to(key), unknown.detail)]
    others = [other.key for other in catalogue.find(kind=kind)]
    if model.retired is not None:
        message = f"{model.key} was withdrawn on {model.retired.isoformat()}: choose another model"
        return None, [problem(ModelRetired, field, key, others, message)]
    if model.kind != kind:
        message = f"the kind of {model.key} is {model.kind}: choose a model of kind {kind}"
        return None, [problem(ValidationFailed, field, key, others, message)]
    return model, []


def keyframe(spec: JobSpec, index: int, model: Model) -> tuple[Shot, list[Problem]]:
    """The picture that a scene's clip starts from."""
    scene, found = spec.scenes[index], list[Problem]()
    shapes = model.aspect_ratios("text")
    if shapes and spec.aspect_ratio not in shapes:
        message = f"{model.key} makes {', '.join(shapes)}: choose one of these or another image_model"
        found.append(problem(UnsupportedAspectRatio, "aspect_ratio", spec.aspect_ratio, list(shapes), message))
    if "text" not in model.modes and not spec.reference_images:
        message = f"{model.key} makes pictures from pictures only: give reference_images, or another image_model"
        found.append(problem(MissingInput, "reference_images", None, "links to pictures", message))
    prompt = prompt_of(spec.consistency_context, scene.keyframe or "")
    found += unfit_words(f"scenes.{index}.keyframe", prompt, model)
    seed = scene.seed if model.seed_field else None
    return _shot(spec, index, model, prompt=prompt, seed=seed), found


def narration(spec: JobSpec, index: int, model: Model) -> tuple[Shot, list[Problem]]:
    """The words that are heard with a scene's clip; they are spoken as they are, without any context."""
    found = list[Problem]()
    if spec.voice and model.voice is None:
        message = f"{model.key} takes no voice: leave it out"
        found.append(problem(ValidationFailed, "voice", spec.voice, None, message))
    words = spec.scenes[index].narration or ""
    found += unfit_words(f"scenes.{index}.narration", words, model)
    return _shot(spec, index, model, prompt=words, voice=spec.voice), found


def source_of(scene: SceneSpec, index: int) -> Source | None:
    """The asset that makes the image which a scene's clip starts from; None when no asset does."""
    if scene.keyframe:
        return Source(kind="image", index=index, part="file")
    if scene.starts_from is None:
        return None
    last = scene.starts_from.frame == "last"
    return Source(
        kind="video" if last else "image", index=scene.starts_from.scene, part="last_frame" if last else "file"
    )


def policy_of(scene: SceneSpec) -> IfFailed:
    """What becomes of a scene's clip when what it starts from has failed."""
    return IfFailed(scene.starts_from.if_failed) if scene.starts_from else IfFailed.FAIL


def unfit_start(spec: JobSpec, index: int, model: Model | None) -> Iterator[Problem]:
    """What is wrong with the picture that a scene starts from, whoever makes it."""
    scene, place = spec.scenes[index], f"scenes.{index}"
    given = [name for name in ("image_url", "keyframe", "starts_from") if getattr(scene, name)]
    if len(given) > 1:
        message = f"a scene starts from one picture: give {' or '.join(given)}"
        yield problem(ValidationFailed, f"{place}.{image_field(scene)}", None, given, message)
    start = scene.starts_from
    if start is None:
        return
    if start.scene >= index:
        allowed = {"min": 0, "max": index - 1} if index else "no scene: it is the first"
        message = "a scene starts from an earlier one: scenes count from 0"
        yield problem(ValidationFailed, f"{place}.starts_from.scene", start.scene, allowed, message)
    elif start.frame == "keyframe" and not spec.scenes[start.scene].keyframe:
        message = f"scene {start.scene} has no keyframe: give it one, or start from its last frame"
        yield problem(ValidationFailed, f"{place}.starts_from.frame", start.frame, ["last"], message)
    if policy_of(scene) is IfFailed.INDEPENDENT and model is not None and _needs_a_picture(spec, index, model):
        message = f"{model.key} can't make this scene without a picture: choose skip or fail, or another model"
        yield problem(ValidationFailed, f"{place}.starts_from.if_failed", start.if_failed, ["skip", "fail"], message)


def _needs_a_picture(spec: JobSpec, index: int, model: Model) -> bool:
    """Whether the model can't do the scene without what it starts from, though it can with it."""
    alone = spec.scenes[index].model_copy(update={"starts_from": None})
    scenes = (*spec.scenes[:index], alone, *spec.scenes[index + 1 :])
    without = list(unfit(spec.model_copy(update={"scenes": scenes}), index, model))
    return bool(without) and not list(unfit(spec, index, model))


def _shot(
    spec: JobSpec, index: int, model: Model, *, prompt: str, seed: int | None = None, voice: str | None = None
) -> Shot:
    return Shot(
        kind=model.kind,
        index=index,
        model=model.key,
        prompt=prompt,
        target_seconds=0,
        asked_seconds=0,
        aspect_ratio=spec.aspect_ratio,
        seed=seed,
        negative_prompt=None,
        image_url=None,
        reference_image_urls=(),
        estimate_cents=model.price_cents(model.duration.longest, characters=len(prompt)),
        resolution=model.resolution.default or None,
        voice=voice,
    )
