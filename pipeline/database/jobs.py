"""Jobs as customers see them: taken in, listed, read, reopened and closed. Every question is asked for an owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.choosing import choose
from pipeline.database.engine import retried_on_deadlock, transaction
from pipeline.database.reopening import Replan, reopen, still_to_pay
from pipeline.database.tables import assets, attempts, idempotency_keys, jobs, scenes, spend
from pipeline.database.waits import dependency, parts, stale
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.document import AttemptRow, ClipRow, JobRow
from pipeline.domain.errors import IdempotencyKeyReused
from pipeline.domain.events import Event
from pipeline.domain.job import FINAL, JobState


@dataclass(frozen=True, kw_only=True)
class NewScene:
    """One shot of the storyboard, as its customer describes it."""

    id: UUID
    index: int
    description: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NewAsset:
    """A thing to make: for a scene, or for the whole job when ``scene_id`` is None.

    ``shot`` is the plan's row as JSON; ``needs`` are the ids of those that have to end before its turn.
    """

    id: UUID
    scene_id: UUID | None
    kind: str
    index: int
    model: str
    provider: str
    account: str
    shot: Mapping[str, Any]
    needs: Sequence[str] = ()
    if_needed_fails: str = "fail"
    state: State = State.WAITING


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to take in; money in US cents. Its assets are members of its chord in their order."""

    id: UUID
    owner_id: UUID
    title: str
    priority: str
    min_clips: int
    spec: Mapping[str, Any]
    metadata: Mapping[str, Any]
    estimate_cents: int
    budget_cents: int | None
    scenes: Sequence[NewScene]
    assets: Sequence[NewAsset]
    api_key_id: UUID | None = None  #: the key that ordered it


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A client's name for its request, and the digest of what it asked for."""

    key: str
    body_digest: bytes


