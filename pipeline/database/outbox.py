"""The outbox: events written in the transaction of the change that they tell of, and told after it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Engine, Row, Text, bindparam, cast, column, func, insert, select, true, update
from sqlalchemy.dialects.postgresql import JSONB

from pipeline.database.engine import transaction
from pipeline.database.tables import events, jobs
from pipeline.domain.events import Event, EventType

# Built once: every step runs them. The row lock on the job keeps the numbers of concurrent steps gapless and in order
# of commit.
_RESERVED = (
    update(jobs)
    .where(jobs.c.id == bindparam("of"))
    .values(event_seq=jobs.c.event_seq + bindparam("more"))
    .returning(jobs.c.id, jobs.c.owner_id, jobs.c.event_seq)
    .cte("reserved")
)
_TOLD = (
    func.unnest(bindparam("types", type_=ARRAY(Text)), bindparam("payloads", type_=ARRAY(Text)))
    .table_valued(column("type", Text), column("payload", Text), with_ordinality="nth", name="told")
    .render_derived()
)
_APPEND = (
    insert(events)
    .from_select(
        ["job_id", "owner_id", "seq", "type", "payload"],
        select(
            _RESERVED.c.id,
            _RESERVED.c.owner_id,
            _RESERVED.c.event_seq - bindparam("more") + _TOLD.c.nth,
            _TOLD.c.type,
            cast(_TOLD.c.payload, JSONB),
        ).select_from(_RESERVED.join(_TOLD, true())),
    )
    .returning(events.c.seq)
)
_PUBLISHED = (
    update(events)
    .where(events.c.job_id == bindparam("of"), events.c.seq.in_(bindparam("numbers", expanding=True)))
    .values(published_at=func.now())
)


def append(connection: Connection, job_id: UUID, owner_id: UUID, told: Sequence[Event]) -> list[Event]:
    """Write the stored ones among ``told``, numbered; all come back in order, addressed to their owner."""
    numbers = iter(_written(connection, job_id, [event for event in told if event.stored]))
    return [replace(each, owner_id=str(owner_id), seq=next(numbers) if each.stored else None) for each in told]


def _written(connection: Connection, job_id: UUID, stored: Sequence[Event]) -> list[int]:
    """Their numbers."""
    if not stored:
        return []
    types, payloads = [event.type.value for event in stored], [json.dumps(dict(event.payload)) for event in stored]
    values = {"of": job_id, "more": len(stored), "types": types, "payloads": payloads}
    return sorted(connection.execute(_APPEND, values).scalars())


@dataclass(frozen=True)
class Outbox:
    """The questions asked of stored events."""

    engine: Engine

    def published(self, told: Sequence[Event]) -> None:
        """Mark stored events as told."""
        numbers: dict[str, list[int]] = {}
        for event in told:
            if event.seq is not None:
                numbers.setdefault(event.job_id, []).append(event.seq)
        if not numbers:
            return
        with transaction(self.engine) as connection:
            # In one order: two sweepers may have found the same events.
            for job_id, seqs in sorted(numbers.items()):
                connection.execute(_PUBLISHED, {"of": UUID(job_id), "numbers": seqs})

    def unpublished(self, *, older_than: timedelta, limit: int) -> list[Event]:
        """Events whose teller died between the commit and the telling."""
        query = (
            select(events)
            .where(events.c.published_at.is_(None), events.c.created_at < func.now() - older_than)
            .order_by(events.c.created_at, events.c.seq)
            .limit(limit)
        )
        with transaction(self.engine) as connection:
            return [_event(row) for row in connection.execute(query)]

    def since(self, job_id: UUID, seq: int, *, limit: int = 500) -> list[Event]:
        """A job's stored events after a number, in order."""
        query = select(events).where(events.c.job_id == job_id, events.c.seq > seq).order_by(events.c.seq).limit(limit)
        with transaction(self.engine) as connection:
            return [_event(row) for row in connection.execute(query)]


def _event(row: Row[*tuple[Any, ...]]) -> Event:
    return Event(
        type=EventType(row.type), job_id=str(row.job_id), owner_id=str(row.owner_id), payload=row.payload, seq=row.seq
    )
