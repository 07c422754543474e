"""Find what got lost, and set it going again: every finding is safe to repeat, so nothing here needs to be exact."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pipeline import logs, metrics
from pipeline.services import Services

_LIMIT = 500
# How late a row must be before its message counts as lost; timers of busy workers run a second or two late.
_GRACE = timedelta(seconds=2)
_START_GRACE = timedelta(seconds=5)
_UNTOLD_GRACE = timedelta(seconds=5)
_THUMBNAIL_GRACE = timedelta(seconds=15)
_FILM_GRACE = timedelta(seconds=5)
_LOG = logs.get(__name__)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """How many of each were set going again."""

    started: int
    waked: int
    finished: int
    films: int
    thumbnails: int
    told: int


def sweep(services: Services) -> Findings:
    """One round: leases first, so that what is waked afterwards meets a true line."""
    for account in services.store.forgotten.accounts_in_use():
        if services.knows(account):
            _mend_leases(services, account)
    findings = Findings(
        started=_each(services.store.forgotten.undispatched(grace=_START_GRACE, limit=_LIMIT), services.carrier.start),
        waked=_wake_due(services),
        finished=_each(services.store.forgotten.finished(limit=_LIMIT), services.carrier.finish),
        films=_each(services.store.forgotten.filmless(grace=_FILM_GRACE, limit=_LIMIT), services.carrier.film),
        thumbnails=_each(
            services.store.forgotten.thumbnailless(grace=_THUMBNAIL_GRACE, limit=_LIMIT), services.carrier.thumbnail
        ),
        told=_tell_untold(services),
    )
    for what, number in vars(findings).items():
        metrics.SWEPT.labels(what=what).inc(number)
    if any(vars(findings).values()):
        _LOG.info("sweep.found", **vars(findings))
    return findings


def _mend_leases(services: Services, account: str) -> None:
    """Make Redis say what the rows say: renew leases in use, free those of nobody, empty the line of those who left."""
    holders = services.store.forgotten.holders(account)
    services.limiter.restore(account, holders)
    limits = services.limits(account)
    for slot in services.limiter.stale_slots(account, holders):
        services.limiter.release(limits, slot)
    queued, line = services.store.forgotten.queued(account), set(services.limiter.line(account))
    services.limiter.leave(account, list(line - queued))
    # Who is parked without a place (Redis was emptied) is waked to take one again; then whoever has a free slot.
    services.wake(list(services.store.forgotten.parked(account) - line))
    services.wake(services.limiter.release(limits))


def _wake_due(services: Services) -> int:
    """Members whose message was lost are published again; the gate in the row makes copies harmless."""
    due = services.store.forgotten.due(grace=_GRACE, limit=_LIMIT)
    services.carrier.members(due)
    return len(due)


def _tell_untold(services: Services) -> int:
    """Events whose teller died between the commit and the telling."""
    untold = services.store.outbox.unpublished(older_than=_UNTOLD_GRACE, limit=_LIMIT)
    services.tell(untold)
    return len(untold)


def _each(found: list[UUID], carry: Callable[[UUID], None]) -> int:
    for one in found:
        carry(one)
    return len(found)