@dataclass(frozen=True)
class Jobs:
    """The questions asked of jobs and their clips."""

    engine: Engine

    def accept(self, job: NewJob, idempotency: Idempotency | None) -> UUID:
        """Store a whole job in one transaction; with a known key, the job that it named the first time.

        Raises IdempotencyKeyReused when the key came with another body. A second request with the same key waits for
        the first one's transaction, so both get the same job.
        """
        with transaction(self.engine) as connection:
            if idempotency and (known := _known(connection, job, idempotency)):
                return known
            connection.execute(insert(jobs).values(_job_values(job)))
            connection.execute(insert(scenes), [{**vars(scene), "job_id": job.id} for scene in job.scenes])
            connection.execute(insert(assets), [_asset_values(job, *each) for each in enumerate(job.assets)])
        return job.id

    def read(self, job_id: UUID, owner_id: UUID | None = None) -> JobRow | None:
        """A job; None when there is none, or when it is not this owner's."""
        conditions = [jobs.c.id == job_id] + ([jobs.c.owner_id == owner_id] if owner_id else [])
        with transaction(self.engine) as connection:
            row = connection.execute(_job_query().where(*conditions)).mappings().one_or_none()
        return _job_row(row) if row else None

    def page(self, owner_id: UUID, *, state: str | None, start: int, limit: int) -> list[JobRow]:
        """An owner's jobs, newest first."""
        conditions = [jobs.c.owner_id == owner_id] + ([jobs.c.state == state] if state else [])
        query = _job_query().where(*conditions).order_by(jobs.c.created_at.desc(), jobs.c.id).offset(start).limit(limit)
        with transaction(self.engine) as connection:
            return [_job_row(row) for row in connection.execute(query).mappings()]

    def clips(self, *job_ids: UUID) -> dict[UUID, list[ClipRow]]:
        """The clips of jobs, in scene order (R17)."""
        found: dict[UUID, list[ClipRow]] = {job_id: [] for job_id in job_ids}
        with transaction(self.engine) as connection:
            for row in connection.execute(_clip_query(assets.c.job_id.in_(job_ids))).mappings():
                found[row["job_id"]].append(_clip_row(row))
        return found

    def asset_ids(self, job_id: UUID) -> dict[tuple[str, int], UUID]:
        """Every asset of a job, by its kind and index."""
        query = select(assets.c.id, assets.c.kind, assets.c["index"].label("number")).where(assets.c.job_id == job_id)
        with transaction(self.engine) as connection:
            return {(row.kind, row.number): row.id for row in connection.execute(query)}

    def still_to_pay(self, job_id: UUID) -> int:
        """What is still to be bought for a job, in cents."""
        with transaction(self.engine) as connection:
            return int(connection.execute(still_to_pay(job_id)).scalar_one())

    def totals(self, job_id: UUID) -> dict[str, int]:
        """Mean progress, and how many clips are complete, failed, and there are."""
        query = select(
            func.coalesce(func.sum(assets.c.progress) // func.greatest(func.count(), 1), 0).label("progress"),
            func.count().filter(assets.c.state == State.DONE).label("complete"),
            func.count().filter(assets.c.state == State.FAILED).label("failed"),
            func.count().label("total"),
        ).where(assets.c.job_id == job_id, assets.c.kind == "video")
        with transaction(self.engine) as connection:
            return dict(connection.execute(query).mappings().one())

    def attempts(self, clip_id: UUID) -> list[AttemptRow]:
        """Every attempt of a clip, first one first."""
        columns = [attempts.c[name] for name in AttemptRow.__dataclass_fields__]
        query = select(*columns).where(attempts.c.asset_id == clip_id).order_by(attempts.c.number)
        with transaction(self.engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [AttemptRow(**{**row, "state": State(row["state"])}) for row in rows]

    def cancel(self, job_id: UUID) -> list[UUID]:
        """Mark a job as not wanted any more; the assets to wake, so that each learns of it."""
        mark = update(jobs).where(jobs.c.id == job_id, jobs.c.state.not_in(list(FINAL)))
        open_assets = select(assets.c.id).where(assets.c.job_id == job_id, assets.c.state.not_in(list(TERMINAL)))
        with transaction(self.engine) as connection:
            connection.execute(mark.values(cancel_requested_at=func.coalesce(jobs.c.cancel_requested_at, func.now())))
            return list(connection.execute(open_assets).scalars())

    @retried_on_deadlock
    def reopen(
        self, job_id: UUID, clip_ids: Sequence[UUID], *, replans: Mapping[UUID, Replan] | None = None
    ) -> list[Event]:
        """Put ended clips back into line as a new round of their job; what watchers are to be told.

        Raises NotInThatState when the job is being cancelled or none of the clips has ended without a file, and
        OverBudget; then nothing was changed.
        """
        with transaction(self.engine) as connection:
            return reopen(connection, job_id, clip_ids, replans or {})

    @retried_on_deadlock
    def choose(self, job_id: UUID, clip_id: UUID, attempt_id: UUID) -> tuple[list[Event], bool]:
        """Let a clip be this take: what watchers are to be told, and whether the film has to be made anew.

        Raises NotFound for a take of another clip, NotInThatState when it can't be chosen (now).
        """
        with transaction(self.engine) as connection:
            return choose(connection, job_id, clip_id, attempt_id)

    def spent(self, owner_id: UUID, *, since: datetime) -> dict[str, tuple[int, int]]:
        """What an owner has paid at each account, in cents: since then, and in all."""
        lately = func.coalesce(func.sum(spend.c.cents).filter(spend.c.at >= since), 0)
        query = (
            select(attempts.c.account, lately, func.sum(spend.c.cents))
            .join(attempts, attempts.c.id == spend.c.attempt_id)
            .where(spend.c.owner_id == owner_id, spend.c.kind == "commit")
            .group_by(attempts.c.account)
        )
        with transaction(self.engine) as connection:
            return {account: (recent, total) for account, recent, total in connection.execute(query)}

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs and assets are in each state, for the metrics."""
        counted: dict[tuple[str, str], int] = {}
        with transaction(self.engine) as connection:
            for table in (jobs, assets):
                for state, number in connection.execute(select(table.c.state, func.count()).group_by(table.c.state)):
                    counted[table.name, state] = number
        return counted


def _known(connection: Connection, job: NewJob, idempotency: Idempotency) -> UUID | None:
    """Claim the key for this job, or find the job that has it."""
    claim = (
        insert(idempotency_keys)
        .values(owner_id=job.owner_id, key=idempotency.key, body_digest=idempotency.body_digest, job_id=job.id)
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.job_id)
    )
    if connection.execute(claim).one_or_none():
        return None
    first = connection.execute(
        select(idempotency_keys.c.job_id, idempotency_keys.c.body_digest).where(
            idempotency_keys.c.owner_id == job.owner_id, idempotency_keys.c.key == idempotency.key
        )
    ).one()
    if first.body_digest != idempotency.body_digest:
        raise IdempotencyKeyReused("this Idempotency-Key came with another body before; use a new key for a new job")
    return UUID(str(first.job_id))


def _job_values(job: NewJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "owner_id": job.owner_id,
        "api_key_id": job.api_key_id,
        "title": job.title,
        "state": JobState.QUEUED,
        "priority": job.priority,
        "min_clips": job.min_clips,
        "spec": job.spec,
        "metadata": job.metadata,
        "estimate_cents": job.estimate_cents,
        "budget_cents": job.budget_cents,
    }


def _asset_values(job: NewJob, position: int, asset: NewAsset) -> dict[str, Any]:
    place = {"job_id": job.id, "owner_id": job.owner_id, "group_index": position}
    return {**vars(asset), **place, "needs": list(asset.needs)}


def _job_query() -> Select[*tuple[Any, ...]]:
    paid = select(func.coalesce(func.sum(spend.c.cents), 0)).where(
        spend.c.job_id == jobs.c.id, spend.c.kind == "commit"
    )
    context = assets.alias("context")
    of_it = (context.c.job_id == jobs.c.id, context.c.kind == "context")
    elsewhere = {
        "actual_cents": paid,
        "context_words": select(context.c.words).where(*of_it),
        "context_failure": select(context.c.failure).where(*of_it, context.c.state == State.FAILED),
    }
    columns = [jobs.c[name] for name in JobRow.__dataclass_fields__ if name not in elsewhere]
    return select(*columns, *(query.scalar_subquery().label(name) for name, query in elsewhere.items()))


def _job_row(row: RowMapping) -> JobRow:
    return JobRow(**{**row, "state": JobState(row["state"])})


def _clip_query(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    paid = select(func.coalesce(func.sum(attempts.c.cost_cents), 0)).where(attempts.c.asset_id == assets.c.id)
    turned_away = and_(attempts.c.state == State.CANCELLED, attempts.c.cost_cents == 0)
    made = select(func.count()).where(attempts.c.asset_id == assets.c.id, ~turned_away)
    # The picture of a take that was just chosen is its own, until the media pool gave it the clip's name too.
    own = select(attempts.c.thumbnail_key).where(attempts.c.id == assets.c.attempt_id, assets.c.state == State.DONE)
    shown = func.coalesce(assets.c.thumbnail_key, own.scalar_subquery()).label("thumbnail_key")
    elsewhere = {"attempts", "cost_cents", "description", "thumbnail_key", "dependency", "parts", "stale"}
    columns = [assets.c[name] for name in ClipRow.__dataclass_fields__ if name not in elsewhere] + [shown]
    return (
        select(*columns, assets.c.job_id, scenes.c.description)
        .add_columns(made.scalar_subquery().label("attempts"), paid.scalar_subquery().label("cost_cents"))
        .add_columns(dependency().label("dependency"), parts().label("parts"), stale().label("stale"))
        .join(scenes, scenes.c.id == assets.c.scene_id)
        .where(and_(condition, assets.c.kind == "video"))
        .order_by(assets.c.index)
    )


def _clip_row(row: RowMapping) -> ClipRow:
    values = {name: row[name] for name in ClipRow.__dataclass_fields__}
    return ClipRow(**{**values, "state": State(row["state"])})
