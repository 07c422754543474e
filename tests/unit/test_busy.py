"""How an account says "not now", and for how long: the signs are rows of the catalogue, tried over a real socket."""

import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from pipeline.domain.answers import Answer, Busy, Reason, Refused, Silent, Unknown
from pipeline.domain.rows import BusySign
from pipeline.providers.http import MAX_WAIT_SECONDS, Client, Reply, free_answer, paying_answer, told_wait
from pipeline.providers.protocol import Credentials
from tests.replicate_server import TOKEN, Scripted, Server, answer

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


def signs(rows: str) -> tuple[BusySign, ...]:
    return tuple(BusySign.model_validate(row) for row in tomllib.loads(f"busy = {rows}")["busy"])


def told(server: Server, rows: str, scripted: Scripted) -> tuple[Answer | None, Answer | None]:
    """What an account with these rows makes of that answer: after an order, and after a question."""
    client = Client(Credentials(base_url=server.url, token=TOKEN, busy=signs(rows)), {"Authorization": "Bearer key"})
    server.plays(scripted)
    return paying_answer(client.pay("/v1/orders", {}, {})), free_answer(client.ask("GET", f"{server.url}/v1/orders/1"))


PLAIN = "[{ status = 429 }]"
MINIMAX = """[
  { status = 429 },
  { status = 529 },
  { status = 200, field = "base_resp.status_code", values = [1002, 1039, 1041, 2045] },
]"""
KLING = """[
  { status = 429, field = "code", values = [1302, 1303] },
  { status = 200, field = "code", values = [1302, 1303] },
]"""
RUNWAY = """[{ status = 429 }, { field = "status", values = ["THROTTLED"], calls = "free" }]"""
WORDS = """[{ status = 400, field = "error.message", words = ["high demand"] }]"""


def minimax(code: int) -> Scripted:
    return answer(200, {"task_id": "", "base_resp": {"status_code": code, "status_msg": "rate limit"}})


def kling(status: int, code: int) -> Scripted:
    return answer(status, {"code": code, "message": "parallel task over resource pack limit", "request_id": "r"})


BUSY, READ = Busy, type(None)


@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    ("rows", "scripted", "to_an_order", "to_a_question"),
    [
        pytest.param(PLAIN, answer(429, {"detail": "throttled"}), BUSY, BUSY, id="plain"),
        pytest.param(PLAIN, Scripted(429, b"<html>"), BUSY, BUSY, id="plain, no JSON"),
        pytest.param(PLAIN, answer(503, {}), Unknown, Silent, id="plain, another status"),
        pytest.param(MINIMAX, minimax(1002), BUSY, BUSY, id="minimax 1002 in a 200"),
        pytest.param(MINIMAX, minimax(2045), BUSY, BUSY, id="minimax 2045 in a 200"),
        pytest.param(MINIMAX, minimax(0), READ, READ, id="minimax success"),
        pytest.param(MINIMAX, minimax(1008), READ, READ, id="minimax no balance"),
        pytest.param(MINIMAX, answer(529, {"type": "error"}), BUSY, BUSY, id="minimax overloaded"),
        pytest.param(MINIMAX, answer(200, {"base_resp": "1002"}), READ, READ, id="minimax, the path leads nowhere"),
        pytest.param(KLING, kling(429, 1303), BUSY, BUSY, id="kling 1303"),
        pytest.param(KLING, kling(200, 1302), BUSY, BUSY, id="kling 1302 in a 200"),
        pytest.param(KLING, kling(429, 1102), Refused, Silent, id="kling's pack is used up, which no waiting cures"),
        pytest.param(RUNWAY, answer(429, {"error": "slow down"}), BUSY, BUSY, id="runway 429"),
        pytest.param(RUNWAY, answer(200, {"id": "t", "status": "THROTTLED"}), READ, BUSY, id="runway holds it back"),
        pytest.param(RUNWAY, answer(200, {"id": "t", "status": "RUNNING"}), READ, READ, id="runway works on it"),
        pytest.param(WORDS, answer(400, {"error": {"message": "High Demand"}}), BUSY, BUSY, id="by its words"),
        pytest.param(WORDS, answer(400, {"error": {"message": "no"}}), Refused, Silent, id="by other words"),
    ],
)
def test_what_says_not_now_is_a_row_of_the_account_and_is_tested_before_the_status_counts(
    server: Server, rows: str, scripted: Scripted, to_an_order: type, to_a_question: type
) -> None:
    ordered, asked = told(server, rows, scripted)
    assert (type(ordered), type(asked)) == (to_an_order, to_a_question)
    assert {each.reason for each in (ordered, asked) if isinstance(each, Busy)} <= {Reason.BLOCKED}


