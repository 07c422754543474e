"""How Replicate words things: predictions, progress in the logs, times, problems."""

import math
import secrets
import string
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from simulator.limits import RetryForm
from simulator.outputs import Links
from simulator.predictions import Phase, Prediction
from simulator.render import file_names
from simulator.schema import Complaint, Model
from simulator.words import pieces_of, words_of

ID_LENGTH = 26
ID_LETTERS = string.ascii_lowercase + string.digits
STEPS = 25
BAR_WIDTH = 10
PIECES = {
    "type": "array",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}


class Problem(Exception):
    """An answer that is not what was asked for, raised anywhere below a route."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.headers: dict[str, str] = {}
        self.body: dict[str, Any] = {"title": title, "detail": detail, "status": status, **more}


def plain_problem(status: int, detail: str) -> Problem:
    """A problem with the usual title of its status."""
    return Problem(status, HTTPStatus(status).phrase, detail)


def not_found() -> Problem:
    """The 404, the same for what never was and what is somebody else's."""
    return plain_problem(404, "The requested resource could not be found.")


def no_credit() -> Problem:
    """The 402."""
    detail = "You have insufficient credit to run this model. Go to your account's billing page to buy credit."
    return Problem(402, "Insufficient credit", detail)


def invalid(complaints: Sequence[Complaint]) -> Problem:
    """The 422 that names every field."""
    detail = "".join(f"- {item.field}: {item.description}\n" for item in complaints)
    return Problem(422, "Input validation failed", detail, invalid_fields=[asdict(item) for item in complaints])


def bad_version() -> Problem:
    """The 422 for a version that nobody knows."""
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    return Problem(422, "Invalid version or not permitted", detail)


def throttled(retry_after_seconds: float | None, form: RetryForm = RetryForm.SECONDS) -> Problem:
    """The 429. Only the form ``seconds`` has today's whole body; the others say the delay in one place alone."""
    detail = "Request was throttled."
    if retry_after_seconds is None:
        return _older_429(detail)
    whole = math.ceil(retry_after_seconds)
    match form:
        case RetryForm.SECONDS:
            detail += f" Your rate limit resets in ~{whole}s."
            problem = Problem(429, "Too many requests", detail, retry_after=whole)
            problem.headers["Retry-After"] = str(whole)
        case RetryForm.DATE:
            problem = _older_429(detail)
            problem.headers["Retry-After"] = formatdate(math.ceil(time.time() + retry_after_seconds), usegmt=True)
        case RetryForm.MILLISECONDS:
            problem = _older_429(detail)
            problem.headers["Retry-After-Ms"] = str(round(retry_after_seconds * 1000))
        case RetryForm.TEXT:
            problem = _older_429(f"{detail} Your rate limit resets in ~{whole}s.")
    return problem


def _older_429(detail: str) -> Problem:
    problem = plain_problem(429, detail)
    problem.body = {"detail": detail}
    return problem


def new_id() -> str:
    """26 lower-case letters and digits."""
    return "".join(ID_LETTERS[byte % len(ID_LETTERS)] for byte in secrets.token_bytes(ID_LENGTH))


def timestamp(moment: datetime | None) -> str | None:
    """A time with nine decimals, as their database prints it; the last three are made up but never change."""
    if moment is None:
        return None
    return f"{moment.isoformat(timespec='microseconds')[:26]}{moment.microsecond * 7 % 1000:03d}Z"


def progress_logs(fraction: float, total_seconds: float) -> str:
    """What tqdm has printed by now: one line per step, so that the text only ever grows."""
    return "".join(_tqdm_lines(total_seconds)[: int(fraction * STEPS) + 1])


@lru_cache(maxsize=1000)
def _tqdm_lines(total_seconds: float) -> list[str]:
    return [_tqdm_line(step, total_seconds * step / STEPS, total_seconds) for step in range(STEPS + 1)]


