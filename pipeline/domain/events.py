"""The events that watchers see: names, payloads, and which change of an asset says what.

Stored events carry a sequence number that rises by one in a job; live ones (percentages, places in line) do not: what
they say stands on the row, and the next one replaces them. Links are never stored: a payload holds object keys, and
``present`` turns them into links when the event is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.domain.answers import Rerouted
from pipeline.domain.asset import Asset, State
from pipeline.domain.job import status_of


class EventType(StrEnum):
    """Every event's wire name; docs/events.md has a row for each."""

    SNAPSHOT = "snapshot"
    VIDEO_PROGRESS = "video_progress"
    VIDEO_COMPLETE = "video_complete"
    VIDEO_FAILED = "video_failed"
    CLIP_WAITING = "clip_waiting"
    CLIP_REROUTED = "clip_rerouted"
    LINE_MOVED = "line_moved"
    THUMBNAIL_READY = "thumbnail_ready"
    ASSET_PROGRESS = "asset_progress"
    JOB_PROGRESS = "job_progress"
    JOB_COMPLETE = "job_complete"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened in a job. ``seq`` is None for a live event, and until a stored one is written."""

    type: EventType
    job_id: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    stored: bool = True
    seq: int | None = None
    owner_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ClipRef:
    """Which clip an event is about, or which other asset of a scene or a job, by its kind."""

    job_id: str
    clip_id: str
    index: int
    kind: str = "video"


def changes(
    clip: ClipRef,
    before: Asset,
    after: Asset,
    *,
    key: str | None = None,
    duration_seconds: float | None = None,
    thumbnail_key: str | None = None,
) -> tuple[Event, ...]:
    """What watchers are told when an asset goes from ``before`` to ``after``."""
    told = []
    status = status_of(after.state)
    moved = status is not status_of(before.state)
    if clip.kind != "video":
        return (_beside(clip, after, key),) if moved else ()
    if moved or after.progress > before.progress:
        about = {"progress": after.progress, "status": status}
        told.append(_event(EventType.VIDEO_PROGRESS, clip, about, stored=moved))
    if after.waiting and after.waiting != before.waiting:
        told.append(_event(EventType.CLIP_WAITING, clip, {"waiting": asdict(after.waiting)}, stored=False))
    if moved and after.state is State.DONE:
        told.append(_event(EventType.VIDEO_COMPLETE, clip, {"key": key, "duration": duration_seconds}))
        if thumbnail_key:
            told.append(thumbnail_ready(clip, thumbnail_key))
    if moved and after.state is State.FAILED:
        error = asdict(after.failure) if after.failure else None
        told.append(_event(EventType.VIDEO_FAILED, clip, {"error": error}))
    return tuple(told)


def _beside(part: ClipRef, after: Asset, key: str | None) -> Event:
    """What is made beside the clips has one event for everything, so that nobody takes it for a clip."""
    about = {"asset_id": part.clip_id, "kind": part.kind, "index": part.index, "status": status_of(after.state)}
    error = asdict(after.failure) if after.failure and after.state is State.FAILED else None
    payload = {"job_id": part.job_id, **about, "error": error, "key": key}
    return Event(type=EventType.ASSET_PROGRESS, job_id=part.job_id, payload=payload)


def thumbnail_ready(clip: ClipRef, key: str) -> Event:
    """A finished clip has its thumbnail."""
    return _event(EventType.THUMBNAIL_READY, clip, {"thumbnail_key": key})


def clip_rerouted(clip: ClipRef, left: str, answer: Rerouted) -> Event:
    """A clip goes to another model; ``left`` is the one that could not."""
    about = {"from_model": left, "model": answer.model, "provider": answer.provider, "reason": answer.reason}
    return _event(EventType.CLIP_REROUTED, clip, about)


def present(
    payload: Mapping[str, Any], *, clip_link: Callable[[str], str], picture_link: Callable[[str], str]
) -> dict[str, Any]:
    """A payload as watchers see it: object keys become links that work for a day."""
    shown = dict(payload)
    if key := shown.pop("key", None):
        shown["url"] = clip_link(key)
    if "film_key" in shown:
        film = shown.pop("film_key")
        shown["film_url"] = clip_link(film) if film else None
    if picture := shown.pop("thumbnail_key", None):
        shown["thumbnail_url"] = picture_link(picture)
    return shown


def _event(type_: EventType, clip: ClipRef, about: Mapping[str, Any], *, stored: bool = True) -> Event:
    payload = {"job_id": clip.job_id, "clip_id": clip.clip_id, "index": clip.index, **about}
    return Event(type=type_, job_id=clip.job_id, payload=payload, stored=stored)
