"""What the sweeper asks: which rows nobody looks after any more, and what Redis ought to say about them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, RowMapping, case, exists, func, or_, select

from pipeline.database.engine import transaction
from pipeline.database.tables import assets, jobs
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.job import JobState
from pipeline.domain.member import Member

MAX_THUMBNAIL_TRIES = 3
OPEN_JOBS = [JobState.QUEUED, JobState.RUNNING]
_NAMED = ("job_id", "round", "group_index", "provider", "link_expires_at")
MEMBER = (assets.c.id, assets.c.state, *(assets.c[name] for name in _NAMED))

_CLOCK = func.clock_timestamp()
_OVER = list(TERMINAL)
# What carries a row's message: all files that are to be fetched share one queue.
_QUEUE = case((assets.c.state == State.FETCHING, None), else_=assets.c.provider)
_NTH = func.row_number().over(partition_by=_QUEUE, order_by=assets.c.due_at).label("nth")


@dataclass(frozen=True)
class Forgotten:
    """The questions asked by the sweeper; every answer may be out of date by the time it is used, harmlessly."""

    engine: Engine

    def due(self, *, grace: timedelta, limit: int) -> list[Member]:
        """Rows that are due, unclaimed, and have been for ``grace``: their message was lost, or never sent.

        At most ``limit`` of each queue: one whose worker is away must not hide what the others have lost.
        """
        free = or_(assets.c.claimed_until.is_(None), assets.c.claimed_until < _CLOCK)
        late = (
            select(*MEMBER, assets.c.due_at, _NTH)
            .join(jobs, jobs.c.id == assets.c.job_id)
            .where(assets.c.state.not_in(_OVER), assets.c.due_at < _CLOCK - grace, free)
            .where(jobs.c.dispatched_round >= assets.c.round)
            .subquery()
        )
        query = select(late).where(late.c.nth <= limit).order_by(late.c.due_at)
        with transaction(self.engine) as connection:
            return [member(row) for row in connection.execute(query).mappings()]

    def undispatched(self, *, grace: timedelta, limit: int) -> list[UUID]:
        """Jobs whose start was never published, or not to the end."""
        waiting = exists().where(assets.c.job_id == jobs.c.id, assets.c.due_at < _CLOCK - grace)
        query = select(jobs.c.id).where(jobs.c.state.in_(OPEN_JOBS), jobs.c.dispatched_round < jobs.c.round, waiting)
        with transaction(self.engine) as connection:
            return list(connection.execute(query.order_by(jobs.c.created_at).limit(limit)).scalars())

    def finished(self, *, limit: int) -> list[UUID]:
        """Jobs whose clips have all ended, and that nobody closed."""
        query = select(jobs.c.id).where(jobs.c.state.in_(OPEN_JOBS), ~has_open_assets()).limit(limit)
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())

    def filmless(self, *, grace: timedelta, limit: int) -> list[UUID]:
        """Jobs that wait for their film, while nobody makes it."""
        free = or_(jobs.c.film_claimed_until.is_(None), jobs.c.film_claimed_until < _CLOCK - grace)
        query = select(jobs.c.id).where(jobs.c.state == JobState.ASSEMBLING, free).limit(limit)
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())

    def thumbnailless(self, *, grace: timedelta, limit: int) -> list[UUID]:
        """Done clips whose thumbnail was never made."""
        query = (
            select(assets.c.id)
            .where(assets.c.kind == "video", assets.c.state == State.DONE, assets.c.thumbnail_key.is_(None))
            .where(assets.c.thumbnail_tries < MAX_THUMBNAIL_TRIES, assets.c.finished_at < _CLOCK - grace)
            .limit(limit)
        )
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())


def has_open_assets() -> Any:
    """Whether a job has an asset that has not ended."""
    return exists().where(assets.c.job_id == jobs.c.id, assets.c.state.not_in(_OVER))


def member(row: RowMapping) -> Member:
    """The member that a row of ``MEMBER`` columns names."""
    named = {name: row[name] for name in _NAMED}
    return Member(asset_id=row["id"], fetching=row["state"] == State.FETCHING, **named)
