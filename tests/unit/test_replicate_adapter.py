"""The Replicate adapter over a real socket: every class of answer, from a scripted server on loopback."""

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown, Working
from pipeline.providers import PROVIDERS, http, signature, wire
from pipeline.providers.download import download, require_public
from pipeline.providers.protocol import Credentials, Fetched, Forged, Found, Order, WebhookNews
from pipeline.providers.replicate import Replicate

TOKEN = "r8_canary_token_of_the_account"
ORDER = Order(model="wan-video/wan-2.5-t2v", input={"prompt": "a lighthouse", "duration": 5, "seed": 4711})
PREDICTION_ID = "q7x2m9k4t1rme0cr5h8vw3zn6g"
SINCE = datetime(2026, 3, 1, 9, 58, tzinfo=UTC)


def prediction(**changes: Any) -> dict[str, Any]:
    return {
        "id": PREDICTION_ID,
        "model": ORDER.model,
        "version": "hidden",
        "input": dict(ORDER.input),
        "logs": "",
        "output": None,
        "data_removed": False,
        "error": None,
        "status": "starting",
        "source": "api",
        "created_at": "2026-03-01T10:00:00.123456789Z",
        "started_at": None,
        "completed_at": None,
        "metrics": {},
        "urls": {"get": "https://api.replicate.com/v1/predictions/q7x"},
    } | changes


