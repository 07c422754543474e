"""What the documents of the API look like in `/openapi.json`; a test holds them to what is really answered."""

from typing import Any, Literal

from pydantic import BaseModel

from pipeline.domain.answers import Reason
from pipeline.domain.asset import State
from pipeline.domain.job import JobState, Status

Json = dict[str, Any]


class Links(BaseModel):
    """Where everything about a job is, as paths below the API's root."""

    self: str
    clips: str
    events: str
    page: str


class Accepted(BaseModel):
    """A job that was taken in; nothing has been sent to a provider yet."""

    id: str
    state: JobState
    links: Links
    estimate_cents: int
    retry_after_ms: int
    warnings: list[str]


class PricedScene(BaseModel):
    """How one scene would be asked for, and the price of one attempt."""

    index: int
    model: str
    target_seconds: float
    asked_seconds: float
    estimate_cents: int


class PricedPart(BaseModel):
    """What is made beside the clip of a scene, and the price of one attempt."""

    kind: str
    index: int
    model: str
    estimate_cents: int


class Priced(BaseModel):
    """What a job would cost; nothing was stored."""

    dry_run: Literal[True]
    estimate_cents: int
    warnings: list[str]
    scenes: list[PricedScene]
    parts: list[PricedPart]


class Waiting(BaseModel):
    """Why a clip waits."""

    reason: Reason
    place: int | None
    about_seconds: float | None
    account: str


class Action(BaseModel):
    """Something that can be done next."""

    label: str
    method: str | None
    href: str | None


class Failure(BaseModel):
    """Why an attempt failed."""

    code: str
    message: str
    retryable: bool


class ClipError(Failure):
    """Why a clip failed, and what can be done about it."""

    actions: list[Action]


class PartWaiting(BaseModel):
    """Why a part waits."""

    reason: Reason
    place: int | None
    about_seconds: float | None


class Part(BaseModel):
    """What is made beside a clip for its scene: a keyframe (`image`), a narration (`audio`)."""

    asset_id: str
    kind: str
    state: State
    status: Status
    progress: int
    model: str
    duration: float | None
    waiting: PartWaiting | None
    error: Failure | None


class Stale(BaseModel):
    """The scene that is another take now than the one that a clip was made from."""

    scene: int
    message: str


class Clip(BaseModel):
    """One clip; `status` is for people and old clients, `state` is our own word."""

    clip_id: str
    scene_id: str
    index: int
    description: str | None
    status: Status
    state: State
    progress: int
    url: str | None
    thumbnail_url: str | None
    keyframe_url: str | None
    narration_url: str | None
    duration: float | None
    requested_duration: float | None
    original_target_duration: float | None
    aspect_ratio: str | None
    provider: str
    model: str
    fell_back_from: list[dict[str, str]]
    attempts: int
    timeout_retries: int
    cost_cents: int
    sha256: str | None
    error_message: str | None
    error: ClipError | None
    waiting: Waiting | None
    dependency: int | None
    stale: Stale | None
    parts: list[Part]
    retry_after_ms: int
    created_at: str
    updated_at: str
    finished_at: str | None


class Take(BaseModel):
    """One paid try at a clip."""

    attempt_id: str
    number: int
    state: State
    chosen: bool
    url: str | None
    thumbnail_url: str | None
    duration: float | None
    sha256: str | None
    prompt: str
    seed: int | None
    provider: str
    account: str
    model: str
    prediction_id: str | None
    cost_cents: int
    error: Failure | None
    started_at: str
    accepted_at: str | None
    rendered_at: str | None
    finished_at: str | None


class ClipWithTakes(Clip):
    """One clip with every attempt at it."""

    takes: list[Take]


class Film(BaseModel):
    """All clips in one file, in scene order."""

    url: str
    duration: float | None
    thumbnail_url: str | None
    made: Literal["copied", "encoded"]
    why: str | None


class ClipCounts(BaseModel):
    """How many clips there are."""

    total: int
    complete: int
    failed: int


class JobSummary(BaseModel):
    """A job as the list shows it."""

    id: str
    title: str
    state: JobState
    progress: int
    clips: ClipCounts
    aspect_ratio: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    total_seconds: float | None
    min_clips: int
    priority: str
    metadata: Json
    estimate_cents: int
    actual_cents: int
    links: Links


class Job(JobSummary):
    """A job with all of its clips."""

    consistency_context: str | None
    warnings: list[str]
    retry_after_ms: int
    film: Film | None
    video_clips: list[Clip]


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobSummary]
    has_more: bool
    next_start_index: int | None


class ClipPage(BaseModel):
    """A page of clips, in scene order."""

    clips: list[Clip]
    has_more: bool
    next_start_index: int | None


class WrongField(BaseModel):
    """One field that can't be accepted: where, what it was, what would be."""

    field: str
    value: Any
    allowed: Any
    message: str


class Problem(BaseModel):
    """Why something can't be done, and what to do next (RFC 9457). `code` is a stable word."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    actions: list[Action]
    request_id: str
    errors: list[WrongField]
