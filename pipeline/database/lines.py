"""What the rows say about a provider's line: who waits, who holds a slot, and what was learned about its accounts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, RowMapping, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from pipeline.database.engine import retried_on_deadlock, transaction
from pipeline.database.gate import holds_slot
from pipeline.database.tables import assets, jobs, learned_limits, owners
from pipeline.database.waits import held_by
from pipeline.domain.answers import ASIDE, IN_LINE, Reason
from pipeline.domain.asset import PARKED, TERMINAL, State, Waiting
from pipeline.domain.line import PRIORITY_WEIGHT, Slot, Waiter

_CLOCK = func.clock_timestamp()
_WAITER = (
    assets.c.id,
    assets.c.owner_id,
    assets.c.job_id,
    assets.c.model,
    assets.c["index"].label("scene_index"),
    assets.c.created_at,
    owners.c.weight,
    jobs.c.priority,
)


@dataclass(frozen=True, kw_only=True)
class LearnedRow:
    """One thing that was learned about an account: how many predictions it takes at once, and from what."""

    account: str
    slots: int
    in_flight: int
    why: str
    at: datetime


@dataclass(frozen=True)
class Lines:
    """The questions asked about lines; the limiter's keys are made from the answers, and mended by them."""

    engine: Engine

    @retried_on_deadlock
    def park(self, job_id: UUID, round_: int) -> dict[str, list[Waiter]]:
        """Let the round's waiting assets wait for their slots, without a message; who they are, by provider.

        What another asset of the job holds back stands aside, without a place in line.
        Those of a cancelled job stay due: they were waked to learn of it, and must not sleep over that.
        """
        free = or_(assets.c.claimed_until.is_(None), assets.c.claimed_until < _CLOCK)
        wanted = exists().where(jobs.c.id == assets.c.job_id, jobs.c.cancel_requested_at.is_(None))
        of_round = (assets.c.job_id == job_id, assets.c.round == round_, assets.c.state == State.WAITING, free, wanted)
        # By their ids, as whoever wakes several does.
        in_order = select(assets.c.id).where(*of_round).order_by(assets.c.id).with_for_update(key_share=True)
        aside = func.coalesce(assets.c.waiting["reason"].astext, "").in_(ASIDE)
        with transaction(self.engine) as connection:
            begun = update(assets).where(assets.c.id.in_(connection.execute(in_order).scalars().all()), ~aside)
            for reason in ASIDE:
                connection.execute(begun.where(held_by(reason)).values(_parked(reason)))
            ids = connection.execute(begun.values(_parked(Reason.SLOT)).returning(assets.c.id)).scalars().all()
            rows = connection.execute(_of(assets.c.id.in_(ids), assets.c.provider)).mappings().all() if ids else []
        found: dict[str, list[Waiter]] = {}
        for row in rows:
            found.setdefault(row["provider"], []).append(_waiter(row))
        return found

    def slots(self, provider: str) -> list[Slot]:
        """The slots that rows in flight prove: from these lost leases are rebuilt."""
        held_for = func.extract("epoch", _CLOCK - func.coalesce(assets.c.clock_started_at, assets.c.updated_at))
        query = _of(
            assets.c.provider == provider,
            assets.c.account,
            assets.c.takes,
            assets.c.state,
            held_for.label("held_seconds"),
        ).where(holds_slot(assets))
        with transaction(self.engine) as connection:
            return [_slot(row) for row in connection.execute(query).mappings()]

    def waiting(self, provider: str) -> tuple[set[UUID], set[UUID]]:
        """The assets that wait for this provider; and those of them that hold no message, since they stand in line."""
        query = select(assets.c.id, assets.c.waiting["reason"].astext).where(
            assets.c.provider == provider, assets.c.state == State.WAITING
        )
        with transaction(self.engine) as connection:
            rows = connection.execute(query).all()
        return {id_ for id_, _ in rows}, {id_ for id_, reason in rows if reason in IN_LINE}

    def held(self, provider: str, model: str, reason: Reason) -> list[UUID]:
        """The assets of a model that wait for this reason."""
        query = select(assets.c.id).where(
            assets.c.provider == provider,
            assets.c.model == model,
            assets.c.state == State.WAITING,
            assets.c.waiting["reason"].astext == reason,
        )
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())

    def providers_in_use(self) -> list[str]:
        """Providers that have an asset which is not over."""
        query = select(assets.c.provider).where(assets.c.state.not_in(list(TERMINAL))).distinct()
        with transaction(self.engine) as connection:
            return list(connection.execute(query).scalars())

    def learn(self, account: str, *, slots: int, in_flight: int, why: str) -> None:
        """Write down what was learned about an account."""
        values = {"account": account, "slots": slots, "in_flight": in_flight, "why": why}
        with transaction(self.engine) as connection:
            connection.execute(insert(learned_limits).values(values))

    def learned(self, accounts: Sequence[str]) -> dict[str, int]:
        """The newest limit that was learned about each of these accounts, where there is one."""
        newest = (
            select(learned_limits.c.account, learned_limits.c.slots)
            .where(learned_limits.c.account.in_(accounts))
            .ext(distinct_on(learned_limits.c.account))
            .order_by(learned_limits.c.account, learned_limits.c.id.desc())
        )
        with transaction(self.engine) as connection:
            return {row.account: row.slots for row in connection.execute(newest)}

    def lessons(self, account: str, *, limit: int) -> list[LearnedRow]:
        """How an account's limit was learned, newest first."""
        columns = [column for column in learned_limits.c if column.name != "id"]
        query = select(*columns).where(learned_limits.c.account == account).order_by(learned_limits.c.id.desc())
        with transaction(self.engine) as connection:
            return [LearnedRow(**row) for row in connection.execute(query.limit(limit)).mappings()]


def _parked(reason: Reason) -> dict[str, Any]:
    return {"due_at": _CLOCK + PARKED, "waiting": asdict(Waiting(reason=reason))}


def _of(condition: Any, *more: Any) -> Any:
    """The assets that a condition names, as they stand in line."""
    return (
        select(*_WAITER, *more)
        .join(jobs, jobs.c.id == assets.c.job_id)
        .join(owners, owners.c.id == assets.c.owner_id)
        .where(condition)
        .order_by(assets.c.created_at, assets.c["index"])
    )


def _waiter(row: RowMapping) -> Waiter:
    return Waiter(
        asset_id=row["id"],
        owner_id=row["owner_id"],
        job_id=row["job_id"],
        model=row["model"],
        index=row["scene_index"],
        job_came_ms=int(row["created_at"].timestamp() * 1000),
        owner_weight=row["weight"],
        job_weight=PRIORITY_WEIGHT[row["priority"]],
    )


def _slot(row: RowMapping) -> Slot:
    return Slot(
        account=row["account"],
        holder=f"{row['id']}:{row['takes']}",
        waiter=_waiter(row),
        accepted=row["state"] != State.SUBMITTING,
        held_seconds=max(float(row["held_seconds"]), 0.0),
    )
