"""fal's HTTP dialect: the queue, under /fal; its other hosts stand below it as the customer's settings have them.

``/fal`` is queue.fal.run, ``/fal/_run`` fal.run, ``/fal/_rest`` rest.fal.ai, ``/fal/_cdn`` v3.fal.media and
``/fal/_platform`` api.fal.ai.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request, stream_with_context
from werkzeug.exceptions import HTTPException

from simulator.desk import Desk, links_of, tell
from simulator.engine import now
from simulator.fal import documents, signing
from simulator.fal.documents import FalWords, Problem, app_of, not_found, problem_of
from simulator.fal.orders import FalModel, complaints, read_models, sale_of
from simulator.fal.pages import OPEN, add_pages
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction
from simulator.webhooks import may_be_called

NAME = "fal"
MODELS = Path(__file__).with_name("models.toml")
#: A new account renders so many at once. More are taken, and wait: ``max_in_flight`` never refuses here.
AT_ONCE = 2
COUNTED = {"submit": "creates", "run": "creates", "status": "gets", "result": "gets", "stream": "gets"}
COUNTED |= {"cancel": "cancels", "listed": "lists", "upload": "files", "upload_token": "files"}
LONGEST_RUN_SECONDS = 600
STREAM_SECONDS = 0.1


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /fal."""
    parts.gate.usual_for(NAME, max_in_flight=AT_ONCE)
    desk, models = Desk(parts, FalWords(), dialect=NAME), read_models(MODELS)
    pages = Blueprint(NAME, __name__, url_prefix=f"/{NAME}")
    pages.before_request(lambda: _enter(desk))
    pages.register_error_handler(Problem, _problem_response)
    pages.register_error_handler(HTTPException, lambda error: _problem_response(_http_problem(error)))
    add_pages(pages, parts, desk, models)
    _Queue(parts, desk, models).add_to(pages)
    app.register_blueprint(pages)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Tell the customer's webhook that it is over, one way or the other."""
    if event != "completed":
        return
    forged = prediction.order.fault.webhook == "forged"
    key = signing.key_of("somebody else's" if forged else parts.secrets.webhook)
    body = documents.webhook(prediction, links_of(prediction, parts.links))
    tell(parts, prediction, body, headers=signing.headers_of(key, prediction.id))


def _enter(desk: Desk) -> None:
    endpoint = (request.endpoint or "").rpartition(".")[2]
    if endpoint in OPEN:
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Key" or not desk.knows(token):
        raise FalWords().unauthorised()
    desk.enter(token, COUNTED.get(endpoint, "other"))


def _http_problem(error: HTTPException) -> Problem:
    return Problem(error.code or 500, error.description or "")


def _problem_response(problem: Problem) -> Response:
    response = jsonify(problem.body)
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


