"""How Kling's answers are read: two families of documents that say the same in different words."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.domain.answers import Finished, Refused, Working
from pipeline.domain.rows import at
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import text
from pipeline.providers.protocol import Reading

Task = Mapping[str, Any]

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MAX_OUTPUTS = 16
_FEWEST_MILLISECONDS = 10**12  # what is smaller is no time since 1970 in milliseconds
_MODERATED = re.compile(r"risk control|content policy|sensitive|violat|moderat", re.IGNORECASE)
# The legacy family's name first, then the new one's.
_IDS = ("task_id", "id")
_STATUSES = ("task_status", "status")
_MESSAGES = ("task_status_msg", "message")
_MARKERS = ("task_info.external_task_id", "external_task_id", "external_id")
_OUTPUTS = ("task_result.videos", "task_result.images", "outputs")
_CREATED, _UPDATED = ("created_at", "create_time"), ("updated_at", "update_time")


def tasks_of(document: Mapping[str, Any]) -> list[Task] | None:
    """The tasks in an answer's ``data``, which is one or many; None when there is no such thing."""
    data = document.get("data")
    if isinstance(data, Mapping):
        data = [data]
    return [each for each in data if isinstance(each, Mapping)] if isinstance(data, list) else None


def succeeded(document: Mapping[str, Any]) -> bool:
    """Whether the call was answered; HTTP 200 alone says nothing."""
    return document.get("code") == 0 and document.get("code") is not False


def reading(task: Task) -> Reading:
    """What a task says. An unknown status is work in progress: only time may end it."""
    task_id = id_of(task)
    match _first(task, _STATUSES):
        case "submitted":
            return Working(prediction_id=task_id, queued=True)
        case "succeed" | "succeeded":
            outputs = _outputs(task)
            if outputs:
                took, kept = _render_seconds(task), kept_of(task)
                return Finished(outputs=outputs, prediction_id=task_id, render_seconds=took, raw=kept)
            return _refused("provider_error", _message(task) or "the task succeeded without an output", task)
        case "failed":
            return _refused("provider_error", _message(task) or "the task failed without a reason", task)
        case _:
            return Working(prediction_id=task_id)


def _refused(code: str, message: str, task: Task) -> Refused:
    if _MODERATED.search(message):
        return Refused(code="moderated", message=message, raw=kept_of(task))
    return Refused(code=code, message=message, retryable=True, raw=kept_of(task))


def id_of(task: Task) -> str | None:
    """The id by which a task can be asked for again."""
    given = _first(task, _IDS)
    return given if isinstance(given, str) and _ID.fullmatch(given) else None


def marker_of(task: Task) -> str | None:
    """Our own id of the attempt, as the provider tells it back."""
    given = _first(task, _MARKERS)
    return given if isinstance(given, str) else None


def kept_of(task: Task) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links."""
    named = {"id": _IDS, "status": _STATUSES, "message": _MESSAGES}
    words = {name: _first(task, paths) for name, paths in named.items()}
    kept: dict[str, Any] = {name: text(said) for name, said in words.items() if isinstance(said, str) and said}
    units = task.get("final_unit_deduction") or _units(task.get("billing"))
    return kept | ({"units": text(str(units), 40)} if units else {})


def _units(billing: object) -> object:
    entries = [each for each in billing if isinstance(each, Mapping)] if isinstance(billing, list) else []
    return next((each.get("amount") for each in entries if each.get("charge_type") == "unit"), None)


def _message(task: Task) -> str:
    said = _first(task, _MESSAGES)
    return text(said) if isinstance(said, str) else ""


def _outputs(task: Task) -> tuple[str, ...]:
    found = _first(task, _OUTPUTS)
    entries = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    links = [each["url"] for each in entries if isinstance(each.get("url"), str)]
    good = [link for link in links if link.startswith(("https://", "http://")) and len(link) <= MAX_URL]
    return tuple(link for link in good if link.isprintable())[:_MAX_OUTPUTS]


def _render_seconds(task: Task) -> float | None:
    """From creation to the last change, which is the end, by the provider's own clock."""
    created, updated = (_milliseconds(_first(task, paths)) for paths in (_CREATED, _UPDATED))
    return (updated - created) / 1000 if created and updated and updated > created else None


def _milliseconds(told: object) -> int | None:
    number = int(told) if isinstance(told, int) or (isinstance(told, str) and told.isdecimal()) else 0
    return number if number >= _FEWEST_MILLISECONDS else None


def _first(task: Task, paths: tuple[str, ...]) -> Any:
    return next((found for path in paths if (found := at(task, path)) is not None), None)