@dataclass(frozen=True)
class Scripted:
    """One answer of the server; ``cut`` ends the body early by so many bytes, ``reset`` says nothing at all."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    reset: bool = False
    garbage: bytes = b""


def answer(status: int, document: Any, **headers: str) -> Scripted:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Server(ThreadingHTTPServer):
    """Answers with the script, one line for each request, the last one for ever; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Scripted] = []
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def plays(self, *script: Scripted) -> None:
        self.script = list(script)

    def next(self) -> Scripted:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._play()

    def do_POST(self) -> None:
        self._play()

    def _play(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        line = self.server.next()
        if line.reset:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if line.garbage:
            self.close_connection = True
            self.wfile.write(line.garbage)
            return
        self.send_response(line.status)
        for name, value in {"Content-Length": str(len(line.body)), **line.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(line.body[: len(line.body) - line.cut])
        self.close_connection = self.close_connection or bool(line.cut)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
        """Keep the test output clean."""


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: Server) -> Server:
    running.seen.clear()
    running.plays(answer(500, {}))
    return running


@pytest.fixture
def replicate(server: Server) -> Replicate:
    return Replicate(Credentials(base_url=server.url, token=TOKEN))


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been slept."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so short that a test can outlive them."""
    brief = wire.Limits(read_seconds=0.05, total_seconds=5)
    monkeypatch.setattr(http, "PAYING", brief)


def test_the_registry_knows_replicate() -> None:
    assert PROVIDERS["replicate"] is Replicate


def test_an_order_for_an_official_model_goes_to_the_models_path(replicate: Replicate, server: Server) -> None:
    server.plays(answer(201, prediction()))
    got = replicate.submit(ORDER)
    assert isinstance(got, Accepted)
    assert got.prediction_id == PREDICTION_ID
    assert got.raw["status"] == "starting"
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/models/wan-video/wan-2.5-t2v/predictions")
    assert seen.document == {"input": dict(ORDER.input)}
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["Connection"] == "close"


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_address_of_an_account_may_end_with_the_version_or_not(server: Server, ending: str) -> None:
    server.plays(answer(200, prediction()))
    Replicate(Credentials(base_url=server.url + ending, token=TOKEN)).status(PREDICTION_ID)
    assert server.seen[0].path == f"/v1/predictions/{PREDICTION_ID}"


def test_an_order_with_a_version_a_webhook_and_a_deadline_carries_all_three(
    replicate: Replicate, server: Server
) -> None:
    server.plays(answer(201, prediction()))
    replicate.submit(
        Order(
            model="cuuupid/cogvideox-5b",
            input={"prompt": "p"},
            version="a" * 64,
            webhook_url="https://us.test/w/1",
            cancel_after_seconds=600,
        )
    )
    [seen] = server.seen
    assert seen.path == "/v1/predictions"
    assert seen.document == {
        "version": "a" * 64,
        "input": {"prompt": "p"},
        "webhook": "https://us.test/w/1",
        "webhook_events_filter": ["start", "completed"],
    }
    assert seen.headers["Cancel-After"] == "600s"


def test_a_prediction_that_is_ready_at_once_is_finished(replicate: Replicate, server: Server) -> None:
    server.plays(answer(201, prediction(status="succeeded", output="https://files.test/a.mp4")))
    got = replicate.submit(ORDER)
    assert isinstance(got, Finished)
    assert got.outputs == ("https://files.test/a.mp4",)
    assert got.prediction_id == PREDICTION_ID


def test_a_prediction_that_failed_at_once_was_still_bought(replicate: Replicate, server: Server) -> None:
    server.plays(answer(201, prediction(status="failed", error="E1000")))
    assert isinstance(replicate.submit(ORDER), Accepted)


NO_PROOF = {
    "a 500": answer(500, {"detail": "oops"}),
    "a 502": answer(502, {}),
    "a 503 with Retry-After": answer(503, {}, Retry_After="3"),
    "a redirect": answer(307, {}, Location="/elsewhere"),
    "a request timeout": answer(408, {}),
    "a conflict": answer(409, {}),
    "an empty 201": Scripted(201, b""),
    "HTML": Scripted(201, b"<html>"),
    "a list": answer(201, []),
    "no id": answer(201, {"status": "starting"}),
    "an id that is a number": answer(201, prediction(id=7)),
    "an id that is a path": answer(201, prediction(id="../account")),
    "a number beyond any float": Scripted(201, b'{"id": "abc", "metrics": {"t": 1e999}}'),
    "NaN": Scripted(201, b'{"id": "abc", "metrics": {"t": NaN}}'),
    "endless nesting": Scripted(201, b"[" * 100_000),
    "more than we read": answer(201, prediction(logs="x" * http.MAX_JSON_BYTES)),
    "a body that breaks off": Scripted(201, json.dumps(prediction()).encode(), cut=9),
    "a reset": Scripted(reset=True),
    "no HTTP at all": Scripted(garbage=b"\x16\x03\x01 hello\r\n\r\n"),
}


@pytest.mark.requirement("R50")
@pytest.mark.parametrize("scripted", NO_PROOF.values(), ids=NO_PROOF.keys())
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_sent_once(
    replicate: Replicate, server: Server, scripted: Scripted
) -> None:
    server.plays(scripted)
    assert isinstance(replicate.submit(ORDER), Unknown)
    assert len(server.seen) == 1


@pytest.mark.requirement("R50")
@pytest.mark.usefixtures("impatient")
def test_silence_after_the_order_was_sent_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        adapter = Replicate(Credentials(base_url=f"http://127.0.0.1:{mute.getsockname()[1]}", token=TOKEN))
        assert isinstance(adapter.submit(ORDER), Unknown)


def test_an_endless_trickle_of_bytes_is_cut_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    hung_up = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while not hung_up.wait(0.01):
                connection.sendall(b"H")
        hung_up.set()

    monkeypatch.setattr(http, "PAYING", wire.Limits(read_seconds=5, total_seconds=0.1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        adapter = Replicate(Credentials(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", token=TOKEN))
        got = adapter.submit(ORDER)
        hung_up.set()
        thread.join()
    assert got == Unknown(message="no whole answer within 0 s")


@pytest.mark.parametrize(
    "base_url",
    ["nobody", "http://nowhere.invalid", "tls", "http://127.0.0.1:99999"],
    ids=["refused", "unknown name", "TLS with somebody who speaks none", "no such port"],
)
def test_an_order_that_could_not_leave_is_silent(nobody: str, server: Server, base_url: str) -> None:
    address = {"nobody": nobody, "tls": server.url.replace("http:", "https:")}.get(base_url, base_url)
    got = Replicate(Credentials(base_url=address, token=TOKEN)).submit(ORDER)
    assert isinstance(got, Silent)
    assert server.seen == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "rejected_input"),
        (401, "not_authorised"),
        (402, "no_credit"),
        (403, "not_authorised"),
        (404, "rejected_input"),
        (405, "rejected_input"),
        (413, "rejected_input"),
        (415, "rejected_input"),
        (422, "rejected_input"),
    ],
)
def test_a_clear_no_to_an_order_is_refused_for_good(
    replicate: Replicate, server: Server, status: int, code: str
) -> None:
    server.plays(answer(status, {"title": "No", "detail": "- input.duration: must be 5 or 10\n", "status": status}))
    got = replicate.submit(ORDER)
    assert isinstance(got, Refused)
    assert (got.code, got.message, got.retryable) == (code, "- input.duration: must be 5 or 10", False)


@pytest.mark.requirement("R68")
def test_an_order_refused_for_its_content_is_moderated(replicate: Replicate, server: Server) -> None:
    server.plays(answer(422, {"detail": "The input was flagged as sensitive. (E005)"}))
    got = replicate.submit(ORDER)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == ("moderated", False)


THROTTLED = "Request was throttled. Your rate limit resets in ~30s."


@pytest.mark.requirement("R10")
@pytest.mark.parametrize(
    ("scripted", "wait"),
    [
        (answer(429, {"detail": THROTTLED}, Retry_After="7"), 7.0),
        (answer(429, {"detail": THROTTLED, "retry_after": 12}), 12.0),
        (answer(429, {"detail": THROTTLED}), 30.0),
        (answer(429, {"detail": THROTTLED}, Retry_After="99999"), 900.0),
        (answer(429, {"detail": "slow down"}, Retry_After="-3"), 0.0),
        (answer(429, {"detail": "slow down"}, Retry_After="soon"), None),
        (answer(429, {"detail": "slow down"}, Retry_After="nan"), None),
        (Scripted(429, b"<html>"), None),
    ],
)
def test_a_429_is_busy_for_as_long_as_it_says(
    replicate: Replicate, server: Server, scripted: Scripted, wait: float | None
) -> None:
    server.plays(scripted)
    busy = Busy(reason=Reason.BLOCKED, wait_seconds=wait)
    assert replicate.submit(ORDER) == busy
    assert replicate.status(PREDICTION_ID) == busy
    assert len(server.seen) == 2


@pytest.mark.requirement("R10")
def test_a_429_may_name_the_moment_instead_of_the_seconds() -> None:
    now = datetime(2026, 3, 1, 10, tzinfo=UTC)
    until = format_datetime(now + timedelta(seconds=42), usegmt=True)
    reply = http.Reply(status=429, headers={"Retry-After": until}, body=b"{}")
    assert http.told_wait(reply, now=now) == 42.0


def failed(error: str | None) -> dict[str, Any]:
    return prediction(status="failed", error=error)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (prediction(), Working(prediction_id=PREDICTION_ID, queued=True)),
        (prediction(status="processing"), Working(prediction_id=PREDICTION_ID)),
        (
            prediction(status="processing", logs="seed 7\n  3%|▎ | 1/30\r 40%|████      | 12/30 [00:01<00:02]\nhm"),
            Working(prediction_id=PREDICTION_ID, progress=40),
        ),
        (
            prediction(status="processing", logs="999%|██| 9/9"),
            Working(prediction_id=PREDICTION_ID, progress=100),
        ),
        (prediction(status="processing", logs=["40%|█| 2/5"]), Working(prediction_id=PREDICTION_ID)),
        (prediction(status="paused_by_cosmic_ray"), Working(prediction_id=PREDICTION_ID)),
        (prediction(status=None), Working(prediction_id=PREDICTION_ID)),
    ],
)
def test_a_prediction_in_progress_is_working(
    replicate: Replicate, server: Server, document: dict[str, Any], expected: Working
) -> None:
    server.plays(answer(200, document))
    assert replicate.status(PREDICTION_ID) == expected


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ("https://f.test/a.mp4", ("https://f.test/a.mp4",)),
        (["https://f.test/a.png", "https://f.test/b.png"], ("https://f.test/a.png", "https://f.test/b.png")),
        ({"video": "https://f.test/a.mp4", "seed": 7}, ("https://f.test/a.mp4",)),
    ],
)
def test_a_succeeded_prediction_is_finished_with_its_links(
    replicate: Replicate, server: Server, output: Any, links: tuple[str, ...]
) -> None:
    server.plays(answer(200, prediction(status="succeeded", output=output, metrics={"predict_time": 61.2})))
    got = replicate.status(PREDICTION_ID)
    assert isinstance(got, Finished)
    assert got.outputs == links
    assert got.raw["metrics"] == {"predict_time": 61.2}
    assert set(got.raw) == {"id", "status", "created_at", "metrics"}


