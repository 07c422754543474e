"""How Black Forest Labs words things: tasks, verdicts, refusals."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from simulator.predictions import Phase, Prediction
from simulator.stats import Why

#: A fault's words → the status of a task that failed. A status is taken as it is.
STATUSES = (
    ("Request Moderated", "Request Moderated"),
    ("Content Moderated", "Content Moderated"),
    ("E005", "Request Moderated"),
    ("", "Error"),
)
REASONS = {"Request Moderated": ["Derivative Works Filter"], "Content Moderated": ["Safety Filter"]}


class Problem(Exception):
    """An answer that is not what was asked for, raised anywhere below a route."""

    def __init__(self, status: int, detail: Any, **more: Any) -> None:
        super().__init__(str(detail))
        self.status = status
        self.headers: dict[str, str] = {}
        self.body: dict[str, Any] = {"detail": detail, **more}


class BflWords:
    """The refusals that every desk needs."""

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:
        busy = why is Why.IN_FLIGHT
        problem = Problem(
            429, "Too many active tasks. Wait until one has finished." if busy else "Rate limit exceeded."
        )
        if retry_after_seconds is not None:
            problem.headers["Retry-After"] = f"{retry_after_seconds:g}"
        return problem

    def no_credit(self) -> Problem:
        return Problem(402, "Insufficient credits. Add credits at the dashboard.")

    def invalid(self, message: str) -> Problem:
        return Problem(422, message)

    def broken(self, status: int) -> Problem:
        return Problem(status, "Something went wrong on our side, on demand.")


def stranger() -> Problem:
    """The 403 of a key that opens nothing."""
    return Problem(403, "Not authenticated: the x-key is missing or not valid.")


def invalid(complaints: Sequence[Mapping[str, Any]]) -> Problem:
    """The 422 that names every field."""
    return Problem(422, [dict(each) for each in complaints])


def wrong(field: str, message: str, kind: str) -> dict[str, Any]:
    """One thing that is wrong with a body."""
    return {"loc": ["body", field], "msg": message, "type": kind}


def unknown_task(task_id: str) -> dict[str, Any]:
    """A task that never was, or is somebody else's."""
    return {"id": task_id, "status": "Task not found", "result": None, "progress": None, "details": None}


def task(prediction: Prediction, now: datetime, sample: str | None) -> dict[str, Any]:
    """The task as a look shows it. ``sample``: the link to its file, once it is ready."""
    status, details, result = "Pending", None, None
    if prediction.phase is Phase.SUCCEEDED:
        status, result = "Ready", _result(prediction, sample)
    elif prediction.phase.ended:
        said = prediction.error or ""
        status = next(told for part, told in STATUSES if part in said)
        details = {"Moderation Reasons": REASONS[status]} if status in REASONS else {"error": said or "unknown"}
    progress = None if prediction.phase.ended else round(prediction.fraction(now), 4)
    return {
        "id": prediction.id,
        "status": status,
        "result": result,
        "progress": progress,
        "details": details,
        "preview": None,
    }


def news(prediction: Prediction, now: datetime, sample: str | None) -> dict[str, Any]:
    """The same task as its webhook tells it."""
    whole = task(prediction, now, sample)
    told = {name: whole[name] for name in ("id", "status", "result", "details")}
    return told | {"timestamp": now.isoformat()}


def _result(prediction: Prediction, sample: str | None) -> dict[str, Any]:
    order = prediction.order
    started, ended = order.created_at.timestamp(), (prediction.completed_at or order.ends_at).timestamp()
    return {
        "sample": sample,
        "prompt": order.input.get("prompt", ""),
        "seed": order.input.get("seed", order.number),
        "start_time": started,
        "end_time": ended,
        "duration": ended - started,
    }
