"""Hypereal's HTTP dialect: jobs to poll, pictures while one waits, and one job at a time."""

import secrets
import string
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from simulator.desk import Desk, Sale, links_of, root_url, tell
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction
from simulator.schema import Model, Models, check_input
from simulator.stats import Why
from simulator.webhooks import may_be_called

NAME = "hypereal"
MODELS = Path(__file__).with_name("models.toml")
LETTERS = string.ascii_lowercase + string.digits
VERSIONS = ("/v1", "/api/v1")  #: its docs print the address in both ways
DRAWN_SECONDS = 100
COUNTED = {"generate_video": "creates", "generate_image": "creates", "job": "gets"}
QUEUED = "Your request is currently queued due to high demand on your plan. Please retry shortly."
COULD_NOT_LOOK = "Failed to check status"


class Problem(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = {} if retry_after_seconds is None else {"Retry-After": f"{retry_after_seconds:g}"}


class HyperealWords:
    """How Hypereal says no. That a 429 names a time was never seen; it does so only on demand."""

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:  # noqa: ARG002 - it does not say why
        return Problem(429, QUEUED, retry_after_seconds)

    def no_credit(self) -> Problem:
        return Problem(402, "Insufficient credits")

    def invalid(self, message: str) -> Problem:
        return Problem(400, message)

    def broken(self, status: int) -> Problem:
        return Problem(status, HTTPStatus(status).phrase)


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /hypereal and both of its versions."""
    parts.gate.usual_for(NAME, max_in_flight=1)
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    jobs = _Jobs(parts, Models.read(MODELS))
    pages.before_request(jobs.enter)
    for version in VERSIONS:
        pages.add_url_rule(f"{version}/videos/generate", "generate_video", jobs.generate_video, methods=["POST"])
        pages.add_url_rule(f"{version}/images/generate", "generate_image", jobs.generate_image, methods=["POST"])
        pages.add_url_rule(f"{version}/jobs/<job_id>", "job", jobs.job)
    pages.register_error_handler(Problem, _problem_response)
    pages.register_error_handler(HTTPException, _http_problem)
    app.register_blueprint(pages)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Tell the customer's webhook of the end. What a report looks like is not documented; nothing signs it."""
    if event == "completed":
        body = {"jobId": prediction.id, **_document(parts, prediction)}
        tell(parts, prediction, body, headers=lambda _timestamp, _body: {})


class _Jobs:
    """The routes of jobs and pictures."""

    def __init__(self, parts: Parts, models: Models) -> None:
        self._parts = parts
        self._models = models
        self._desk = Desk(parts, HyperealWords(), dialect=NAME)

    def enter(self) -> None:
        """Raises Problem: 401, 429, or that nothing works just now."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._desk.knows(token):
            raise Problem(401, "Invalid API key")
        self._desk.enter(token, COUNTED.get((request.endpoint or "").rpartition(".")[2], "other"))

    def generate_video(self) -> Response:
        body = _body({"model": str, "input": dict, "webhook_url": str, "mode": str})
        model = self._model(body, "video")
        given, webhook = body.get("input", {}), body.get("webhook_url")
        _check(model, given)
        if body.get("mode", "auto") not in {"auto", "fast"}:
            raise Problem(400, "mode must be auto or fast")
        if webhook is not None and not may_be_called(webhook):
            raise Problem(400, "webhook_url must be a valid HTTPS URL")
        sale = Sale(
            id=f"job_{_random(20)}0",
            model=model,
            given=given,
            body=given,
            prompt=str(given["prompt"]),
            base_url=root_url(),
            webhook=webhook,
        )
        return self._desk.sell(sale, self._accepted)

    def generate_image(self) -> Response:
        body = _body(None)
        model = self._model(body, "image")
        given = {name: value for name, value in body.items() if name != "model"}
        _check(model, given)
        prompt = str(given["prompt"])
        sale = Sale(id=f"res_{_random(12)}0", model=model, given=given, body=given, prompt=prompt, base_url=root_url())
        return self._desk.sell(sale, self._drawn)

    def job(self, job_id: str) -> Response:
        if request.args.get("type") != "video" or not request.args.get("model"):
            raise Problem(400, "model and type are required")
        prediction = self._desk.own(job_id)
        if prediction is None or request.args["model"] != prediction.order.model:
            raise Problem(404, "Job not found")
        if trouble := self._desk.trouble("poll", prediction):
            return trouble
        live = not prediction.phase.ended
        if live and self._parts.faults.for_look(prediction.id, prediction.order.fault):
            return jsonify({"status": "failed", "error": COULD_NOT_LOOK})
        return jsonify(_document(self._parts, prediction))

    def _model(self, body: Mapping[str, Any], kind: str) -> Model:
        model = self._models.by_name.get(str(body.get("model")))
        if model is None or model.kind != kind:
            raise Problem(400, f"Unknown model: {body.get('model')}")
        return model

    def _accepted(self, prediction: Prediction) -> Response:
        order = prediction.order
        place = f"{order.base_url}/{NAME}/v1/jobs/{prediction.id}?model={order.model}&type=video"
        answer = jsonify(
            {
                "jobId": prediction.id,
                "status": "processing",
                "message": "Your video is being generated.",
                "creditsUsed": order.price_cents,
                "pollUrl": place,
            }
        )
        answer.status_code = 202
        return answer

    def _drawn(self, prediction: Prediction) -> Response:
        self._parts.engine.wait(prediction.id, DRAWN_SECONDS)
        ended = self._desk.own(prediction.id) or prediction
        if ended.phase is not Phase.SUCCEEDED:
            raise Problem(500, ended.error or "Image generation failed")
        pictures = [{"url": link, "model": ended.order.model} for link in links_of(ended, self._parts.links)]
        credits_used = ended.order.price_cents
        answer = {"created": int(time.time()), "data": pictures, "resultId": ended.id, "creditsUsed": credits_used}
        return jsonify(answer)


def _document(parts: Parts, prediction: Prediction) -> dict[str, Any]:
    """A job as a look shows it."""
    match prediction.phase:
        case Phase.SUCCEEDED:
            return {"status": "completed", "outputUrl": next(iter(links_of(prediction, parts.links)), None)}
        case Phase.FAILED | Phase.ABORTED | Phase.CANCELED:
            return {"status": "failed", "error": prediction.error or prediction.order.fault.fail or "Generation failed"}
        case _:
            return {"status": "processing"}


def _check(model: Model, given: Mapping[str, Any]) -> None:
    complaints = check_input(model, given)
    if complaints:
        raise Problem(400, "; ".join(each.description for each in complaints))


def _body(known: Mapping[str, type] | None) -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Problem(400, "The request body is not a JSON object")
    wrong = [name for name, value in body.items() if known is not None and not isinstance(value, known.get(name, ()))]
    if wrong:
        raise Problem(400, f"Invalid parameter: {wrong[0]}")
    return body


def _random(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def _problem_response(problem: Problem) -> Response:
    answer = jsonify({"error": {"message": problem.message}})
    answer.status_code = problem.status
    answer.headers.update(problem.headers)
    return answer


def _http_problem(error: HTTPException) -> Response:
    return _problem_response(Problem(error.code or 500, error.description or ""))
