"""How fal's documents are read: what a run has come to, and what its error types mean for a new attempt."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from pipeline.domain.answers import Finished, Refused, Working
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import Reply, text
from pipeline.providers.protocol import Reading

MAX_OUTPUTS = 16
#: Where results have their files, the one that was ordered first.
FILES = ("video", "videos", "images", "image", "audio")
#: Error types that mean something else than their status does: 4xx is bad input for ever, 5xx may pass.
#: A run that made nothing has mostly been stopped by the model's own filter, and does so again.
MEANINGS: Mapping[str, tuple[str, bool]] = {
    "content_policy_violation": ("moderated", False),
    "no_media_generated": ("provider_error", False),
    "client_cancelled": ("provider_cancelled", True),
    "client_disconnected": ("provider_error", True),
    "downstream_service_error": ("provider_error", True),
    "downstream_service_unavailable": ("provider_error", True),
}
#: What the queue calls the end of an order whose input was bad; all its other types may pass.
BAD_REQUEST = "bad_request"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STATUS = re.compile(r"status code: (\d{3})\b")


def waiting(document: Mapping[str, Any], prediction_id: str) -> Working:
    """A status that is not the end; one that nobody knows is work in progress: only time may end it."""
    return Working(prediction_id=prediction_id, queued=document.get("status") == "IN_QUEUE")


def result(document: Mapping[str, Any], prediction_id: str) -> Finished | Refused:
    """What a model gave: its files, or nothing that can be used."""
    nsfw = document.get("has_nsfw_concepts")
    if any(each is True for each in (nsfw if isinstance(nsfw, list) else [nsfw])):
        # The picture is there, and it is black.
        return Refused(code="moderated", message="the model's safety check has blacked the picture out")
    outputs = tuple(_links(document))[:MAX_OUTPUTS]
    if outputs:
        return Finished(outputs=outputs, prediction_id=prediction_id, raw={"request_id": prediction_id})
    return Refused(code="provider_error", message="the run ended without a file", retryable=True)


def _links(document: Mapping[str, Any]) -> Iterator[str]:
    for name in FILES:
        found = document.get(name)
        for file in found if isinstance(found, list) else [found]:
            url = file.get("url") if isinstance(file, dict) else None
            if isinstance(url, str) and _is_link(url):
                yield url


def _is_link(url: str) -> bool:
    return url.startswith(("https://", "http://")) and len(url) <= MAX_URL and url.isprintable()


def tells_of_the_run(reply: Reply, status: Mapping[str, Any]) -> bool:
    """Whether an error is what the run came to, and not what became of our question about it."""
    document, failed = reply.document(), bool(status.get("error") or status.get("error_type"))
    if reply.status < HTTPStatus.BAD_REQUEST or document is None:
        return False
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not failed:
        # The run ended well and was paid: this is about the asking, and to believe it would buy another.
        return False
    marked = "x-fal-retryable" in reply.headers or "x-fal-error-type" in reply.headers
    typed = marked or "error_type" in document or isinstance(document.get("detail"), list)
    # 401, 403 and 404 are about us, unless they name a type.
    of_ours = reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND} or reply.busy
    return typed or (failed and not of_ours)


def refusal(status: int, document: Mapping[str, Any], *, retryable: str | None = None) -> Refused:
    """What an error says. ``status``: 0 where nobody told; ``retryable``: fal's own word in ``X-Fal-Retryable``."""
    kinds, message = _types(document), _message(document) or f"HTTP {status}"
    known = next((kind for kind in kinds if kind in MEANINGS), "")
    code, curable = MEANINGS.get(known) or _by_status(status, kinds)
    if retryable in {"true", "false"} and code != "moderated":
        curable = retryable == "true"
    raw = {"http_status": status, "error_types": kinds[:MAX_OUTPUTS], "error": message}
    return Refused(code=code, message=message, retryable=curable, raw=raw)


def _by_status(status: int, kinds: list[str]) -> tuple[str, bool]:
    if BAD_REQUEST in kinds or status in range(400, 500):
        return "rejected_input", False
    return "provider_error", True


def _types(document: Mapping[str, Any]) -> list[str]:
    """The error types of a document, the queue's own and the model's."""
    named = [document.get("error_type"), *(item.get("type") for item in _details(document))]
    return [text(kind, 80) for kind in named if isinstance(kind, str)]


def _message(document: Mapping[str, Any]) -> str:
    """The sentences of a document, with the field that each is about."""
    detail = document.get("detail") or document.get("error")
    if isinstance(detail, str):
        return text(detail)
    return text("; ".join(f"{_place(item)}{item['msg']}" for item in _details(document) if "msg" in item))


def _details(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    detail = document.get("detail")
    return [item for item in detail if isinstance(item, dict)] if isinstance(detail, list) else []


def _place(item: Mapping[str, Any]) -> str:
    loc = item.get("loc")
    return f"{loc[-1]}: " if isinstance(loc, list) and loc else ""


def reported(document: Mapping[str, Any]) -> Reading | None:
    """What a webhook says; None where it only says that there is an end, so that it has to be asked for."""
    payload = document.get("payload")
    known = payload if isinstance(payload, dict) else {}
    if document.get("status") == "OK":
        return result(known, document["request_id"]) if known else None
    told = _STATUS.search(str(document.get("error", ""))[:200])
    status = int(told[1]) if told else 0
    return refusal(status, known) if _types(known) else None


def listed(entry: Mapping[str, Any]) -> Reading:
    """What an entry of the list of finished requests came to."""
    status, output = entry.get("status_code"), entry.get("json_output")
    known = output if isinstance(output, dict) else {}
    if isinstance(status, int) and status >= HTTPStatus.BAD_REQUEST:
        return refusal(status, known)
    return result(known, entry["request_id"]) if known else Working(prediction_id=entry["request_id"])


def has_id(document: Mapping[str, Any]) -> bool:
    """Whether it is about a request that can be asked for again."""
    given = document.get("request_id")
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def is_older(entry: Mapping[str, Any], since: datetime) -> bool:
    """Whether it was surely sent before then."""
    try:
        sent_at = datetime.fromisoformat(entry["sent_at"])
    except (KeyError, TypeError, ValueError):
        return False
    return sent_at.replace(tzinfo=sent_at.tzinfo or UTC) < since
