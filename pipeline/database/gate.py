"""The statements of every step, built once: to build one anew takes longer than Postgres takes to run it.

Their parameters: ``of`` (an id), ``fetches``, ``at_version``, ``known_wakes``, ``wait``, ``keep``, ``lease``;
a column's own name sets it.
"""

from datetime import timedelta

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Interval,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.forgotten import MEMBER
from pipeline.database.tables import assets, attempts, inbox, jobs, owners
from pipeline.domain.answers import Reason
from pipeline.domain.asset import HOLDS_SLOT, TERMINAL, State

CLOCK = func.clock_timestamp()
# Copies of a message may come this much early and still find the row due; clocks of hosts differ a little.
_SLACK = timedelta(milliseconds=500)
_OPEN = assets.c.state.not_in([state.value for state in TERMINAL])


def holds_slot(row: FromClause) -> ColumnElement[bool]:
    """Whether an asset holds a slot of its account, as ``Asset.holds_slot`` says it."""
    in_doubt = func.coalesce(row.c.waiting["reason"].astext, "") == Reason.NEEDS_PERSON
    return and_(row.c.state.in_([state.value for state in HOLDS_SLOT]), ~in_doubt)


def under_way(row: FromClause) -> ColumnElement[bool]:
    """Whether an asset holds a slot, or is still to get one."""
    return or_(row.c.state == State.WAITING, holds_slot(row))


def _span(name: str) -> object:
    return bindparam(name, type_=Interval)


CLAIM = (
    update(assets)
    .where(assets.c.id == bindparam("of"), _OPEN, assets.c.due_at <= CLOCK + _SLACK)
    .where(or_(assets.c.claimed_until.is_(None), assets.c.claimed_until < CLOCK))
    .where(or_(assets.c.state != State.FETCHING.value, bindparam("fetches", type_=Boolean)))
    .where(jobs.c.id == assets.c.job_id, owners.c.id == assets.c.owner_id)
    .values(claimed_until=CLOCK + _span("lease"), version=assets.c.version + 1)
    .returning(
        *assets.c,
        jobs.c.cancel_requested_at.is_not(None).label("cancelled"),
        jobs.c.priority,
        jobs.c.state.label("job_state"),
        owners.c.weight,
    )
)

#: Only whoever shows the version of his claim may write.
FENCED = update(assets).where(assets.c.id == bindparam("of"), assets.c.version == bindparam("at_version"))

#: A wake that came while we held the row makes it due at once, so no wake is lost.
DUE = case((assets.c.wakes > bindparam("known_wakes"), CLOCK), else_=CLOCK + _span("wait"))

WRITE = FENCED.values(
    version=assets.c.version + 1, updated_at=CLOCK, due_at=DUE, claimed_until=CLOCK + _span("keep")
).returning(assets.c.version, assets.c.wakes, assets.c.attempt_id)

WRITE_LAST = WRITE.values(finished_at=CLOCK)

LET_GO = FENCED.values(version=assets.c.version + 1, claimed_until=None, due_at=DUE)

EXTEND = FENCED.values(claimed_until=CLOCK + _span("lease"))

_OPEN_OF = (assets.c.id.in_(bindparam("of", expanding=True)), _OPEN)

#: Before a wake of several: an update locks its rows in whatever order they are found, and two of them may meet.
IN_ORDER = select(assets.c.id).where(*_OPEN_OF).order_by(assets.c.id).with_for_update(key_share=True)

WAKE = update(assets).where(*_OPEN_OF).values(due_at=CLOCK, wakes=assets.c.wakes + 1).returning(*MEMBER)

#: What an asset's needs have come to. In a step they are read once, when the row is claimed.
NEEDED = select(
    *(assets.c[name] for name in ("id", "kind", "index", "state", "file_key", "last_frame_key", "words")),
    assets.c.duration_seconds,
    assets.c.failure,
).where(assets.c.id.in_(bindparam("of", expanding=True)))

#: How many of a kind in a job go before one that waits: the lower indexes, and whoever renders already.
AHEAD = (
    select(func.count())
    .select_from(assets)
    .where(assets.c.job_id == bindparam("of"), assets.c.kind == bindparam("kind_"))
    .where(under_way(assets), or_(assets.c["index"] < bindparam("before"), holds_slot(assets)))
)

STATE = select(assets.c.state).where(assets.c.id == bindparam("of"))

_NEWS = (
    select(inbox.c.id, inbox.c.prediction_id, inbox.c.answer)
    .where(inbox.c.attempt_id == attempts.c.id, inbox.c.read_at.is_(None))
    .where(inbox.c.prediction_id == func.coalesce(attempts.c.prediction_id, inbox.c.prediction_id))
    .order_by(inbox.c.final.desc(), inbox.c.id.desc())
    .limit(1)
    .lateral("news")
)

#: An attempt, and the newest unread webhook about it; one about another prediction than ours says nothing about it.
ATTEMPT = (
    select(
        attempts,
        _NEWS.c.id.label("news_id"),
        _NEWS.c.prediction_id.label("news_prediction_id"),
        _NEWS.c.answer.label("news_answer"),
    )
    .select_from(attempts.outerjoin(_NEWS, true()))
    .where(attempts.c.id == bindparam("of"))
)

ABOUT = select(attempts.c.id, attempts.c.asset_id, attempts.c.account).where(attempts.c.id == bindparam("of"))

#: Whose a prediction is, whatever the webhook says.
OWNER = select(attempts.c.id, attempts.c.asset_id, attempts.c.account).where(
    attempts.c.account == bindparam("account"), attempts.c.prediction_id == bindparam("prediction")
)

ARRIVED = insert(inbox).on_conflict_do_nothing().returning(inbox.c.id)

READ = update(inbox).where(inbox.c.id == bindparam("of")).values(read_at=CLOCK)

RUNNING = (
    update(jobs)
    .where(jobs.c.id == bindparam("of"), jobs.c.state == bindparam("before"))
    .values(started_at=func.coalesce(jobs.c.started_at, CLOCK))
)
