"""The gate, the claim and the fence: how a step takes an asset's row, and how it gives it back.

A row has ``due_at`` (when to look), ``claimed_until`` (somebody is looking), ``wakes`` (how often it was waked) and
``version``. Only a step that finds the row due and unclaimed gets it; what it writes counts only while the version is
still the one it got. All four are judged by the database's clock.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, func, select, update

from pipeline.database import gate
from pipeline.database.engine import retried_on_deadlock, transaction
from pipeline.database.forgotten import member
from pipeline.database.ledger import close_attempt, record_attempt
from pipeline.database.outbox import append
from pipeline.database.pictures import keep_picture
from pipeline.database.tables import attempts, inbox
from pipeline.domain.answers import Answer, Finished, Reason, Refused, from_json, to_json
from pipeline.domain.asset import TERMINAL, Asset, Failure, State, Waiting
from pipeline.domain.attempt import Attempt, NewAttempt
from pipeline.domain.errors import StaleClaim
from pipeline.domain.events import Event
from pipeline.domain.hold import Change, Hold, News, NotClaimed
from pipeline.domain.job import JobState
from pipeline.domain.member import Member
from pipeline.domain.needs import AT_ONCE, IfFailed, Needed, Needs

# Copies of a message may come this much early and still find the row due; clocks of hosts differ a little.
_SLACK = timedelta(milliseconds=500)
_CLOCK = func.clock_timestamp()
_OVER = [state.value for state in TERMINAL]


@dataclass(frozen=True)
class Steps:
    """The questions a step asks of Postgres."""

    engine: Engine

    def claim(self, asset_id: UUID, lease: timedelta, *, fetches: bool = True) -> Hold | NotClaimed:
        """Take the row if it is due and nobody holds it, and if it is not a file to fetch for one who does not."""
        taken_at = time.monotonic()
        with transaction(self.engine) as connection:
            wanted = {"of": asset_id, "lease": lease, "fetches": fetches}
            taken = connection.execute(gate.CLAIM, wanted).mappings().one_or_none()
            if taken is None:
                state = connection.execute(gate.STATE, {"of": asset_id}).scalar_one_or_none()
                return NotClaimed(over=state is None or state in _OVER)
            attempt, news = _attempt_and_news(connection, taken["attempt_id"])
            needs = _needs(connection, taken)
        return _hold(taken, attempt, news, needs, taken_at=taken_at)

    @retried_on_deadlock
    def apply(self, hold: Hold, change: Change, *, keep: timedelta | None = None) -> tuple[Hold, list[Event], bool]:
        """Write a step's outcome in one transaction; ``keep`` holds the claim for the next move.

        Returns the row as held now, the stored events with their numbers, and whether a wake came meanwhile (so that
        it is due again at once). Raises StaleClaim, and changes nothing, when the row is no longer ours.
        """
        taken_at = time.monotonic()
        with transaction(self.engine) as connection:
            row = _write(connection, hold, change, keep)
            if row is None:
                raise StaleClaim(f"asset {hold.asset_id} moved on without us")
            begun = _begin(connection, hold, change.begin) if change.begin else None
            if change.attempt and hold.attempt:
                close_attempt(connection, hold.attempt.id, change.attempt)
            if change.read:
                connection.execute(gate.READ, {"of": change.read.id})
            job_id = hold.member.job_id
            if change.picture:
                keep_picture(connection, clip_id=hold.asset_id, job_id=job_id, index=hold.index, picture=change.picture)
            events = append(connection, job_id, hold.owner_id, change.events)
            attempt, news = begun or hold.attempt, None
            if keep and not begun:
                attempt, news = _attempt_and_news(connection, row.attempt_id)
        account = change.begin.account if change.begin else hold.account
        held = replace(hold, asset=change.decision.asset, account=account, attempt=attempt, news=news)
        fresh = replace(held, version=row.version, taken_at=taken_at)
        return fresh, events, row.wakes > hold.wakes

    def let_go(self, hold: Hold, pause: timedelta) -> None:
        """Give the row back untouched, to be looked at after a pause; harmless when it is no longer ours."""
        with transaction(self.engine) as connection:
            connection.execute(gate.LET_GO, {**_fence(hold), "known_wakes": hold.wakes, "wait": pause})

    def extend(self, hold: Hold, lease: timedelta) -> None:
        """Hold the row longer, while a slow call of ours is under way."""
        with transaction(self.engine) as connection:
            connection.execute(gate.EXTEND, {**_fence(hold), "lease": lease})

    @retried_on_deadlock
    def wake(self, asset_ids: Sequence[UUID]) -> list[Member]:
        """Make rows due now, even while somebody holds them; the members to publish come back, in this order."""
        with transaction(self.engine) as connection:
            found: Sequence[UUID] = list(asset_ids)
            if len(found) > 1:
                # These and no others: one that is reopened meanwhile would be locked out of order, and is due anyway.
                found = connection.execute(gate.IN_ORDER, {"of": found}).scalars().all()
            woken = [member(row) for row in connection.execute(gate.WAKE, {"of": found}).mappings()]
        turns = {asset_id: turn for turn, asset_id in enumerate(asset_ids)}
        return sorted(woken, key=lambda each: turns[each.asset_id])

    def adopt(self, attempt_id: UUID, prediction_id: str) -> None:
        """Keep what a provider told us even when the claim was lost: knowledge is never fenced."""
        query = update(attempts).where(attempts.c.id == attempt_id, attempts.c.prediction_id.is_(None))
        with transaction(self.engine) as connection:
            connection.execute(query.values(prediction_id=prediction_id))

    def owned(self, account: str, prediction_ids: Sequence[str]) -> set[str]:
        """Which of these predictions already belong to an attempt, by its row or by a webhook that named it."""
        known = select(attempts.c.prediction_id).where(
            attempts.c.account == account, attempts.c.prediction_id.in_(prediction_ids)
        )
        named = select(inbox.c.prediction_id).where(inbox.c.prediction_id.in_(prediction_ids))
        with transaction(self.engine) as connection:
            return {str(each) for each in connection.execute(known.union(named)).scalars()}

    def account(self, attempt_id: UUID) -> str | None:
        """The account that an attempt was bought with; None for a stranger."""
        with transaction(self.engine) as connection:
            about = connection.execute(gate.ABOUT, {"of": attempt_id}).one_or_none()
        return about.account if about else None

    @retried_on_deadlock
    def receive(
        self, attempt_id: UUID, *, provider: str, webhook_id: str, prediction_id: str, answer: Answer
    ) -> list[Member]:
        """Put a verified webhook into the inbox and wake its asset: whom to publish, nobody for a copy or a stranger.

        Of two attempts with the very same input one may have been settled with the other's prediction: the webhook then
        goes to the one that has it, and the one that it names finds the prediction that is left.
        """
        with transaction(self.engine) as connection:
            about = connection.execute(gate.ABOUT, {"of": attempt_id}).one_or_none()
            if about is None:
                return []
            owner = {"account": about.account, "prediction": prediction_id}
            about = connection.execute(gate.OWNER, owner).one_or_none() or about
            letter = {
                "provider": provider,
                "webhook_id": webhook_id,
                "attempt_id": about.id,
                "prediction_id": prediction_id,
                "answer": to_json(answer),
                "final": isinstance(answer, Finished | Refused),
            }
            if connection.execute(gate.ARRIVED, letter).one_or_none() is None:
                return []
            return [member(row) for row in connection.execute(gate.WAKE, {"of": [about.asset_id]}).mappings()]


def _write(connection: Connection, hold: Hold, change: Change, keep: timedelta | None) -> Any:
    """The fenced write; None when the row is no longer ours."""
    wait = change.decision.wait
    values: dict[str, Any] = {
        **_fence(hold),
        **_decided(change.decision.asset),
        **(change.result or {}),
        "known_wakes": hold.wakes,
        "wait": wait or timedelta(0),
        "keep": keep,
    }
    if change.begin:
        values |= {"attempt_id": change.begin.id, "account": change.begin.account}
    return connection.execute(gate.WRITE_LAST if wait is None else gate.WRITE, values).one_or_none()


def _fence(hold: Hold) -> dict[str, Any]:
    return {"of": hold.asset_id, "at_version": hold.version}


def _decided(after: Asset) -> dict[str, Any]:
    return {
        "state": after.state,
        "takes": after.takes,
        "tries": after.tries,
        "silences": after.silences,
        "polls": after.polls,
        "timeout_retries": after.timeout_retries,
        "progress": after.progress,
        "clock_started_at": after.clock_started_at,
        "uncertain_since": after.uncertain_since,
        "link_expires_at": after.link_expires_at,
        "waiting": asdict(after.waiting) if after.waiting else None,
        "failure": asdict(after.failure) if after.failure else None,
    }


def _begin(connection: Connection, hold: Hold, intent: NewAttempt) -> Attempt:
    attempt = record_attempt(connection, hold.asset_id, intent)
    if hold.first:
        _mark_running(connection, hold.member.job_id)
    return attempt


def _mark_running(connection: Connection, job_id: UUID) -> None:
    """The job's first intent is its first provider call (R30)."""
    connection.execute(gate.RUNNING, {"of": job_id, "before": JobState.QUEUED, "state": JobState.RUNNING})


