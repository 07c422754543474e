"""The control port: what was sold, what was counted, which limits hold and what is to go wrong. This machine only."""

import ipaddress
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from simulator.faults import parse_fault
from simulator.limits import account_of
from simulator.parts import Parts
from simulator.predictions import Prediction, written


def blueprint(parts: Parts) -> Blueprint:
    """The routes under /_sim."""
    control = _Control(parts)
    pages = Blueprint("control", __name__, url_prefix="/_sim")
    pages.before_request(_this_machine_only)
    pages.add_url_rule("/ledger", "ledger", control.ledger)
    pages.add_url_rule("/stats", "stats", control.stats)
    pages.add_url_rule("/refusals", "refusals", control.refusals)
    pages.add_url_rule("/limits", "limits", control.limits)
    pages.add_url_rule("/limits", "change_limits", control.change_limits, methods=["POST"])
    pages.add_url_rule("/faults", "faults", control.faults)
    pages.add_url_rule("/faults", "arm", control.arm, methods=["POST"])
    pages.add_url_rule("/faults", "disarm", control.disarm, methods=["DELETE"])
    pages.add_url_rule("/reset", "reset", control.reset, methods=["POST"])
    return pages


def _this_machine_only() -> None:
    caller = ipaddress.ip_address(request.remote_addr or "::")
    if not caller.is_loopback:
        abort(403, "the control port answers on this machine only")


class _Control:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def ledger(self) -> Response:
        after = request.args.get("after", 0, type=int)
        return jsonify([_ledger_line(item) for item in self._parts.engine.oldest_first(after)])

    def stats(self) -> Response:
        flying, most = self._parts.engine.in_flight(), self._parts.engine.most_in_flight()
        gauges = {"in_flight": sum(flying.values()), "max_in_flight_seen": max(most.values(), default=0)}
        by_account = {
            account: counts | {"in_flight": flying.get(account, 0), "max_in_flight_seen": most.get(account, 0)}
            for account, counts in self._parts.stats.by_account().items()
        }
        return jsonify(self._parts.stats.snapshot() | gauges | {"by_account": by_account})

    def refusals(self) -> Response:
        return jsonify([refusal.as_json() for refusal in self._parts.stats.refusals()])

    def limits(self) -> Response:
        return jsonify(asdict(self._parts.gate.limits) | {"by_account": self._parts.gate.own_limits()})

    def change_limits(self) -> Response:
        body = request.get_json(force=True)
        if token := body.pop("token", None):
            body["account"] = account_of(token)
        try:
            self._parts.gate.change(**body)
        except TypeError as unknown:
            abort(422, str(unknown))
        return self.limits()

    def faults(self) -> Response:
        return jsonify(self._parts.faults.armed())

    def arm(self) -> Response:
        body = request.get_json(force=True)
        try:
            self._parts.faults.arm(parse_fault(body.pop("fault", "")), **body)
        except (TypeError, ValueError) as unknown:
            abort(422, str(unknown))
        return self.faults()

    def disarm(self) -> Response:
        self._parts.faults.clear()
        return self.faults()

    def reset(self) -> Response:
        self._parts.engine.reset()
        self._parts.uploads.clear()
        self._parts.faults.clear()
        self._parts.gate.reset()
        self._parts.stats.reset()
        return jsonify({})


def _ledger_line(prediction: Prediction) -> dict[str, Any]:
    return prediction.order.as_json() | {
        "status": prediction.phase.value,
        "started_at": written(prediction.started_at),
        "completed_at": written(prediction.completed_at),
    }
