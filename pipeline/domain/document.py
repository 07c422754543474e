"""What a customer reads about a job: the documents of the API, made from rows.

Shapes are those of ``docs/api.md``; times are RFC 3339 UTC, money is US cents, durations are seconds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pipeline.domain.answers import Reason
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.job import FINAL, JobState, progress_of, status_of

RETRY_AFTER = timedelta(seconds=8)  # R14: while processing
RETRY_AFTER_LIMITED = timedelta(seconds=15)  # R14: while the provider says 429, and not for how long
RETRY_AFTER_LEAST, RETRY_AFTER_MOST = timedelta(seconds=1), timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class Links:
    """How object keys and paths become links."""

    clip: Callable[[str], str]
    picture: Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """A clip as it is read for a document. ``attempts`` leaves out those that were told to wait (R10)."""

    id: UUID
    scene_id: UUID
    index: int
    description: str
    provider: str
    account: str
    model: str
    shot: Mapping[str, Any]
    state: State
    attempts: int
    timeout_retries: int
    progress: int
    waiting: Mapping[str, Any] | None
    failure: Mapping[str, Any] | None
    file_key: str | None
    thumbnail_key: str | None
    duration_seconds: float | None
    sha256: str | None
    cost_cents: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    dependency: int | None = None  #: the scene that has to give something first
    parts: Sequence[Mapping[str, Any]] = ()  #: what is made beside it for its scene: a keyframe, a narration
    stale: int | None = None  #: the scene whose picture is another now than the one that it was made from


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """A job as it is read for a document."""

    id: UUID
    owner_id: UUID
    title: str
    state: JobState
    priority: str
    min_clips: int
    spec: Mapping[str, Any]
    metadata: Mapping[str, Any]
    estimate_cents: int
    actual_cents: int
    event_seq: int
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    film_key: str | None
    film_thumbnail_key: str | None
    film_duration_seconds: float | None
    film_why: str | None = None  #: why its clips had to be encoded again
    context_words: str | None = None  #: what a vision model says of its reference images
    context_failure: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """One paid try at a clip, as it is read for a document."""

    id: UUID
    number: int
    state: State
    prompt: str
    seed: int | None
    provider: str
    account: str
    model: str
    prediction_id: str | None
    cost_cents: int
    failure: Mapping[str, Any] | None
    intent_at: datetime
    answered_at: datetime | None
    rendered_at: datetime | None
    finished_at: datetime | None
    file_key: str | None
    thumbnail_key: str | None
    duration_seconds: float | None
    sha256: str | None


def job_document(job: JobRow, clips: Sequence[ClipRow], links: Links) -> dict[str, Any]:
    """The job document with all of its clips."""
    return {
        **job_summary(job, clips),
        "consistency_context": job.spec.get("consistency_context") or job.context_words,
        "warnings": _warnings(job),
        "retry_after_ms": retry_after_ms(job, clips),
        "film": _film(job, links),
        "video_clips": [clip_document(job, clip, links) for clip in clips],
    }


def job_summary(job: JobRow, clips: Sequence[ClipRow]) -> dict[str, Any]:
    """The part of a job document that a list shows."""
    return {
        "id": str(job.id),
        "title": job.title,
        "state": job.state,
        "progress": 100 if job.state is JobState.COMPLETE else progress_of([clip.progress for clip in clips]),
        "clips": _counts(clips),
        "aspect_ratio": job.spec.get("aspect_ratio"),
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.finished_at),
        "total_seconds": total_seconds(job, clips),
        "min_clips": job.min_clips,
        "priority": job.priority,
        "metadata": dict(job.metadata),
        "estimate_cents": job.estimate_cents,
        "actual_cents": job.actual_cents,
        "links": job_links(str(job.id)),
    }


def job_links(job_id: str) -> dict[str, str]:
    """Where everything about a job is, as paths below the API's root."""
    base = f"/v1/jobs/{job_id}"
    return {"self": base, "clips": f"{base}/clips", "events": f"{base}/events", "page": f"/jobs/{job_id}"}


def clip_document(job: JobRow, clip: ClipRow, links: Links) -> dict[str, Any]:
    """One clip of a job document."""
    return {
        "clip_id": str(clip.id),
        "scene_id": str(clip.scene_id),
        "index": clip.index,
        "description": clip.description,
        "status": status_of(clip.state),
        "state": clip.state,
        "progress": clip.progress,
        "url": links.clip(clip.file_key) if clip.file_key else None,
        "thumbnail_url": links.picture(clip.thumbnail_key) if clip.thumbnail_key else None,
        "keyframe_url": _part_url(clip, "image", links),
        "narration_url": _part_url(clip, "audio", links),
        "duration": clip.duration_seconds,
        "requested_duration": clip.shot.get("asked_seconds"),
        "original_target_duration": clip.shot.get("target_seconds"),
        "aspect_ratio": clip.shot.get("aspect_ratio"),
        "provider": clip.provider,
        "model": clip.model,
        "fell_back_from": list(clip.shot.get("fell_back_from") or ()),
        "attempts": clip.attempts,
        "timeout_retries": clip.timeout_retries,
        "cost_cents": clip.cost_cents,
        "sha256": clip.sha256,
        "error_message": (_failure(clip) or {}).get("message"),
        "error": _error(job, clip),
        "waiting": {"account": clip.account, **clip.waiting} if clip.waiting else None,
        "dependency": clip.dependency if clip.state is State.WAITING else None,
        "stale": _stale(clip),
        "parts": [_part_document(part) for part in clip.parts],
        "retry_after_ms": 0 if clip.state in TERMINAL else retry_after_ms(job, [clip]),
        "created_at": stamp(clip.created_at),
        "updated_at": stamp(clip.updated_at),
        "finished_at": stamp(clip.finished_at),
    }


