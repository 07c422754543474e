"""Asking Replicate's list for many predictions at once, and what a prediction says about its own time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.answers import Busy, Finished, Reason, Refused, Silent, Working
from pipeline.domain.attempt import Prediction
from pipeline.providers.protocol import Survey
from pipeline.providers.replicate import Replicate
from tests.replicate_server import PREDICTION_ID, Scripted, Server, answer, prediction

SINCE = datetime(2026, 3, 1, 9, 58, tzinfo=UTC)
LINK = "https://f.test/a.mp4"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def replicate(server: Server) -> Replicate:
    return server.account()


def page(server: Server, entries: list[Any], following: str | None = None) -> Scripted:
    return answer(200, {"results": entries, "next": following and server.url + following, "previous": None})


def told(replicate: Replicate, *prediction_ids: str) -> dict[str, Any]:
    got = replicate.survey(prediction_ids, SINCE)
    assert isinstance(got, Survey)
    return dict(got.readings)


@pytest.mark.requirement("R53")
def test_one_list_tells_of_all_that_were_asked_for_and_of_no_other(replicate: Replicate, server: Server) -> None:
    done, failed, going = (
        prediction(id="done", status="succeeded", output=LINK),
        prediction(id="failed", status="failed", error="E1000"),
        prediction(id="going", status="processing"),
    )
    server.plays(page(server, [prediction(id="stranger", status="failed"), done, failed, going, "?", {"id": [1]}]))
    readings = told(replicate, "done", "failed", "going")
    assert {name: type(reading) for name, reading in readings.items()} == {
        "done": Finished,
        "failed": Refused,
        "going": Working,
    }
    assert [seen.path for seen in server.seen] == ["/v1/predictions?created_after=2026-03-01T09%3A58%3A00Z"]


@pytest.mark.requirement("R53")
def test_a_second_page_is_read_for_what_the_first_does_not_tell_and_never_a_third(
    replicate: Replicate, server: Server
) -> None:
    first, second = prediction(id="first"), prediction(id="second")
    server.plays(page(server, [first], "/v1/predictions?cursor=2"), page(server, [second], "/v1/predictions?cursor=3"))
    assert set(told(replicate, "first")) == {"first"}
    assert len(server.seen) == 1
    server.plays(page(server, [first], "/v1/predictions?cursor=2"), page(server, [second], "/v1/predictions?cursor=3"))
    assert set(told(replicate, "first", "second", "third")) == {"first", "second"}
    assert [seen.path for seen in server.seen[1:]][1:] == ["/v1/predictions?cursor=2"]


def test_the_token_is_not_carried_to_a_next_page_somewhere_else(replicate: Replicate, server: Server) -> None:
    server.plays(answer(200, {"results": [], "next": "http://localhost:1/v1/predictions"}))
    assert told(replicate, "first") == {}
    assert len(server.seen) == 1


def test_an_entry_that_succeeded_without_an_output_has_to_be_asked_for_itself(
    replicate: Replicate, server: Server
) -> None:
    server.plays(page(server, [prediction(status="succeeded", output=None)]))
    assert told(replicate, PREDICTION_ID) == {}


@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (answer(429, {}, Retry_After="3"), Busy(reason=Reason.BLOCKED, wait_seconds=3.0)),
        (answer(200, {"results": 7}), Silent(message="the list of predictions can't be read")),
    ],
)
def test_a_list_that_can_not_be_read_tells_nothing(
    replicate: Replicate, server: Server, scripted: Scripted, expected: Busy | Silent
) -> None:
    server.plays(scripted)
    assert replicate.survey([PREDICTION_ID], SINCE) == expected


@pytest.mark.parametrize(
    ("completed_at", "expected"),
    [
        ("2026-03-01T10:01:02.623456789Z", 62.5),
        ("2026-03-01T10:01:02", None),
        ("2026-03-01T09:00:00Z", None),
        ("later", None),
        (None, None),
        (7, None),
    ],
)
def test_how_long_a_prediction_took_is_told_by_the_providers_own_clock(
    replicate: Replicate, server: Server, completed_at: Any, expected: float | None
) -> None:
    server.plays(answer(200, prediction(status="succeeded", output=LINK, completed_at=completed_at)))
    got = replicate.status(Prediction(id=PREDICTION_ID))
    assert isinstance(got, Finished)
    assert got.render_seconds == expected