@pytest.mark.parametrize(
    ("document", "code", "retryable"),
    [
        (failed("CUDA out of memory (E1001)"), "provider_error", True),
        (failed("E1000"), "provider_error", True),
        (failed(None), "provider_error", True),
        (failed("The input or output was flagged as sensitive. Please try again. (E005)"), "moderated", False),
        (prediction(status="canceled"), "provider_cancelled", True),
        (prediction(status="aborted"), "provider_cancelled", True),
        (prediction(status="succeeded", output=None, data_removed=True), "lost", True),
        (prediction(status="succeeded", output=[]), "provider_error", True),
        (prediction(status="succeeded", output="file:///etc/passwd"), "provider_error", True),
        (prediction(status="succeeded", output="https://f.test/a\0.mp4"), "provider_error", True),
        (prediction(status="succeeded", output="https://f.test/" + "a" * 5000), "provider_error", True),
    ],
)
def test_a_prediction_that_came_to_nothing_is_refused(
    replicate: Replicate, server: Server, document: dict[str, Any], code: str, *, retryable: bool
) -> None:
    server.plays(answer(200, document))
    got = replicate.status(PREDICTION_ID)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, retryable)


def test_a_prediction_that_the_provider_does_not_know_is_lost(replicate: Replicate, server: Server) -> None:
    server.plays(answer(404, {"detail": "The requested resource could not be found."}))
    got = replicate.status(PREDICTION_ID)
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == ("lost", True)


