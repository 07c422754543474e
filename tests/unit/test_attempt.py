"""What an answer means for the attempt's row and for the ledger."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import pytest

from pipeline.domain.answers import (
    Accepted,
    Answer,
    Busy,
    Finished,
    Granted,
    Picture,
    Reason,
    Refused,
    Rerouted,
    Silent,
    Stored,
    Unknown,
    Withdrawn,
    Working,
    from_json,
    to_json,
)
from pipeline.domain.asset import Asset, Decision, Failure, Policy, State
from pipeline.domain.attempt import attempt_id, consequence
from pipeline.domain.decide import decide

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ASSET = UUID("00000000-0000-4000-8000-000000000001")
OTHER = UUID("00000000-0000-4000-8000-000000000002")
ACCEPTED = Accepted(prediction_id="p1", raw={"id": "p1"})
FINISHED = Finished(outputs=("https://files.example/a.mp4",), prediction_id="p1")
CURABLE = Refused(code="provider_error", message="E1000", retryable=True, raw={"status": "failed"})
HOPELESS = Refused(code="moderated", message="flagged")
REROUTED = Rerouted(
    model="fal/veo3",
    provider="fal",
    account="fal",
    shot={},
    reason="no_credit",
    refused=Refused(code="no_credit", message="Insufficient credit"),
)
ABSENT = Refused(code="absent", message="never accepted", retryable=True)
BUSY = Busy(reason=Reason.BLOCKED, wait_seconds=3.0)
SILENT = Silent(message="no answer")
UNKNOWN = Unknown(message="reset")
PICTURE = Picture(key="t", clip_key="c", width=320, height=180, size_bytes=2)
STORED = Stored(key="k", sha256="0", size_bytes=1, duration_seconds=5.0, picture=PICTURE)
EVERY_ANSWER: list[Answer] = [
    *(Granted(account="replicate"), ACCEPTED, Working(prediction_id="p1", progress=5), FINISHED, STORED),
    *(CURABLE, BUSY, SILENT, UNKNOWN, Withdrawn()),
]


def decision(before: State, answer: Answer) -> Decision:
    return decide(Asset(state=before, takes=1, tries=1, clock_started_at=NOW), answer, Policy(), NOW)


#: state before, answer, the attempt's state after, whether it can still cost, and the entry in the ledger.
TABLE = [
    (State.SUBMITTING, ACCEPTED, State.RENDERING, True, "commit"),
    (State.SUBMITTING, FINISHED, State.FETCHING, True, "commit"),
    (State.SUBMITTING, CURABLE, State.FAILED, False, "release"),
    (State.SUBMITTING, HOPELESS, State.FAILED, False, "release"),
    (State.SUBMITTING, BUSY, State.CANCELLED, False, "release"),
    (State.SUBMITTING, SILENT, State.CANCELLED, False, "release"),
    (State.SUBMITTING, Withdrawn(), State.CANCELLED, False, "release"),
    (State.SUBMITTING, REROUTED, State.FAILED, False, "release"),
    (State.SUBMITTING, UNKNOWN, State.UNCERTAIN, True, None),
    (State.UNCERTAIN, ACCEPTED, State.RENDERING, True, "commit"),
    (State.UNCERTAIN, Working(prediction_id="p1"), State.RENDERING, True, "commit"),
    (State.UNCERTAIN, FINISHED, State.FETCHING, True, "commit"),
    (State.UNCERTAIN, ABSENT, State.FAILED, False, "release"),
    (State.UNCERTAIN, REROUTED, State.FAILED, False, "release"),
    (State.UNCERTAIN, CURABLE, State.FAILED, False, "commit"),
    (State.UNCERTAIN, HOPELESS, State.FAILED, False, "commit"),
    (State.RENDERING, FINISHED, State.FETCHING, True, None),
    (State.RENDERING, CURABLE, State.FAILED, False, None),
    (State.RENDERING, Withdrawn(), State.CANCELLING, True, None),
    (State.CANCELLING, CURABLE, State.CANCELLED, False, None),
    (State.CANCELLING, FINISHED, State.FETCHING, True, None),
    (State.FETCHING, STORED, State.DONE, False, None),
    (State.FETCHING, FINISHED, State.FETCHING, True, None),
    (State.FETCHING, CURABLE, State.FAILED, False, None),
    (State.FETCHING, Withdrawn(), State.CANCELLED, False, None),
]


@pytest.mark.requirement("R50")
@pytest.mark.parametrize(
    ("before", "answer", "after", "live", "spend"),
    TABLE,
    ids=[f"{before} {type(answer).__name__} {spend}" for before, answer, *_, spend in TABLE],
)
def test_an_answer_says_what_the_attempt_is_now_and_what_it_costs(
    before: State, answer: Answer, after: State, spend: str | None, *, live: bool
) -> None:
    change = consequence(before, answer, decision(before, answer))
    assert change
    assert (change.state, change.live, change.spend) == (after, live, spend)


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        (State.WAITING, Granted(account="replicate")),
        (State.WAITING, BUSY),
        (State.WAITING, Withdrawn()),
        (State.WAITING, REROUTED),
        (State.UNCERTAIN, UNKNOWN),
        (State.UNCERTAIN, BUSY),
        (State.RENDERING, Working(prediction_id="p1", progress=5)),
        (State.RENDERING, SILENT),
        (State.RENDERING, BUSY),
        (State.CANCELLING, SILENT),
        (State.FETCHING, SILENT),
    ],
    ids=str,
)
def test_an_answer_that_tells_nothing_new_leaves_the_attempt_alone(before: State, answer: Answer) -> None:
    assert consequence(before, answer, decision(before, answer)) is None


def test_the_predictions_id_and_links_are_kept_as_soon_as_they_are_known() -> None:
    accepted = consequence(State.SUBMITTING, ACCEPTED, decision(State.SUBMITTING, ACCEPTED))
    assert accepted
    assert accepted.values == {"prediction_id": "p1", "answer": {"id": "p1"}}
    finished = consequence(State.RENDERING, FINISHED, decision(State.RENDERING, FINISHED))
    assert finished
    assert finished.values == {"prediction_id": "p1", "outputs": ["https://files.example/a.mp4"], "answer": {}}


def test_a_finish_that_names_no_prediction_does_not_erase_the_one_that_is_known() -> None:
    unnamed = Finished(outputs=("https://files.example/a.mp4",))
    change = consequence(State.RENDERING, unnamed, decision(State.RENDERING, unnamed))
    assert change
    assert "prediction_id" not in change.values


@pytest.mark.requirement("R50")
@pytest.mark.parametrize(
    ("answer", "by"), [(ACCEPTED, "list"), (Working(prediction_id="p1"), "webhook")], ids=["list", "webhook"]
)
def test_an_adopted_attempt_says_what_settled_it(answer: Answer, by: str) -> None:
    change = consequence(State.UNCERTAIN, answer, decision(State.UNCERTAIN, answer))
    assert change
    assert (change.values["prediction_id"], change.values["settled_by"]) == ("p1", by)


@pytest.mark.requirement("R36")
def test_a_failed_attempt_keeps_the_providers_words() -> None:
    change = consequence(State.RENDERING, CURABLE, decision(State.RENDERING, CURABLE))
    assert change
    words = {"code": "provider_error", "message": "E1000", "retryable": True}
    assert change.values == {"failure": words, "answer": {"status": "failed"}}


@pytest.mark.requirement("R12")
def test_an_attempt_that_was_cancelled_for_its_lateness_says_so_and_not_that_the_provider_did_it() -> None:
    late = Failure(code="timed_out", message="too late", retryable=True)
    cancelled = Refused(code="provider_cancelled", message="canceled", retryable=True)
    ended = decide(Asset(state=State.CANCELLING, takes=1, failure=late), cancelled, Policy(), NOW)
    change = consequence(State.CANCELLING, cancelled, ended)
    assert change
    assert (change.state, change.values["failure"]) == (State.FAILED, asdict(late))


@pytest.mark.requirement("R50")
def test_attempts_are_named_by_asset_and_number_so_that_two_beginners_collide() -> None:
    assert attempt_id(ASSET, 1) == attempt_id(ASSET, 1)
    assert len({attempt_id(asset, number) for asset in (ASSET, OTHER) for number in (1, 2, 11)}) == 6


@pytest.mark.parametrize("answer", EVERY_ANSWER, ids=lambda answer: type(answer).__name__)
def test_an_answer_that_was_kept_as_json_is_read_back_unchanged(answer: Answer) -> None:
    assert from_json(json.loads(json.dumps(to_json(answer)))) == answer
