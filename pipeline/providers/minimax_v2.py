"""MiniMax's second API, for the H3 models: errors have HTTP codes, tasks are listed, the input is a list of parts."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.domain.answers import Accepted, Finished, Refused, Working
from pipeline.domain.rows import BusySign, at
from pipeline.providers.http import Sign, text
from pipeline.providers.minimax_v1 import failure, id_of, links
from pipeline.providers.protocol import Order, Reading

VIDEO = "/v2/video_generation"
PAGE_SIZE = 20  #: the documentation's own example; how much a page may hold at most is not told
#: What a part is, by the role under which the catalogue has it.
ROLES = {
    "first_frame": "image_url",
    "last_frame": "image_url",
    "reference_image": "image_url",
    "reference_video": "video_url",
    "reference_audio": "audio_url",
}
MODERATED = ("1026", "1027")
SIGNS = (Sign(code="moderated", says=BusySign(status=422, field="error.message", words=MODERATED)),)
#: A task is remembered for seven days; then it is no task.
FORGOTTEN = (Sign(code="lost", says=BusySign(field="error.message", words=("invalid task_id",)), retryable=True),)
#: An order is given up after a minute and a half, and ``since`` allows for clocks: what was born later is not it.
LATEST = timedelta(minutes=10)
_MILLISECONDS_FROM = 1e11


def body(order: Order) -> dict[str, Any]:
    """What is sent: words, pictures, videos and sounds become parts of ``content``; all else stays a field."""
    given = {"model": order.model, **order.input}
    prompt = given.pop("prompt", "")
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt}] if prompt else []
    for role, kind in ROLES.items():
        content += [{"type": kind, kind: {"url": url}, "role": role} for url in _listed(given.pop(role, []))]
    return {**given, "content": content} | ({"callback_url": order.webhook_url} if order.webhook_url else {})


def _listed(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def bought(document: Mapping[str, Any]) -> Accepted | None:
    """The task that an order's answer names."""
    task_id = id_of(document.get("task_id"))
    return Accepted(prediction_id=task_id, raw={"task_id": task_id}) if task_id else None


def moderation_code(message: str) -> int:
    """Which side was flagged, by the code in an error's sentence."""
    return next((int(code) for code in MODERATED if code in message), 0)


def reading(task: Mapping[str, Any]) -> Reading:
    """What a task says. An unknown status is work in progress: only time may end it."""
    task_id = id_of(task.get("id"))
    match task.get("status"):
        case "queued":
            return Working(prediction_id=task_id, queued=True)
        case "succeeded":
            return _succeeded(task)
        case "failed":
            return failure(_code_of(task), _message_of(task), kept_of(task))
        case "cancelled":
            message = "the provider cancelled the task"
            return Refused(code="provider_cancelled", message=message, retryable=True, raw=kept_of(task))
        case "expired":
            return Refused(code="lost", message="the task has expired", retryable=True, raw=kept_of(task))
        case _:
            return Working(prediction_id=task_id)


def _succeeded(task: Mapping[str, Any]) -> Finished | Refused:
    outputs = links(at(task, "content.url"))
    if not outputs:
        return failure(_code_of(task), "the task succeeded without a file", kept_of(task))
    born, ended = moment(task.get("created_at")), moment(task.get("updated_at"))
    took = (ended - born).total_seconds() if born and ended else 0
    return Finished(
        outputs=outputs, prediction_id=id_of(task.get("id")), render_seconds=took or None, raw=kept_of(task)
    )


def could_be(task: Mapping[str, Any], order: Order, since: datetime) -> bool:
    """Whether a listed task may be the order's. The list does not show inputs, so more can't be said.

    Who is left out here is proven absent and bought again, so a length or a size in other words leaves nobody out.
    """
    born = moment(task.get("created_at"))
    lengths = (order.input.get("duration"), task.get("duration"))
    numbers = [each for each in lengths if isinstance(each, int | float)]
    same = max(numbers, default=0) - min(numbers, default=0) < 1
    in_time = born is None or since <= born <= since + LATEST
    return task.get("model") == order.model and same and in_time and bool(id_of(task.get("id")))


def is_last(tasks: list[dict[str, Any]], since: datetime, *, more: bool = False) -> bool:
    """Whether no later page can hold a task of that time: there is none, or this one runs back beyond it.

    ``more``: the list is said to go on, so that a short page is only one that is shorter than we asked for.
    """
    times = [moment(task.get("created_at")) for task in tasks]
    known = [each for each in times if each]
    newest_first = len(known) == len(tasks) and known == sorted(known, reverse=True)
    short = len(tasks) < PAGE_SIZE and not more
    return not tasks or short or (newest_first and known[-1] < since < known[0])


def moment(value: object) -> datetime | None:
    """A time that may be seconds or milliseconds since 1970, or text."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            told = datetime.fromisoformat(value)
            return told.replace(tzinfo=told.tzinfo or UTC)
        number = float(value)  # type: ignore[arg-type] # whatever is no number raises
        return datetime.fromtimestamp(number / 1000 if number > _MILLISECONDS_FROM else number, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _code_of(task: Mapping[str, Any]) -> int:
    code = str(at(task, "error.code"))
    return int(code) if code.isdecimal() else 0


def _message_of(task: Mapping[str, Any]) -> str:
    message = at(task, "error.message")
    return text(message) if isinstance(message, str) and message else "the task failed without a reason"


def kept_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links."""
    named = ("id", "status", "resolution", "duration", "ratio", "created_at", "updated_at")
    kept = {name: task[name] for name in named if isinstance(task.get(name), str | int | float)}
    kept = {name: text(value) if isinstance(value, str) else value for name, value in kept.items()}
    usage = task.get("usage")
    if isinstance(usage, dict):
        kept["usage"] = {text(name, 40): count for name, count in usage.items() if isinstance(count, int | float)}
    return kept
