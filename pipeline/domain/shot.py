"""A shot: one asset as it will be asked for, and what it takes from other assets of its job."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal
from uuid import UUID

from pipeline.domain.needs import IfFailed
from pipeline.domain.rows import Mode, Seconds

Part = Literal["file", "last_frame", "words"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """An input that another asset of the job makes: which asset, and which part of what it makes."""

    kind: str
    index: int
    part: Part


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One asset as it will be asked for: the prompt in full, the length to order, the price of one attempt.

    ``sources`` are the inputs that come from other assets; a job's row names those by their ids.
    """

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
    kind: str = "video"
    voice: str | None = None  #: who speaks a narration; None: the model's own
    sources: Mapping[str, Source | tuple[Source, ...]] = field(default_factory=dict)
    if_needed_fails: IfFailed = IfFailed.FAIL

    @property
    def name(self) -> tuple[str, int]:
        """What it is called in its job."""
        return self.kind, self.index

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """Every source, of whichever input."""
        found = (each if isinstance(each, tuple) else (each,) for each in self.sources.values())
        return tuple(source for group in found for source in group)


Ids = Mapping[tuple[str, int], UUID]
_PLANNED = frozenset({"sources", "if_needed_fails"})
_KEPT = frozenset(each.name for each in fields(Shot)) - _PLANNED


def as_kept(shot: Shot) -> dict[str, Any]:
    """The shot as its row keeps it; what it takes from others is written there by their ids."""
    return {name: getattr(shot, name) for name in _KEPT}


def taken(shot: Shot, ids: Ids) -> dict[str, Any]:
    """A shot's inputs as its row keeps them: whatever comes from another asset, by that one's id."""

    def named(source: Source) -> dict[str, str]:
        return {"asset": str(ids[source.kind, source.index]), "part": source.part}

    return {
        name: [named(each) for each in source] if isinstance(source, tuple) else named(source)
        for name, source in shot.sources.items()
    }


def needed(shot: Shot, ids: Ids) -> list[str]:
    """The ids of all assets that a shot takes something from."""
    return sorted({str(ids[source.kind, source.index]) for source in shot.all_sources})


def kept_shot(row: Mapping[str, Any]) -> Shot:
    """The shot that a row keeps."""
    kept = {name: value for name, value in row.items() if name in _KEPT}
    return Shot(**{**kept, "reference_image_urls": tuple(kept["reference_image_urls"])})