def _stale(clip: ClipRow) -> dict[str, Any] | None:
    if clip.stale is None:
        return None
    message = f"it was not made from the take of scene {clip.stale} that is shown now; a retry makes it from that"
    return {"scene": clip.stale, "message": message}


def _part_url(clip: ClipRow, kind: str, links: Links) -> str | None:
    keys = (part["file_key"] for part in clip.parts if part["kind"] == kind and part["state"] == State.DONE)
    key = next(keys, None)
    return links.clip(key) if key else None


def _part_document(part: Mapping[str, Any]) -> dict[str, Any]:
    """What is made beside a clip: how far it is, and why it failed."""
    state = State(part["state"])
    shown = ("kind", "state", "progress", "model")
    error = part["failure"] if state is State.FAILED else None
    return {
        "asset_id": part["id"],
        **{name: part[name] for name in shown},
        "status": status_of(state),
        "duration": part["duration_seconds"],
        "waiting": part["waiting"],
        "error": error,
    }


def attempt_document(attempt: AttemptRow, links: Links, *, chosen: bool) -> dict[str, Any]:
    """One attempt of a clip: what was asked, what came of it, what it cost; ``chosen`` when it is the one shown."""
    return {
        "attempt_id": str(attempt.id),
        "number": attempt.number,
        "state": attempt.state,
        "chosen": chosen,
        "url": links.clip(attempt.file_key) if attempt.file_key else None,
        "thumbnail_url": links.picture(attempt.thumbnail_key) if attempt.thumbnail_key else None,
        "duration": attempt.duration_seconds,
        "sha256": attempt.sha256,
        "prompt": attempt.prompt,
        "seed": attempt.seed,
        "provider": attempt.provider,
        "account": attempt.account,
        "model": attempt.model,
        "prediction_id": attempt.prediction_id,
        "cost_cents": attempt.cost_cents,
        "error": dict(attempt.failure) if attempt.failure else None,
        "started_at": stamp(attempt.intent_at),
        "accepted_at": stamp(attempt.answered_at),
        "rendered_at": stamp(attempt.rendered_at),
        "finished_at": stamp(attempt.finished_at),
    }


def retry_after_ms(job: JobRow, clips: Sequence[ClipRow]) -> int:
    """When a polling client does well to come back, in whole seconds (R14); 0 once the job is over.

    One clip that the provider pauses is enough: the pause is its whole account's.
    """
    if job.state in FINAL:
        return 0
    live = [clip.waiting for clip in clips if clip.state not in TERMINAL]
    paused = [waiting for waiting in live if waiting and waiting["reason"] == Reason.BLOCKED]
    waits = [_comes_back(waiting) for waiting in paused or live]
    return math.ceil(min(waits, default=RETRY_AFTER).total_seconds()) * 1000


def _comes_back(waiting: Mapping[str, Any] | None) -> timedelta:
    """When there may be news of a clip that waits so: at the end of what holds it, where that is known."""
    if not waiting or waiting["reason"] not in {Reason.BLOCKED, Reason.BREAKER}:
        return RETRY_AFTER
    if waiting.get("about_seconds") is None:
        return RETRY_AFTER_LIMITED
    return min(max(timedelta(seconds=waiting["about_seconds"]), RETRY_AFTER_LEAST), RETRY_AFTER_MOST)


def stamp(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def _warnings(job: JobRow) -> list[str]:
    """What did not come out as it was ordered, and held nothing up."""
    if not job.context_failure:
        return []
    why = job.context_failure["message"]
    return [f"nothing could be said of reference_images, so no context was put before the scenes: {why}"]


def _film(job: JobRow, links: Links) -> dict[str, Any] | None:
    if not job.film_key:
        return None
    return {
        "url": links.clip(job.film_key),
        "duration": job.film_duration_seconds,
        "thumbnail_url": links.picture(job.film_thumbnail_key) if job.film_thumbnail_key else None,
        "made": "encoded" if job.film_why else "copied",
        "why": job.film_why,
    }


def _counts(clips: Sequence[ClipRow]) -> dict[str, int]:
    return {
        "total": len(clips),
        "complete": sum(clip.state is State.DONE for clip in clips),
        "failed": sum(clip.state is State.FAILED for clip in clips),
    }


def total_seconds(job: JobRow, clips: Sequence[ClipRow]) -> float | None:
    """From the first provider call to the last stored clip (R30)."""
    ends = [clip.finished_at for clip in clips if clip.finished_at and clip.state is State.DONE]
    if not job.started_at or not ends or job.state not in FINAL | {JobState.ASSEMBLING}:
        return None
    return round(max((max(ends) - job.started_at).total_seconds(), 0.0), 3)


def _failure(clip: ClipRow) -> Mapping[str, Any] | None:
    """Why there is no clip; also of one that is not wanted because what it needed has failed."""
    skipped = clip.state is State.CANCELLED and clip.failure and clip.failure["code"] == "dependency_failed"
    return clip.failure if clip.state is State.FAILED or skipped else None


def _error(job: JobRow, clip: ClipRow) -> dict[str, Any] | None:
    failure = _failure(clip)
    if not failure:
        return None
    retry = {"label": "Retry this clip", "method": "POST", "href": f"/v1/jobs/{job.id}/clips/{clip.index}/retry"}
    return {**failure, "actions": [retry]}
