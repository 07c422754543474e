"""One step of one asset: gather, decide, apply. Whoever calls it - a start, a wake, a sweep - gets the same.

Nobody waits in here: a step claims the row, asks the world one thing at a time with no transaction open, writes what
came of it behind the fence, and says how long until somebody should look again.
"""

import random
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from pipeline import logs, metrics
from pipeline.ask import ask
from pipeline.domain.answers import (
    Accepted,
    Answer,
    Busy,
    Finished,
    Granted,
    Reason,
    Refused,
    Rerouted,
    Silent,
    Stored,
    Unknown,
)
from pipeline.domain.asset import TERMINAL, Decision, State
from pipeline.domain.attempt import NewAttempt, attempt_id, consequence, stored_values
from pipeline.domain.decide import decide
from pipeline.domain.errors import DayIsSpent, OverBudget, StaleClaim, Unavailable
from pipeline.domain.events import ClipRef, Event, EventType, changes, clip_rerouted
from pipeline.domain.hold import Change, Hold, NotClaimed
from pipeline.domain.job import Status
from pipeline.domain.moves import NOW
from pipeline.domain.needs import AT_ONCE
from pipeline.domain.order import compose_input
from pipeline.inputs import whole_shot
from pipeline.keeper import kept
from pipeline.places import told_with_places
from pipeline.services import Services
from pipeline.turn import moved_on, turn

