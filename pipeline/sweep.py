"""Find what got lost, and set it going again: every finding is safe to repeat, so nothing here needs to be exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pipeline import logs, metrics
from pipeline.domain.line import Slot
from pipeline.limits.limiter import LEASE_SECONDS
from pipeline.limits.pool import Census
from pipeline.places import tell_places
from pipeline.services import Services
from pipeline.turn import turn

_LIMIT = 500
# A slot was handed out before the row says so; after this it should.
_SETTLED_SECONDS = 10.0
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
    for provider in services.store.lines.providers_in_use():
        if services.accounts(provider):
            _mend_line(services, provider)
            tell_places(services, provider)
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


def _mend_line(services: Services, provider: str) -> None:
    """Make Redis say what the rows say: renew leases in use, free those of nobody, empty the line of those who left."""
    pool = services.pool(provider)
    if (census := services.limiter.census(pool)) is None:
        return
    slots = services.store.lines.slots(provider)
    held = {holder for found in census.slots.values() for holder in found}
    missing = [slot for slot in slots if slot.holder not in held]
    if missing or not census.ready or census.shortest_lease_seconds < LEASE_SECONDS / 2:
        learned = services.store.lines.learned([each.account for each in pool.accounts])
        services.limiter.restore(pool, missing, learned)
    queued, parked = services.store.lines.waiting(provider)
    # Who is parked without a place (Redis was emptied) is waked to take one again; then whoever has a free slot.
    services.wake(list(parked - census.waiting))
    turn(services, provider, leave=list(census.waiting - queued), release=_of_nobody(census, slots))


def _of_nobody(census: Census, slots: Sequence[Slot]) -> list[tuple[str, str]]:
    """Slots that no row in flight owns, and that were not handed out just now."""
    proven = {slot.holder for slot in slots}
    return [
        (account, holder)
        for account, found in census.slots.items()
        for holder, seconds in found.items()
        if holder not in proven and seconds > _SETTLED_SECONDS
    ]


def _wake_due(services: Services) -> int:
    """Members whose message was lost are published again; the gate in the row makes copies harmless."""
    due = services.store.forgotten.due(grace=_GRACE, limit=_LIMIT)
    services.carrier.members(due)
    free = services.store.waits.free(limit=_LIMIT)
    services.wake(free)
    return len(due) + len(free)


def _tell_untold(services: Services) -> int:
    """Events whose teller died between the commit and the telling."""
    untold = services.store.outbox.unpublished(older_than=_UNTOLD_GRACE, limit=_LIMIT)
    services.tell(untold)
    return len(untold)


def _each(found: list[UUID], carry: Callable[[UUID], None]) -> int:
    for one in found:
        carry(one)
    return len(found)
