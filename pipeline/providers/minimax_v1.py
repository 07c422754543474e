"""MiniMax's first API: Hailuo video, pictures and speech. Its errors come with HTTP 200, their code in the body.

Codes are those of platform.minimax.io/docs/api-reference/errorcode; those that say "not now" stand in the catalogue.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.domain.answers import Accepted, Finished, Refused, Silent, Working
from pipeline.domain.rows import BusySign, at
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import Sign, text
from pipeline.providers.protocol import Order

VIDEO = "/v1/video_generation"
MAX_OUTPUTS = 16
MAX_ID = 64
OUTAGES = (1000, 1001, 1013, 1024, 1033)
#: MiniMax gave up waiting for itself: what was ordered may be made all the same.
TIMEOUT = 1001
#: What a code means: the code of ``Refused``, and whether another attempt can cure it.
MEANINGS: tuple[tuple[str, tuple[int, ...], bool], ...] = (
    ("not_authorised", (1004, 2038, 2049, 2061), False),
    ("no_credit", (1008,), False),
    ("moderated", (1026, 1027), False),
    ("rejected_input", (2013,), False),
    ("provider_error", OUTAGES, True),
)
#: R68: which side of the work was found to offend.
FLAGGED = {1026: "the prompt was flagged", 1027: "the generated video was flagged"}
CODE = "base_resp.status_code"
#: What the codes say to an order. One that may be tried again is believed only as this API says no: under HTTP 200.
SIGNS = tuple(
    Sign(
        code=code,
        says=BusySign(
            status=200 if retryable else None, field=CODE, values=tuple(each for each in values if each != TIMEOUT)
        ),
        retryable=retryable,
    )
    for code, values, retryable in MEANINGS
)


#: A task that the query does not know, or no longer.
FORGOTTEN = (
    Sign(code="lost", says=BusySign(field="base_resp.status_msg", words=("invalid task_id",)), retryable=True),
)


def body(order: Order) -> dict[str, Any]:
    """What is sent: the input is the body's fields, and pictures of who is to be seen stand in a list of their own."""
    given = {"model": order.model, **nested(order.input)}
    subjects = given.pop("subject_reference", [])
    if subjects:
        given["subject_reference"] = [_subject(order.endpoint, list(subjects))]
    return given | ({"callback_url": order.webhook_url} if order.webhook_url and order.endpoint == VIDEO else {})


def nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """The input with each name of two parts as a field of an object: ``voice_setting.voice_id``."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        outer, _, inner = name.partition(".")
        if inner:
            found.setdefault(outer, {})[inner] = value
        else:
            found[name] = value
    return found


def _subject(endpoint: str, pictures: list[str]) -> dict[str, Any]:
    """Who is to be seen; for videos and for pictures in different words."""
    shown = {"image": pictures} if endpoint == VIDEO else {"image_file": pictures[0]}
    return {"type": "character", **shown}


def bought(document: Mapping[str, Any]) -> Accepted | Finished | None:
    """What an order's answer proves was sold: a task by its id, or pictures and speech that are ready at once."""
    if task_id := id_of(document.get("task_id")):
        return Accepted(prediction_id=task_id, raw={"task_id": task_id})
    outputs = links(at(document, "data.image_urls")) or links(at(document, "data.audio"))
    if not outputs:
        return None
    made = id_of(document.get("id")) or id_of(document.get("trace_id"))
    return Finished(outputs=outputs, prediction_id=made, raw={"id": made} if made else {})


def refused(document: Mapping[str, Any], message: str) -> Refused | None:
    """A clear no whose code the tables do not have, or pictures of which none was made; None for anything else."""
    code = code_of(document)
    if code == TIMEOUT:
        return None
    if code:
        # Nobody knows what it means, so nobody pays to hear it again.
        return Refused(code="provider_error", message=message, raw={"code": code, "error": message})
    if str(at(document, "metadata.success_count")) != "0":
        return None
    if str(at(document, "metadata.failed_count")) in {"None", "0"}:
        return Refused(code="provider_error", message="no picture was made", retryable=True)
    # What it counts there are the pictures that were kept back for their content.
    return Refused(code="moderated", message="the generated picture was flagged, though nothing that was given")


def reading(document: Mapping[str, Any]) -> Working | Refused | Silent:
    """What a query says of a task that has no file yet, however its status is spelt."""
    code = code_of(document)
    match status_of(document):
        case "fail" | "failed":
            return failure(code, message_of(document), kept_of(document))
        case "success":
            return failure(code, "the task succeeded without a file", kept_of(document))
        case "preparing" | "queueing" | "queued":
            return Working(prediction_id=id_of(document.get("task_id")), queued=True)
        case "" if code:
            return Silent(message=message_of(document), outage=code in OUTAGES)
        case _:
            return Working(prediction_id=id_of(document.get("task_id")))


def failure(code: int, message: str, raw: Mapping[str, Any]) -> Refused:
    """Why a task failed, by its code; a reason that nobody knows may be gone at the next attempt."""
    means = next(((name, again) for name, codes, again in MEANINGS if code in codes), ("provider_error", True))
    return flagged(Refused(code=means[0], message=message, retryable=means[1], raw=raw), code)


def flagged(refusal: Refused, code: int) -> Refused:
    """The same refusal; a verdict on content says what was flagged."""
    if code not in FLAGGED:
        return refusal
    message = f"{FLAGGED[code]}: {refusal.message}"
    return Refused(code=refusal.code, message=message, raw={**refusal.raw, "code": code})


def file_of(document: Mapping[str, Any]) -> str | None:
    """The file of a task that succeeded."""
    return id_of(document.get("file_id")) if status_of(document) == "success" else None


def status_of(document: Mapping[str, Any]) -> str:
    """The status in lower case; empty where there is none."""
    status = document.get("status")
    return status.lower() if isinstance(status, str) else ""


def code_of(document: Mapping[str, Any]) -> int:
    """The code of an answer; 0 is success, and what an answer without a code has."""
    code = at(document, CODE)
    return int(code) if str(code).isdecimal() else 0


def message_of(document: Mapping[str, Any]) -> str:
    """The reason for people."""
    message = at(document, "base_resp.status_msg")
    return text(message) if isinstance(message, str) and message else "MiniMax gives no reason"


def kept_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links."""
    named = ("task_id", "status", "file_id", "video_width", "video_height")
    kept = {name: document[name] for name in named if isinstance(document.get(name), str | int)}
    return {name: text(value) if isinstance(value, str) else value for name, value in kept.items()}


def id_of(value: object) -> str | None:
    """An id as text, whether it came as text or as a number; None where it could not be asked for again."""
    told = str(value) if isinstance(value, str | int) else ""
    good = told.isascii() and told.replace("-", "").replace("_", "").isalnum() and len(told) <= MAX_ID
    return told if good and told != "0" else None


def links(value: object) -> tuple[str, ...]:
    """The links in one string or a list."""
    candidates = value if isinstance(value, list) else [value]
    found = [each for each in candidates if isinstance(each, str) and each.startswith(("https://", "http://"))]
    return tuple(each for each in found if len(each) <= MAX_URL and each.isprintable())[:MAX_OUTPUTS]
