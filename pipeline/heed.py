"""Take a provider at its word: a free call keeps within the account's window, and one "not now" pauses the account."""

import random
from collections.abc import Callable
from dataclasses import replace

from pipeline import logs, metrics
from pipeline.domain.answers import OF_THE_ACCOUNT, Answer, Busy, Reason, Refused, Silent
from pipeline.domain.hold import Hold
from pipeline.limits.breaker import Circuit
from pipeline.outage import circuits, counted, probed
from pipeline.services import Services
from pipeline.turn import turn

# What a provider says, and none of our own limits.
_OF_THE_PROVIDER = frozenset({Reason.BLOCKED, Reason.DAILY_LIMIT})
# Those who were held together come back over so many seconds.
_SPREAD_SECONDS = 0.5
# An account without credit is tried again after this, by one order that costs nothing while it is refused.
_UNPAID_SECONDS = 60.0
_LOG = logs.get(__name__)


def asked(services: Services, hold: Hold, question: Callable[[], Answer]) -> Answer:
    """The answer to a question that is free, but counts against the account's window."""
    if held := services.limiter.ask(services.pool(hold.provider), hold.account):
        return replace(held, wait_seconds=(held.wait_seconds or 0) + random.uniform(0, _SPREAD_SECONDS))  # noqa: S311
    answer = question()
    counted(services, hold, answer, paid=False)
    return paused(services, hold, answer)


def ordered(services: Services, hold: Hold, answer: Answer) -> Answer:
    """The answer to an order, the one call that costs money."""
    counted(services, hold, answer, paid=True)
    return _with_another(services, hold, answer) or paused(services, hold, answer)


def _with_another(services: Services, hold: Hold, answer: Answer) -> Busy | None:
    """Back into line, for another account, when the one that was asked has no credit or no good key (R64)."""
    if not isinstance(answer, Refused) or answer.code not in OF_THE_ACCOUNT:
        return None
    if not services.limiter.pass_over(services.pool(hold.provider), hold.account, _UNPAID_SECONDS):
        return None
    _LOG.warning("account.passed_over", account=hold.account, code=answer.code)
    return Busy(reason=Reason.SLOT)


def paused(services: Services, hold: Hold, answer: Answer) -> Answer:
    """One 429 pauses the whole account, so that it costs one request and not one per scene (R10)."""
    if isinstance(answer, Busy) and answer.reason in _OF_THE_PROVIDER:
        told_seconds = answer.wait_seconds or services.policy(hold.model).blocked_default.total_seconds()
        # Whoever else was told the same, elsewhere, must not come back at the same moment.
        wait_seconds = told_seconds + random.uniform(0.1, max(0.1, told_seconds / 10))  # noqa: S311 - not a secret
        metrics.PROVIDER_BUSY.labels(account=hold.account).inc()
        # A day that is used up is over for orders; what was bought is asked for as ever.
        orders_only = answer.reason is Reason.DAILY_LIMIT
        services.limiter.block(hold.provider, hold.account, wait_seconds, orders_only=orders_only)
        return replace(answer, wait_seconds=wait_seconds)
    return answer


def held_back(services: Services, hold: Hold) -> Busy | None:
    """What keeps an asset from being ordered while its model fails; None when it may be.

    After a breaker's pause one asset makes a call that costs nothing: nobody pays to find out.
    """
    gate = services.breaker.gate(circuits(services, hold))
    wait_seconds = _probe(services, hold, gate.to_probe) if gate.to_probe else gate.wait_seconds
    if gate.closed or not wait_seconds:
        return None
    turn(services, hold.provider, leave=[hold.asset_id])
    return Busy(reason=Reason.BREAKER, wait_seconds=wait_seconds, about_seconds=wait_seconds)


def _probe(services: Services, hold: Hold, circuit: Circuit) -> float:
    """Ask the provider for the model's page; for how long nobody may order it yet, 0 when it is well."""
    there = replace(hold, account=circuit.account)
    if held := services.limiter.ask(services.pool(hold.provider), circuit.account):
        services.breaker.unprobed(circuit)
        return held.wait_seconds or _SPREAD_SECONDS
    found = services.provider(circuit.account).probe(services.catalogue.model(hold.model).provider_model)
    if isinstance(found, Busy):
        paused(services, there, found)
    return probed(services, hold, circuit, answered=not isinstance(found, Silent) or not found.outage)
