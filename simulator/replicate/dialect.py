"""Replicate's HTTP dialect: who may come in, and the paths of predictions, over the engine that dialects share."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from simulator.engine import now
from simulator.faults import Fault
from simulator.limits import RetryForm
from simulator.misbehave import dropped
from simulator.parts import Parts
from simulator.predictions import Order, Prediction
from simulator.replicate.documents import (
    Problem,
    document,
    invalid,
    links_of,
    no_credit,
    not_found,
    plain_problem,
    throttled,
)
from simulator.replicate.door import Door, add_rate_headers
from simulator.replicate.orders import (
    Buyer,
    Wishes,
    caption_of,
    check_body,
    find_model,
    make_order,
    prompt_of,
    spread_factor,
)
from simulator.replicate.pages import Page, add_pages
from simulator.schema import Complaint, Model, Models
from simulator.stats import Why
from simulator.webhooks import Delivery

MODELS = Path(__file__).with_name("models.toml")


def install(app: Flask, parts: Parts) -> None:
    """Add the dialect to an app, under /v1."""
    models = Models.read(MODELS)
    pages = Blueprint("replicate", __name__, url_prefix="/v1")
    pages.before_request(Door(parts).enter)
    pages.after_request(add_rate_headers)
    _Predictions(parts, models).add_to(pages)
    add_pages(pages, parts, models)
    app.register_blueprint(pages)
    app.register_error_handler(Problem, _problem_response)
    app.register_error_handler(HTTPException, _http_problem)


def announce(parts: Parts, prediction: Prediction, event: str) -> None:
    """Tell the customer's webhook, as far as it wants to hear of this event and no fault forbids."""
    order, fault = prediction.order, prediction.order.fault
    if order.webhook is None or event not in order.webhook_events or fault.webhook == "never":
        return
    last = event == "completed"
    body = document(prediction, now(), order.base_url, links_of(prediction, parts.links, order.base_url))
    stamp = len(body["logs"]) if event == "logs" else ""
    delivery = Delivery(
        url=order.webhook,
        message_id="msg_" + hashlib.sha256(f"{order.id} {event} {stamp}".encode()).hexdigest()[:27],
        body=json.dumps(body).encode(),
        persistent=last,
        forged=fault.webhook == "forged",
        settled=(lambda: parts.engine.webhook_done(order.id)) if last else (lambda: None),
    )
    for _ in range(2 if fault.webhook == "twice" else 1):
        parts.courier.send(delivery, fault.late if fault.webhook == "late" else 0)


def _problem_response(problem: Problem) -> Response:
    response = jsonify(problem.body)
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


def _http_problem(error: HTTPException) -> Response:
    return _problem_response(plain_problem(error.code or 500, error.description or ""))


