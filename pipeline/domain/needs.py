"""What an asset needs of others before its turn: whether they are there, and what becomes of it when one has failed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.domain.answers import Answer, Busy, Reason, Refused, Withdrawn
from pipeline.domain.asset import TERMINAL, State

#: A job makes at most so many of a kind at once (R15); of the others as many as its accounts take.
AT_ONCE: Mapping[str, int] = {"audio": 3, "image": 2}

#: What a customer gives by a link: nobody makes it, it only has to be brought home.
PICTURE, FOOTAGE, SOUND = "picture", "footage", "sound"
MATERIAL = (PICTURE, FOOTAGE, SOUND)

#: What a scene has made beside its clip.
PARTS = ("image", "audio")

_WORDS = {
    "video": "the clip",
    "image": "the keyframe",
    "audio": "the narration",
    PICTURE: "a picture that was given",
    FOOTAGE: "a video that was given",
    SOUND: "a sound that was given",
    "context": "what is to be said of the reference pictures",
}
_OF_A_SCENE = frozenset({"video", "image", "audio"})


class IfFailed(StrEnum):
    """What becomes of an asset when one that it needs has failed or was cancelled."""

    FAIL = "fail"  #: it fails as well
    SKIP = "skip"  #: it is not wanted then
    INDEPENDENT = "independent"  #: it is made without what is missing


#: What the customer gives is wanted whatever is said of other needs; words about pictures only help.
_ALWAYS: Mapping[str, IfFailed] = {**dict.fromkeys(MATERIAL, IfFailed.FAIL), "context": IfFailed.INDEPENDENT}


@dataclass(frozen=True, kw_only=True)
class Needed:
    """An asset that another one needs, and what it has to give: a file, a clip's last picture, words."""

    id: UUID
    kind: str
    index: int
    state: State
    file_key: str | None = None
    last_frame_key: str | None = None
    words: str | None = None
    duration_seconds: float | None = None
    failure: Mapping[str, Any] | None = None

    def part(self, name: str) -> str | None:
        """What it gives: the object key of its ``file`` or ``last_frame``, or its ``words``; None until it is done."""
        if self.state is not State.DONE:
            return None
        return {"file": self.file_key, "last_frame": self.last_frame_key, "words": self.words}[name]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """All that an asset waits for but a slot; ``ahead`` of it are so many of its kind in its job."""

    assets: tuple[Needed, ...] = ()
    if_failed: IfFailed = IfFailed.FAIL
    ahead: int = 0


def sources(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every input of a row's ``inputs``, with its source ``{"asset": id, "part": name}``; an input may have a list."""
    for name, given in inputs.items():
        for source in given if isinstance(given, list) else [given]:
            yield name, source


def part_of(needs: Needs, source: Mapping[str, str]) -> str | None:
    """What a source gives; None when it has failed to."""
    found = (each.part(source["part"]) for each in needs.assets if str(each.id) == source["asset"])
    return next(found, None)


def video_seconds(needs: Needs, inputs: Mapping[str, Any]) -> float | None:
    """How long the video is that a clip is made from; None where it is made from none of ours."""
    source = inputs.get("video")
    found = (each.duration_seconds for each in needs.assets if source and str(each.id) == source["asset"])
    return next(found, None)


def held_by(kind: str, needs: Needs, inputs: Mapping[str, Any]) -> Answer | None:
    """What keeps an asset from its turn, for now or for good; None when nothing does."""
    if any(each.state not in TERMINAL for each in needs.assets):
        return Busy(reason=Reason.DEPENDENCY)
    for lost in _lost(needs, inputs):
        policy = _ALWAYS.get(lost.kind, needs.if_failed)
        if policy is IfFailed.SKIP:
            return Withdrawn(code="dependency_failed", message=_sentence(lost))
        if policy is IfFailed.FAIL:
            return Refused(code="dependency_failed", message=_sentence(lost), retryable=True)
    return Busy(reason=Reason.JOB_LIMIT) if kind in AT_ONCE and needs.ahead >= AT_ONCE[kind] else None


def _lost(needs: Needs, inputs: Mapping[str, Any]) -> Iterator[Needed]:
    """Those of the needed that have nothing to give, or not what was wanted of them."""
    wanted = {(source["asset"], source["part"]) for _, source in sources(inputs)}
    for each in needs.assets:
        parts = [part for asset, part in wanted if asset == str(each.id)]
        if each.state is not State.DONE or any(each.part(part) is None for part in parts):
            yield each


def _sentence(lost: Needed) -> str:
    if lost.kind in MATERIAL and lost.failure:
        # It names the field in which the customer gave it, and what is wrong with it.
        return str(lost.failure["message"])
    what = _WORDS.get(lost.kind, lost.kind)
    where = f" of scene {lost.index}" if lost.kind in _OF_A_SCENE else f" (number {lost.index})"
    ended = "has no last picture to start from" if lost.state is State.DONE else f"was needed first, and {_end(lost)}"
    return f"{what}{where} {ended}"


def _end(lost: Needed) -> str:
    return "failed" if lost.state is State.FAILED else "was cancelled"
