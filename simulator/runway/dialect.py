"""Runway's HTTP dialect: who may come in, tasks, uploads and the account, over the engine that dialects share."""

from datetime import timedelta
from pathlib import Path

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from simulator.desk import Desk, root_url
from simulator.engine import now
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction
from simulator.render import file_names
from simulator.runway.documents import Problem, RunwayWords, day_is_over, not_found, task, unauthorised
from simulator.runway.orders import read, sale_of
from simulator.runway.uploads import add_uploads
from simulator.schema import Models
from simulator.stats import Why

NAME = "runway"
MODELS = Path(__file__).with_name("models.toml")
VERSION = "2024-11-06"
#: The lowest tier: so many at once, so many a day.
TIER = {"max_in_flight": 2, "creates_per_day": 200}
COUNTED = {"create": "creates", "get": "gets", "delete": "cancels", "start_upload": "files"}
OPEN = frozenset({"receive_upload"})
CREDITS = 100_000


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /runway/v1."""
    parts.gate.usual_for(NAME, **TIER)
    desk = Desk(parts, RunwayWords(), dialect=NAME)
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}/v1")
    pages.before_request(lambda: _enter(desk))
    pages.register_error_handler(Problem, _problem_response)
    pages.register_error_handler(HTTPException, lambda error: _problem_response(_http_problem(error)))
    _Tasks(parts, desk, Models.read(MODELS)).add_to(pages)
    add_uploads(pages, parts)
    app.register_blueprint(pages)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Nobody is called: there are no webhooks."""


def _enter(desk: Desk) -> None:
    endpoint = (request.endpoint or "").rpartition(".")[2]
    if endpoint in OPEN:
        return
    if request.headers.get("X-Runway-Version") != VERSION:
        raise Problem(400, f"A valid X-Runway-Version header is required, such as {VERSION}.")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not desk.knows(token):
        raise unauthorised()
    desk.enter(token, COUNTED.get(endpoint, "other"))


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
        self._deleted: set[str] = set()

    def add_to(self, pages: Blueprint) -> None:
        for endpoint in sorted({name.partition("/")[0] for name in self._models.by_name}):
            pages.add_url_rule(f"/<any({endpoint}):endpoint>", "create", self.create, methods=["POST"])
        pages.add_url_rule("/tasks/<task_id>", "get", self.get)
        pages.add_url_rule("/tasks/<task_id>", "delete", self.delete, methods=["DELETE"])
        pages.add_url_rule("/organization", "organization", self.organization)
        pages.add_url_rule("/organization/usage", "usage", self.usage, methods=["POST"])

    def create(self, endpoint: str) -> Response:
        body = request.get_json(force=True, silent=True)
        model, flat = read(self._models, endpoint, body, self._knows_upload)
        limits = self._parts.gate.limits_of(g.account)
        if limits.creates_per_day is not None and self._today() >= limits.creates_per_day:
            self._parts.stats.refuse(g.account, g.counted, Why.RATE)
            raise day_is_over()
        sale = sale_of(model, flat, dict(body or {}), base_url=root_url(), at_once=limits.max_in_flight)
        return self._desk.sell(sale, _bought)

    def get(self, task_id: str) -> Response:
        prediction = self._own(task_id)
        return self._desk.trouble("poll", prediction) or jsonify(task(prediction, now(), self._links(prediction)))

    def delete(self, task_id: str) -> Response:
        """Stop a live task, forget a finished one; either way nobody finds it any more."""
        prediction = self._own(task_id)
        if trouble := self._desk.trouble("cancel", prediction):
            return trouble
        self._parts.engine.cancel(task_id)
        self._deleted.add(task_id)
        return Response(status=204)

    def organization(self) -> Response:
        limits = self._parts.gate.limits_of(g.account)
        most = {"maxConcurrentGenerations": limits.max_in_flight, "maxDailyGenerations": limits.creates_per_day}
        names = sorted({name.partition("/")[2] for name in self._models.by_name})
        sold = self._sold()
        spent = round(sum(cents for _, cents in sold))
        used = {name: {"dailyGenerations": sum(model == name for model, _ in sold)} for name in names}
        return jsonify(
            {
                "creditBalance": CREDITS - spent,
                "tier": {"maxMonthlyCreditSpend": 10_000, "models": dict.fromkeys(names, most)},
                "usage": {"models": used},
            }
        )

    def usage(self) -> Response:
        sold = self._sold()
        names = sorted({model for model, _ in sold})
        used = [
            {"model": name, "amount": round(sum(cents for model, cents in sold if model == name))} for name in names
        ]
        return jsonify({"models": names, "results": [{"date": now().date().isoformat(), "usedCredits": used}]})

    def _sold(self) -> list[tuple[str, float]]:
        """The model and the price of every order of the account."""
        orders = self._parts.engine.orders(g.account)
        return [(order.model.partition("/")[2], order.price_cents) for order in orders]

    def _today(self) -> int:
        """How many orders of the account are younger than a day."""
        since = now() - timedelta(days=1)
        return sum(order.created_at > since for order in self._parts.engine.orders(g.account))

    def _own(self, task_id: str) -> Prediction:
        prediction = self._parts.engine.get(g.account, task_id)
        if prediction is None or task_id in self._deleted or prediction.phase is Phase.CANCELED:
            raise not_found()
        return prediction

    def _knows_upload(self, upload_id: str) -> bool:
        upload = self._parts.uploads.get(upload_id)
        return upload is not None and upload.account == g.account

    def _links(self, prediction: Prediction) -> list[str]:
        """Links that were never given before; they count their life from now."""
        if prediction.phase is not Phase.SUCCEEDED:
            return []
        fault = prediction.order.fault
        dead = fault.output == "expired" and self._parts.faults.for_download(prediction.id, fault) is not None
        return [
            self._parts.links.fresh(prediction.order.base_url, prediction, name, dead=dead)
            for name in file_names(prediction.order)
        ]


def _bought(prediction: Prediction) -> Response:
    cost = {"credits": round(prediction.order.price_cents)}
    return jsonify({"id": prediction.id, "estimatedCost": cost})
