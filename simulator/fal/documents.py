"""How fal words things: receipts, statuses, results, webhooks and refusals."""

import mimetypes
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from simulator.predictions import Order, Phase, Prediction
from simulator.stats import Why

DOCS = "https://docs.fal.ai/errors"
NAMESPACES = ("workflows", "comfy")
FLAGGED = "The content could not be processed because it was flagged by a content checker."
#: Error types of the queue itself, with the status that each comes with; every other name is a model's own, a 422.
OF_THE_QUEUE = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_server_error": 500,
    "client_cancelled": 499,
    "internal_error": 500,
}
OF_MODELS = {"internal_server_error": 500, "generation_timeout": 504, "downstream_service_error": 500}
RETRYABLE_FROM = 500


class Problem(Exception):
    """An answer that is not what was asked for, raised anywhere below a route."""

    def __init__(self, status: int, detail: Any, **headers: str) -> None:
        super().__init__(str(detail))
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.body: dict[str, Any] = {"detail": detail}


class FalWords:
    """fal's refusals."""

    def unauthorised(self) -> Problem:
        return Problem(401, "Authentication is required to access this application.")

    def no_credit(self) -> Problem:
        reason = "Exhausted balance. Top up your balance at https://fal.ai/dashboard/billing"
        return Problem(403, f"User is locked. Reason: {reason}.")

    def invalid(self, message: str) -> Problem:
        return invalid([{"loc": ["body"], "msg": message, "type": "value_error", "input": None}])

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:  # noqa: ARG002 - one word for all
        """The 429; a real fal's is rare, and nobody has written down what it tells."""
        told = {} if retry_after_seconds is None else {"Retry_After": f"{retry_after_seconds:g}"}
        return Problem(429, "Too many requests.", **told)

    def broken(self, status: int) -> Problem:
        return Problem(status, "Something went wrong on our side, on demand.")


def invalid(details: Sequence[Mapping[str, Any]]) -> Problem:
    """The 422 that names every place."""
    known = [{**each, "url": f"{DOCS}#{each['type']}", "ctx": {}} for each in details]
    return Problem(422, known, X_Fal_Retryable="false")


def not_found(what: str = "Request not found") -> Problem:
    """The same for what never was, what is somebody else's, and what stands elsewhere."""
    return Problem(404, what)


def app_of(endpoint: str) -> str:
    """Owner and alias, under which everything after the order is asked for."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


def place_of(order: Order) -> str:
    """The address of a request."""
    return f"{order.base_url}/fal/{app_of(order.model)}/requests/{order.id}"


def receipt(prediction: Prediction, position: int) -> dict[str, Any]:
    """What an order is answered with."""
    place = place_of(prediction.order)
    return {
        "status": "IN_QUEUE",
        "request_id": prediction.id,
        "gateway_request_id": prediction.id,
        "response_url": place,
        "status_url": f"{place}/status",
        "cancel_url": f"{place}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": position,
    }


def status_document(prediction: Prediction, position: int, *, now: datetime, logs: bool) -> dict[str, Any]:
    """How it goes, with what the model printed so far if it was asked for."""
    known = {"request_id": prediction.id, "response_url": place_of(prediction.order)}
    if not prediction.phase.ended and prediction.phase is not Phase.PROCESSING:
        return {"status": "IN_QUEUE", "queue_position": position, **known}
    printed = _logs(prediction, now) if logs else None
    if prediction.phase is Phase.PROCESSING:
        return {"status": "IN_PROGRESS", "logs": printed, **known}
    done = {"status": "COMPLETED", "logs": printed, "metrics": _metrics(prediction), **known}
    problem = problem_of(prediction)
    return done | ({"error": _sentence(problem), "error_type": _type(problem)} if problem else {})


def _logs(prediction: Prediction, now: datetime) -> list[dict[str, str]]:
    if prediction.started_at is None:
        return []
    words = f"{prediction.fraction(now):.0%} rendered"
    moment = (prediction.completed_at or now).isoformat()
    return [{"message": words, "level": "INFO", "source": "USER", "timestamp": moment}]


def _metrics(prediction: Prediction) -> dict[str, float]:
    if prediction.started_at is None or prediction.completed_at is None:
        return {}
    return {"inference_time": (prediction.completed_at - prediction.started_at).total_seconds()}


def problem_of(prediction: Prediction) -> Problem | None:
    """What a run came to that gave nothing; None while it may, or when it did."""
    match prediction.phase:
        case Phase.CANCELED:
            return _of_the_queue("client_cancelled", "Request was cancelled by the client.")
        case Phase.ABORTED:
            return _of_the_queue("startup_timeout", "No runner started in time.")
        case Phase.FAILED:
            return _failure(prediction.order, prediction.error or "")
    return None


def _failure(order: Order, error: str) -> Problem:
    if error in OF_THE_QUEUE:
        return _of_the_queue(error, f"The request failed: {error}.")
    if "E005" in error:
        return _of_the_model(order, "content_policy_violation", FLAGGED)
    named = error if error.isidentifier() else "internal_server_error"
    return _of_the_model(order, named, error)


def _of_the_queue(kind: str, words: str) -> Problem:
    problem = Problem(OF_THE_QUEUE[kind], words, X_Fal_Error_Type=kind)
    problem.body["error_type"] = kind
    return problem


def _of_the_model(order: Order, kind: str, words: str) -> Problem:
    place = "prompt" if "prompt" in order.input else "text"
    detail = {"loc": ["body", place], "msg": words, "type": kind, "input": order.input.get(place)}
    problem = invalid([detail])
    problem.status = OF_MODELS.get(kind, problem.status)
    problem.headers["X-Fal-Retryable"] = str(problem.status >= RETRYABLE_FROM).lower()
    return problem


def _sentence(problem: Problem) -> str:
    detail = problem.body["detail"]
    return detail if isinstance(detail, str) else "; ".join(str(each["msg"]) for each in detail)


def _type(problem: Problem) -> str | None:
    detail = problem.body["detail"]
    return problem.body.get("error_type") or (detail[0]["type"] if isinstance(detail, list) else None)


def result(prediction: Prediction, links: Sequence[str]) -> dict[str, Any]:
    """The bare output of the model."""
    order = prediction.order
    files = [_file(link) for link in links]
    seed = {"seed": order.input["seed"]} if "seed" in order.input else {}
    match order.media.kind:
        case "image":
            height, width = 768, round(768 * order.media.ratio)
            sized = [{**file, "width": width, "height": height} for file in files]
            unsafe = [False] * len(files)
            return {
                "images": sized,
                "timings": {},
                "has_nsfw_concepts": unsafe,
                "prompt": order.input["prompt"],
                **seed,
            }
        case "audio":
            return {"audio": files[0], "duration_ms": round(order.media.seconds * 1000)}
        case _:
            return {"video": files[0], **seed}


def _file(link: str) -> dict[str, Any]:
    name = link.partition("?")[0].rpartition("/")[2]
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {"url": link, "content_type": kind, "file_name": name, "file_size": None}


def webhook(prediction: Prediction, links: Sequence[str]) -> dict[str, Any]:
    """What the customer is told at the end."""
    known = {"request_id": prediction.id, "gateway_request_id": prediction.id}
    problem = problem_of(prediction)
    if problem is None:
        return known | {"status": "OK", "payload": result(prediction, links)}
    error = f"Invalid status code: {problem.status}"
    return known | {"status": "ERROR", "error": error, "payload": problem.body}
