"""How MiniMax words things: the first API with HTTP 200 and a code for everything, the second with HTTP's own codes."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from simulator.predictions import Phase, Prediction
from simulator.stats import Why

OK = {"status_code": 0, "status_msg": "success"}
#: v1's words in queries; callbacks have them in lower case, and know only three.
STATUSES = {
    Phase.QUEUED: "Queueing",
    Phase.STARTING: "Preparing",
    Phase.PROCESSING: "Processing",
    Phase.SUCCEEDED: "Success",
}
STATUSES_2 = {
    Phase.QUEUED: "queued",
    Phase.STARTING: "running",
    Phase.PROCESSING: "running",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELED: "cancelled",
    Phase.ABORTED: "expired",
}
MESSAGES = {
    1000: "unknown error",
    1002: "rate limit exceeded(RPM)",
    1004: "login fail: Please carry the API secret key in the 'Authorization' field of the request header",
    1008: "insufficient balance",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1039: "rate limit exceeded(TPM)",
    1041: "conn limit",
    2013: "invalid params",
    2056: "usage limit exceeded",
}
#: The type of an error of v2 and its HTTP status, by code.
TYPES_2 = {
    1000: ("server_error", 500),
    1002: ("rate_limit_error", 429),
    1004: ("authorized_error", 401),
    1008: ("insufficient_balance_error", 402),
    1026: ("unprocessable_entity_error", 422),
    2013: ("bad_request_error", 400),
}
FILE_PREFIX = "1768"


class Problem(Exception):
    """An answer that is not what was asked for, in the form of one of the two APIs."""

    def __init__(self, body: Mapping[str, Any], status: int = 200, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(body))
        self.body = dict(body)
        self.status = status
        self.headers = {} if retry_after_seconds is None else {"Retry-After": f"{retry_after_seconds:g}"}


class Words:
    """How v1 says no: always with HTTP 200, unless it is broken. No answer of it names a time; only a fault does."""

    def problem(self, code: int, more: str = "", retry_after_seconds: float | None = None) -> Problem:
        message = ", ".join(filter(None, [MESSAGES[code], more]))
        return Problem({"base_resp": {"status_code": code, "status_msg": message}}, 200, retry_after_seconds)

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:
        return self.problem(1041 if why is Why.IN_FLIGHT else 1002, retry_after_seconds=retry_after_seconds)

    def no_credit(self) -> Problem:
        return self.problem(1008)

    def invalid(self, message: str) -> Problem:
        return self.problem(2013, message)

    def broken(self, status: int) -> Problem:
        return Problem({"message": HTTPStatus(status).phrase}, status)


class Words2(Words):
    """How v2 says no."""

    def problem(self, code: int, more: str = "", retry_after_seconds: float | None = None) -> Problem:
        kind, status = TYPES_2[code]
        message = ", ".join(filter(None, [MESSAGES[code], more])) + f" ({code})"
        error = {"type": kind, "message": message, "http_code": str(status)}
        body = {"type": "error", "error": error, "request_id": secrets.token_hex(16)}
        return Problem(body, status, retry_after_seconds)

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:  # noqa: ARG002 - one code for all
        return self.problem(1002, retry_after_seconds=retry_after_seconds)

    def broken(self, status: int) -> Problem:
        error = {"type": "server_error", "message": "unknown error (1000)", "http_code": str(status)}
        return Problem({"type": "error", "error": error, "request_id": secrets.token_hex(16)}, status)


def failure_of(prediction: Prediction) -> tuple[int, str]:
    """The code and message of a task that failed; a fault may name the code, or say it in Replicate's words."""
    error = prediction.error or ""
    told = 1027 if "flagged" in error else 1000
    code = int(error) if error.isdecimal() else told
    return code, MESSAGES.get(code, "failed")


def file_id_of(task_id: str) -> str:
    """The file of a task: a number of its own."""
    return FILE_PREFIX + task_id


def query(prediction: Prediction) -> dict[str, Any]:
    """v1's answer to a query."""
    status = STATUSES.get(prediction.phase, "Fail")
    done = prediction.phase is Phase.SUCCEEDED
    code, message = (0, "success") if status != "Fail" else failure_of(prediction)
    return {
        "task_id": prediction.id,
        "status": status,
        "file_id": file_id_of(prediction.id) if done else "",
        "video_width": 1366 if done else 0,
        "video_height": 768 if done else 0,
        "base_resp": {"status_code": code, "status_msg": message},
    }


def callback(prediction: Prediction) -> dict[str, Any]:
    """What v1 reports: the query's answer without the size of the picture, in lower case."""
    told = query(prediction)
    word = told["status"].lower()
    told["status"] = word if word in {"success", "fail"} else "processing"
    return {name: value for name, value in told.items() if name not in {"video_width", "video_height"}}


def task(prediction: Prediction, link: str | None) -> dict[str, Any]:
    """v2's task; what was ordered is not shown but for its size and length."""
    order = prediction.order
    changed = prediction.completed_at or prediction.started_at or order.created_at
    code, message = failure_of(prediction)
    failed = prediction.phase is Phase.FAILED
    return {
        "id": prediction.id,
        "model": order.model,
        "status": STATUSES_2[prediction.phase],
        "error": {"code": str(code), "message": message} if failed else None,
        "created_at": int(order.created_at.timestamp()),
        "updated_at": int(changed.timestamp()),
        "content": {"url": link} if link else None,
        "resolution": order.input.get("resolution"),
        "duration": order.input.get("duration"),
        "ratio": order.input.get("ratio", "16:9"),
        "usage": {"total_seconds": order.media.seconds, "output_seconds": order.media.seconds},
        "task_type": "generation",
        "modality": "video",
    }
