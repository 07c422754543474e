"""The table state x answer, cell by cell, with the counters and the waits; the random lives are in test_lives.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
from pipeline.domain.asset import TERMINAL, Asset, Failure, Policy, State, Waiting
from pipeline.domain.attempt import consequence
from pipeline.domain.decide import decide
from pipeline.domain.errors import ImpossibleAnswer
from pipeline.domain.timing import backoff

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STARTED = NOW - timedelta(seconds=30)

# Figures that are all unlike each other, so that none can stand in for another.
POLICY = Policy(
    max_tries=3,
    max_silences=4,
    max_fetches=3,
    max_vanished=2,
    backoff=timedelta(seconds=2),
    max_backoff=timedelta(seconds=60),
    poll_first=timedelta(seconds=7),
    poll_factor=2.0,
    poll_max=timedelta(seconds=20),
    parked=timedelta(seconds=33),
    blocked_default=timedelta(seconds=15),
    time_limit=timedelta(seconds=100),
    hard_limit=timedelta(seconds=500),
    settle_every=timedelta(seconds=11),
    ask_person_after=timedelta(seconds=1000),
    queue_limit=timedelta(seconds=5000),
    output_life=timedelta(seconds=700),
)

OLD_FAILURE = Failure(code="provider_error", message="E1000", retryable=True)
HELD = Waiting(reason=Reason.SLOT, place=4)

#: One asset per state, each with something to lose: counters that are not zero, a word on why it waits.
BEFORE = {
    State.WAITING: Asset(takes=1, tries=1, silences=1, progress=40, waiting=HELD, failure=OLD_FAILURE),
    State.SUBMITTING: Asset(state=State.SUBMITTING, takes=2, tries=2, silences=1, progress=40, failure=OLD_FAILURE),
    State.UNCERTAIN: Asset(
        state=State.UNCERTAIN, takes=2, tries=2, silences=1, progress=40, uncertain_since=STARTED, failure=OLD_FAILURE
    ),
    State.RENDERING: Asset(
        state=State.RENDERING, takes=2, tries=2, silences=1, polls=1, progress=40, clock_started_at=STARTED
    ),
    State.CANCELLING: Asset(state=State.CANCELLING, takes=2, tries=2, silences=1, polls=1, progress=40),
    State.FETCHING: Asset(state=State.FETCHING, takes=2, tries=2, silences=1, progress=40),
}

GRANTED = Granted(account="replicate")
ACCEPTED = Accepted(prediction_id="p1")
WORKING = Working(prediction_id="p1", progress=62)
QUEUED = Working(prediction_id="p1", queued=True)
FINISHED = Finished(outputs=("https://files.example/clip.mp4",))
STORED = Stored(key="k", sha256="0" * 64, size_bytes=9, duration_seconds=5.0)
CURABLE = Refused(code="provider_error", message="out of memory", retryable=True)
HOPELESS = Refused(code="moderated", message="flagged as sensitive")
ABSENT = Refused(code="absent", message="never accepted", retryable=True)
LOST = Refused(code="lost", message="no such prediction", retryable=True)
BLOCKED = Busy(reason=Reason.BLOCKED, wait_seconds=42.0, place=2, about_seconds=42.0)
BROKEN = Busy(reason=Reason.BREAKER, wait_seconds=42.0, about_seconds=42.0)
IN_LINE = Busy(reason=Reason.SLOT, place=3)
SILENT = Silent(message="connection refused")
UNKNOWN = Unknown(message="the connection broke off")
WITHDRAWN = Withdrawn()
SKIPPED = Withdrawn(code="dependency_failed", message="the clip of scene 0 failed")
NEEDED = Failure(code="dependency_failed", message="the clip of scene 0 failed", retryable=True)
NEEDING = Busy(reason=Reason.DEPENDENCY)
CROWDED = Busy(reason=Reason.JOB_LIMIT)
REROUTED = Rerouted(model="fal/veo3", provider="fal", account="fal", shot={}, reason="no_credit", refused=HOPELESS)

PLAINLY = {"silences": 0, "waiting": None}
LINKED = {"link_expires_at": NOW + timedelta(seconds=700)}
FETCHING = {**PLAINLY, **LINKED}
ELSEWHERE = {**PLAINLY, "tries": 0, "failure": None}
RENDERING = {**PLAINLY, "polls": 0, "clock_started_at": NOW, "uncertain_since": None, "failure": None}


def failure(refused: Refused) -> Failure:
    return Failure(code=refused.code, message=refused.message, retryable=refused.retryable)


def anew(refused: Refused, about_seconds: float) -> dict[str, Any]:
    """The changes of an asset that goes back into line for another attempt."""
    waiting = Waiting(reason=Reason.RETRY, about_seconds=about_seconds)
    cleared = {"silences": 0, "clock_started_at": None, "uncertain_since": None}
    return {**cleared, "failure": failure(refused), "waiting": waiting}


def held(busy: Busy) -> Waiting:
    return Waiting(reason=busy.reason, place=busy.place, about_seconds=busy.about_seconds)


#: state before, answer, state after, wait in seconds (None: it is over), and everything else that changes.
TABLE: list[tuple[State, Answer, State, float | None, dict[str, Any]]] = [
    (State.WAITING, GRANTED, State.SUBMITTING, 0, {"takes": 2, "tries": 2, "waiting": None, "ordered_at": NOW}),
    (State.WAITING, BLOCKED, State.WAITING, 33, {"waiting": held(BLOCKED)}),
    (State.WAITING, BROKEN, State.WAITING, 42, {"waiting": held(BROKEN)}),
    (State.WAITING, IN_LINE, State.WAITING, 33, {"waiting": held(IN_LINE)}),
    (
        State.WAITING,
        SILENT,
        State.WAITING,
        4,
        {"silences": 2, "waiting": Waiting(reason=Reason.RETRY, about_seconds=4)},
    ),
    (State.WAITING, HOPELESS, State.FAILED, None, {**PLAINLY, "failure": failure(HOPELESS)}),
    (State.WAITING, FINISHED, State.FETCHING, 0, {**FETCHING, "failure": None}),
    (State.WAITING, REROUTED, State.WAITING, 0, ELSEWHERE),
    (State.WAITING, WITHDRAWN, State.CANCELLED, None, PLAINLY),
    (State.WAITING, SKIPPED, State.CANCELLED, None, {**PLAINLY, "failure": NEEDED}),
    (State.WAITING, NEEDING, State.WAITING, 33, {"waiting": held(NEEDING)}),
    (State.WAITING, CROWDED, State.WAITING, 33, {"waiting": held(CROWDED)}),
    (State.SUBMITTING, ACCEPTED, State.RENDERING, 7, RENDERING),
    (State.SUBMITTING, FINISHED, State.FETCHING, 0, FETCHING),
    (State.SUBMITTING, CURABLE, State.WAITING, 4, anew(CURABLE, 4)),
    (State.SUBMITTING, HOPELESS, State.FAILED, None, {**PLAINLY, "failure": failure(HOPELESS)}),
    (State.SUBMITTING, BLOCKED, State.WAITING, 33, {"tries": 1, "silences": 0, "waiting": held(BLOCKED)}),
    (
        State.SUBMITTING,
        SILENT,
        State.WAITING,
        4,
        {"tries": 1, "silences": 2, "waiting": Waiting(reason=Reason.RETRY, about_seconds=4)},
    ),
    (State.SUBMITTING, UNKNOWN, State.UNCERTAIN, 0, {**PLAINLY, "uncertain_since": NOW}),
    (State.SUBMITTING, REROUTED, State.WAITING, 0, ELSEWHERE),
    (State.SUBMITTING, WITHDRAWN, State.CANCELLED, None, PLAINLY),
    (State.UNCERTAIN, ACCEPTED, State.RENDERING, 7, RENDERING),
    (State.UNCERTAIN, WORKING, State.RENDERING, 7, RENDERING),
    (State.UNCERTAIN, FINISHED, State.FETCHING, 0, FETCHING),
    (State.UNCERTAIN, ABSENT, State.WAITING, 4, anew(ABSENT, 4)),
    (State.UNCERTAIN, HOPELESS, State.FAILED, None, {**PLAINLY, "failure": failure(HOPELESS)}),
    (State.UNCERTAIN, REROUTED, State.WAITING, 0, {**ELSEWHERE, "uncertain_since": None}),
    (State.UNCERTAIN, BLOCKED, State.UNCERTAIN, 42, {}),
    (State.UNCERTAIN, SILENT, State.UNCERTAIN, 11, {"silences": 2}),
    (State.UNCERTAIN, UNKNOWN, State.UNCERTAIN, 11, {"silences": 2}),
    (State.UNCERTAIN, WITHDRAWN, State.UNCERTAIN, 11, {"silences": 2}),
    (State.RENDERING, WORKING, State.RENDERING, 20, {**PLAINLY, "polls": 2, "progress": 62}),
    (
        State.RENDERING,
        QUEUED,
        State.RENDERING,
        20,
        {"silences": 0, "polls": 2, "clock_started_at": NOW, "waiting": Waiting(reason=Reason.PROVIDER_QUEUE)},
    ),
    (State.RENDERING, FINISHED, State.FETCHING, 0, FETCHING),
    (State.RENDERING, CURABLE, State.WAITING, 4, anew(CURABLE, 4)),
    (State.RENDERING, HOPELESS, State.FAILED, None, {**PLAINLY, "failure": failure(HOPELESS)}),
    (State.RENDERING, LOST, State.RENDERING, 4, {"silences": 2}),
    (State.RENDERING, BLOCKED, State.RENDERING, 42, {"waiting": Waiting(reason=Reason.BLOCKED, about_seconds=42.0)}),
    (State.RENDERING, SILENT, State.RENDERING, 4, {"silences": 2}),
    (State.RENDERING, WITHDRAWN, State.CANCELLING, 0, {**PLAINLY, "polls": 0}),
    (State.CANCELLING, WORKING, State.CANCELLING, 20, {"polls": 2}),
    (State.CANCELLING, FINISHED, State.FETCHING, 0, FETCHING),
    (State.CANCELLING, CURABLE, State.CANCELLED, None, PLAINLY),
    (State.CANCELLING, HOPELESS, State.CANCELLED, None, PLAINLY),
    (State.CANCELLING, BLOCKED, State.CANCELLING, 42, {}),
    (State.CANCELLING, SILENT, State.CANCELLING, 4, {"silences": 2}),
    (State.CANCELLING, WITHDRAWN, State.CANCELLING, 0, {}),
    (State.FETCHING, STORED, State.DONE, None, {**PLAINLY, "progress": 100}),
    (State.FETCHING, FINISHED, State.FETCHING, 4, {"silences": 2, **LINKED}),
    (State.FETCHING, CURABLE, State.FAILED, None, {**PLAINLY, "failure": failure(CURABLE)}),
    (State.FETCHING, HOPELESS, State.FAILED, None, {**PLAINLY, "failure": failure(HOPELESS)}),
    (State.FETCHING, BLOCKED, State.FETCHING, 42, {}),
    (State.FETCHING, SILENT, State.FETCHING, 4, {"silences": 2}),
    (State.FETCHING, WITHDRAWN, State.CANCELLED, None, PLAINLY),
]

EVERY_ANSWER: list[Answer] = [
    *(GRANTED, ACCEPTED, WORKING, FINISHED, STORED),
    *(CURABLE, BLOCKED, SILENT, UNKNOWN, REROUTED, WITHDRAWN),
]
POSSIBLE = {(before, type(answer)) for before, answer, *_ in TABLE}


@pytest.mark.parametrize(
    ("before", "answer", "after", "wait_seconds", "changes"),
    TABLE,
    ids=[f"{before} {type(answer).__name__} {number}" for number, (before, answer, *_) in enumerate(TABLE)],
)
def test_each_cell_of_the_table_says_what_becomes_of_the_asset_and_when_to_look_again(
    before: State, answer: Answer, after: State, wait_seconds: float | None, changes: dict[str, Any]
) -> None:
    decision = decide(BEFORE[before], answer, POLICY, NOW)
    assert decision.asset == replace(BEFORE[before], state=after, **changes)
    assert decision.wait == (None if wait_seconds is None else timedelta(seconds=wait_seconds))
    assert decision.parked == (after is State.WAITING and answer in (BLOCKED, BROKEN, IN_LINE, NEEDING, CROWDED))


@pytest.mark.parametrize(
    ("state", "answer"),
    [(state, answer) for state in BEFORE for answer in EVERY_ANSWER if (state, type(answer)) not in POSSIBLE],
    ids=str,
)
def test_an_answer_that_cannot_be_said_in_that_state_is_our_own_bug(state: State, answer: Answer) -> None:
    with pytest.raises(ImpossibleAnswer, match=type(answer).__name__):
        decide(BEFORE[state], answer, POLICY, NOW)


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("answer", EVERY_ANSWER, ids=lambda answer: type(answer).__name__)
def test_an_asset_that_is_over_stays_what_it_is_whatever_is_said(state: State, answer: Answer) -> None:
    asset = Asset(state=state, takes=1, tries=1, progress=100, failure=OLD_FAILURE)
    decision = decide(asset, answer, POLICY, NOW)
    assert (decision.asset, decision.wait) == (asset, None)


@pytest.mark.requirement("R44")
@pytest.mark.parametrize("state", [State.SUBMITTING, State.UNCERTAIN, State.RENDERING])
def test_the_last_allowed_attempt_fails_the_asset(state: State) -> None:
    decision = decide(replace(BEFORE[state], tries=3), CURABLE, POLICY, NOW)
    assert (decision.asset.state, decision.asset.failure) == (State.FAILED, failure(CURABLE))


@pytest.mark.requirement("R12")
@pytest.mark.parametrize(("elapsed", "overruns"), [(99, 0), (100, 1), (250, 2), (500, 5)])
@pytest.mark.parametrize("answer", [WORKING, SILENT, BLOCKED], ids=["working", "silent", "busy"])
def test_past_its_time_limit_the_same_prediction_is_asked_on(answer: Answer, elapsed: int, overruns: int) -> None:
    slow = replace(BEFORE[State.RENDERING], clock_started_at=NOW - timedelta(seconds=elapsed))
    after = decide(slow, answer, POLICY, NOW).asset
    assert (after.state, after.takes, after.timeout_retries) == (State.RENDERING, 2, overruns)


@pytest.mark.requirement("R12")
@pytest.mark.parametrize("answer", [WORKING, SILENT, BLOCKED, LOST], ids=["working", "silent", "busy", "lost"])
def test_past_the_hard_limit_the_prediction_is_cancelled_and_then_fails(answer: Answer) -> None:
    slow = replace(BEFORE[State.RENDERING], clock_started_at=NOW - timedelta(seconds=501))
    cancelling = decide(slow, answer, POLICY, NOW)
    assert (cancelling.asset.state, cancelling.wait) == (State.CANCELLING, timedelta(0))
    stopped = Refused(code="provider_cancelled", message="canceled", retryable=True)
    ended = decide(cancelling.asset, stopped, POLICY, NOW).asset
    assert ended.state is State.FAILED
    assert ended.failure
    assert ended.failure.code == "timed_out"


@pytest.mark.requirement("R12")
def test_a_result_that_comes_after_the_hard_limit_is_kept_because_it_was_paid_for() -> None:
    late = replace(BEFORE[State.CANCELLING], failure=Failure(code="timed_out", message="late", retryable=True))
    fetching = decide(late, FINISHED, POLICY, NOW).asset
    done = decide(fetching, STORED, POLICY, NOW).asset
    assert (done.state, done.failure) == (State.DONE, None)


@pytest.mark.requirement("R24")
def test_time_in_the_providers_own_queue_does_not_eat_the_time_limit() -> None:
    asset, now = decide(BEFORE[State.SUBMITTING], ACCEPTED, POLICY, NOW).asset, NOW
    for _ in range(100):
        now += timedelta(seconds=20)
        asset = decide(asset, QUEUED, POLICY, now).asset
    at_work = decide(asset, WORKING, POLICY, now + timedelta(seconds=99)).asset
    assert (at_work.state, at_work.timeout_retries) == (State.RENDERING, 0)


@pytest.mark.requirement("R12", "R24")
@pytest.mark.parametrize(("ordered_seconds", "state"), [(5000, State.RENDERING), (5001, State.CANCELLING)])
def test_a_prediction_that_is_still_queued_long_after_its_order_is_cancelled_and_fails(
    ordered_seconds: int, state: State
) -> None:
    old = replace(BEFORE[State.RENDERING], ordered_at=NOW - timedelta(seconds=ordered_seconds), clock_started_at=NOW)
    decision = decide(old, QUEUED, POLICY, NOW)
    assert decision.asset.state is state
    if state is State.CANCELLING:
        assert decision.wait == timedelta(0)
        ended = decide(decision.asset, Refused(code="provider_cancelled", message="canceled"), POLICY, NOW).asset
        assert ended.state is State.FAILED
        assert ended.failure
        assert (ended.failure.code, ended.failure.retryable) == ("queued_too_long", True)


@pytest.mark.requirement("R12", "R24")
@pytest.mark.parametrize("answer", [WORKING, SILENT, BLOCKED], ids=["working", "silent", "busy"])
def test_what_was_queued_for_long_and_is_at_work_now_has_all_of_its_time(answer: Answer) -> None:
    begun = replace(BEFORE[State.RENDERING], ordered_at=NOW - timedelta(days=9))
    assert decide(begun, answer, POLICY, NOW).asset.state is State.RENDERING


def test_silence_is_answered_with_ever_longer_pauses_that_survive_a_new_slot() -> None:
    asset = Asset()
    pauses: list[timedelta | None] = []
    while asset.state is not State.FAILED:
        submitting = decide(asset, GRANTED, POLICY, NOW).asset
        decision = decide(submitting, SILENT, POLICY, NOW)
        asset = decision.asset
        pauses.append(decision.wait)
        asset = decide(asset, IN_LINE, POLICY, NOW).asset
    assert pauses == [*(timedelta(seconds=each) for each in (2, 4, 8, 16)), None]
    assert asset.tries == 0
    assert asset.failure
    assert (asset.failure.code, asset.failure.retryable) == ("provider_unreachable", True)


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("answer", [SILENT, FINISHED], ids=["silent", "fresh links"])
def test_a_fetch_that_fails_is_fetched_again_and_in_the_end_fails_without_a_new_attempt(answer: Answer) -> None:
    asset = replace(BEFORE[State.FETCHING], silences=0)
    states = []
    for _ in range(3):
        asset = decide(asset, answer, POLICY, NOW).asset
        states.append(asset.state)
    assert states == [State.FETCHING, State.FETCHING, State.FAILED]
    assert asset.failure
    assert asset.failure.code == "fetch_failed"


@pytest.mark.requirement("R12", "R50")
def test_a_prediction_that_the_provider_does_not_know_yet_is_asked_for_again_and_never_bought_anew() -> None:
    asset = replace(BEFORE[State.RENDERING], silences=0)
    states = []
    for _ in range(3):
        asset = decide(asset, LOST, POLICY, NOW).asset
        states.append(asset.state)
    assert states == [State.RENDERING, State.RENDERING, State.FAILED]
    assert asset.failure == failure(LOST)


def test_a_provider_that_never_stops_what_it_was_told_to_stop_is_given_up() -> None:
    for answer in (WORKING, SILENT):
        asset, looks = replace(BEFORE[State.CANCELLING], silences=0, polls=0), 0
        while asset.state is State.CANCELLING:
            asset, looks = decide(asset, answer, POLICY, NOW).asset, looks + 1
        assert (asset.state, looks) == (State.CANCELLED, 5)


@pytest.mark.requirement("R50")
def test_an_attempt_in_doubt_for_too_long_asks_for_a_person_and_keeps_looking() -> None:
    old = replace(BEFORE[State.UNCERTAIN], uncertain_since=NOW - timedelta(seconds=1001))
    decision = decide(old, UNKNOWN, POLICY, NOW)
    assert decision.asset.state is State.UNCERTAIN
    assert decision.asset.waiting == Waiting(reason=Reason.NEEDS_PERSON)
    assert decision.wait == timedelta(seconds=11)


@pytest.mark.requirement("R50")
def test_a_person_is_asked_no_sooner_than_the_order_is_surely_over_and_its_slot_is_free_then() -> None:
    slow = replace(POLICY, hard_limit=timedelta(seconds=2000))
    for doubtful_seconds, needs_person in ((1001, False), (2000, False), (2001, True)):
        old = replace(BEFORE[State.UNCERTAIN], uncertain_since=NOW - timedelta(seconds=doubtful_seconds))
        after = decide(old, UNKNOWN, slow, NOW).asset
        assert (after.waiting == Waiting(reason=Reason.NEEDS_PERSON)) is needs_person
        assert (after.holds_slot, after.under_way) == (not needs_person, not needs_person)
    assert decide(after, ACCEPTED, slow, NOW).asset.holds_slot, "found after all, it is at work"


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("answer", [UNKNOWN, SILENT, WITHDRAWN], ids=["no proof", "no answer", "no longer wanted"])
@pytest.mark.parametrize(
    ("doubtful_seconds", "state"), [(600, State.UNCERTAIN), (601, State.FAILED)], ids=["in time", "past its time"]
)
def test_where_nothing_can_ever_be_proven_an_order_is_booked_as_spent_after_its_time(
    answer: Answer, doubtful_seconds: float, state: State
) -> None:
    blind = replace(POLICY, spent_after=timedelta(seconds=600))
    old = replace(BEFORE[State.UNCERTAIN], uncertain_since=NOW - timedelta(seconds=doubtful_seconds))
    decision = decide(old, answer, blind, NOW)
    change = consequence(State.UNCERTAIN, answer, decision)
    assert decision.asset.state is state
    if state is State.FAILED:
        assert decision.asset.failure
        assert (decision.asset.failure.code, decision.asset.failure.retryable) == ("maybe_spent", True)
        assert change
        assert (change.spend, change.live) == ("commit", False)
    else:
        assert change is None or change.spend is None


def test_pauses_double_up_to_the_longest() -> None:
    assert [backoff(POLICY, count).total_seconds() for count in (0, 1, 2, 5, 6, 10_000)] == [2, 2, 4, 32, 60, 60]


@pytest.mark.requirement("R24", "R53")
@pytest.mark.parametrize("reported", [False, True], ids=["nobody tells us", "webhooks tell us"])
def test_looks_are_timed_to_the_second_and_hold_no_message_where_a_webhook_is_expected(*, reported: bool) -> None:
    learned = replace(POLICY, took_seconds=(10, 11, 12, 13, 14), poll_max=timedelta(seconds=60), reported=reported)
    first = decide(BEFORE[State.SUBMITTING], ACCEPTED, learned, NOW)
    assert first.wait == (timedelta(seconds=21) if reported else timedelta(seconds=10.55))
    again = decide(BEFORE[State.RENDERING], WORKING, learned, NOW)
    assert again.wait == (timedelta(seconds=15) if reported else timedelta(seconds=8.5))
    assert [(each.exact, each.parked) for each in (first, again)] == [(True, reported)] * 2


@pytest.mark.requirement("R24")
def test_what_was_adopted_out_of_doubt_is_looked_at_soon_since_it_may_be_over() -> None:
    slow = replace(POLICY, took_seconds=(100, 110, 120, 130, 140), reported=True)
    assert decide(BEFORE[State.UNCERTAIN], ACCEPTED, slow, NOW).wait == timedelta(seconds=7)


def test_a_doubt_that_only_a_person_could_end_ends_when_nobody_wants_the_clip_any_more() -> None:
    doubtful = replace(BEFORE[State.UNCERTAIN], waiting=Waiting(reason=Reason.NEEDS_PERSON))
    decision = decide(doubtful, WITHDRAWN, POLICY, NOW)
    assert (decision.asset.state, decision.wait) == (State.CANCELLED, None)


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("answer", [SILENT, LOST], ids=["silent", "lost"])
def test_a_provider_that_wants_time_between_looks_gets_it_also_when_a_look_told_nothing(answer: Answer) -> None:
    slow = replace(POLICY, poll_min=timedelta(seconds=8))
    assert decide(BEFORE[State.RENDERING], answer, slow, NOW).wait == timedelta(seconds=8)
