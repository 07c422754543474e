"""Who waits for another asset of the job, or for the job's own limit, and whom the end of an asset sets free."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Text, and_, case, cast, exists, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from pipeline.database.engine import transaction
from pipeline.database.tables import assets
from pipeline.domain.answers import ASIDE, Reason
from pipeline.domain.asset import TERMINAL, UNDER_WAY, State
from pipeline.domain.needs import AT_ONCE

_OTHER = assets.alias("other")
_REASON = assets.c.waiting["reason"].astext


def held_by(reason: Reason) -> ColumnElement[bool]:
    """Whether an asset has to stand aside for this reason, by what the rows say now."""
    same_job = _OTHER.c.job_id == assets.c.job_id
    if reason is Reason.DEPENDENCY:
        needed = assets.c.needs.has_key(cast(_OTHER.c.id, Text))
        return and_(assets.c.needs != [], exists().where(same_job, needed, _OTHER.c.state.not_in(list(TERMINAL))))
    before = (
        _OTHER.c.kind == assets.c.kind,
        _OTHER.c["index"] < assets.c["index"],
        _OTHER.c.state.in_(list(UNDER_WAY)),
    )
    ahead = select(func.count()).select_from(_OTHER).where(same_job, *before).scalar_subquery()
    return and_(assets.c.kind.in_(AT_ONCE), ahead >= case(dict(AT_ONCE), value=assets.c.kind))


def dependency() -> ColumnElement[int]:
    """The scene of the first asset that one waits for."""
    needed = assets.c.needs.has_key(cast(_OTHER.c.id, Text))
    still = (_OTHER.c.job_id == assets.c.job_id, needed, _OTHER.c.state.not_in(list(TERMINAL)))
    return select(func.min(_OTHER.c["index"])).where(*still).scalar_subquery()


def parts() -> ColumnElement[Any]:
    """What is made beside a clip for its scene, as a list of objects."""
    shown = ("id", "kind", "state", "progress", "model", "file_key", "duration_seconds", "waiting", "failure")
    told = func.jsonb_build_object(*(each for name in shown for each in (literal(name), _OTHER.c[name])))
    beside = (_OTHER.c.scene_id == assets.c.scene_id, _OTHER.c.id != assets.c.id)
    found = func.jsonb_agg(aggregate_order_by(told, _OTHER.c.kind.desc()))
    whole = select(func.coalesce(found, literal_column("'[]'::jsonb"))).where(
        _OTHER.c.job_id == assets.c.job_id, *beside
    )
    return whole.scalar_subquery()


@dataclass(frozen=True)
class Waits:
    """The questions about assets that stand aside."""

    engine: Engine

    def needing(self, asset_id: UUID, job_id: UUID) -> list[UUID]:
        """The waiting assets that need this one."""
        return self._found(_waiting(job_id), assets.c.needs.has_key(str(asset_id)))

    def next_of_kind(self, job_id: UUID, kind: str) -> list[UUID]:
        """The first assets that their job's limit for their kind has held back, and holds back no more."""
        held = (_waiting(job_id), assets.c.kind == kind, _REASON == Reason.JOB_LIMIT)
        first = select(assets.c.id).where(*held).order_by(assets.c["index"]).limit(AT_ONCE[kind])
        return self._found(assets.c.id.in_(first), ~held_by(Reason.JOB_LIMIT))

    def free(self, *, limit: int) -> list[UUID]:
        """Assets that stand aside though nothing holds them any more: whoever should have waked them is dead."""
        aside = and_(assets.c.state == State.WAITING, _REASON.in_(ASIDE))
        held = [held_by(reason) for reason in ASIDE]
        return self._found(aside, *(~each for each in held), limit=limit)

    def _found(self, *conditions: Any, limit: int | None = None) -> list[UUID]:
        query = select(assets.c.id).where(*conditions).order_by(assets.c["index"]).limit(limit)
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())


def _waiting(job_id: UUID) -> ColumnElement[bool]:
    return and_(assets.c.job_id == job_id, assets.c.state == State.WAITING)
