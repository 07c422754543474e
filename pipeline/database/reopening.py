"""How clips that have ended go back into line: all that a retry or a resume writes, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, Text, and_, cast, exists, func, or_, select, update

from pipeline.database.outbox import append
from pipeline.database.tables import assets, jobs, scenes, spend
from pipeline.domain.asset import Asset, State
from pipeline.domain.errors import FieldError, NotInThatState, OverBudget
from pipeline.domain.events import ClipRef, Event, changes
from pipeline.domain.job import FINAL, JobState
from pipeline.domain.needs import MATERIAL

# The price of these is not in the ledger as spent; that of a clip which renders is.
_UNPAID = [State.WAITING, State.SUBMITTING, State.UNCERTAIN]

_OTHER = assets.alias("other")

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Replan:
    """What a retried clip is to be from now on."""

    description: str
    model: str
    provider: str
    account: str
    shot: Mapping[str, Any]
    needs: Sequence[str]


def reopen(
    connection: Connection, job_id: UUID, clip_ids: Sequence[UUID], replans: Mapping[UUID, Replan]
) -> list[Event]:
    """A new round of those of these clips that failed or were cancelled; their attempts and their cost stay.

    With them goes what was to be made for their scenes and is not there, also where the clip itself is.
    One that is done is begun anew only by a plan of its own, and keeps its file until there is a better one. Raises
    NotInThatState for a job that is being cancelled, and when there is no such clip (any more); OverBudget when what
    was spent and what is still to be bought, with these, is more than the job may cost.
    """
    job = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update(key_share=True)).one()
    if job.cancel_requested_at and job.state not in FINAL:
        raise NotInThatState("the job is being cancelled; wait until that is done")
    found = _ended(connection, [*clip_ids, *_beside(connection, job_id, clip_ids)], replans)
    if not found:
        raise NotInThatState("nothing of this has failed or was cancelled; perhaps it is being rendered anew already")
    for position, clip in enumerate(found):
        values = _again(job.round + 1, position, clip.kind) | _planned(replans.get(clip.id))
        connection.execute(update(assets).where(assets.c.id == clip.id).values(values))
        if replan := replans.get(clip.id):
            connection.execute(
                update(scenes).where(scenes.c.id == clip.scene_id).values(description=replan.description)
            )
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(_opened(job.round + 1)))
    _check_budget(connection, job)
    return append(connection, job_id, job.owner_id, [event for clip in found for event in _news(job_id, clip)])


def _beside(connection: Connection, job_id: UUID, clip_ids: Sequence[UUID]) -> Sequence[UUID]:
    """What was to be made for the scenes of these clips, or for the job, and is not there: it goes with them."""
    found: list[UUID] = []
    while True:
        reached = (_OTHER.c.job_id == job_id, _OTHER.c.id.in_([*clip_ids, *found]))
        wanted = or_(_OTHER.c.scene_id == assets.c.scene_id, _OTHER.c.needs.has_key(cast(assets.c.id, Text)))
        query = select(assets.c.id).where(
            assets.c.job_id == job_id,
            assets.c.kind != "video",
            assets.c.state.in_([State.FAILED, State.CANCELLED]),
            assets.c.id.not_in(found),
            exists().where(*reached, wanted),
        )
        more = connection.execute(query).scalars().all()
        if not more:
            return found
        found += more


def _ended(connection: Connection, clip_ids: Sequence[UUID], replans: Mapping[UUID, Replan]) -> Sequence[AnyRow]:
    another_take = and_(assets.c.state == State.DONE, assets.c.id.in_(replans))
    query = (
        select(assets.c.id, assets.c.scene_id, assets.c["index"].label("clip_index"), assets.c.state, assets.c.kind)
        .where(assets.c.id.in_(clip_ids), or_(assets.c.state.in_([State.FAILED, State.CANCELLED]), another_take))
        .order_by(assets.c["index"])
        .with_for_update(key_share=True)
    )
    return connection.execute(query).all()


def _check_budget(connection: Connection, job: AnyRow) -> None:
    """Looks at the rows as they were just written; whoever hears OverBudget rolls them back."""
    if job.budget_cents is None:
        return
    paid = select(func.coalesce(func.sum(spend.c.cents), 0)).where(spend.c.job_id == job.id, spend.c.kind == "commit")
    query = select(paid.scalar_subquery(), still_to_pay(job.id).scalar_subquery())
    paid_cents, ahead_cents = connection.execute(query).one()
    if paid_cents + ahead_cents <= job.budget_cents:
        return
    message = (
        f"{paid_cents} cents are spent and {ahead_cents} more would be, which is above this job's budget of"
        f" {job.budget_cents}: choose a cheaper model, or order these scenes in a new job"
    )
    allowed = {"min": paid_cents + ahead_cents}
    error = FieldError(field="budget_cents", value=job.budget_cents, allowed=allowed, message=message)
    raise OverBudget(message, errors=[error])


def still_to_pay(job_id: UUID) -> Select[Any]:
    """What a job's assets of every kind will cost that is not in the ledger as spent yet, in cents."""
    prices = func.coalesce(func.sum(assets.c.shot["estimate_cents"].as_integer()), 0)
    return select(prices).where(assets.c.job_id == job_id, assets.c.state.in_(_UNPAID))


def _news(job_id: UUID, clip: AnyRow) -> tuple[Event, ...]:
    about = ClipRef(job_id=str(job_id), clip_id=str(clip.id), index=clip.clip_index, kind=clip.kind)
    return changes(about, Asset(state=State(clip.state)), Asset())


def _again(round_: int, group_index: int, kind: str) -> dict[str, Any]:
    return {
        # What a customer gives is bought from nobody: all there is to do is to fetch it.
        "state": State.FETCHING if kind in MATERIAL else State.WAITING,
        "round": round_,
        "group_index": group_index,
        "tries": 0,
        "silences": 0,
        "polls": 0,
        "progress": 0,
        "clock_started_at": None,
        "uncertain_since": None,
        "waiting": None,
        "failure": None,
        "finished_at": None,
        "attempt_id": None,
        "thumbnail_tries": 0,
        "claimed_until": None,
        "due_at": func.now(),
        "updated_at": func.now(),
        "version": assets.c.version + 1,
    }


def _planned(replan: Replan | None) -> dict[str, Any]:
    if replan is None:
        return {}
    named = {name: getattr(replan, name) for name in ("model", "provider", "account", "shot")}
    return {**named, "needs": list(replan.needs)}


def _opened(round_: int) -> dict[str, Any]:
    return {
        "round": round_,
        "state": JobState.RUNNING,
        "cancel_requested_at": None,
        "finished_at": None,
        "video_clips": None,
        "film_tries": 0,
        "film_claimed_until": None,
    }
