"""The control port: what was sold, what was counted, which limits hold and what is to go wrong. This machine only."""

import ipaddress
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from simulator.faults import parse_fault
from simulator.parts import Parts
from simulator.predictions import Prediction


def blueprint(parts: Parts) -> Blueprint:
    """The routes under /_sim."""
    control = _Control(parts)
    pages = Blueprint("control", __name__, url_prefix="/_sim")
    pages.before_request(_this_machine_only)
    pages.add_url_rule("/ledger", "ledger", control.ledger)
    pages.add_url_rule("/stats", "stats", control.stats)
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
        return jsonify([_ledger_line(item) for item in reversed(self._parts.engine.newest_first())])

    def stats(self) -> Response:
        engine = self._parts.engine
        flying = engine.in_flight()
        gauges = {"in_flight": sum(flying.values()), "max_in_flight_seen": engine.most_in_flight}
        return jsonify(self._parts.stats.snapshot() | gauges | {"in_flight_by_account": flying})

    def limits(self) -> Response:
        return jsonify(asdict(self._parts.gate.limits))

    def change_limits(self) -> Response:
        try:
            self._parts.gate.change(**request.get_json(force=True))
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
    completed_at = prediction.completed_at
    return prediction.order.as_json() | {
        "status": prediction.phase.value,
        "completed_at": completed_at.isoformat() if completed_at else None,
    }
