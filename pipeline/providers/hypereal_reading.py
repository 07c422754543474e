"""How Hypereal's answers are read: its words for a job's state, its many places for a link, and its false alarms."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.domain.answers import Finished, Refused, Working
from pipeline.domain.rows import at
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import text
from pipeline.providers.protocol import Reading

#: What a verdict on the content says; its texts are not documented.
MODERATED = ("content policy", "moderat", "sensitive", "nsfw", "safety")

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ID_FIELDS = ("jobId", "job_id", "resultId", "id")
_LINK_FIELDS = ("outputUrl", "output_url", "result.url", "output.url", "url")
_ERROR_FIELDS = ("error", "error.message", "message")
_MAX_OUTPUTS = 16
# A live job may say these when it is looked at early: the provider could not look, which is no verdict on the job.
_FALSE_ALARM = re.compile(r"|failed to check status|(job |task )?not found", re.IGNORECASE)
_KEPT = ("jobId", "status", "pollUrl", "resultId")


def reading(job_id: str, document: Mapping[str, Any]) -> Reading:
    """What a job's document says. An unknown status is work in progress: only time may end it."""
    match document.get("status"):
        case "completed" | "succeeded":
            outputs = outputs_of(document)
            if outputs:
                return Finished(outputs=outputs, prediction_id=job_id, raw=kept_of(document))
            said = _words_of(document)
            if _flagged(said):
                return Refused(code="moderated", message=said, raw=kept_of(document))
            return Refused(code="provider_error", message="the job succeeded without an output", retryable=True)
        case "failed" | "error":
            return _failed(document)
        case _:
            return Working(prediction_id=job_id)


def _failed(document: Mapping[str, Any]) -> Refused:
    """A false alarm is ``lost``: looked for a while, and believed when it is said again and again."""
    error, kept = _error_of(document), kept_of(document)
    if _FALSE_ALARM.fullmatch(error.strip(" .")):
        message = error or "the job failed without a reason"
        return Refused(code="lost", message=message, retryable=True, raw=kept)
    if _flagged(error):
        return Refused(code="moderated", message=error, raw=kept)
    return Refused(code="provider_error", message=error, retryable=True, raw=kept)


def outputs_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The links of a job (in one of its many places), or of pictures."""
    data = document.get("data")
    pictures = [each.get("url") for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []
    links = [each for each in [*pictures, *(at(document, path) for path in _LINK_FIELDS)] if isinstance(each, str)]
    good = [link for link in links if link.startswith(("https://", "http://")) and len(link) <= MAX_URL]
    return tuple(dict.fromkeys(link for link in good if link.isprintable()))[:_MAX_OUTPUTS]


def id_of(document: Mapping[str, Any]) -> str | None:
    """The id by which a job can be asked for again."""
    given = (document.get(name) for name in _ID_FIELDS)
    return next((each for each in given if isinstance(each, str) and _ID.fullmatch(each)), None)


def kept_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links."""
    kept: dict[str, Any] = {name: document[name] for name in _KEPT if isinstance(document.get(name), str)}
    kept = {name: said if name == "pollUrl" else text(said) for name, said in kept.items()}
    credits_used = document.get("creditsUsed")
    if isinstance(credits_used, int | float):
        kept["creditsUsed"] = credits_used
    error = _error_of(document)
    return kept | ({"error": error} if error else {})


def _flagged(words: str) -> bool:
    return any(word in words.lower() for word in MODERATED)


def _error_of(document: Mapping[str, Any]) -> str:
    return _words_of(document) if document.get("status") in {"failed", "error"} else ""


def _words_of(document: Mapping[str, Any]) -> str:
    said = (at(document, path) for path in _ERROR_FIELDS)
    return next((text(each) for each in said if isinstance(each, str) and each), "")
