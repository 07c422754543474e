"""What an asset becomes when the world answers: ``decide``, the one function that moves a state.

Pure and total over the table in ``docs/architecture.md``: no clock, no dice, no I/O. A pair that the table leaves
empty is a bug in the caller and raises ``ImpossibleAnswer``; jitter is added by the shell.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.domain.answers import (
    ASIDE,
    IN_LINE,
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
    Withdrawn,
    Working,
)
from pipeline.domain.asset import TERMINAL, Asset, Decision, Failure, Policy, State, Waiting
from pipeline.domain.errors import ImpossibleAnswer
from pipeline.domain.timing import backoff, in_turn, next_look, pause

NOW = timedelta(0)

_MAYBE_SPENT = (
    "the order got no clear answer, and the provider has no way to find out what became of it: "
    "it is booked as spent; retry the clip to buy it again"
)


def decide(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    """Move an asset by one answer; a terminal asset stays what it is, whatever is said."""
    if asset.state in TERMINAL:
        return Decision(asset=asset, wait=None)
    return _RULES[asset.state](asset, answer, policy, now)


def _from_waiting(asset: Asset, answer: Answer, policy: Policy, _now: datetime) -> Decision:
    match answer:
        case Granted():
            # Silences stay counted: a slot is the limiter's word, and the provider has not spoken.
            begun = replace(asset, state=State.SUBMITTING, takes=asset.takes + 1, tries=asset.tries + 1, waiting=None)
            return Decision(asset=begun, wait=NOW)
        case Busy():
            return _told_to_wait(asset, answer, policy)
        case Silent():
            return _unheard(asset, answer, policy)
        case Refused():
            return _failed(asset, answer)
        case Rerouted():
            return Decision(asset=asset.elsewhere, wait=NOW)
        case Finished():
            # The last attempt was given up too early; its result is here, and paid for.
            return Decision(asset=replace(_cleared(asset), state=State.FETCHING, failure=None), wait=NOW)
        case Withdrawn(code=code, message=message):
            why = Failure(code=code, message=message, retryable=True) if code else asset.failure
            return _over(replace(asset, failure=why), State.CANCELLED)
        case _:
            raise _impossible(asset, answer)


def _from_submitting(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Accepted():
            return _rendering(asset, now, wait=next_look(policy, NOW, looks=0), parked=policy.reported)
        case Finished():
            return Decision(asset=replace(_cleared(asset), state=State.FETCHING), wait=NOW)
        case Refused():
            return _again_or_failed(asset, answer, policy)
        case Rerouted():
            return Decision(asset=asset.elsewhere, wait=NOW)
        case Busy():
            return _told_to_wait(replace(_untried(asset), silences=0), answer, policy)
        case Silent():
            return _unheard(_untried(asset), answer, policy)
        case Unknown():
            doubtful = replace(_cleared(asset), state=State.UNCERTAIN, uncertain_since=now)
            return Decision(asset=doubtful, wait=NOW)
        case Withdrawn():
            return _over(asset, State.CANCELLED)
        case _:
            raise _impossible(asset, answer)


def _from_uncertain(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Accepted() | Working():
            # It may have been at work for long, and even be over.
            return _rendering(asset, now, wait=policy.poll_first)
        case Finished():
            return Decision(asset=replace(_cleared(asset), state=State.FETCHING), wait=NOW)
        case Refused():
            return _again_or_failed(asset, answer, policy)
        case Busy():
            return Decision(asset=asset, wait=pause(answer, policy))
        case Withdrawn() if asset.waiting and asset.waiting.reason is Reason.NEEDS_PERSON:
            # Nobody can prove anything any more, and nobody wants it any more: it is booked as spent.
            return _over(asset, State.CANCELLED)
        case Silent() | Unknown() | Withdrawn():
            return _still_uncertain(asset, policy, now)
        case _:
            raise _impossible(asset, answer)


def _from_rendering(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Working():
            return _watched(asset, answer, policy, now)
        case Finished():
            return Decision(asset=replace(_cleared(asset), state=State.FETCHING), wait=NOW)
        case Refused(code="lost"):
            return _vanished(asset, answer, policy, now)
        case Refused():
            return _again_or_failed(asset, answer, policy)
        case Busy():
            held = replace(asset, waiting=Waiting(reason=answer.reason, about_seconds=answer.wait_seconds))
            return _within_limits(held, policy, now, wait=pause(answer, policy))
        case Silent():
            unheard = replace(asset, silences=asset.silences + 1)
            return _within_limits(unheard, policy, now, wait=backoff(policy, unheard.silences, least=policy.poll_min))
        case Withdrawn():
            return _cancelling(asset)
        case _:
            raise _impossible(asset, answer)


def _from_cancelling(asset: Asset, answer: Answer, policy: Policy, _now: datetime) -> Decision:
    end = State.FAILED if asset.failure else State.CANCELLED
    match answer:
        case Finished():
            # It was paid for, so it is kept.
            return Decision(asset=replace(_cleared(asset), state=State.FETCHING, failure=None), wait=NOW)
        case Refused():
            return _over(asset, end)
        case Working():
            again = replace(asset, polls=asset.polls + 1)
            if again.polls > policy.max_silences:
                return _over(again, end)
            return Decision(asset=again, wait=in_turn(policy, again.polls))
        case Busy():
            return Decision(asset=asset, wait=pause(answer, policy))
        case Silent():
            unheard = replace(asset, silences=asset.silences + 1)
            if unheard.silences > policy.max_silences:
                return _over(unheard, end)
            return Decision(asset=unheard, wait=backoff(policy, unheard.silences, least=policy.poll_min))
        case Withdrawn():
            return Decision(asset=asset, wait=NOW)
        case _:
            raise _impossible(asset, answer)


def _from_fetching(asset: Asset, answer: Answer, policy: Policy, _now: datetime) -> Decision:
    match answer:
        case Stored():
            done = replace(_cleared(asset), state=State.DONE, progress=100, failure=None)
            return Decision(asset=done, wait=None)
        case Refused():
            # The prediction was paid for: to buy another is the customer's decision, not ours.
            return _failed(asset, answer)
        case Busy():
            return Decision(asset=asset, wait=pause(answer, policy))
        case Silent():
            return _fetch_again(asset, answer.message, policy)
        case Finished():
            # The old links were dead and these are fresh; it counts as a try, so that this ends.
            return _fetch_again(asset, "the provider's links are dead", policy)
        case Withdrawn():
            return _over(asset, State.CANCELLED)
        case _:
            raise _impossible(asset, answer)


_RULES: dict[State, Callable[[Asset, Answer, Policy, datetime], Decision]] = {
    State.WAITING: _from_waiting,
    State.SUBMITTING: _from_submitting,
    State.UNCERTAIN: _from_uncertain,
    State.RENDERING: _from_rendering,
    State.CANCELLING: _from_cancelling,
    State.FETCHING: _from_fetching,
}


def _cleared(asset: Asset) -> Asset:
    """The world spoke plainly: no silence is being counted and nothing holds the asset."""
    return replace(asset, silences=0, waiting=None)


def _untried(asset: Asset) -> Asset:
    """Nothing was bought, so the attempt does not count against the limit."""
    return replace(asset, tries=max(asset.tries - 1, 0))


def _rendering(asset: Asset, now: datetime, *, wait: timedelta, parked: bool = False) -> Decision:
    begun = replace(
        _cleared(asset),
        state=State.RENDERING,
        polls=0,
        clock_started_at=now,
        uncertain_since=None,
        failure=None,
    )
    return Decision(asset=begun, wait=wait, parked=parked, exact=True)


def _cancelling(asset: Asset) -> Decision:
    """Looks are counted from here anew: a provider that never lets go is given up at some point."""
    return Decision(asset=replace(_cleared(asset), state=State.CANCELLING, polls=0), wait=NOW)


def _watched(asset: Asset, answer: Working, policy: Policy, now: datetime) -> Decision:
    seen = replace(
        _cleared(asset),
        polls=asset.polls + 1,
        progress=max(asset.progress, min(answer.progress or 0, 99)),
        # Time in the provider's own queue does not eat the clip's limit (R24).
        clock_started_at=now if answer.queued else asset.clock_started_at,
        waiting=Waiting(reason=Reason.PROVIDER_QUEUE) if answer.queued else None,
    )
    wait = next_look(policy, now - (seen.clock_started_at or now), looks=seen.polls, queued=answer.queued)
    return replace(_within_limits(seen, policy, now, wait=wait), parked=policy.reported, exact=True)


def _vanished(asset: Asset, answer: Refused, policy: Policy, now: datetime) -> Decision:
    """What was accepted is looked for a while, since views lag behind; then it fails, and is not bought anew."""
    unseen = replace(asset, silences=asset.silences + 1)
    if unseen.silences > policy.max_vanished:
        return _failed(unseen, answer)
    return _within_limits(unseen, policy, now, wait=backoff(policy, unseen.silences, least=policy.poll_min))


def _within_limits(asset: Asset, policy: Policy, now: datetime, *, wait: timedelta) -> Decision:
    """Keep asking for the same prediction past its time limit (R12); past the hard limit, cancel it and fail."""
    elapsed = now - (asset.clock_started_at or now)
    if elapsed > policy.hard_limit:
        late = Failure(
            code="timed_out",
            message=f"the provider did not finish within {policy.hard_limit.total_seconds():.0f} s; it was cancelled",
            retryable=True,
        )
        return _cancelling(replace(asset, failure=late))
    overruns = int(elapsed / policy.time_limit)
    return Decision(asset=replace(asset, timeout_retries=max(asset.timeout_retries, overruns)), wait=wait)


def _told_to_wait(asset: Asset, answer: Busy, policy: Policy) -> Decision:
    waiting = Waiting(reason=answer.reason, place=answer.place, about_seconds=answer.about_seconds)
    held = replace(asset, state=State.WAITING, waiting=waiting)
    if answer.reason in {*IN_LINE, *ASIDE}:
        return Decision(asset=held, wait=policy.parked, parked=True)
    # Whoever finds the model well again wakes all others, and the sweeper wakes him.
    return Decision(asset=held, wait=pause(answer, policy), parked=answer.reason is Reason.BREAKER)


def _unheard(asset: Asset, answer: Silent, policy: Policy) -> Decision:
    unheard = replace(asset, state=State.WAITING, silences=asset.silences + 1)
    if unheard.silences > policy.max_silences:
        return _failed(unheard, Refused(code="provider_unreachable", message=answer.message, retryable=True))
    pause = backoff(policy, unheard.silences)
    waiting = Waiting(reason=Reason.RETRY, about_seconds=pause.total_seconds())
    return Decision(asset=replace(unheard, waiting=waiting), wait=pause)


def _fetch_again(asset: Asset, message: str, policy: Policy) -> Decision:
    """A failed fetch is fetched again, not rendered again (R63)."""
    unheard = replace(asset, silences=asset.silences + 1)
    if unheard.silences >= policy.max_fetches:
        return _failed(unheard, Refused(code="fetch_failed", message=message, retryable=True))
    return Decision(asset=unheard, wait=backoff(policy, unheard.silences))


def _still_uncertain(asset: Asset, policy: Policy, now: datetime) -> Decision:
    doubtful = now - (asset.uncertain_since or now)
    if policy.spent_after is not None and doubtful > policy.spent_after:
        # Nothing will ever prove it, and the order has had its time: its slot is for others now.
        return _failed(asset, Refused(code="maybe_spent", message=_MAYBE_SPENT, retryable=True))
    unheard = replace(asset, silences=asset.silences + 1)
    if doubtful > policy.ask_person_after:
        unheard = replace(unheard, waiting=Waiting(reason=Reason.NEEDS_PERSON))
    return Decision(asset=unheard, wait=max(policy.settle_every, backoff(policy, unheard.silences)))


def _again_or_failed(asset: Asset, answer: Refused, policy: Policy) -> Decision:
    """A new attempt where one can cure it and one is left (R44); else the end."""
    if not answer.retryable or asset.tries >= policy.max_tries:
        return _failed(asset, answer)
    pause = backoff(policy, asset.tries)
    again = replace(
        asset,
        state=State.WAITING,
        silences=0,
        clock_started_at=None,
        uncertain_since=None,
        failure=Failure(code=answer.code, message=answer.message, retryable=True),
        waiting=Waiting(reason=Reason.RETRY, about_seconds=pause.total_seconds()),
    )
    return Decision(asset=again, wait=pause)


def _failed(asset: Asset, answer: Refused) -> Decision:
    failure = Failure(code=answer.code, message=answer.message, retryable=answer.retryable)
    return _over(replace(asset, failure=failure), State.FAILED)


def _over(asset: Asset, end: State) -> Decision:
    return Decision(asset=replace(_cleared(asset), state=end), wait=None)


def _impossible(asset: Asset, answer: Answer) -> ImpossibleAnswer:
    return ImpossibleAnswer(f"{type(answer).__name__} can't be said of an asset that is {asset.state}")
