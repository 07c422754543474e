"""Looking for a lost order in Replicate's list."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.answers import Busy, Reason, Silent, Working
from pipeline.providers.protocol import Found
from pipeline.providers.replicate import Replicate
from tests.replicate_server import ORDER, PREDICTION_ID, Scripted, Server, answer, prediction


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


SINCE = datetime(2026, 3, 1, 9, 58, tzinfo=UTC)


def page(server: Server, entries: list[Any], following: str | None = None) -> Scripted:
    return answer(200, {"results": entries, "next": following and server.url + following, "previous": None})


@pytest.mark.requirement("R50")
def test_a_lost_order_is_found_by_model_and_whole_input_over_all_pages(replicate: Replicate, server: Server) -> None:
    twin = prediction(id="twin", input={**ORDER.input, "seed": 4712})
    other = prediction(id="other", model="google/veo-3")
    server.plays(page(server, [twin, other], "/v1/predictions?cursor=2"), page(server, [prediction()]))
    got = replicate.find(ORDER, SINCE)
    assert isinstance(got, Found)
    assert got.complete
    [found] = got.predictions
    assert found.prediction_id == PREDICTION_ID
    assert found.answer == Working(prediction_id=PREDICTION_ID, queued=True)
    assert [seen.path for seen in server.seen] == [
        "/v1/predictions?created_after=2026-03-01T09%3A58%3A00Z",
        "/v1/predictions?cursor=2",
    ]


@pytest.mark.requirement("R50")
def test_a_lost_order_is_found_though_the_provider_added_its_defaults(replicate: Replicate, server: Server) -> None:
    fuller = {**ORDER.input, "camera_fixed": False}
    server.plays(page(server, [prediction(input=fuller)]))
    got = replicate.find(ORDER, SINCE)
    assert isinstance(got, Found)
    assert [found.prediction_id for found in got.predictions] == [PREDICTION_ID]


@pytest.mark.requirement("R50")
def test_an_order_that_is_nowhere_in_a_complete_list_is_absent(replicate: Replicate, server: Server) -> None:
    server.plays(page(server, []))
    assert replicate.find(ORDER, SINCE) == Found(predictions=(), complete=True)


def test_the_list_is_not_read_further_back_than_needed(replicate: Replicate, server: Server) -> None:
    old = prediction(created_at="2026-03-01T09:00:00Z")
    server.plays(page(server, [old], "/v1/predictions?cursor=2"))
    assert replicate.find(ORDER, SINCE) == Found(predictions=(), complete=True)
    assert len(server.seen) == 1


@pytest.mark.requirement("R50")
def test_a_list_whose_inputs_were_wiped_proves_no_absence(replicate: Replicate, server: Server) -> None:
    server.plays(page(server, [prediction(id="wiped", input={}, data_removed=True)]))
    assert replicate.find(ORDER, SINCE) == Found(predictions=(), complete=False)


def test_the_token_is_not_carried_to_a_next_page_somewhere_else(replicate: Replicate, server: Server) -> None:
    server.plays(answer(200, {"results": [], "next": "http://localhost:1/v1/predictions"}))
    assert replicate.find(ORDER, SINCE) == Found(predictions=(), complete=False)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (answer(429, {}, Retry_After="3"), Busy(reason=Reason.BLOCKED, wait_seconds=3.0)),
        (answer(404, {"detail": "no"}), Silent(message="no")),
        (answer(200, {"results": 7}), Silent(message="the list of predictions can't be read")),
    ],
)
def test_a_list_that_can_not_be_read_proves_nothing(
    replicate: Replicate, server: Server, scripted: Scripted, expected: Busy | Silent
) -> None:
    server.plays(scripted)
    assert replicate.find(ORDER, SINCE) == expected
