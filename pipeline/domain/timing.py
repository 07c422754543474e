"""When to look at a prediction: seldom while it can't be over, often while it is likely to be, then ever later.

What is likely comes from the times that the model took lately, as quantiles. Looking costs requests, and looking late
costs a slot that is held for nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from statistics import quantiles

from pipeline.domain.answers import Busy
from pipeline.domain.asset import Policy

#: The shares of predictions that were over after each of ``Policy.took_seconds``.
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)

_FEWEST_SAMPLES = 5
_TWENTIETHS = 20
_STEPS_OF_THE_SPREAD = 8
_SHORTEST_SECONDS = 0.15
# The provider counts from its own acceptance and we from its answer; a look at the very end would come too early.
_MARGIN_SECONDS = 0.05
# Past what was likely, each look comes by this share of the overdue time later than the one before.
_GROWTH = 0.5
_NET = 1.5
_NET_STRETCH = 4


def took(samples: Sequence[float]) -> tuple[float, ...]:
    """The quantiles of ``SHARES``; none of too few samples."""
    if len(samples) < _FEWEST_SAMPLES:
        return ()
    cuts = quantiles(samples, n=_TWENTIETHS, method="inclusive")
    return tuple(cuts[round(share * _TWENTIETHS) - 1] for share in SHARES)


def next_look(policy: Policy, elapsed: timedelta, *, looks: int, queued: bool = False) -> timedelta:
    """How long to wait for the next look at a prediction that has been at work for so long, after so many looks.

    Never sooner or later than the catalogue allows, except where the provider reports by itself and we only make sure.
    """
    passed_seconds = elapsed.total_seconds()
    if policy.reported:
        return timedelta(seconds=_as_a_net(policy, passed_seconds))
    if not policy.took_seconds:
        return in_turn(policy, looks)
    wait = min(max(timedelta(seconds=_when_likely(policy, passed_seconds)), policy.poll_min), policy.poll_max)
    # In the provider's queue no time is likelier than another.
    return max(wait, in_turn(policy, looks)) if queued else wait


def backoff(policy: Policy, silences: int, *, least: timedelta = timedelta(0)) -> timedelta:
    """Exponential pause after the n-th silence in a row, capped; ``least`` is what the provider wants between looks."""
    doublings: int = 2 ** min(max(silences - 1, 0), 16)
    return max(min(policy.backoff * doublings, policy.max_backoff), least)


def pause(answer: Busy, policy: Policy) -> timedelta:
    """As long as was told, else as the account's row says."""
    return policy.blocked_default if answer.wait_seconds is None else timedelta(seconds=answer.wait_seconds)


def in_turn(policy: Policy, looks: int) -> timedelta:
    """The catalogue's schedule: the first look, then ever later ones up to the maximum."""
    seconds = policy.poll_first.total_seconds() * policy.poll_factor ** min(looks, 64)
    return timedelta(seconds=min(seconds, policy.poll_max.total_seconds()))


def _when_likely(policy: Policy, passed_seconds: float) -> float:
    """Nothing before all but the quickest would be over; then by steps of the spread; then by the overdue time."""
    quickest, latest = policy.took_seconds[0], policy.took_seconds[-1]
    step_seconds = (latest - quickest) / _STEPS_OF_THE_SPREAD
    first_seconds = quickest + step_seconds + _MARGIN_SECONDS
    if passed_seconds < first_seconds:
        return max(first_seconds - passed_seconds, _SHORTEST_SECONDS)
    overdue_seconds = max(passed_seconds - latest, 0)
    return max(step_seconds, _SHORTEST_SECONDS) + overdue_seconds * _GROWTH


def _as_a_net(policy: Policy, passed_seconds: float) -> float:
    """The webhook that should come ends the wait; a look is for the one that got lost."""
    latest = policy.took_seconds[-1] if policy.took_seconds else policy.usual_seconds
    shortest_seconds = policy.poll_first.total_seconds()
    if passed_seconds < _NET * latest:
        return max(_NET * latest - passed_seconds, shortest_seconds)
    longest_seconds = policy.poll_max.total_seconds() * _NET_STRETCH
    return min(max(passed_seconds * _GROWTH, shortest_seconds), longest_seconds)
