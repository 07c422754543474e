"""How Runway's documents of tasks are read: what each says in our words, and what of it is kept."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.domain.answers import Finished, Refused, Working
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import text
from pipeline.providers.protocol import Reading

MAX_OUTPUTS = 16
MAX_ISSUES = 3

#: Beginning of a failure's code → our code, and whether a new attempt can cure it; the first that fits wins.
#: From docs.dev.runwayml.com/errors/task-failures; those that begin with THIRD_PARTY and INPUT_ are seen in the field.
FAILURES: tuple[tuple[str, str, bool], ...] = (
    ("SAFETY", "moderated", False),
    ("INPUT_PREPROCESSING.SAFETY", "moderated", False),
    ("INPUT_PREPROCESSING.INTERNAL", "provider_error", True),
    ("ASSET.INVALID", "rejected_input", False),
    ("THIRD_PARTY.INPUT_VALIDATION", "rejected_input", False),
    ("THIRD_PARTY.UNAVAILABLE", "provider_error", True),
    ("INTERNAL", "provider_error", True),
    ("", "provider_error", True),
)

#: What a moderation verdict is about (R68): a part of its code, in words. INPUT alone means any of what was given.
FLAGGED: tuple[tuple[str, str], ...] = (
    ("INPUT.TEXT", "the prompt was flagged"),
    ("INPUT.IMAGE", "an image that was given was flagged"),
    ("INPUT.VIDEO", "a video that was given was flagged"),
    ("INPUT.AUDIO", "a sound that was given was flagged"),
    ("SAFETY.TEXT", "the prompt was flagged"),
    ("SAFETY.THIRD_PARTY", "the prompt or what was given with it was flagged by the model's maker"),
    ("OUTPUT", "the result was flagged, though nothing that was given"),
    ("", "something that was given was flagged"),
)


def reading(document: Mapping[str, Any]) -> Reading:
    """What a task's document says. An unknown status is work in progress: only time may end it."""
    match document.get("status"):
        case "THROTTLED":
            # Accepted, and held back by the account's own concurrency at the provider.
            return Working(prediction_id=document["id"], queued=True)
        case "SUCCEEDED":
            return _succeeded(document)
        case "FAILED":
            return _failed(document)
        case "CANCELLED" | "CANCELED":
            return _refused("provider_cancelled", "the provider ended the task", document, retryable=True)
        case _:
            return Working(prediction_id=document["id"], progress=_percent(document.get("progress")))


def complaint(refused: Refused, document: Mapping[str, Any]) -> Refused:
    """The same refusal with the fields that the provider names."""
    issues = document.get("issues")
    if not isinstance(issues, list):
        return refused
    named = [_issue(each) for each in issues[:MAX_ISSUES] if isinstance(each, dict)]
    return replace(refused, message=text("; ".join([refused.message, *named])))


def kept_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links, which are keys to the files."""
    words = {name: document.get(name) for name in ("id", "status", "createdAt", "failure", "failureCode")}
    kept: dict[str, Any] = {name: text(said) for name, said in words.items() if isinstance(said, str)}
    for name in ("estimatedCost", "cost"):
        credit = document.get(name)
        if isinstance(credit, dict) and isinstance(credit.get("credits"), int | float):
            kept[name] = {"credits": credit["credits"]}
    return kept


def _issue(issue: Mapping[str, Any]) -> str:
    path = issue.get("path")
    place = ".".join(str(part) for part in path) if isinstance(path, list) else ""
    return f"{place or 'body'}: {issue.get('message')}"


def _succeeded(document: Mapping[str, Any]) -> Finished | Refused:
    given = document.get("output")
    links = [link for link in given if isinstance(link, str)] if isinstance(given, list) else []
    good = [link for link in links if link.startswith(("https://", "http://")) and link.isprintable()]
    outputs = tuple(link for link in good if len(link) <= MAX_URL)[:MAX_OUTPUTS]
    if not outputs:
        return _refused("provider_error", "the task succeeded without an output", document, retryable=True)
    return Finished(outputs=outputs, prediction_id=document["id"], raw=kept_of(document))


def _failed(document: Mapping[str, Any]) -> Refused:
    said, failure = document.get("failureCode"), document.get("failure")
    told = text(said, 80) if isinstance(said, str) else ""
    message = text(failure) if isinstance(failure, str) and failure else "the task failed without a reason"
    code, retryable = next((code, curable) for start, code, curable in FAILURES if told.startswith(start))
    if code == "moderated":
        message = f"{next(words for part, words in FLAGGED if part in told)} ({told}): {message}"
    elif told:
        message = f"{message} ({told})"
    return _refused(code, message, document, retryable=retryable)


def _percent(progress: object) -> int | None:
    """0 to 100, of a number from 0 to 1."""
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return max(0, min(int(progress * 100), 100))


def _refused(code: str, message: str, document: Mapping[str, Any], *, retryable: bool) -> Refused:
    return Refused(code=code, message=message, retryable=retryable, raw=kept_of(document))
