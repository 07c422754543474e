"""A round of a job begins: its chord is opened, its assets get in line, and those whose turn it is are sent.

A member's message may come at any time, so what has to wait for a slot is not sent before its turn: two hundred scenes
cost a place in line each, and not a message and a step each.
"""

from itertools import groupby
from operator import attrgetter
from uuid import UUID

from pipeline.database.runs import InLine
from pipeline.services import Services


def start(services: Services, job_id: UUID) -> bool:
    """Begin what was not begun yet; False when there was nothing, or the broker would not take it all."""
    begun = [_begun(services, job_id, round_, size) for round_, size in services.store.runs.unstarted(job_id)]
    return bool(begun) and all(begun)


def _begun(services: Services, job_id: UUID, round_: int, size: int) -> bool:
    if not services.carrier.open(job_id, round_, size):
        return False
    services.store.runs.dispatched(job_id, round_)
    # Rows first: the sweeper finds a row that is parked without a place, but not a place without a row.
    waiting = sorted(services.store.runs.park(job_id, round_), key=attrgetter("account", "order"))
    for account, group in groupby(waiting, key=attrgetter("account")):
        _line_up(services, account, list(group))
    return True


def _line_up(services: Services, account: str, group: list[InLine]) -> None:
    """Take places in line, and send whoever has a free slot; without Redis all are sent, and wait in their rows."""
    if services.limiter.enter(account, {each.asset_id: each.order for each in group}):
        services.wake(services.limiter.release(services.limits(account)))
    else:
        services.wake([each.asset_id for each in group])
