"""How Runway words things: tasks, failures and their codes, refusals."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from simulator.predictions import Phase, Prediction
from simulator.stats import Why

DOCS = "https://docs.dev.runwayml.com/api"

#: A fault's words → a failure's code. Words that are a code already are taken as they are.
CODES = (("E005", "SAFETY.INPUT.TEXT"), ("", "INTERNAL"))
CODE = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*")
#: What people are told, by the beginning of the code.
FAILURES = (
    ("SAFETY.INPUT", "The input was flagged by our content moderation system."),
    ("SAFETY.OUTPUT", "The output was flagged by our content moderation system."),
    ("INPUT_PREPROCESSING.SAFETY", "The input was flagged by our content moderation system."),
    ("ASSET.INVALID", "An asset that was provided is not valid."),
    ("THIRD_PARTY", "The model's provider could not take the request."),
    ("", "An unexpected error occurred."),
)
#: Whoever orders what is not allowed pays for it all the same.
KEPT = ("SAFETY", "INPUT_PREPROCESSING.SAFETY")


class Problem(Exception):
    """An answer that is not what was asked for, raised anywhere below a route."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.headers: dict[str, str] = {}
        self.body: dict[str, Any] = {"error": error, **more}


class RunwayWords:
    """Runway's refusals."""

    def no_credit(self) -> Problem:
        """A 400 like that of a bad input, and only its sentence says so."""
        return Problem(400, "You do not have enough credits to run this task.")

    def invalid(self, message: str) -> Problem:
        return invalid([issue("custom", [], message)])

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:  # noqa: ARG002 - all sound alike
        problem = Problem(429, "Too many requests. Please slow down.")
        if retry_after_seconds is not None:
            problem.headers["retry-after"] = f"{retry_after_seconds:g}"
        return problem

    def broken(self, status: int) -> Problem:
        return Problem(status, "Something went wrong on our side, on demand.")


def unauthorised() -> Problem:
    """The 401."""
    return Problem(401, "Unauthorized: the API key is missing or not valid.")


def day_is_over() -> Problem:
    """The other 429: it lasts until orders are older than a day."""
    return Problem(429, "You have reached the daily task limit of your tier.")


def not_found() -> Problem:
    """The same for what never was, what is somebody else's, and what was deleted."""
    return Problem(404, "The task was not found.")


def issue(code: str, path: Sequence[str | int], message: str) -> dict[str, Any]:
    """One thing that is wrong with a body."""
    return {"code": code, "path": list(path), "message": message}


def invalid(issues: Sequence[Mapping[str, Any]]) -> Problem:
    """The 400 that names every field."""
    return Problem(400, "Validation of body failed", issues=[dict(each) for each in issues], docUrl=DOCS)


def task(prediction: Prediction, now: datetime, outputs: Sequence[str]) -> dict[str, Any]:
    """The task as a GET shows it. ``outputs``: links to its files."""
    order = prediction.order
    document = {"id": order.id, "createdAt": order.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    price = {"credits": round(order.price_cents)}
    match prediction.phase:
        case Phase.QUEUED:
            return document | {"status": "THROTTLED", "estimatedCost": price}
        case Phase.STARTING:
            return document | {"status": "PENDING", "estimatedCost": price}
        case Phase.PROCESSING:
            progress = round(prediction.fraction(now), 4)
            return document | {"status": "RUNNING", "progress": progress, "estimatedCost": price}
        case Phase.SUCCEEDED:
            return document | {"status": "SUCCEEDED", "output": list(outputs), "cost": price}
        case Phase.FAILED:
            return document | _failure(prediction.error or "") | {"cost": _charged(prediction.error or "", price)}
        case _:
            return document | {"status": "CANCELLED", "cost": {"credits": 0}}


def _failure(said: str) -> dict[str, Any]:
    code = _code(said)
    failure = next(words for start, words in FAILURES if code.startswith(start))
    return {"status": "FAILED", "failure": failure, "failureCode": code}


def _charged(said: str, price: dict[str, int]) -> dict[str, int]:
    return price if _code(said).startswith(KEPT) else {"credits": 0}


def _code(said: str) -> str:
    return said if CODE.fullmatch(said) else next(code for part, code in CODES if part in said)
