"""How we are, for whoever starts, balances and watches us. It tells nothing about any owner."""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api.auth import Policy, allow
from api.context import services
from pipeline.domain.asset import State
from pipeline.domain.errors import Unavailable
from pipeline.domain.job import JobState
from pipeline.places import line
from pipeline.services import Services

health = Blueprint("health", __name__)


@health.get("/healthz")
@allow(Policy.PUBLIC)
def healthz() -> Response:
    """This process answers."""
    return jsonify({"status": "ok"})


@health.get("/readyz")
@allow(Policy.PUBLIC)
def readyz() -> tuple[Response, int]:
    """Whether the parts that we need answer too."""
    parts = services().readiness()
    ready = all(parts.values())
    return jsonify({"ready": ready, "parts": parts}), HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE


@health.get("/metrics")
@allow(Policy.KEY)
def metrics() -> Response:
    """The figures of this process, how many jobs and assets are in each state, and how accounts and lines stand."""
    text = b"".join(generate_latest(each) for each in (REGISTRY, Counts(services()), Lines(services())))
    return Response(text, content_type=CONTENT_TYPE_LATEST)


class Counts(Collector):
    """Gauges that Postgres knows, read when somebody looks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            counted = self._services.store.jobs.counts()
        except Unavailable:
            return  # a gap says it better than a number
        for table, states in (("jobs", JobState), ("assets", State)):
            gauge = GaugeMetricFamily(f"dailies_{table}", f"How many {table} are in each state.", labels=["state"])
            for state in states:
                gauge.add_metric([state], counted.get((table, state), 0))
            yield gauge


class Lines(Collector):
    """Gauges that Redis knows, read when somebody looks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[GaugeMetricFamily]:
        slots = GaugeMetricFamily("dailies_slots", "Slots of an account, by what they are.", labels=["account", "what"])
        blocked = GaugeMetricFamily("dailies_blocked_seconds", "How long an account is paused yet.", labels=["account"])
        waiting = GaugeMetricFamily("dailies_line", "How many assets wait for a provider.", labels=["provider"])
        for provider in self._services.catalogue.accounts:
            if (view := line(self._services, provider).view) is None:
                continue
            waiting.add_metric([provider], len(view.waiting))
            for name, each in view.accounts.items():
                told = {"in_use": each.in_flight, "limit": each.slots, "set": each.set_slots, "ceiling": each.ceiling}
                for what, number in told.items():
                    slots.add_metric([name, what], number)
                blocked.add_metric([name], each.blocked_seconds)
        yield from (slots, blocked, waiting)
