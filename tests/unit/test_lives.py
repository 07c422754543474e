"""Random lives of an asset: whatever the world says, in whatever order, these things hold."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from pipeline.domain.asset import TERMINAL, Asset, Decision, Policy, State
from pipeline.domain.attempt import AttemptChange, consequence
from pipeline.domain.decide import decide

POLICY = Policy(
    max_silences=5, max_fetches=3, max_vanished=2, time_limit=timedelta(seconds=60), hard_limit=timedelta(seconds=200)
)
ACCEPTED = Accepted(prediction_id="p1")
FINISHED = Finished(outputs=("https://files.example/a.mp4",), prediction_id="p1")
BUSY = Busy(reason=Reason.BLOCKED, wait_seconds=3.0)
SILENT = Silent(message="no answer")
CURABLE = Refused(code="provider_error", message="E1000", retryable=True)
HOPELESS = Refused(code="moderated", message="flagged")
ABSENT = Refused(code="absent", message="never accepted", retryable=True)
LOST = Refused(code="lost", message="404", retryable=True)
UNKNOWN = Unknown(message="reset")
REROUTED = Rerouted(model="fal/veo3", provider="fal", account="fal", shot={}, reason="failing")
TURNED_AWAY = replace(REROUTED, reason="no_credit", refused=Refused(code="no_credit", message="402"))
STORED = Stored(key="k", sha256="0", size_bytes=1, duration_seconds=5.0)


def working(progress: int | None = None, *, queued: bool = False) -> Working:
    return Working(prediction_id="p1", progress=progress, queued=queued)


#: What a world that answers says in each state; whoever hears nothing else must come to an end.
ANSWERED: dict[State, list[Answer]] = {
    State.WAITING: [Granted(account="replicate")],
    State.SUBMITTING: [ACCEPTED, FINISHED, CURABLE, HOPELESS, UNKNOWN, SILENT],
    State.UNCERTAIN: [ACCEPTED, working(10), FINISHED, CURABLE, ABSENT],
    State.RENDERING: [working(), working(5), working(250), SILENT, LOST, FINISHED, CURABLE, HOPELESS],
    State.CANCELLING: [working(70), FINISHED, CURABLE, SILENT],
    State.FETCHING: [STORED, CURABLE, SILENT, FINISHED],
}
#: And what else the world may say.
EVERYTHING: dict[State, list[Answer]] = {
    State.WAITING: [
        Granted(account="replicate"),
        Granted(account="replicate"),
        BUSY,
        Busy(reason=Reason.SLOT, place=2),
        SILENT,
        REROUTED,
        Withdrawn(),
    ],
    State.SUBMITTING: [*ANSWERED[State.SUBMITTING], BUSY, TURNED_AWAY, Withdrawn()],
    State.UNCERTAIN: [*ANSWERED[State.UNCERTAIN], UNKNOWN, BUSY, SILENT, TURNED_AWAY, Withdrawn()],
    State.RENDERING: [*ANSWERED[State.RENDERING], working(queued=True), BUSY, Withdrawn()],
    State.CANCELLING: [*ANSWERED[State.CANCELLING], BUSY, Withdrawn()],
    State.FETCHING: [*ANSWERED[State.FETCHING], BUSY, Withdrawn()],
}
PICKS = st.lists(st.integers(0, 999), min_size=1, max_size=60)


@dataclass(frozen=True, kw_only=True)
class Move:
    """One step of a life."""

    before: Asset
    answer: Answer
    decision: Decision

    @property
    def after(self) -> Asset:
        return self.decision.asset

    @property
    def change(self) -> AttemptChange | None:
        return consequence(self.before.state, self.answer, self.decision)


def life(picks: Iterable[int], world: dict[State, list[Answer]], *, hurried: bool = False) -> Iterator[Move]:
    """An asset's moves until it is over or the picks end; ``hurried`` when wakes cut every wait short."""
    asset, now = Asset(), datetime(2026, 3, 1, tzinfo=UTC)
    for pick in picks:
        if asset.state in TERMINAL:
            return
        possible = world[asset.state]
        answer = possible[pick % len(possible)]
        decision = decide(asset, answer, POLICY, now)
        yield Move(before=asset, answer=answer, decision=decision)
        asset = decision.asset
        now += timedelta(seconds=1) if hurried else decision.wait or timedelta(0)


