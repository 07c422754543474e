"""What an asset becomes when the world answers: ``decide``, the one function that moves a state.

Pure and total over the table in ``docs/architecture.md``: no clock, no dice, no I/O. A pair that the table leaves
empty is a bug in the caller and raises ``ImpossibleAnswer``; jitter is added by the shell.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

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
    Withdrawn,
    Working,
)
from pipeline.domain.asset import TERMINAL, Asset, Decision, Failure, Policy, State, Waiting
from pipeline.domain.errors import ImpossibleAnswer
from pipeline.domain.moves import (
    NOW,
    again_or_failed,
    cancelling,
    cleared,
    failed,
    fetch_again,
    fetching,
    not_heard,
    over,
    rendering,
    still_uncertain,
    submitting,
    told_to_wait,
    untried,
    vanished,
    watched,
    within_limits,
)
from pipeline.domain.timing import backoff, in_turn, next_look, pause


def decide(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    """Move an asset by one answer; a terminal asset stays what it is, whatever is said."""
    if asset.state in TERMINAL:
        return Decision(asset=asset, wait=None)
    return _RULES[asset.state](asset, answer, policy, now)


def _from_waiting(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Granted():
            # Silences stay counted: a slot is the limiter's word, and the provider has not spoken.
            return submitting(asset, now)
        case Busy():
            return told_to_wait(asset, answer, policy)
        case Silent():
            return not_heard(asset, answer, policy)
        case Refused():
            return failed(asset, answer)
        case Rerouted():
            return Decision(asset=asset.elsewhere, wait=NOW)
        case Finished():
            # The last attempt was given up too early; its result is here, and paid for.
            return fetching(replace(asset, failure=None), policy, now)
        case Withdrawn(code=code, message=message):
            why = Failure(code=code, message=message, retryable=True) if code else asset.failure
            return over(replace(asset, failure=why), State.CANCELLED)
        case _:
            raise _impossible(asset, answer)


def _from_submitting(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Accepted():
            return rendering(asset, now, wait=next_look(policy, NOW, looks=0), parked=policy.reported)
        case Finished():
            return fetching(asset, policy, now)
        case Refused():
            return again_or_failed(asset, answer, policy)
        case Rerouted():
            return Decision(asset=asset.elsewhere, wait=NOW)
        case Busy():
            return told_to_wait(replace(untried(asset), silences=0), answer, policy)
        case Silent():
            return not_heard(untried(asset), answer, policy)
        case Unknown():
            doubtful = replace(cleared(asset), state=State.UNCERTAIN, uncertain_since=now)
            return Decision(asset=doubtful, wait=NOW)
        case Withdrawn():
            return over(asset, State.CANCELLED)
        case _:
            raise _impossible(asset, answer)


def _from_uncertain(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Accepted() | Working():
            # It may have been at work for long, and even be over.
            return rendering(asset, now, wait=policy.poll_first)
        case Finished():
            return fetching(asset, policy, now)
        case Refused():
            return again_or_failed(asset, answer, policy)
        case Rerouted():
            return Decision(asset=asset.elsewhere, wait=NOW)
        case Busy():
            return Decision(asset=asset, wait=pause(answer, policy))
        case Withdrawn() if asset.waiting and asset.waiting.reason is Reason.NEEDS_PERSON:
            # Nobody can prove anything any more, and nobody wants it any more: it is booked as spent.
            return over(asset, State.CANCELLED)
        case Silent() | Unknown() | Withdrawn():
            return still_uncertain(asset, policy, now)
        case _:
            raise _impossible(asset, answer)


def _from_rendering(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Working():
            return watched(asset, answer, policy, now)
        case Finished():
            return fetching(asset, policy, now)
        case Refused(code="lost"):
            return vanished(asset, answer, policy, now)
        case Refused():
            return again_or_failed(asset, answer, policy)
        case Busy():
            held = replace(asset, waiting=Waiting(reason=answer.reason, about_seconds=answer.wait_seconds))
            return within_limits(held, policy, now, wait=pause(answer, policy))
        case Silent():
            unheard = replace(asset, silences=asset.silences + 1)
            return within_limits(unheard, policy, now, wait=backoff(policy, unheard.silences, least=policy.poll_min))
        case Withdrawn():
            return cancelling(asset)
        case _:
            raise _impossible(asset, answer)


def _from_cancelling(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    end = State.FAILED if asset.failure else State.CANCELLED
    match answer:
        case Finished():
            # It was paid for, so it is kept.
            return fetching(replace(asset, failure=None), policy, now)
        case Refused():
            return over(asset, end)
        case Working():
            again = replace(asset, polls=asset.polls + 1)
            if again.polls > policy.max_silences:
                return over(again, end)
            return Decision(asset=again, wait=in_turn(policy, again.polls))
        case Busy():
            return Decision(asset=asset, wait=pause(answer, policy))
        case Silent():
            unheard = replace(asset, silences=asset.silences + 1)
            if unheard.silences > policy.max_silences:
                return over(unheard, end)
            return Decision(asset=unheard, wait=backoff(policy, unheard.silences, least=policy.poll_min))
        case Withdrawn():
            return Decision(asset=asset, wait=NOW)
        case _:
            raise _impossible(asset, answer)


def _from_fetching(asset: Asset, answer: Answer, policy: Policy, now: datetime) -> Decision:
    match answer:
        case Stored():
            done = replace(cleared(asset), state=State.DONE, progress=100, failure=None)
            return Decision(asset=done, wait=None)
        case Refused():
            # The prediction was paid for: to buy another is the customer's decision, not ours.
            return failed(asset, answer)
        case Busy():
            return Decision(asset=asset, wait=pause(answer, policy))
        case Silent():
            return fetch_again(asset, answer.message, policy)
        case Finished():
            # The old links were dead and these are fresh; it counts as a try, so that this ends.
            linked = replace(asset, link_expires_at=now + policy.output_life)
            return fetch_again(linked, "the provider's links are dead", policy)
        case Withdrawn():
            return over(asset, State.CANCELLED)
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


def _impossible(asset: Asset, answer: Answer) -> ImpossibleAnswer:
    return ImpossibleAnswer(f"{type(answer).__name__} can't be said of an asset that is {asset.state}")
