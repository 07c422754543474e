"""Where everybody in a line stands and when their slot comes, as documents and events tell it.

A line is read as a whole, which costs the more the longer it is: so what was read serves for a moment, and for longer
where it took long.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from pipeline.domain.answers import IN_LINE, Reason
from pipeline.domain.asset import State
from pipeline.domain.document import ClipRow
from pipeline.domain.events import Event, EventType
from pipeline.domain.forecast import forecast
from pipeline.domain.line import Line, Waiter
from pipeline.domain.timing import SHARES
from pipeline.services import Services

MOST_TOLD = 50  #: clips of a job in one event
_GOOD_FOR_SECONDS = 0.5
# At most a twentieth of this process's time goes into reading a line, unless that takes so long that it would be stale.
_GOOD_FOR_READS = 20
_STALE_SECONDS = 5.0
_QUIET_MS = 2000
_MEDIAN = SHARES.index(0.5)
_UNKNOWN_SECONDS = 60.0

_one_at_a_time = threading.Lock()


def line(services: Services, provider: str, *, fresh: bool = False) -> Line:
    """The provider's line: as it is, or as it was a moment ago."""
    with _one_at_a_time:
        known, begun = services.lines_read.get(provider), time.monotonic()
        if known and begun < known.good_until and not fresh:
            return known
        view = services.line(provider)
        places = forecast(view, lambda model: usual_seconds(services, model)) if view else {}
        ended = time.monotonic()
        good_for = min(max(_GOOD_FOR_SECONDS, _GOOD_FOR_READS * (ended - begun)), _STALE_SECONDS)
        found = services.lines_read[provider] = Line(view=view, places=places, good_until=ended + good_for)
        return found


def usual_seconds(services: Services, model: str) -> float:
    """For how long a prediction of this model holds its slot: what it took lately, else what the catalogue says."""
    took, row = services.store.timings.lately(model).took_seconds, services.catalogue.models.get(model)
    return took[_MEDIAN] if took else row.usual_seconds if row else _UNKNOWN_SECONDS


def placed(services: Services, rows: Sequence[ClipRow]) -> list[ClipRow]:
    """Clips whose word on why they wait is that of the line now, and not that of the last look at them."""
    return [replace(row, waiting=_told_now(services, row)) if row.waiting else row for row in rows]


def _told_now(services: Services, row: ClipRow) -> Mapping[str, Any]:
    known = row.waiting or {}
    if row.state is State.WAITING and _stands(known):
        return _waiting(services, row.provider, row.id, known)
    if not known.get("about_seconds"):
        return known
    # What was told when the row was written has partly gone by.
    gone_by = (services.now() - row.updated_at).total_seconds()
    return {**known, "about_seconds": round(max(known["about_seconds"] - gone_by, 0.0), 1)}


def told_with_places(services: Services, provider: str, events: Iterable[Event]) -> list[Event]:
    """Events that say why a clip waits, with its place in line."""
    found = []
    for event in events:
        held = event.payload.get("waiting") if event.type is EventType.CLIP_WAITING else None
        if _stands(held):
            live = _waiting(services, provider, UUID(event.payload["clip_id"]), held)
            found.append(replace(event, payload={**event.payload, "waiting": live}))
        else:
            found.append(event)
    return found


def tell_places(services: Services, provider: str) -> None:
    """Tell whoever watches a job in this line where its clips stand now; not again within two seconds."""
    if not _may_tell(services, provider):
        return
    found = line(services, provider, fresh=True)
    jobs: dict[UUID, list[Waiter]] = defaultdict(list)
    for waiter in found.view.waiting if found.view else ():
        if _is_clip(services, waiter):
            jobs[waiter.job_id].append(waiter)
    services.tell(_line_moved(services, provider, found, waiters) for waiters in jobs.values())


def _is_clip(services: Services, waiter: Waiter) -> bool:
    """Keyframes and narrations stand in the same line, but the event is about clips."""
    row = services.catalogue.models.get(waiter.model)
    return row is None or row.kind == "video"


def _line_moved(services: Services, provider: str, found: Line, waiters: Sequence[Waiter]) -> Event:
    """One job's clips, the next one first."""
    nearest = sorted(waiters, key=lambda each: found.places[each.asset_id].place)[:MOST_TOLD]
    told = [
        {"clip_id": str(each.asset_id), "index": each.index, **_in_line(services, provider, found, each.asset_id)}
        for each in nearest
    ]
    job_id = str(waiters[0].job_id)
    payload = {"job_id": job_id, "waiting": told}
    owner_id = str(waiters[0].owner_id)
    return Event(type=EventType.LINE_MOVED, job_id=job_id, payload=payload, stored=False, owner_id=owner_id)


def _may_tell(services: Services, provider: str) -> bool:
    try:
        return bool(services.redis.set(f"dailies:told:{provider}", 1, nx=True, px=_QUIET_MS))
    except RedisError:
        return False


def _stands(waiting: Mapping[str, Any] | None) -> bool:
    """Whether the reason is one for which a clip keeps a place in line."""
    return waiting is not None and waiting["reason"] in IN_LINE


def _waiting(services: Services, provider: str, asset_id: UUID, known: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = line(services, provider)
    if asset_id in found.places:
        return _in_line(services, provider, found, asset_id)
    if found.view is None:
        return {"reason": Reason.REDIS_DOWN, "place": None, "about_seconds": None}
    # Who was called up already has left the line, and takes the slot at any moment.
    called = any(each.asset_id == asset_id for each in found.view.holding)
    return {**(known or {}), "place": None, "about_seconds": 0.0 if called else None}


def _in_line(services: Services, provider: str, found: Line, asset_id: UUID) -> dict[str, Any]:
    """A line belongs to all accounts of its provider; it goes by the name of the main one."""
    forecast_ = found.places[asset_id]
    return {
        "reason": forecast_.reason,
        "place": forecast_.place,
        "about_seconds": forecast_.about_seconds,
        "account": services.catalogue.accounts[provider].name,
    }
