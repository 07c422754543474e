"""Who waits for another asset of the job, or for the job's own limit, and whom the end of an asset sets free."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    Text,
    Uuid,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from pipeline.database.engine import transaction
from pipeline.database.gate import holds_slot, under_way
from pipeline.database.tables import assets, attempts
from pipeline.domain.answers import ASIDE, Reason
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.needs import AT_ONCE, PARTS

_OTHER = assets.alias("other")
_REASON = assets.c.waiting["reason"].astext


def held_by(reason: Reason) -> ColumnElement[bool]:
    """Whether an asset has to stand aside for this reason, by what the rows say now."""
    if reason is Reason.DEPENDENCY:
        return and_(assets.c.needs != [], exists(_open_needs(_OTHER.c.id)))
    return or_(*(and_(assets.c.kind == kind, exists(_ahead(kind, most))) for kind, most in AT_ONCE.items()))


def dependency() -> ColumnElement[Any]:
    """The first scene that an asset waits for; looked for only where anything is needed at all."""
    # What belongs to no scene has numbers of its own: a customer's files, and words about pictures.
    scenes = _open_needs(func.min(_OTHER.c["index"])).where(_OTHER.c.kind.in_(["video", *PARTS]))
    return case((assets.c.needs != [], scenes.scalar_subquery()))


def _open_needs(what: ColumnElement[Any]) -> Select[Any]:
    """The assets that one needs and that have not ended, each looked up by its id."""
    needed = func.jsonb_array_elements_text(assets.c.needs).column_valued("needed")
    still = (_OTHER.c.id == cast(needed, Uuid), _OTHER.c.state.not_in(list(TERMINAL)))
    return select(what).where(*still).correlate(assets)


def stale() -> ColumnElement[Any]:
    """The scene whose picture is another now than the one that a clip's take was sent with; None when it is the same.

    What was sent stands word for word in the take's row, so its link to our object tells.
    """
    needed = func.jsonb_array_elements_text(assets.c.needs).column_valued("needed")
    given = case((_OTHER.c.kind == "video", _OTHER.c.last_frame_key), else_=_OTHER.c.file_key)
    sent = select(cast(attempts.c.input, Text)).where(attempts.c.id == assets.c.attempt_id).correlate(assets)
    found = (
        select(func.min(_OTHER.c["index"]))
        .where(_OTHER.c.id == cast(needed, Uuid), _OTHER.c.kind.in_(["video", "image"]))
        .where(_OTHER.c.state == State.DONE, func.strpos(sent.scalar_subquery(), given) == 0)
        .correlate(assets)
    )
    return case((and_(assets.c.needs != [], assets.c.state == State.DONE), found.scalar_subquery()))


def _ahead(kind: str, most: int) -> Select[Any]:
    """The last of so many of a kind that go before an asset, if there are so many; the nearest is looked at first."""
    alike = (_OTHER.c.job_id == assets.c.job_id, _OTHER.c.kind == kind, under_way(_OTHER))
    before = or_(_OTHER.c["index"] < assets.c["index"], holds_slot(_OTHER))
    found = select(_OTHER.c.id).where(*alike, before).correlate(assets)
    return found.order_by(_OTHER.c["index"].desc()).offset(most - 1).limit(1)


def parts() -> ColumnElement[Any]:
    """What is made beside a clip for its scene, as a list of objects."""
    shown = ("id", "kind", "state", "progress", "model", "file_key", "duration_seconds", "waiting", "failure")
    told = func.jsonb_build_object(*(each for name in shown for each in (literal(name), _OTHER.c[name])))
    # By the names of what a scene can have, which are an index: two look-ups, however large the job is.
    beside = (_OTHER.c.kind.in_(PARTS), _OTHER.c["index"] == assets.c["index"])
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