@pytest.mark.parametrize(
    "scripted",
    [
        answer(401, {"detail": "no"}),
        answer(500, {}),
        answer(302, {}, Location="/elsewhere"),
        Scripted(200, b"<html>"),
        answer(200, prediction(id="another")),
    ],
    ids=["401", "500", "redirect", "HTML", "another prediction"],
)
def test_a_question_that_is_not_answered_is_silent_and_the_prediction_lives_on(
    replicate: Replicate, server: Server, scripted: Scripted
) -> None:
    server.plays(scripted)
    assert isinstance(replicate.status(PREDICTION_ID), Silent)
    assert len(server.seen) == 1


@pytest.mark.requirement("R16")
@pytest.mark.parametrize(
    "hiccup",
    [answer(502, {}), answer(503, {}), answer(504, {}), Scripted(reset=True)],
    ids=["502", "503", "504", "reset"],
)
def test_a_question_that_fails_in_transit_is_asked_three_times(
    replicate: Replicate, server: Server, slept: list[float], hiccup: Scripted
) -> None:
    server.plays(hiccup, hiccup, answer(200, prediction(status="processing")))
    assert replicate.status(PREDICTION_ID) == Working(prediction_id=PREDICTION_ID)
    server.plays(hiccup)
    assert isinstance(replicate.status(PREDICTION_ID), Silent)
    assert len(server.seen) == 6
    assert len(slept) == 4
    assert max(slept) <= 0.5


