"""What a customer may write in a job: the form of the body, checked before anybody looks at the catalogue.

``parse_job`` takes any JSON and gives a JobSpec or a refusal that names each field, its value and what is allowed.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from pipeline.domain.errors import FieldError, TooManyScenes, ValidationFailed

MAX_SCENES = 200
MAX_METADATA_BYTES = 4096
MAX_ERRORS_NAMED = 50
MAX_BUDGET_CENTS = 100_000_000  # a million dollars, which a database column still holds
MAX_VALUE_CHARS = 200
_BOUNDS = {"gt": "above", "ge": "min", "le": "max", "min_length": "min_length", "max_length": "max_length"}
_TYPES = {
    "string_type": "text",
    "string_unicode": "text that can be encoded",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}


def _text(value: str) -> str:
    """NFC without white space around it; what a database can't store is refused."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("string_unicode", "half a character") from error
    if "\0" in value:
        raise PydanticCustomError("nul", "text can't hold a NUL character", {"allowed": "text without NUL"})
    return unicodedata.normalize("NFC", value).strip()


def _web_link(value: str) -> str:
    allowed = {"allowed": "an http:// or https:// link"}
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not value.isprintable() or " " in value:
        raise PydanticCustomError("web_link", "an http or https link is needed", allowed)
    return value


def _small_metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    allowed = {"allowed": f"an object of at most {MAX_METADATA_BYTES} bytes as JSON, without NUL characters"}
    try:
        size_bytes = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:  # NaN, a lone surrogate, an endless number
        raise PydanticCustomError("metadata", "metadata can't be stored as JSON", allowed) from error
    if size_bytes > MAX_METADATA_BYTES or _has_nul(value):
        raise PydanticCustomError("metadata", "metadata is too large or holds a NUL character", allowed)
    return value


