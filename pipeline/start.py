"""A round of a job begins: its chord is opened, its assets get in line, and those whose turn it is are sent.

A member's message may come at any time, so what has to wait for a slot is not sent before its turn: two hundred scenes
cost a place in line each, and not a message and a step each.
"""

from uuid import UUID

from pipeline.domain.errors import Unavailable
from pipeline.domain.line import Waiter
from pipeline.places import tell_places
from pipeline.services import Services
from pipeline.turn import turn


def start(services: Services, job_id: UUID) -> bool:
    """Begin what was not begun yet; False when there was nothing, or the broker would not take it all."""
    begun = [_begun(services, job_id, round_, size) for round_, size in services.store.runs.unstarted(job_id)]
    return bool(begun) and all(begun)


def _begun(services: Services, job_id: UUID, round_: int, size: int) -> bool:
    if not services.carrier.open(job_id, round_, size):
        return False
    services.store.runs.dispatched(job_id, round_)
    services.wake(services.store.runs.fetching(job_id, round_))
    # Rows first: the sweeper finds a row that is parked without a place, but not a place without a row.
    for provider, waiters in services.store.lines.park(job_id, round_).items():
        if not _lined_up(services, provider, waiters):
            # Without Redis, or without an account here, all are sent, and wait in their rows.
            services.wake([each.asset_id for each in waiters])
    return True


def _lined_up(services: Services, provider: str, waiters: list[Waiter]) -> bool:
    try:
        if not turn(services, provider, enter=waiters):
            return False
    except Unavailable:
        return False
    tell_places(services, provider)
    return True
