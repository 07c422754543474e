"""Take a provider at its word: a free call keeps within the account's window, and one "not now" pauses the account."""

from collections.abc import Callable
from dataclasses import replace

from pipeline import metrics
from pipeline.domain.answers import Answer, Busy, Reason
from pipeline.domain.hold import Hold
from pipeline.services import Services


def asked(services: Services, hold: Hold, question: Callable[[], Answer]) -> Answer:
    """The answer to a question that is free, but counts against the account's window."""
    if held := services.limiter.ask(services.pool(hold.provider), hold.account):
        return held
    return paused(services, hold, question())


def paused(services: Services, hold: Hold, answer: Answer) -> Answer:
    """One 429 pauses the whole account, so that it costs one request and not one per scene (R10)."""
    if isinstance(answer, Busy) and answer.reason is Reason.BLOCKED:
        wait_seconds = answer.wait_seconds or services.policy(hold.model).blocked_default.total_seconds()
        metrics.PROVIDER_BUSY.labels(account=hold.account).inc()
        services.limiter.block(hold.provider, hold.account, wait_seconds)
        return replace(answer, wait_seconds=wait_seconds)
    return answer
