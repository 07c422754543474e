"""When a model fails at its provider: its orders stop, it steps out of the line's way, and comes back when it is well.

Every answer to a call is counted. Who is held back costs neither a slot nor an attempt, and holds no message: whoever
finds the model well again wakes all others.
"""

from contextlib import suppress

from pipeline import logs, metrics
from pipeline.domain.answers import Accepted, Answer, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.domain.errors import Unavailable
from pipeline.domain.hold import Hold
from pipeline.limits.breaker import Circuit
from pipeline.services import Services
from pipeline.turn import turn

_LOG = logs.get(__name__)


def circuits(services: Services, hold: Hold) -> list[Circuit]:
    """Where the asset could be ordered: its model at each account of its provider."""
    accounts = services.accounts(hold.provider)
    return [Circuit(provider=hold.provider, account=account, model=hold.model) for account in accounts]


def counted(services: Services, hold: Hold, answer: Answer, *, paid: bool) -> None:
    """Note whether the provider answered or failed; enough failures stop the orders of this model at this account."""
    failed = isinstance(answer, Silent | Unknown) and answer.outage
    if not failed and not isinstance(answer, Accepted | Working | Finished | Refused):
        return
    circuit = Circuit(provider=hold.provider, account=hold.account, model=hold.model)
    seconds = services.breaker.count(circuit, failed=failed, paid=paid)
    if seconds:
        _LOG.warning("breaker.opened", account=hold.account, model=hold.model, seconds=seconds)
        metrics.BREAKER_OPENINGS.labels(account=hold.account, model=hold.model).inc()
        _clear_line(services, hold)


def probed(services: Services, hold: Hold, circuit: Circuit, *, answered: bool) -> float:
    """What a free call has found: the breaker closes, and all whom it held back are waked; or it opens for longer."""
    seconds = services.breaker.probed(circuit, answered=answered)
    verdict = "well" if answered else "failing"
    _LOG.info("breaker.probed", account=circuit.account, model=circuit.model, verdict=verdict, seconds=seconds)
    metrics.BREAKER_PROBES.labels(account=circuit.account, model=circuit.model, verdict=verdict).inc()
    if answered:
        held = services.store.lines.held(circuit.provider, circuit.model, Reason.BREAKER)
        services.wake([each for each in held if each != hold.asset_id])
    return seconds


def _clear_line(services: Services, hold: Hold) -> None:
    """Whoever can't be ordered at any account must not stand before those who can, and is to learn why he waits."""
    if any(hold.model not in services.breaker.view(hold.provider, each) for each in services.accounts(hold.provider)):
        return
    view = services.line(hold.provider)
    waiting = [each.asset_id for each in view.waiting if each.model == hold.model] if view else []
    if waiting:
        # What fails here is found by the sweeper; the answer that opened the breaker must not be lost over it.
        with suppress(Unavailable):
            turn(services, hold.provider, leave=waiting)
            services.wake(waiting)