@given(picks=PICKS, hurried=st.booleans())
def test_progress_never_falls_and_is_a_hundred_only_for_what_is_done(picks: list[int], *, hurried: bool) -> None:
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        assert 0 <= move.before.progress <= move.after.progress
        assert (move.after.progress == 100) == (move.after.state is State.DONE)


@given(picks=PICKS, hurried=st.booleans())
def test_there_is_a_time_to_look_again_exactly_until_it_is_over(picks: list[int], *, hurried: bool) -> None:
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        assert (move.decision.wait is None) == (move.after.state in TERMINAL)
        longest = POLICY.parked if move.decision.parked else POLICY.max_backoff
        assert move.decision.wait is None or timedelta(0) <= move.decision.wait <= longest


@given(picks=PICKS, hurried=st.booleans())
def test_no_more_attempts_are_used_up_than_allowed_and_only_a_slot_begins_one(
    picks: list[int], *, hurried: bool
) -> None:
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        assert 0 <= move.after.tries <= POLICY.max_tries
        assert move.after.takes - move.before.takes == isinstance(move.answer, Granted)


@pytest.mark.requirement("R10")
@given(picks=PICKS, hurried=st.booleans())
def test_being_told_to_wait_never_uses_an_attempt_up(picks: list[int], *, hurried: bool) -> None:
    tries_before_the_slot = 0
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        if isinstance(move.answer, Granted):
            tries_before_the_slot = move.before.tries
        if isinstance(move.answer, Busy):
            submitting = move.before.state is State.SUBMITTING
            assert move.after.tries == (tries_before_the_slot if submitting else move.before.tries)


@pytest.mark.requirement("R63")
@given(picks=PICKS, hurried=st.booleans())
def test_what_was_finished_once_never_leads_to_a_new_attempt(picks: list[int], *, hurried: bool) -> None:
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        if move.before.state is State.FETCHING:
            assert move.after.state in TERMINAL | {State.FETCHING}


@pytest.mark.requirement("R50", "R12")
@given(picks=PICKS, hurried=st.booleans())
def test_only_a_clear_no_or_a_call_that_was_surely_not_sent_leads_back_into_line(
    picks: list[int], *, hurried: bool
) -> None:
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        if move.after.state is State.WAITING and move.before.state is not State.WAITING:
            unsent = move.before.state is State.SUBMITTING and isinstance(move.answer, Busy | Silent)
            word = move.answer.refused if isinstance(move.answer, Rerouted) else move.answer
            assert unsent or (isinstance(word, Refused) and word.code != "lost")


@pytest.mark.requirement("R55")
@given(picks=PICKS)
def test_an_asset_whose_world_keeps_answering_always_ends(picks: list[int]) -> None:
    *_, last = life(cycle_of(picks, 5000), ANSWERED)
    assert last.after.state in TERMINAL


@pytest.mark.requirement("R50")
@given(picks=PICKS, hurried=st.booleans())
def test_every_attempt_that_ends_was_either_paid_for_or_released_and_none_was_both(
    picks: list[int], *, hurried: bool
) -> None:
    booked: defaultdict[int, list[str]] = defaultdict(list)
    live: set[int] = set()
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        take = move.after.takes
        if isinstance(move.answer, Granted):
            assert not live
            live.add(take)
        if change := move.change:
            booked[take] += [change.spend] if change.spend else []
            live -= set() if change.live else {take}
            assert len(booked[take]) <= 1
            assert change.live or len(booked[take]) == 1
        assert bool(live) == (move.after.state not in TERMINAL | {State.WAITING})


@pytest.mark.requirement("R50")
@given(picks=PICKS, hurried=st.booleans())
def test_what_a_provider_accepted_is_never_released(picks: list[int], *, hurried: bool) -> None:
    accepted: set[int] = set()
    for move in life(cycle_of(picks), EVERYTHING, hurried=hurried):
        if isinstance(move.answer, Accepted | Working | Finished):
            accepted.add(move.after.takes)
        if move.change and move.change.spend == "release":
            assert move.after.takes not in accepted


def cycle_of(picks: list[int], moves: int = 300) -> Iterator[int]:
    """The same picks over and over."""
    return islice(cycle(picks), moves)