@pytest.mark.requirement("R10")
def test_a_row_may_name_the_field_in_which_its_provider_tells_the_wait(server: Server) -> None:
    rows = """[{ status = 429, wait_field = "error.wait.seconds" }]"""
    ordered, asked = told(server, rows, answer(429, {"error": {"wait": {"seconds": 7.5}}}))
    assert ordered == asked == Busy(reason=Reason.BLOCKED, wait_seconds=7.5)


@pytest.mark.requirement("R10")
def test_a_row_may_say_what_is_used_up_and_how_long_that_lasts_where_the_answer_does_not(server: Server) -> None:
    rows = """[
      { status = 429, field = "error", words = ["daily"], reason = "daily_limit", wait_seconds = 3600 },
      { status = 429 },
    ]"""
    used_up, throttled = answer(429, {"error": "Daily task limit reached."}), answer(429, {"error": "Slow down."})
    assert set(told(server, rows, used_up)) == {Busy(reason=Reason.DAILY_LIMIT, wait_seconds=3600.0)}
    assert set(told(server, rows, throttled)) == {Busy(reason=Reason.BLOCKED)}


@pytest.mark.requirement("R10")
def test_a_sign_may_be_for_orders_alone_so_that_what_was_bought_is_still_asked_for(server: Server) -> None:
    rows = """[{ status = 429, calls = "orders", reason = "daily_limit" }, { status = 503 }]"""
    assert [type(each) for each in told(server, rows, answer(429, {}))] == [Busy, Silent]
    assert [type(each) for each in told(server, rows, answer(503, {}))] == [Busy, Busy]


HTTP_DATE = format_datetime(NOW + timedelta(seconds=42), usegmt=True)
PAST = format_datetime(NOW - timedelta(hours=1), usegmt=True)


@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({"Retry-After": "1.5"}, {}, 1.5),
        ({"Retry-After": HTTP_DATE}, {}, 42.0),
        ({"Retry-After": PAST}, {}, 0.0),
        ({"Retry-After": "-3"}, {}, 0.0),
        ({"Retry-After": "99999"}, {}, MAX_WAIT_SECONDS),
        ({"Retry-After-Ms": "2500"}, {}, 2.5),
        ({"Retry-After-Ms": "2500", "Retry-After": "3"}, {"retry_after": 12}, 2.5),
        ({"Retry-After-Ms": "soon", "Retry-After": "3"}, {}, 3.0),
        ({"Retry-After": "soon"}, {"retry_after": 12}, 12.0),
        ({}, {"retry_after": "12"}, 12.0),
        ({}, {"retry_after": [12]}, None),
        ({}, {"retry_after": True, "detail": "wait 9 s"}, 9.0),
        ({}, {"detail": "Request was throttled. Your rate limit resets in ~30s."}, 30.0),
        ({}, {"detail": "Please try again in 1.5 minutes."}, 90.0),
        ({}, {"error": {"message": "Please retry after 200 ms"}}, 0.2),
        ({}, {"message": "Retry in 20 seconds, you made 600 requests"}, 20.0),
        ({}, {"error": {"message": "Queued due to high demand on your plan. Please retry shortly."}}, None),
        ({}, {"detail": "You may retry. 30s is the usual length of a clip."}, None),
        ({"Retry-After": "nan"}, {}, None),
        ({"Retry-After": "inf"}, {}, None),
        ({}, [], None),
    ],
)
def test_how_long_a_busy_provider_asks_us_to_stay_away(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    reply = Reply(status=429, headers=headers, body=json.dumps(body).encode())
    assert told_wait(reply, now=NOW) == seconds


@pytest.mark.parametrize(
    ("scripted", "outage"),
    [
        (answer(500, {}), True),
        (answer(503, {}), True),
        (Scripted(reset=True), True),
        (Scripted(200, b"{}", cut=1), True),
        (answer(408, {}), False),
        (answer(307, {}, Location="/elsewhere"), False),
    ],
    ids=["500", "503", "reset", "broken off", "408", "redirect"],
)
def test_only_5xx_and_what_went_wrong_on_the_way_is_the_providers_failing(
    server: Server, scripted: Scripted, *, outage: bool
) -> None:
    ordered, asked = told(server, PLAIN, scripted)
    assert isinstance(ordered, Unknown)
    assert isinstance(asked, Silent)
    assert (ordered.outage, asked.outage) == (outage, outage)


@pytest.mark.parametrize(
    ("base_url", "outage"), [("http://127.0.0.1:1", True), ("http://127.0.0.1:99999", False)], ids=["refused", "typo"]
)
def test_an_order_that_found_nobody_is_an_outage_and_one_that_we_misaddressed_is_not(
    base_url: str, *, outage: bool
) -> None:
    client = Client(Credentials(base_url=base_url, token=TOKEN), {"Authorization": "Bearer key"})
    ordered = paying_answer(client.pay("/v1/orders", {}, {}))
    assert isinstance(ordered, Silent)
    assert ordered.outage == outage
