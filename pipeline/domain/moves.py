"""The moves that the rules of ``decide`` are made of: what an asset becomes, and when somebody looks again."""

from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.domain.answers import ASIDE, IN_LINE, Busy, Reason, Refused, Silent, Working
from pipeline.domain.asset import Asset, Decision, Failure, Policy, State, Waiting
from pipeline.domain.timing import backoff, next_look, pause

NOW = timedelta(0)

_MAYBE_SPENT = (
    "the order got no clear answer, and the provider has no way to find out what became of it: "
    "it is booked as spent; retry the clip to buy it again"
)


def cleared(asset: Asset) -> Asset:
    """The world spoke plainly: no silence is being counted and nothing holds the asset."""
    return replace(asset, silences=0, waiting=None)


def untried(asset: Asset) -> Asset:
    """Nothing was bought, so the attempt does not count against the limit."""
    return replace(asset, tries=max(asset.tries - 1, 0))


def submitting(asset: Asset, now: datetime) -> Decision:
    """It has a slot: another attempt begins."""
    begun = replace(asset, state=State.SUBMITTING, takes=asset.takes + 1, tries=asset.tries + 1)
    return Decision(asset=replace(begun, waiting=None, ordered_at=now), wait=NOW)


def rendering(asset: Asset, now: datetime, *, wait: timedelta, parked: bool = False) -> Decision:
    """It was taken over there; its clock begins, and the looks at it are counted anew."""
    begun = replace(
        cleared(asset),
        state=State.RENDERING,
        polls=0,
        clock_started_at=now,
        uncertain_since=None,
        failure=None,
    )
    return Decision(asset=begun, wait=wait, parked=parked, exact=True)


def fetching(asset: Asset, policy: Policy, now: datetime) -> Decision:
    """It is finished over there, and its file is to come home before the link to it expires."""
    linked = replace(cleared(asset), state=State.FETCHING, link_expires_at=now + policy.output_life)
    return Decision(asset=linked, wait=NOW)


def cancelling(asset: Asset) -> Decision:
    """Looks are counted from here anew: a provider that never lets go is given up at some point."""
    return Decision(asset=replace(cleared(asset), state=State.CANCELLING, polls=0), wait=NOW)


def watched(asset: Asset, answer: Working, policy: Policy, now: datetime) -> Decision:
    """It is at work, or queued, over there: what that shows, and when to look again."""
    seen = replace(
        cleared(asset),
        polls=asset.polls + 1,
        progress=max(asset.progress, min(answer.progress or 0, 99)),
        # Time in the provider's own queue does not eat the clip's limit (R24).
        clock_started_at=now if answer.queued else asset.clock_started_at,
        waiting=Waiting(reason=Reason.PROVIDER_QUEUE) if answer.queued else None,
    )
    if answer.queued and now - (asset.ordered_at or now) > policy.queue_limit:
        return cancelling(replace(seen, failure=_never_begun(policy)))
    wait = next_look(policy, now - (seen.clock_started_at or now), looks=seen.polls, queued=answer.queued)
    return replace(within_limits(seen, policy, now, wait=wait), parked=policy.reported, exact=True)


def _never_begun(policy: Policy) -> Failure:
    hours = policy.queue_limit.total_seconds() / 3600
    message = f"the provider did not begin with it within {hours:g} h of the order; it was given up"
    return Failure(code="queued_too_long", message=message, retryable=True)


def vanished(asset: Asset, answer: Refused, policy: Policy, now: datetime) -> Decision:
    """What was accepted is looked for a while, since views lag behind; then it fails, and is not bought anew."""
    unseen = replace(asset, silences=asset.silences + 1)
    if unseen.silences > policy.max_vanished:
        return failed(unseen, answer)
    return within_limits(unseen, policy, now, wait=backoff(policy, unseen.silences, least=policy.poll_min))


def within_limits(asset: Asset, policy: Policy, now: datetime, *, wait: timedelta) -> Decision:
    """Keep asking for the same prediction past its time limit (R12); past the hard limit, cancel it and fail."""
    elapsed = now - (asset.clock_started_at or now)
    if elapsed > policy.hard_limit:
        late = Failure(
            code="timed_out",
            message=f"the provider did not finish within {policy.hard_limit.total_seconds():.0f} s; it was given up",
            retryable=True,
        )
        return cancelling(replace(asset, failure=late))
    overruns = int(elapsed / policy.time_limit)
    return Decision(asset=replace(asset, timeout_retries=max(asset.timeout_retries, overruns)), wait=wait)


def told_to_wait(asset: Asset, answer: Busy, policy: Policy) -> Decision:
    """Back into line, for as long as was told."""
    waiting = Waiting(reason=answer.reason, place=answer.place, about_seconds=answer.about_seconds)
    held = replace(asset, state=State.WAITING, waiting=waiting)
    if answer.reason in {*IN_LINE, *ASIDE}:
        return Decision(asset=held, wait=policy.parked, parked=True)
    # Whoever finds the model well again wakes all others, and the sweeper wakes him.
    return Decision(asset=held, wait=pause(answer, policy), parked=answer.reason is Reason.BREAKER)


def not_heard(asset: Asset, answer: Silent, policy: Policy) -> Decision:
    """Nobody answered: tried again after ever longer pauses, and in the end given up."""
    unheard = replace(asset, state=State.WAITING, silences=asset.silences + 1)
    if unheard.silences > policy.max_silences:
        return failed(unheard, Refused(code="provider_unreachable", message=answer.message, retryable=True))
    pause = backoff(policy, unheard.silences)
    waiting = Waiting(reason=Reason.RETRY, about_seconds=pause.total_seconds())
    return Decision(asset=replace(unheard, waiting=waiting), wait=pause)


def fetch_again(asset: Asset, message: str, policy: Policy) -> Decision:
    """A failed fetch is fetched again, not rendered again (R63)."""
    unheard = replace(asset, silences=asset.silences + 1)
    if unheard.silences >= policy.max_fetches:
        return failed(unheard, Refused(code="fetch_failed", message=message, retryable=True))
    return Decision(asset=unheard, wait=backoff(policy, unheard.silences))


def still_uncertain(asset: Asset, policy: Policy, now: datetime) -> Decision:
    """Nothing proves yet what became of an order: asked on, until it counts as spent where nothing ever will."""
    doubtful = now - (asset.uncertain_since or now)
    if policy.spent_after is not None and doubtful > policy.spent_after:
        # Nothing will ever prove it, and the order has had its time: its slot is for others now.
        return failed(asset, Refused(code="maybe_spent", message=_MAYBE_SPENT, retryable=True))
    unheard = replace(asset, silences=asset.silences + 1)
    if doubtful > max(policy.ask_person_after, policy.hard_limit):
        unheard = replace(unheard, waiting=Waiting(reason=Reason.NEEDS_PERSON))
    return Decision(asset=unheard, wait=max(policy.settle_every, backoff(policy, unheard.silences)))


def again_or_failed(asset: Asset, answer: Refused, policy: Policy) -> Decision:
    """A new attempt where one can cure it and one is left (R44); else the end."""
    if not answer.retryable or asset.tries >= policy.max_tries:
        return failed(asset, answer)
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


def failed(asset: Asset, answer: Refused) -> Decision:
    """The end, and why."""
    failure = Failure(code=answer.code, message=answer.message, retryable=answer.retryable)
    return over(replace(asset, failure=failure), State.FAILED)


def over(asset: Asset, end: State) -> Decision:
    """The end; nothing holds it any more."""
    return Decision(asset=replace(cleared(asset), state=end), wait=None)