class _Predictions:
    """The routes of predictions."""

    def __init__(self, parts: Parts, models: Models) -> None:
        self._parts = parts
        self._models = models

    def add_to(self, pages: Blueprint) -> None:
        pages.add_url_rule("/models/<owner>/<name>/predictions", "create", self.create, methods=["POST"])
        pages.add_url_rule("/predictions", "create_by_version", self.create_by_version, methods=["POST"])
        pages.add_url_rule("/predictions", "list", self.list)
        pages.add_url_rule("/predictions/<prediction_id>", "get", self.get)
        pages.add_url_rule("/predictions/<prediction_id>/cancel", "cancel", self.cancel, methods=["POST"])

    def create(self, owner: str, name: str) -> Response:
        return self._create(f"{owner}/{name}")

    def create_by_version(self) -> Response:
        return self._create(None)

    def get(self, prediction_id: str) -> Response:
        prediction = self._own(prediction_id)
        return self._trouble("poll", prediction) or self._show(prediction)

    def cancel(self, prediction_id: str) -> Response:
        prediction = self._own(prediction_id)
        trouble = self._trouble("cancel", prediction)
        if trouble:
            return trouble
        self._parts.engine.cancel(prediction.id)
        return self._show(self._own(prediction_id))

    def list(self) -> Response:
        trouble = self._trouble("list", None)
        if trouble:
            return trouble
        page = Page.of(request.args, self._parts.engine.orders(g.account))
        base_url = _base_url()
        return jsonify(
            {
                "next": page.link(f"{base_url}/v1/predictions", "next"),
                "previous": page.link(f"{base_url}/v1/predictions", "previous"),
                "results": [self._document(self._own(order.id), base_url) for order in page.items],
            }
        )

    def _create(self, name: str | None) -> Response:
        body = _json_body()
        model = find_model(self._models, body, name)
        check_body(model, body, generic=name is None)
        wishes = Wishes.of(request.headers.get("Prefer", ""), request.headers.get("Cancel-After", ""))
        if self._parts.engine.full(g.account, self._parts.gate.limits_of(g.account).max_in_flight):
            raise self._too_many_in_flight()
        with _readable_faults():
            fault = self._parts.faults.for_order(
                header=_fault_header(), prompt=prompt_of(body["input"]), model=model.name
            )
        return self._before_accepting(fault) or self._accept(model, body, wishes, fault)

    def _accept(self, model: Model, body: dict[str, Any], wishes: Wishes, fault: Fault) -> Response:
        seconds = self._render_seconds(model, body["input"], fault)
        buyer = Buyer(account=g.account, base_url=_base_url())

        def make(number: int) -> Order:
            return make_order(number, model, body, buyer=buyer, render_seconds=seconds, fault=fault, wishes=wishes)

        prediction = self._parts.engine.accept(g.account, self._parts.gate.limits_of(g.account).max_in_flight, make)
        if prediction is None:
            raise self._too_many_in_flight()
        self._parts.stats.count("accepted", g.account)
        return self._after_accepting(fault) or self._created(prediction, wishes)

    def _too_many_in_flight(self) -> Problem:
        self._parts.stats.refuse(g.account, g.counted, Why.IN_FLIGHT)
        limits = self._parts.gate.limits_of(g.account)
        return throttled(limits.busy_retry_after_seconds, limits.busy_retry_after_form)

    def _created(self, prediction: Prediction, wishes: Wishes) -> Response:
        """The 201. Who waited in vain hears ``starting``: SDKs take any other word for an end."""
        shown = prediction
        if wishes.wait_seconds and self._parts.engine.wait(prediction.id, wishes.wait_seconds):
            shown = self._own(prediction.id)
        response = self._show(shown)
        response.status_code = 201
        if wishes.preference:
            response.headers["Preference-Applied"] = wishes.preference
        return response

    def _render_seconds(self, model: Model, given: Mapping[str, Any], fault: Fault) -> float:
        settings = self._parts.settings
        if fault.seconds is not None:
            return fault.seconds / settings.speed
        usual = model.seconds if settings.render_seconds is None else settings.render_seconds
        return usual * spread_factor(caption_of(model, given), settings.render_spread) / settings.speed

    def _before_accepting(self, fault: Fault) -> Response | None:
        match fault.create:
            case None | "500-after" | "503-after" | "drop-after" | "hang-after":
                return None
            case "402":
                self._parts.stats.count("refused", g.account)
                raise no_credit()
            case "422":
                self._parts.stats.count("refused", g.account)
                raise invalid([Complaint(type="fault", field="input", description="Refused on demand")])
            case word:
                return self._misbehave("timeout" if word == "hang" else word, fault)

    def _after_accepting(self, fault: Fault) -> Response | None:
        if fault.create == "hang-after":
            time.sleep(fault.hang)
        elif fault.create in {"500-after", "503-after", "drop-after"}:
            return self._misbehave(fault.create.removesuffix("-after"), fault)
        return None

    def _trouble(self, part: str, prediction: Prediction | None) -> Response | None:
        owned = {prediction.id: prediction.order.fault} if prediction else {}
        with _readable_faults():
            trouble = self._parts.faults.for_request(part, owned, header=_fault_header())
        return self._misbehave(*trouble) if trouble else None

    def _misbehave(self, word: str, fault: Fault) -> Response:
        if word == "429":
            self._parts.stats.refuse(g.account, g.counted, Why.FAULT)
            raise throttled(fault.retry_after, RetryForm(fault.retry_form))
        if word == "drop":
            return dropped()
        if word == "timeout":
            return dropped(fault.hang)
        raise plain_problem(int(word), "Something went wrong on our side, on demand.")

    def _own(self, prediction_id: str) -> Prediction:
        prediction = self._parts.engine.get(g.account, prediction_id)
        if prediction is None:
            raise not_found()
        return prediction

    def _show(self, prediction: Prediction) -> Response:
        return jsonify(self._document(prediction, _base_url()))

    def _document(self, prediction: Prediction, base_url: str) -> dict[str, Any]:
        return document(prediction, now(), base_url, links_of(prediction, self._parts.links, base_url))


@contextmanager
def _readable_faults() -> Iterator[None]:
    """Turns a fault that means nothing into a loud 422: a fault that silently never strikes proves nothing."""
    try:
        yield
    except ValueError as unreadable:
        raise invalid([Complaint(type="fault", field="X-Sim-Fault", description=str(unreadable))]) from None


def _fault_header() -> str:
    return request.headers.get("X-Sim-Fault", "")


def _base_url() -> str:
    return request.host_url.rstrip("/")


def _json_body() -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise plain_problem(400, "The request body is not a JSON object.")
    return body