def test_a_cancelled_prediction_says_what_it_has_become(replicate: Replicate, server: Server) -> None:
    server.plays(answer(200, prediction(status="canceled")))
    got = replicate.cancel(PREDICTION_ID)
    assert isinstance(got, Refused)
    assert got.code == "provider_cancelled"
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", f"/v1/predictions/{PREDICTION_ID}/cancel")


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


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENT_AT = datetime.fromtimestamp(1614265330, UTC)
VECTOR = {
    "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "WEBHOOK-SIGNATURE": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def signed(body: bytes, **changes: str) -> dict[str, str]:
    right = signature.sign("msg_1", "1614265330", body, secret=SECRET)
    named = {"webhook-id": "msg_1", "webhook-timestamp": "1614265330", "webhook-signature": right}
    return named | {name.replace("_", "-"): value for name, value in changes.items()}


@pytest.mark.requirement("R53")
def test_the_official_signature_vector_is_genuine() -> None:
    body = b'{"test": 2432232314}'
    assert signature.complaint(VECTOR, body, secret=SECRET, now=SENT_AT) is None
    assert signature.complaint(VECTOR, body + b" ", secret=SECRET, now=SENT_AT) == "no signature matches"


@pytest.mark.requirement("R53")
def test_a_genuine_webhook_is_read_like_a_status(replicate: Replicate) -> None:
    body = json.dumps(prediction(status="succeeded", output="https://f.test/a.mp4")).encode()
    several = {"webhook_signature": "v1,AAAA v2,zz " + signature.sign("msg_1", "1614265330", body, secret=SECRET)}
    for headers in (signed(body), signed(body, **several)):
        got = replicate.read_webhook(headers, body, secret=SECRET, now=SENT_AT + timedelta(minutes=4))
        assert isinstance(got, WebhookNews)
        assert (got.webhook_id, got.prediction_id) == ("msg_1", PREDICTION_ID)
        assert isinstance(got.answer, Finished)


BODY = json.dumps(prediction()).encode()


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(
    ("headers", "body", "minutes"),
    [
        (signed(BODY), BODY.replace(b"starting", b"failed"), 0),
        (signed(BODY), BODY, 6),
        (signed(BODY), BODY, -6),
        (signed(BODY, webhook_timestamp="1614265331"), BODY, 0),
        (signed(BODY, webhook_timestamp="٣"), BODY, 0),
        (signed(BODY, webhook_timestamp="9" * 400), BODY, 0),
        (signed(BODY, webhook_id="msg_2"), BODY, 0),
        (signed(BODY, webhook_signature="v1,é"), BODY, 0),
        (signed(BODY, webhook_signature=""), BODY, 0),
        ({}, BODY, 0),
        (signed(b"[]"), b"[]", 0),
        (signed(b'{"id": "../x"}'), b'{"id": "../x"}', 0),
        (signed(b" " * 300_000), b" " * 300_000, 0),
    ],
)
def test_a_webhook_that_is_not_genuine_is_forged(
    replicate: Replicate, headers: dict[str, str], body: bytes, minutes: int
) -> None:
    got = replicate.read_webhook(headers, body, secret=SECRET, now=SENT_AT + timedelta(minutes=minutes))
    assert isinstance(got, Forged)


@pytest.mark.parametrize("secret", ["", "whsec_%%%", "whsec_é", "whsec_MfKQ"])
def test_a_webhook_under_another_secret_is_forged_whatever_the_secret(replicate: Replicate, secret: str) -> None:
    assert isinstance(replicate.read_webhook(signed(BODY), BODY, secret=secret, now=SENT_AT), Forged)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("status", "output", "error", "logs", "metrics", "created_at", "data_removed", "completed_at")


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
    st.sampled_from(["starting", "succeeded", "failed", None]),
)
def test_whatever_a_provider_sends_is_read_to_an_answer_that_can_be_stored(
    fields: dict[str, Any], status: str | None
) -> None:
    body = json.dumps({"id": "abc", **fields, **({"status": status} if status else {})}).encode()
    adapter = Replicate(Credentials(base_url="http://127.0.0.1:1", token=TOKEN))
    got = adapter.read_webhook(signed(body), body, secret=SECRET, now=SENT_AT)
    if isinstance(got, WebhookNews):
        stored = json.dumps(asdict(got.answer), allow_nan=False)
        assert "\\u0000" not in stored
        assert "\\ud8" not in stored


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_as_deep_as_a_parser_goes_is_read_too(replicate: Replicate, server: Server, field: str) -> None:
    deep = b"[" * 900 + b"]" * 900
    whole = json.dumps(prediction(status="failed")).encode()
    server.plays(Scripted(200, b'%s, "%s": %s}' % (whole[:-1], field.encode(), deep)))
    assert isinstance(replicate.status(PREDICTION_ID), Refused | Working | Silent)