def _tqdm_line(step: int, passed_seconds: float, total_seconds: float) -> str:
    bar = ("█" * (step * BAR_WIDTH // STEPS)).ljust(BAR_WIDTH)
    left = _clock(total_seconds - passed_seconds) if step else "?"
    pace = f"{total_seconds / STEPS:5.2f}s/it" if step else "?it/s"
    return f"{step * 100 // STEPS:3d}%|{bar}| {step}/{STEPS} [{_clock(passed_seconds)}<{left}, {pace}]\n"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def document(prediction: Prediction, now: datetime, base_url: str, outputs: Sequence[str]) -> dict[str, Any]:
    """The prediction as GET and the webhooks have it. ``outputs``: links to its files."""
    order = prediction.order
    removed = prediction.data_removed
    place = f"{base_url}/v1/predictions/{order.id}"
    return {
        "id": order.id,
        "model": order.model,
        "version": order.version,
        "input": {} if removed else dict(order.input),
        "logs": "" if removed else _logs(prediction, now),
        "output": None if removed else _output(prediction, outputs),
        "data_removed": removed,
        "error": prediction.error,
        "status": prediction.phase.value,
        "source": "api",
        "created_at": timestamp(order.created_at),
        "started_at": timestamp(prediction.started_at),
        "completed_at": timestamp(prediction.completed_at),
        "metrics": _metrics(prediction),
        "urls": {"get": place, "cancel": f"{place}/cancel", "web": f"{base_url}/p/{order.id}"},
    } | ({"deadline": timestamp(order.deadline)} if order.deadline else {})


def links_of(prediction: Prediction, links: Links, base_url: str) -> list[str]:
    """The absolute links to the files of a prediction, once they are there."""
    if prediction.phase is not Phase.SUCCEEDED:
        return []
    return [links.url(base_url, prediction, name) for name in file_names(prediction.order)]


def model_document(model: Model, base_url: str) -> dict[str, Any]:
    """The model's own page, with its schema."""
    owner, _, name = model.name.partition("/")
    return {
        "url": f"{base_url}/{model.name}",
        "owner": owner,
        "name": name,
        "description": f"A simulated {model.kind} model.",
        "visibility": "public",
        "is_official": model.version is None,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": version_document(model),
    }


def version_document(model: Model) -> dict[str, Any]:
    """A version with the OpenAPI schema of its input and output."""
    inputs = {
        "type": "object",
        "title": "Input",
        "properties": {name: spec.json_schema() for name, spec in model.input.items()},
        "required": [name for name, spec in model.input.items() if spec.required],
    }
    uri = {"type": "string", "format": "uri"}
    forms: dict[str, dict[str, Any]] = {"uri": uri, "uris": {"type": "array", "items": uri}, "words": PIECES}
    output = {"title": "Output"} | forms[model.output]
    return {
        "id": model.version or "hidden",
        "created_at": "2026-01-01T00:00:00.000000Z",
        "cog_version": "0.16.0",
        "openapi_schema": {"openapi": "3.0.2", "components": {"schemas": {"Input": inputs, "Output": output}}},
    }


def _logs(prediction: Prediction, now: datetime) -> str:
    if prediction.started_at is None:
        return ""
    order = prediction.order
    total = (order.ends_at - order.starts_at) / timedelta(seconds=1)
    return progress_logs(prediction.fraction(now), total)


def _output(prediction: Prediction, outputs: Sequence[str]) -> Any:
    if prediction.order.media.kind == "text" and prediction.phase is Phase.SUCCEEDED:
        return [] if prediction.order.fault.output == "empty" else pieces_of(words_of(prediction.order.input))
    if not outputs:
        return None
    return list(outputs) if prediction.order.media.as_list else outputs[0]


def _metrics(prediction: Prediction) -> dict[str, float]:
    if prediction.started_at is None or prediction.completed_at is None:
        return {}
    rendering = prediction.completed_at - prediction.started_at
    total = prediction.completed_at - prediction.order.created_at
    return {"predict_time": rendering.total_seconds(), "total_time": total.total_seconds()}
