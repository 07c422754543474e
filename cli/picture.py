"""What a watcher knows of a job, and how each document and event changes it. Pure: the time is passed in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from cli import words
from cli.glide import USUAL_SECONDS, Glide

OVER = frozenset({"complete", "failed", "cancelled"})
FINAL = frozenset({"complete", "partial", "failed", "cancelled"})
_CLIP_EVENTS = frozenset({"video_progress", "video_complete", "video_failed", "clip_waiting"})
_WHOLE = 100


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip as a watcher sees it."""

    index: int
    description: str = ""
    status: str = "queued"
    state: str | None = None
    progress: int = 0  #: as reported
    glide: Glide = field(default_factory=Glide)
    usual_seconds: float = USUAL_SECONDS
    attempts: int = 0
    account: str | None = None
    waiting: Mapping[str, Any] | None = None
    waits_until: float | None = None  #: by the watcher's clock
    error: Mapping[str, Any] | None = None
    duration: float | None = None
    cost_cents: int = 0
    created_at: datetime | None = None
    finished_at: datetime | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any], now: datetime, usual: Mapping[str, float]) -> Self:
        """A clip of a job document."""
        held = document.get("waiting")
        clip = cls(
            index=document["index"],
            description=document.get("description") or "",
            status=document["status"],
            state=document.get("state"),
            progress=document.get("progress") or 0,
            usual_seconds=usual.get(document.get("model") or "", USUAL_SECONDS),
            attempts=document.get("attempts") or 0,
            account=document.get("provider"),
            waiting=held,
            waits_until=_until(held, now),
            error=document.get("error"),
            duration=document.get("duration"),
            cost_cents=document.get("cost_cents") or 0,
            created_at=words.moment(document.get("created_at")),
            finished_at=words.moment(document.get("finished_at")),
        )
        return replace(clip, glide=clip.gliding(clip.progress, now))

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_held(self) -> bool:
        """Whether it stands still: waiting, or nothing has begun."""
        return not self.is_over and (bool(self.waiting) or self.status == "queued")

    def gliding(self, start: int, now: datetime) -> Glide:
        """A bar that stands here now, and moves on by itself when the clip does."""
        return Glide(start=start, since=None if self.is_over or self.is_held else now.timestamp())

    def percent(self, now: datetime) -> int:
        """Where its bar is: at least what was reported, and further by the model's usual pace."""
        return self.progress if self.is_over else self.glide.percent(now.timestamp(), self.usual_seconds)

    def sentence(self, now: datetime) -> str:
        """What the clip does, or why it doesn't."""
        if self.status == "complete":
            return words.saved(self.duration, self.cost_cents)
        if self.status == "failed":
            return words.failed(self.error)
        if self.is_over:
            return self.status
        if not self.waiting:
            return words.doing(self.status, self.state, self.attempts)
        left = None if self.waits_until is None else self.waits_until - now.timestamp()
        return words.waiting({"account": self.account, **self.waiting}, left)

    def seconds(self, now: datetime) -> float:
        """From the order to the clip's end, or until now."""
        if self.created_at is None:
            return 0.0
        return max(0.0, ((self.finished_at or now) - self.created_at).total_seconds())


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A job as a watcher sees it. ``job`` is the last document, ``offline`` says that nobody answers just now.

    ``usual`` has the seconds that a model usually takes.
    """

    job: Mapping[str, Any]
    clips: tuple[Clip, ...]
    usual: Mapping[str, float] = field(default_factory=dict)
    offline: bool = False

    @classmethod
    def read(cls, document: Mapping[str, Any], now: datetime, usual: Mapping[str, float] | None = None) -> Self:
        """The picture of a job document."""
        known = usual or {}
        clips = tuple(Clip.read(each, now, known) for each in document.get("video_clips") or ())
        return cls(job=document, clips=clips, usual=known)

    def renewed(self, document: Mapping[str, Any], now: datetime) -> Self:
        """The picture after another document. What was shown of a clip's progress is never taken back."""
        fresh = self.read(document, now, self.usual)
        if len(fresh.clips) != len(self.clips):
            return fresh
        clips = (_onward(old, new, now) for old, new in zip(self.clips, fresh.clips, strict=True))
        return replace(fresh, clips=tuple(clips))

    @property
    def state(self) -> str:
        return str(self.job.get("state"))

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def complete(self) -> int:
        return sum(clip.status == "complete" for clip in self.clips)

    def seconds(self, now: datetime) -> float:
        """From the order to the job's end, or until now."""
        begun, ended = words.moment(self.job.get("created_at")), words.moment(self.job.get("finished_at"))
        return max(0.0, ((ended or now) - begun).total_seconds()) if begun else 0.0

    def heard(self, type_: str, event: Mapping[str, Any], now: datetime) -> Self:
        """The picture after an event; events come in the order of their numbers."""
        if type_ == "job_complete":
            told = {name: event[name] for name in ("total_seconds", "actual_cents") if name in event}
            return replace(self, job={**self.job, **told})
        if type_ == "job_progress" and self.state == "queued":
            return replace(self, job={**self.job, "state": "running"})
        if type_ == "line_moved":
            return self._moved_up(event.get("waiting") or (), now)
        index = event.get("index")
        if type_ not in _CLIP_EVENTS or not isinstance(index, int) or not 0 <= index < len(self.clips):
            return self
        clip = self.clips[index]
        if clip.is_over and event.get("seq") is None:
            return self  # late news: only what is stored can begin a clip anew
        after = _onward(clip, _changed(clip, type_, event, now), now)
        return replace(self, clips=(*self.clips[:index], after, *self.clips[index + 1 :]))

    def _moved_up(self, told: Iterable[Mapping[str, Any]], now: datetime) -> Self:
        """Where clips stand; those that went on since have left the line."""
        places = {each.get("index"): each for each in told}
        clips = (
            replace(clip, waiting=places[clip.index], waits_until=_until(places[clip.index], now))
            if clip.index in places and clip.status == "queued"
            else clip
            for clip in self.clips
        )
        return replace(self, clips=tuple(clips))