# How long a dead worker's row stays closed; a living one extends it while a slow call is under way.
CLAIM = timedelta(seconds=15)
# A step that keeps having something to do at once hands over to the next message at some point.
_MAX_MOVES = 6
_MAX_COUNTDOWN = timedelta(seconds=60)
_MAX_SEED = 2**31
_ENDS = frozenset({Status.COMPLETE, Status.FAILED, Status.CANCELLED})
_LOG = logs.get(__name__)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of the message: ``over``: its asset has ended; ``countdown``: look again then; neither: drop it."""

    over: bool = False
    countdown: timedelta | None = None


_DROP = Verdict()
_OVER = Verdict(over=True)


@dataclass
class _Aftermath:
    """What a step leaves to be done when it is over: who is to hear of it, and who got the slot that it freed."""

    news: list[Event] = field(default_factory=list)
    heir: UUID | None = None


def step(services: Services, asset_id: UUID, *, inherits: bool = False, fetches: bool = True) -> Verdict:
    """Take one asset as far as it goes without waiting. Raises only for our own bugs, and then lets go of the row.

    The slot that it frees goes to the next asset, whose step is taken here too; with ``inherits`` this is that step.
    Without ``fetches`` a file is left to those who fetch: their message is on its way.
    """
    hold = services.store.steps.claim(asset_id, CLAIM, fetches=fetches)
    if isinstance(hold, NotClaimed):
        return _OVER if hold.over else _DROP
    logs.bind(job_id=hold.member.job_id, asset_id=asset_id, index=hold.index)
    left = _Aftermath()
    verdict = _moves(services, hold, left)
    if left.heir:
        _hand_on(services, left.heir, wake_only=inherits)
    # Watchers hear of a step when it is over: no order waits for them.
    _tell(services, hold, left.news)
    return verdict


def _hand_on(services: Services, heir: UUID, *, wake_only: bool) -> None:
    """Go on with whoever got the freed slot, since this worker is awake; a message would cost the slot milliseconds."""
    with _courtesy():
        if wake_only:
            services.wake([heir])
            return
        members = services.store.steps.wake([heir])
        verdict = step(services, heir, inherits=True)
        if verdict.over or verdict.countdown is not None:
            services.carrier.members(members, delay=verdict.countdown or NOW)


def _moves(services: Services, hold: Hold, left: _Aftermath) -> Verdict:
    """Move after move, until the asset has to wait or is over."""
    answer: Answer | None = None
    for _ in range(_MAX_MOVES):
        try:
            hold, answer, verdict = _move(services, hold, left, fresh=isinstance(answer, Granted))
        except StaleClaim:
            metrics.STALE_CLAIMS.inc()
            return _DROP
        except Exception:
            services.store.steps.let_go(hold, CLAIM)
            _step_aside(services, hold)
            raise
        if verdict:
            return verdict
    services.store.steps.let_go(hold, NOW)
    return Verdict(countdown=NOW)


def _move(services: Services, hold: Hold, left: _Aftermath, *, fresh: bool) -> tuple[Hold, Answer, Verdict | None]:
    """Ask, decide, apply once; a Verdict when the asset now has to wait or is over."""
    before = hold
    extend = partial(services.store.steps.extend, hold, CLAIM)
    with kept(extend, CLAIM), metrics.STEP_SECONDS.labels(state=before.asset.state).time():
        answer = ask(services, hold, fresh=fresh)
    answer, decision, hold, events, woken = _written(services, before, answer)
    metrics.STEPS.labels(state=before.asset.state, answer=type(answer).__name__).inc()
    left.news += events
    _follow_up(services, before, hold, answer, left)
    if decision.wait is None:
        return hold, answer, _OVER
    if _comes_home(before, decision):
        # The slot is free and others wait for this worker; whoever fetches takes it from here.
        expires_at = decision.asset.link_expires_at
        services.carrier.members([replace(hold.member, fetching=True, link_expires_at=expires_at)])
        return hold, answer, _DROP
    if isinstance(answer, Rerouted):
        # Whoever works for that provider goes on; this worker may not have its key.
        services.carrier.members([replace(hold.member, provider=answer.provider)])
        return hold, answer, _DROP
    if decision.wait == NOW:
        return hold, answer, None
    if woken:
        return hold, answer, Verdict(countdown=NOW)
    # The broker would hand a message that is held for longer out again; the sweeper publishes what is due.
    late = decision.parked or decision.wait > _MAX_COUNTDOWN
    return hold, answer, _DROP if late else Verdict(countdown=decision.wait)


def _written(services: Services, before: Hold, answer: Answer) -> tuple[Answer, Decision, Hold, Sequence[Event], bool]:
    """Decide and write it down; an attempt that the budget does not bear is a no, and its slot goes to the next."""
    decision = _jittered(decide(before.asset, answer, services.policy(before.model), services.now()))
    goes_on = decision.wait == NOW and not _comes_home(before, decision) and not isinstance(answer, Rerouted)
    change = _change(services, before, answer, decision)
    try:
        after, events, woken = services.store.steps.apply(before, change, keep=CLAIM if goes_on else None)
    except (OverBudget, DayIsSpent) as spent:
        if isinstance(answer, Granted):
            turn(services, before.provider, release=[(answer.account, before.slot)])
        return _written(services, before, _unaffordable(spent))
    except StaleClaim:
        _keep_knowledge(services, before, answer)
        raise
    return answer, decision, after, events, woken


def _unaffordable(spent: OverBudget | DayIsSpent) -> Refused | Busy:
    """A job's budget does not come back, a day's does."""
    if isinstance(spent, DayIsSpent):
        return Busy(reason=Reason.BUDGET, wait_seconds=spent.wait_seconds, about_seconds=spent.wait_seconds)
    return Refused(code="over_budget", message=spent.detail)


def _comes_home(before: Hold, decision: Decision) -> bool:
    return decision.asset.state is State.FETCHING and before.asset.state is not State.FETCHING


def _change(services: Services, hold: Hold, answer: Answer, decision: Decision) -> Change:
    """Everything this move writes."""
    clip = ClipRef(job_id=str(hold.member.job_id), clip_id=str(hold.asset_id), index=hold.index, kind=hold.kind)
    stored = answer if isinstance(answer, Stored) else None
    attempt = consequence(hold.asset.state, answer, decision)
    read = hold.news if hold.news and answer is hold.news.answer else None
    if attempt and read:
        attempt = replace(attempt, values={**attempt.values, "prediction_id": read.prediction_id})
    return Change(
        decision=decision,
        begin=_begin(services, hold, decision, answer.account) if isinstance(answer, Granted) else None,
        attempt=attempt,
        result=_result(stored) if stored else _redirected(answer),
        picture=stored.picture if stored else None,
        events=_told(clip, hold, answer, decision, stored),
        read=read,
    )


def _begin(services: Services, hold: Hold, decision: Decision, account: str) -> NewAttempt:
    """The intent. Our own seed makes its input unlike any other, so that it can be found again."""
    shot = whole_shot(services, hold)
    model = services.catalogue.model(hold.model)
    seed = shot.seed if shot.seed is not None else secrets.randbelow(_MAX_SEED)
    number = decision.asset.takes
    return NewAttempt(
        id=attempt_id(hold.asset_id, number),
        number=number,
        owner_id=hold.owner_id,
        job_id=hold.member.job_id,
        provider=hold.provider,
        account=account,
        model=hold.model,
        prompt=shot.prompt,
        seed=seed if model.seed_field else None,
        endpoint=model.endpoint(shot.mode),
        input=compose_input(model, shot, seed=seed),
        estimate_cents=shot.estimate_cents,
        most_today_cents=services.settings.owner_day_budget_cents,
    )


def _result(stored: Stored) -> dict[str, object]:
    return {**stored_values(stored), "words": stored.words}


def _told(clip: ClipRef, hold: Hold, answer: Answer, decision: Decision, stored: Stored | None) -> Sequence[Event]:
    """What watchers hear of this move."""
    if isinstance(answer, Rerouted):
        return (*changes(clip, hold.asset, decision.asset), clip_rerouted(clip, hold.model, answer))
    return changes(
        clip,
        hold.asset,
        decision.asset,
        key=stored.key if stored else None,
        duration_seconds=stored.duration_seconds if stored else None,
        thumbnail_key=stored.picture.key if stored and stored.picture else None,
    )


def _redirected(answer: Answer) -> dict[str, object] | None:
    """What a clip is asked for from now on; the attempt that it leaves behind is none of its any more."""
    if not isinstance(answer, Rerouted):
        return None
    place = {"model": answer.model, "provider": answer.provider, "account": answer.account}
    return {**place, "shot": answer.shot, "needs": list(answer.needs), "attempt_id": None}


def _follow_up(services: Services, before: Hold, after: Hold, answer: Answer, left: _Aftermath) -> None:
    """What follows a commit: the slot goes to the next in line, media work that is left begins."""
    with _courtesy():
        left.heir = moved_on(services, before, after, answer) or left.heir
        if isinstance(answer, Rerouted):
            turn(services, before.provider, leave=[before.asset_id])
        if after.asset.state is State.FAILED and isinstance(answer, Refused | Silent | Unknown):
            _LOG.warning("clip.failed", model=before.model, failure=after.asset.failure, takes=after.asset.takes)
        if isinstance(answer, Stored) and not answer.picture and before.kind == "video":
            services.carrier.thumbnail(before.asset_id)
        services.wake(_set_free(services, before, after))


def _set_free(services: Services, before: Hold, after: Hold) -> list[UUID]:
    """Those of the job who waited for this asset to end, or for its place among its kind."""
    free: list[UUID] = []
    if after.asset.state in TERMINAL and before.shot.get("gives"):
        free += services.store.waits.needing(before.asset_id, before.member.job_id)
    if before.kind in AT_ONCE and before.asset.under_way and not after.asset.under_way:
        free += services.store.waits.next_of_kind(before.member.job_id, before.kind)
    return free


def _tell(services: Services, hold: Hold, news: list[Event]) -> None:
    """Tell watchers what the step did; and how far the job is, where that has changed."""
    with _courtesy():
        if any(event.type is EventType.VIDEO_PROGRESS and _counts(event) for event in news):
            news = [*news, *services.job_progress(hold.member.job_id, hold.owner_id)]
        services.tell(told_with_places(services, hold.provider, news))


def _counts(event: Event) -> bool:
    """Whether a job's percentage or its counts can be others than before."""
    return event.payload["progress"] > 0 or event.payload["status"] in _ENDS


@contextmanager
def _courtesy() -> Iterator[None]:
    """What is committed stays committed, whatever happens to those who should hear of it; the sweeper tells them."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a courtesy that fails must not undo a step that was taken
        _LOG.exception("step.follow_up_failed")
        metrics.STEP_ERRORS.labels(error=type(error).__name__).inc()


def _step_aside(services: Services, hold: Hold) -> None:
    """Whoever can't be served must not stand before those who can."""
    with suppress(Unavailable):
        turn(services, hold.provider, leave=[hold.asset_id])


def _keep_knowledge(services: Services, hold: Hold, answer: Answer) -> None:
    """A claim that was lost loses us the decision, never the id of something that was paid for."""
    if isinstance(answer, Accepted | Finished) and hold.attempt and answer.prediction_id:
        services.store.steps.adopt(hold.attempt.id, answer.prediction_id)


def _jittered(decision: Decision) -> Decision:
    """Up to a tenth longer, so that assets that were held together do not come back together."""
    if not decision.wait or decision.exact:
        return decision
    return replace(decision, wait=decision.wait * random.uniform(1.0, 1.1))  # noqa: S311 - dice, not secrets
