"""Attempts and money: the intent with its reserved price, and what came of both."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Text, and_, bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.tables import api_keys, attempts, jobs, owners, spend
from pipeline.domain.asset import State
from pipeline.domain.attempt import Attempt, AttemptChange, NewAttempt
from pipeline.domain.errors import DayIsSpent, OverBudget

# Built once: every step runs them.
_INTENT = insert(attempts).returning(attempts.c.intent_at)
_BOOK = (
    insert(spend)
    .from_select(
        ["attempt_id", "job_id", "owner_id", "kind", "cents"],
        select(
            attempts.c.id,
            attempts.c.job_id,
            attempts.c.owner_id,
            bindparam("kind", type_=Text),
            attempts.c.estimate_cents,
        ).where(attempts.c.id == bindparam("of")),
    )
    .on_conflict_do_nothing()
)


# Which limits there are to be held, before any of their rows is locked.
_LIMITED = (
    select(
        jobs.c.api_key_id, jobs.c.budget_cents.is_not(None).label("job"), (api_keys.c.day_budget_cents > 0).label("key")
    )
    .join_from(jobs, api_keys, api_keys.c.id == jobs.c.api_key_id, isouter=True)
    .where(jobs.c.id == bindparam("of"))
)
# These rows are locked, so that of many attempts at once each sees what the others have reserved.
_BUDGET = select(jobs.c.budget_cents).where(jobs.c.id == bindparam("of")).with_for_update(key_share=True)
_OWNER = select(owners.c.id).where(owners.c.id == bindparam("of")).with_for_update(key_share=True)
_KEY = select(api_keys.c.day_budget_cents).where(api_keys.c.id == bindparam("of")).with_for_update(key_share=True)
# By the transaction's own time, as entries are dated; and a clock that moves on can't be looked up in an index.
_TODAY = func.date_trunc("day", func.now(), "UTC")
_BOOKED = spend.alias("booked")
_GIVEN_BACK = (
    select(and_(func.bool_or(_BOOKED.c.kind == "release"), ~func.bool_or(_BOOKED.c.kind == "commit")))
    .where(_BOOKED.c.attempt_id == spend.c.attempt_id)
    .scalar_subquery()
)
# A release counts on the day of its reserve, or yesterday's would be money for today; not when the order turned up.
_RESERVED = select(
    func.coalesce(func.sum(case((spend.c.kind != "reserve", 0), (_GIVEN_BACK, 0), else_=spend.c.cents)), 0)
)
_OF_JOB = _RESERVED.where(spend.c.job_id == bindparam("of"))
_OF_DAY = _RESERVED.where(spend.c.owner_id == bindparam("of"), spend.c.at >= _TODAY)
_OF_KEYS_DAY = _RESERVED.join_from(spend, jobs, jobs.c.id == spend.c.job_id).where(
    jobs.c.api_key_id == bindparam("of"), spend.c.at >= _TODAY
)
_TOMORROW_SECONDS = select(func.extract("epoch", _TODAY + timedelta(days=1) - func.clock_timestamp()))


def record_attempt(connection: Connection, asset_id: UUID, new: NewAttempt) -> Attempt:
    """Write the intent and reserve its price; nothing may be sent before this is committed.

    Raises OverBudget when the job's attempts would cost more than it may, DayIsSpent when its owner's or its key's of
    today would; the transaction is then to be undone.
    """
    if new.most_today_cents:
        # Owner, key, job, always: a step that holds its job's row and waits for another would wait in a ring.
        connection.execute(_OWNER, {"of": new.owner_id})
    limited = connection.execute(_LIMITED, {"of": new.job_id}).one()
    key_cents = connection.execute(_KEY, {"of": limited.api_key_id}).scalar_one() if limited.key else 0
    values = {name: value for name, value in vars(new).items() if name in attempts.c}
    intent_at = connection.execute(_INTENT, {**values, "asset_id": asset_id, "state": State.SUBMITTING}).scalar_one()
    _book(connection, new.id, "reserve")
    if limited.job:
        _check_budget(connection, new)
    if new.most_today_cents:
        _check_day(connection, _OF_DAY, new.owner_id, new.most_today_cents)
    if key_cents:
        _check_day(connection, _OF_KEYS_DAY, limited.api_key_id, key_cents)
    return Attempt(
        id=new.id,
        number=new.number,
        model=new.model,
        endpoint=new.endpoint,
        input=new.input,
        receipt={},
        prediction_id=None,
        outputs=(),
        estimate_cents=new.estimate_cents,
        intent_at=intent_at,
    )


def _check_budget(connection: Connection, new: NewAttempt) -> None:
    budget_cents = connection.execute(_BUDGET, {"of": new.job_id}).scalar_one()
    reserved_cents = connection.execute(_OF_JOB, {"of": new.job_id}).scalar_one()
    if reserved_cents > budget_cents:
        before_cents = reserved_cents - new.estimate_cents
        raise OverBudget(
            f"this attempt costs {new.estimate_cents} cents, and of the job's budget of {budget_cents}"
            f" {before_cents} are spent or reserved: order the scene in a new job"
        )


def _check_day(connection: Connection, reserved: Select[Any], of: UUID, most_cents: int) -> None:
    if connection.execute(reserved, {"of": of}).scalar_one() > most_cents:
        raise DayIsSpent(float(connection.execute(_TOMORROW_SECONDS).scalar_one()))


def close_attempt(connection: Connection, attempt_id: UUID, change: AttemptChange) -> None:
    """Write what became of an attempt, and book what that means in money."""
    clock = func.clock_timestamp()
    values = {**change.values, "state": change.state, "live": change.live}
    if "prediction_id" in values:
        values["answered_at"] = func.coalesce(attempts.c.answered_at, clock)
    if "outputs" in values:
        values["rendered_at"] = func.coalesce(attempts.c.rendered_at, clock)
        ours = func.extract("epoch", clock - attempts.c.answered_at)
        values["render_seconds"] = func.coalesce(attempts.c.render_seconds, values.get("render_seconds"), ours)
    if not change.live:
        values["finished_at"] = clock
    if change.spend == "commit":
        values["cost_cents"] = attempts.c.estimate_cents
    connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(values))
    if change.spend:
        _book(connection, attempt_id, change.spend)


def _book(connection: Connection, attempt_id: UUID, kind: str) -> None:
    """One entry of a kind per attempt, however often it is told."""
    connection.execute(_BOOK, {"of": attempt_id, "kind": kind})