def _attempt_and_news(connection: Connection, attempt_id: UUID | None) -> tuple[Attempt | None, News | None]:
    """The current attempt, and the newest webhook about it that came in."""
    if attempt_id is None:
        return None, None
    row = connection.execute(gate.ATTEMPT, {"of": attempt_id}).one()
    attempt = Attempt(
        id=row.id,
        number=row.number,
        model=row.model,
        endpoint=row.endpoint,
        input=row.input,
        receipt=row.answer or {},
        prediction_id=row.prediction_id,
        outputs=tuple(row.outputs or ()),
        estimate_cents=row.estimate_cents,
        intent_at=row.intent_at,
    )
    if row.news_id is None:
        return attempt, None
    return attempt, News(id=row.news_id, prediction_id=row.news_prediction_id, answer=from_json(row.news_answer))


def _needs(connection: Connection, row: RowMapping) -> Needs:
    """What an asset that waits for its turn needs of others; one that has had it is asked for nothing more."""
    if row["state"] != State.WAITING:
        return Needs()
    needed, ahead = list[Needed](), 0
    if row["needs"]:
        found = connection.execute(gate.NEEDED, {"of": [UUID(each) for each in row["needs"]]}).mappings()
        needed = [Needed(**{**each, "state": State(each["state"])}) for each in found]
    if row["kind"] in AT_ONCE:
        place = {"of": row["job_id"], "kind_": row["kind"], "before": row["index"]}
        ahead = connection.execute(gate.AHEAD, place).scalar_one()
    return Needs(assets=tuple(needed), if_failed=IfFailed(row["if_needed_fails"]), ahead=ahead)