@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (answer(200, {"key": SECRET}), SECRET),
        (answer(200, {}), Silent(message="the answer holds no webhook key")),
        (answer(401, {"detail": "who?"}), Silent(message="HTTP 401: who?")),
        (answer(429, {}), Busy(reason=Reason.BLOCKED)),
    ],
)
def test_the_webhook_secret_is_fetched_or_said_to_be_missing(
    replicate: Replicate, server: Server, scripted: Scripted, expected: str | Silent | Busy
) -> None:
    server.plays(scripted)
    assert replicate.webhook_secret() == expected


def test_the_token_shows_nowhere(server: Server, nobody: str) -> None:
    credentials = Credentials(base_url=server.url, token=TOKEN)
    adapter = Replicate(credentials)
    server.plays(answer(401, {"detail": f"the token {TOKEN} is not known"}))
    lost = Replicate(Credentials(base_url=nobody, token=TOKEN))
    for shown in (credentials, adapter, adapter.submit(ORDER), adapter.status("x"), lost.submit(ORDER)):
        assert TOKEN not in repr(shown)


def test_hostile_words_are_made_harmless(replicate: Replicate, server: Server) -> None:
    server.plays(Scripted(422, b'{"detail": "a\\u0000b\\ud800c\\nFAKE LOG LINE \\u001b[31m' + b"x" * 9999 + b'"}'))
    got = replicate.submit(ORDER)
    assert isinstance(got, Refused)
    assert got.message.startswith("a b c FAKE LOG LINE [31mxxx")
    assert len(got.message) <= http.MAX_TEXT


CLIP = bytes(range(256)) * 1000


def test_an_output_is_downloaded_whole_and_without_our_key(
    replicate: Replicate, server: Server, tmp_path: Path
) -> None:
    server.plays(Scripted(200, CLIP))
    got = replicate.download(server.url + "/a.mp4?sig=1", tmp_path / "a.mp4", max_bytes=len(CLIP))
    assert got == Fetched(size_bytes=len(CLIP), sha256=hashlib.sha256(CLIP).hexdigest())
    assert (tmp_path / "a.mp4").read_bytes() == CLIP
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.requirement("R63")
@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (Scripted(403), "lost"),
        (Scripted(404), "lost"),
        (Scripted(410), "lost"),
        (Scripted(200, CLIP + b"x"), "broken_file"),
        (Scripted(200, CLIP, cut=1), None),
        (Scripted(reset=True), None),
        (Scripted(503), None),
        (Scripted(302, headers={"Location": "/b.mp4"}), None),
    ],
)
def test_a_file_that_is_not_whole_leaves_nothing_behind(
    replicate: Replicate, server: Server, tmp_path: Path, scripted: Scripted, expected: str | None
) -> None:
    server.plays(scripted)
    got = replicate.download(server.url + "/a.mp4", tmp_path / "a.mp4", max_bytes=len(CLIP))
    assert isinstance(got, Silent) if expected is None else isinstance(got, Refused) and got.code == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/a.mp4",
        "ftp://93.184.216.34/a.mp4",
        "file:///etc/passwd",
        "https://93.184.216.34:6379/",
        "https://user@93.184.216.34/",
        "https://93.184.216.34\\@127.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1]/",
        "https:///a.mp4",
        "https://[::1",
        "https://93.184.216.34:99999/",
        "https://93.184.216.34/\na",
        "https://93.184.216.34/" + "a" * 5000,
    ],
)
def test_a_link_to_anywhere_but_the_public_internet_is_not_followed(url: str, tmp_path: Path) -> None:
    got = download(url, tmp_path / "a.mp4", max_bytes=1)
    assert isinstance(got, Refused)
    assert not got.retryable


def test_a_name_that_changes_its_address_after_the_check_gets_no_request(server: Server) -> None:
    got = wire.call("GET", server.url, wire.Limits(), {}, consume=lambda _: "reached", check_peer=require_public)
    assert got == wire.Failed(message="the connection was refused or lost (ConnectionError)", sent=False)
    assert server.seen == []


def test_a_peer_that_passes_the_check_gets_the_request(server: Server) -> None:
    server.plays(Scripted(200))
    reached: Callable[[requests.Response], int] = lambda response: response.status_code  # noqa: E731 -- typed
    assert wire.call("GET", server.url, wire.Limits(), {}, consume=reached, check_peer=lambda _: None) == 200