class _Queue:
    """The routes of orders and of what becomes of them."""

    def __init__(self, parts: Parts, desk: Desk, models: dict[str, FalModel]) -> None:
        self._parts = parts
        self._desk = desk
        self._models = models

    def add_to(self, pages: Blueprint) -> None:
        place = "/<owner>/<alias>/requests/<request_id>"
        pages.add_url_rule("/<path:endpoint>", "submit", self.submit, methods=["POST"])
        pages.add_url_rule("/_run/<path:endpoint>", "run", self.run, methods=["POST"])
        pages.add_url_rule(place, "result", self.result)
        pages.add_url_rule(f"{place}/status", "status", self.status)
        pages.add_url_rule(f"{place}/status/stream", "stream", self.stream)
        pages.add_url_rule(f"{place}/cancel", "cancel", self.cancel, methods=["PUT"])

    def submit(self, endpoint: str) -> Response:
        return self._sell(endpoint, self._receipt)

    def run(self, endpoint: str) -> Response:
        """Order, wait and give the result on one line."""

        def awaited(prediction: Prediction) -> Response:
            self._parts.engine.wait(prediction.id, LONGEST_RUN_SECONDS)
            return self._outcome(self._parts.engine.find(prediction.id) or prediction)

        return self._sell(endpoint, awaited)

    def status(self, owner: str, alias: str, request_id: str) -> Response:
        prediction = self._own(owner, alias, request_id)
        return self._desk.trouble("poll", prediction) or jsonify(self._status(prediction))

    def stream(self, owner: str, alias: str, request_id: str) -> Response:
        """The status again and again as events, until it is over."""
        prediction = self._own(owner, alias, request_id)

        def events() -> Iterator[str]:
            known = prediction
            while not known.phase.ended:
                yield f"data: {json.dumps(self._status(known))}\n\n"
                self._parts.engine.wait(known.id, STREAM_SECONDS)
                known = self._parts.engine.find(known.id) or known
            yield f"data: {json.dumps(self._status(known))}\n\n"

        return Response(stream_with_context(events()), mimetype="text/event-stream")

    def result(self, owner: str, alias: str, request_id: str) -> Response:
        prediction = self._own(owner, alias, request_id)
        if not prediction.phase.ended:
            raise Problem(400, "Request is still in progress")
        return self._outcome(prediction)

    def cancel(self, owner: str, alias: str, request_id: str) -> Response:
        prediction = self._own(owner, alias, request_id)
        if trouble := self._desk.trouble("cancel", prediction):
            return trouble
        late = prediction.phase.ended
        self._parts.engine.cancel(prediction.id)
        response = jsonify({"status": "ALREADY_COMPLETED" if late else "CANCELLATION_REQUESTED"})
        response.status_code = 400 if late else 202
        return response

    def _sell(self, endpoint: str, show: Callable[[Prediction], Response]) -> Response:
        model = self._models.get(endpoint)
        if model is None:
            raise not_found(f"Application '{endpoint}' not found")
        given = request.get_json(force=True, silent=True)
        if not isinstance(given, dict):
            raise FalWords().invalid("Input should be a valid dictionary")
        if found := complaints(model, given):
            raise documents.invalid(found)
        webhook = request.args.get("fal_webhook")
        if webhook is not None and not may_be_called(webhook):
            raise Problem(400, "fal_webhook is not a URL that can be called")
        at_once = self._parts.gate.limits_of(g.account).max_in_flight
        return self._desk.sell(sale_of(model, given, at_once=at_once, webhook=webhook), show)

    def _receipt(self, prediction: Prediction) -> Response:
        response = jsonify(documents.receipt(prediction, self._position(prediction)))
        response.headers["x-fal-request-id"] = prediction.id
        return response

    def _outcome(self, prediction: Prediction) -> Response:
        if problem := problem_of(prediction):
            raise problem
        if prediction.data_removed:
            raise not_found()
        response = jsonify(documents.result(prediction, links_of(prediction, self._parts.links)))
        response.headers["x-fal-request-id"] = prediction.id
        return response

    def _status(self, prediction: Prediction) -> dict[str, Any]:
        logs = request.args.get("logs", "") in {"1", "true", "True"}
        return documents.status_document(prediction, self._position(prediction), now=now(), logs=logs)

    def _position(self, prediction: Prediction) -> int:
        """How many of the account are held back before it."""
        if prediction.phase is not Phase.QUEUED:
            return 0
        orders = self._parts.engine.orders(prediction.order.account)
        before = (self._parts.engine.find(each.id) for each in orders if each.number < prediction.order.number)
        return sum(each is not None and each.phase is Phase.QUEUED for each in before)

    def _own(self, owner: str, alias: str, request_id: str) -> Prediction:
        """The request, if it is this account's and of this app: fal knows none by its whole path."""
        prediction = self._parts.engine.get(g.account, request_id)
        if prediction is None or app_of(prediction.order.model) != f"{owner}/{alias}":
            raise not_found()
        return prediction