def _hold(row: RowMapping, attempt: Attempt | None, news: News | None, needs: Needs, *, taken_at: float) -> Hold:
    return Hold(
        member=member(row),
        owner_id=row["owner_id"],
        kind=row["kind"],
        index=row["index"],
        model=row["model"],
        provider=row["provider"],
        account=row["account"],
        shot=row["shot"],
        needs=needs,
        asset=replace(_asset(row), ordered_at=attempt.intent_at if attempt else None),
        attempt=attempt,
        news=news,
        cancelled=row["cancelled"],
        created_at=row["created_at"],
        owner_weight=row["weight"],
        priority=row["priority"],
        first=row["job_state"] == JobState.QUEUED,
        version=row["version"],
        wakes=row["wakes"],
        taken_at=taken_at,
    )


def _asset(row: RowMapping) -> Asset:
    return Asset(
        state=State(row["state"]),
        takes=row["takes"],
        tries=row["tries"],
        silences=row["silences"],
        polls=row["polls"],
        timeout_retries=row["timeout_retries"],
        progress=row["progress"],
        clock_started_at=row["clock_started_at"],
        uncertain_since=row["uncertain_since"],
        link_expires_at=row["link_expires_at"],
        waiting=Waiting(**{**row["waiting"], "reason": Reason(row["waiting"]["reason"])}) if row["waiting"] else None,
        failure=Failure(**row["failure"]) if row["failure"] else None,
    )
