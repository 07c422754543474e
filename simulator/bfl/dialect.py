"""Black Forest Labs' HTTP dialect: tasks, looked at where their order says, and webhooks with a secret of the order."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from simulator.bfl.documents import BflWords, Problem, news, stranger, task, unknown_task
from simulator.bfl.orders import read, sale_of
from simulator.desk import Desk, root_url, tell
from simulator.engine import now
from simulator.outputs import Links
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction
from simulator.render import file_names
from simulator.schema import Models

NAME = "bfl"
MODELS = Path(__file__).with_name("models.toml")
#: Where a region's cluster stands beside the global address.
REGION = "_regions"
ACTIVE_TASKS = 24
LINK_LIFE = timedelta(minutes=10)
COUNTED = {"create": "creates", "get": "gets"}
CREDITS = 100_000.0
FORGED = "somebody else's secret"


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /bfl/v1 and, for looks, under /bfl/_regions/v1."""
    parts.gate.usual_for(NAME, max_in_flight=ACTIVE_TASKS)
    desk = Desk(parts, BflWords(), dialect=NAME)
    routes = _Tasks(parts, desk, Models.read(MODELS))
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    pages.before_request(lambda: _enter(desk))
    pages.register_error_handler(Problem, _problem_response)
    pages.register_error_handler(HTTPException, lambda error: _problem_response(_http_problem(error)))
    pages.add_url_rule("/v1/<model>", "create", routes.create, methods=["POST"])
    pages.add_url_rule("/v1/get_result", "get", routes.get)
    pages.add_url_rule(f"/{REGION}/v1/get_result", "get", routes.get)
    pages.add_url_rule("/v1/credits", "credits", routes.credits)
    app.register_blueprint(pages)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Tell the customer's webhook of the end."""
    if event == "completed":
        tell(parts, prediction, news(prediction, now(), _sample(parts.links, prediction)), headers=_proof(prediction))


def _proof(prediction: Prediction) -> Callable[[int, bytes], Mapping[str, str]]:
    """Signs with the secret that came with the order; without one, nothing is signed."""
    order = prediction.order
    secret = FORGED if order.fault.webhook == "forged" else order.extra["webhook_secret"]

    def headers(_timestamp: int, body: bytes) -> Mapping[str, str]:
        if not secret:
            return {}
        return {"X-BFL-Signature": "sha256=" + hmac.new(str(secret).encode(), body, hashlib.sha256).hexdigest()}

    return headers


def _enter(desk: Desk) -> None:
    token = request.headers.get("x-key", "")
    if not desk.knows(token):
        raise stranger()
    desk.enter(token, COUNTED.get((request.endpoint or "").rpartition(".")[2], "other"))


def _http_problem(error: HTTPException) -> Problem:
    return Problem(error.code or 500, error.description or "")


def _problem_response(problem: Problem) -> Response:
    response = jsonify(problem.body)
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


class _Tasks:
    """The routes of tasks and of the account."""

    def __init__(self, parts: Parts, desk: Desk, models: Models) -> None:
        self._parts = parts
        self._desk = desk
        self._models = models

    def create(self, model: str) -> Response:
        body = request.get_json(force=True, silent=True)
        row, given = read(self._models, model, body)
        return self._desk.sell(sale_of(row, given, dict(body or {}), root_url()), _bought)

    def get(self) -> Response:
        task_id = request.args.get("id", "")
        prediction = self._desk.own(task_id)
        if prediction is None:
            response = jsonify(unknown_task(task_id))
            response.status_code = 404
            return response
        return self._desk.trouble("poll", prediction) or jsonify(
            task(prediction, now(), _sample(self._parts.links, prediction))
        )

    def credits(self) -> Response:
        spent = sum(order.price_cents for order in self._parts.engine.orders(g.account))
        return jsonify({"credits": CREDITS - spent})


def _sample(links: Links, prediction: Prediction) -> str | None:
    """The link to the file: ten minutes from the end."""
    if prediction.phase is not Phase.SUCCEEDED or prediction.completed_at is None:
        return None
    expired = prediction.order.fault.output == "expired"
    ends_at = prediction.completed_at + (timedelta(0) if expired else LINK_LIFE)
    [name] = file_names(prediction.order)
    return links.signed(prediction.order.base_url, f"outputs/{prediction.id}/{name}", int(ends_at.timestamp()))


def _bought(prediction: Prediction) -> Response:
    """With a webhook there is nothing to be asked for, and no address to ask at."""
    order = prediction.order
    document = {
        "id": order.id,
        "cost": float(order.price_cents),
        "input_mp": 0.0,
        "output_mp": order.extra["megapixels"],
    }
    if order.webhook:
        return jsonify(document | {"status": "Pending", "webhook_url": order.webhook})
    return jsonify(document | {"polling_url": f"{order.base_url}/{NAME}/{REGION}/v1/get_result?id={order.id}"})
