"""The outbox: events written in the transaction of the change that they tell of, and told after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, bindparam, func, insert, select, update

from pipeline.database.engine import transaction
from pipeline.database.tables import events, jobs
from pipeline.domain.events import Event, EventType

# Built once: every step runs them.
_INSERT = insert(events)
_RESERVE = (
    update(jobs)
    .where(jobs.c.id == bindparam("of"))
    .values(event_seq=jobs.c.event_seq + bindparam("more"))
    .returning(jobs.c.event_seq)
)
_PUBLISHED = (
    update(events)
    .where(events.c.job_id == bindparam("of"), events.c.seq.in_(bindparam("numbers", expanding=True)))
    .values(published_at=func.now())
)


def append(connection: Connection, job_id: UUID, owner_id: UUID, told: Sequence[Event]) -> list[Event]:
    """Write the stored ones among ``told``, numbered; all come back in order, addressed to their owner."""
    count = sum(event.stored for event in told)
    last = _reserve(connection, job_id, count) if count else 0
    numbers = iter(range(last - count + 1, last + 1))
    numbered = [replace(e, owner_id=str(owner_id), seq=next(numbers) if e.stored else None) for e in told]
    rows = [
        {"job_id": job_id, "seq": e.seq, "owner_id": owner_id, "type": e.type, "payload": dict(e.payload)}
        for e in numbered
        if e.stored
    ]
    if rows:
        connection.execute(_INSERT, rows)
    return numbered


def _reserve(connection: Connection, job_id: UUID, count: int) -> int:
    """The row lock on the job keeps the numbers of concurrent steps gapless and in order of commit."""
    return int(connection.execute(_RESERVE, {"of": job_id, "more": count}).scalar_one())


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
            for job_id, seqs in numbers.items():
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