def _changed(clip: Clip, type_: str, event: Mapping[str, Any], now: datetime) -> Clip:
    if type_ == "video_complete":
        duration = event.get("duration") or clip.duration
        done = replace(clip, status="complete", state="done", progress=_WHOLE, duration=duration)
        return replace(done, waiting=None, error=None, finished_at=now)
    if type_ == "video_failed":
        error = event.get("error")
        return replace(clip, status="failed", state="failed", waiting=None, error=error, finished_at=now)
    if type_ == "clip_waiting":
        held = event.get("waiting")
        return replace(clip, waiting=held, waits_until=_until(held, now))
    return _progressed(clip, event)


def _progressed(clip: Clip, event: Mapping[str, Any]) -> Clip:
    progress, status = event.get("progress") or 0, event.get("status") or clip.status
    if status in {"complete", "failed"}:
        return replace(clip, progress=progress)  # the event that says how it ended comes next
    state = clip.state if status == clip.status else _likely(status, clip.status)
    return replace(clip, status=status, state=state, progress=progress, waiting=None)


def _likely(status: str, before: str) -> str | None:
    """The state behind a status, which is all that an event tells."""
    if status == "processing":
        return "fetching" if before == "rendering" else "submitting"
    return None


def _onward(old: Clip, new: Clip, now: datetime) -> Clip:
    """Progress never goes down, unless the clip was over and begins anew; its end is its own."""
    if old.is_over and not new.is_over:
        return replace(new, finished_at=None, error=None, glide=new.gliding(new.progress, now))
    finished_at = new.finished_at or (old.finished_at if new.is_over else None)
    progress = max(old.progress, new.progress)
    went_on = progress == old.progress and old.glide.since is not None and new.gliding(0, now).since is not None
    glide = old.glide if went_on else new.gliding(max(progress, old.percent(now)), now)
    return replace(new, progress=progress, finished_at=finished_at, glide=glide)


def _until(held: Mapping[str, Any] | None, now: datetime) -> float | None:
    seconds = (held or {}).get("about_seconds")
    return now.timestamp() + seconds if isinstance(seconds, int | float) else None
