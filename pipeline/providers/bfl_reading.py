"""How Black Forest Labs' documents of tasks are read: what each says in our words, and what of it is kept."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.domain.answers import Finished, Refused, Working
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import text
from pipeline.providers.protocol import Reading

MAX_COMPLAINTS = 3
MAX_REASONS = 8
#: What a verdict is about (R68), by the status that tells it.
FLAGGED = {
    "Request Moderated": "the prompt or an image that was given was flagged",
    "Content Moderated": "the result was flagged, though nothing that was given",
}

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def reading(document: Mapping[str, Any], *, told_at: str | None = None) -> Reading:
    """What a task's document says; ``told_at``: where it was asked for. An unknown status is work in progress."""
    match document.get("status"):
        case "Ready":
            return _ready(document, told_at)
        case "Request Moderated" | "Content Moderated" as status:
            message = "; ".join([FLAGGED[status], *_reasons(document.get("details"))])
            return _refused("moderated", message, document, told_at, retryable=False)
        case "Error" | "Failed":
            return _refused("provider_error", _said(document), document, told_at)
        case "Task not found":
            return _refused("lost", "the provider knows no such task", document, told_at)
        case _:
            return Working(prediction_id=document["id"], progress=_percent(document.get("progress")))


def complaint(refused: Refused, document: Mapping[str, Any]) -> Refused:
    """The same refusal with the fields that the provider names."""
    details = document.get("detail")
    if not isinstance(details, list):
        return refused
    named = [_complaint(each) for each in details[:MAX_COMPLAINTS] if isinstance(each, dict)]
    return replace(refused, message=text("; ".join(named))) if named else refused


def kept_of(document: Mapping[str, Any], *, told_at: object = None) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt, with where to ask; never links, which are keys to the files."""
    kept: dict[str, Any] = {
        name: text(said) for name in ("id", "status") if isinstance(said := document.get(name), str)
    }
    kept |= {name: said for name in ("cost", "input_mp", "output_mp") if isinstance(said := document.get(name), float)}
    if isinstance(told_at, str) and len(told_at) <= MAX_URL and told_at.isprintable():
        kept["polling_url"] = told_at
    return kept


def has_id(document: Mapping[str, Any]) -> bool:
    """Whether it is a task that can be asked for again."""
    given = document.get("id")
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def sent_at(document: Mapping[str, Any]) -> datetime | None:
    """When a webhook says that it was sent, by ISO 8601 or in seconds since 1970; None where it does not say."""
    said = document.get("timestamp")
    try:
        if isinstance(said, int | float) and not isinstance(said, bool):
            return datetime.fromtimestamp(said, UTC)
        moment = datetime.fromisoformat(str(said))
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _ready(document: Mapping[str, Any], told_at: str | None) -> Finished | Refused:
    result = document.get("result")
    found = result if isinstance(result, dict) else {}
    sample = found.get("sample")
    good = isinstance(sample, str) and sample.startswith(("https://", "http://")) and sample.isprintable()
    if not good or not isinstance(sample, str) or len(sample) > MAX_URL:
        if reasons := _reasons(document.get("details")):
            message = "; ".join([FLAGGED["Content Moderated"], *reasons])
            return _refused("moderated", message, document, told_at, retryable=False)
        return _refused("provider_error", "the task is ready without an output", document, told_at)
    raw = kept_of(document, told_at=told_at)
    return Finished(outputs=(sample,), prediction_id=document["id"], render_seconds=_seconds(found), raw=raw)


def _seconds(result: Mapping[str, Any]) -> float | None:
    """How long it took, by the provider's own clock."""
    took = result.get("duration")
    return float(took) if isinstance(took, int | float) and not isinstance(took, bool) and took > 0 else None


def _reasons(details: object) -> list[str]:
    """Why something was flagged, in the provider's words."""
    found = details.get("Moderation Reasons") if isinstance(details, dict) else None
    return [text(each, 80) for each in found[:MAX_REASONS] if isinstance(each, str)] if isinstance(found, list) else []


def _said(document: Mapping[str, Any]) -> str:
    """The sentence of a failure, wherever it stands."""
    details = document.get("details")
    candidates = (details, details.get("error") if isinstance(details, dict) else None, document.get("result"))
    return next(
        (text(each) for each in candidates if isinstance(each, str) and each), "the task failed without a reason"
    )


def _complaint(each: Mapping[str, Any]) -> str:
    place = each.get("loc")
    path = ".".join(str(part) for part in place if part != "body") if isinstance(place, list) else "body"
    return f"{path}: {each.get('msg')}"


def _percent(progress: object) -> int | None:
    """0 to 100, of a number from 0 to 1."""
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return max(0, min(int(progress * 100), 100))


def _refused(
    code: str, message: str, document: Mapping[str, Any], told_at: str | None, *, retryable: bool = True
) -> Refused:
    return Refused(code=code, message=message, retryable=retryable, raw=kept_of(document, told_at=told_at))