def _has_nul(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_has_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value


Text = Annotated[str, AfterValidator(_text)]
Prompt = Annotated[Text, Field(min_length=1, max_length=4000)]
WebLink = Annotated[str, Field(max_length=2048), AfterValidator(_web_link)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small_metadata)]
# JSON has arrays, a frozen value has tuples: only the container is lax, what is in it stays strict
WebLinks = Annotated[tuple[WebLink, ...], Field(max_length=10, strict=False)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StartsFrom(_Form):
    """The picture of an earlier scene that a shot starts from, and what happens when there is none."""

    scene: int = Field(ge=0, lt=MAX_SCENES, description="An earlier scene; they count from 0.")
    frame: Literal["last", "keyframe"] = Field(
        default="last", description="The last picture of its clip, or its keyframe."
    )
    if_failed: Literal["fail", "skip", "independent"] = Field(
        default="fail", description="Fail as well, leave this scene out, or make it from words alone."
    )


class SceneSpec(_Form):
    """One shot of the storyboard."""

    description: Prompt = Field(description="What is to be seen.")
    duration: float = Field(default=5.0, gt=0, description="Seconds.")
    model: Text | None = Field(default=None, max_length=200, description="provider/slug; else the job's.")
    image_url: WebLink | None = Field(default=None, description="The picture that the shot starts from.")
    last_frame_url: WebLink | None = Field(default=None, description="The picture that the shot ends with.")
    reference_image_urls: WebLinks = Field(default=(), description="Pictures of who and what is to be seen.")
    video_url: WebLink | None = Field(default=None, description="A video to change, to move like, or to speak in.")
    audio_url: WebLink | None = Field(default=None, description="What the person in the video is to say.")
    character_url: WebLink | None = Field(default=None, description="A picture of who is to move like the video.")
    resolution: Text | None = Field(default=None, max_length=20, description="For example 1080p; else the model's own.")
    keyframe: Prompt | None = Field(default=None, description="A picture that is made first; the shot starts from it.")
    starts_from: StartsFrom | None = Field(default=None, description="An earlier scene that the shot goes on from.")
    narration: Prompt | None = Field(default=None, description="What is said with the shot.")
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    negative_prompt: Text | None = Field(default=None, max_length=4000)
    metadata: Metadata = Field(default={}, description="Yours; passed through.")


class JobSpec(_Form):
    """One order: a storyboard and how it is to be made."""

    title: Text = Field(default="", max_length=200)
    model: Text | None = Field(default=None, max_length=200, description="provider/slug, for scenes without one.")
    image_model: Text | None = Field(default=None, max_length=200, description="provider/slug that makes keyframes.")
    speech_model: Text | None = Field(default=None, max_length=200, description="provider/slug that speaks narrations.")
    voice: Text | None = Field(
        default=None, max_length=200, description="In the words of the speech model; else its own."
    )
    aspect_ratio: Text = Field(default="16:9", max_length=20)
    consistency_context: Text | None = Field(default=None, max_length=8000, description="Said before each scene.")
    reference_images: WebLinks = Field(default=(), description="Pictures of who and what is to be seen in every scene.")
    scenes: Annotated[tuple[SceneSpec, ...], Field(min_length=1, max_length=MAX_SCENES, strict=False)]
    min_clips: int = Field(
        default_factory=lambda job: min(3, len(job.get("scenes", ()))),
        ge=1,
        description="With so many clips the job counts as (partly) done; 3, or all of fewer scenes.",
    )
    priority: Literal["interactive", "normal", "batch"] = "normal"
    allow_fallback: bool = Field(
        default=False, description="Let an equivalent model take over while the provider is down or out of credit."
    )
    budget_cents: int | None = Field(
        default=None, ge=1, le=MAX_BUDGET_CENTS, description="Never begin what would cost more; US cents."
    )
    webhook_url: WebLink | None = Field(default=None, description="Not available yet.")
    metadata: Metadata = Field(default={}, description="Yours; passed through.")


def parse_job(body: Any) -> JobSpec:
    """The job in this JSON. Raises TooManyScenes, or ValidationFailed naming every field that can't be."""
    scenes = body.get("scenes") if isinstance(body, dict) else None
    if isinstance(scenes, list) and len(scenes) > MAX_SCENES:
        message = f"a job takes at most {MAX_SCENES} scenes, this one has {len(scenes)}: split it in several jobs"
        error = FieldError(field="scenes", value=len(scenes), allowed={"max": MAX_SCENES}, message=message)
        raise TooManyScenes(message, errors=[error])
    try:
        spec = JobSpec.model_validate(body)
    except ValidationError as error:
        raise refused(_field_errors(error.errors(include_url=False))) from None
    if spec.min_clips > len(spec.scenes):
        message = f"there are only {len(spec.scenes)} scenes: ask for so many clips or fewer"
        allowed = {"min": 1, "max": len(spec.scenes)}
        raise refused([FieldError(field="min_clips", value=spec.min_clips, allowed=allowed, message=message)])
    return spec


def refused(errors: list[FieldError]) -> ValidationFailed:
    """A refusal that names these fields."""
    return ValidationFailed(sentence(errors), errors=errors[:MAX_ERRORS_NAMED])


def sentence(errors: Sequence[FieldError]) -> str:
    """What is wrong, in one line: the first field in full, the others counted."""
    others = f" (and {len(errors) - 1} more, see errors)" if len(errors) > 1 else ""
    return f"{errors[0].field}: {errors[0].message}{others}"


def _field_errors(found: list[ErrorDetails]) -> list[FieldError]:
    """Pydantic's complaints in our words, without the echoes of one mistake in another field."""
    echoes = [
        complaint["type"] == "default_factory_not_called"
        or (complaint["type"] == "too_short" and complaint["loc"] == ("scenes",) and bool(complaint["input"]))
        for complaint in found
    ]
    return [_field_error(complaint) for complaint, echo in zip(found, echoes, strict=True) if not echo]


def _field_error(found: ErrorDetails) -> FieldError:
    field = _name(found["loc"])
    if found["type"] == "missing":
        return FieldError(field=field, allowed="required", message="this field is required")
    value = shortened(found["input"])
    if found["type"] == "extra_forbidden":
        form = SceneSpec if found["loc"][0] == "scenes" else JobSpec
        message = "there is no such field; look for a typing mistake, or leave it out"
        return FieldError(field=field, value=value, allowed=sorted(form.model_fields), message=message)
    return FieldError(field=field, value=value, allowed=_allowed(found), message=_message(found))


def _name(loc: tuple[int | str, ...]) -> str:
    """``scenes.3.duration``; what lies inside a customer's own JSON is not told apart."""
    free = next((place for place, part in enumerate(loc) if part == "metadata"), len(loc))
    return ".".join(str(shortened(part)) for part in loc[: free + 1]) or "body"


def _allowed(found: ErrorDetails) -> Any:
    given = found.get("ctx", {})
    if "expected" in given:
        return re.findall(r"'([^']+)'", given["expected"])
    bounds = {word: given[name] for name, word in _BOUNDS.items() if name in given}
    return given.get("allowed") or bounds or _TYPES.get(found["type"])


def _message(found: ErrorDetails) -> str:
    given = found.get("ctx", {})
    if found["type"] in _TYPES:
        return f"this has to be {_TYPES[found['type']]}"
    if "min_length" in given:
        return "this can't be empty"
    if "max_length" in given:
        what = "characters" if isinstance(found["input"], str) else "items"
        return f"at most {given['max_length']} {what} are allowed"
    return found["msg"].replace("Input should be", "this has to be")


def shortened(value: Any) -> Any:
    """A value fit for an error document: small, and JSON that can be encoded."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict | list | tuple):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 64:  # noqa: PLR2004 - what a database column could hold
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return str(value)
    if isinstance(value, int | float):
        return value
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"
