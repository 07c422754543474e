"""Buying from Replicate over a real socket: every class of answer to the one request that costs money."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pipeline.domain.answers import Accepted, Busy, Finished, Reason, Refused, Silent, Unknown
from pipeline.domain.attempt import Prediction
from pipeline.providers import PROVIDERS, http, wire
from pipeline.providers.protocol import Credentials, Order
from pipeline.providers.replicate import Replicate
from tests.replicate_server import ORDER, PREDICTION_ID, TOKEN, Scripted, Server, answer, prediction


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


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, nor can as long as the test lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


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
    Replicate(Credentials(base_url=server.url + ending, token=TOKEN)).status(Prediction(id=PREDICTION_ID))
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
        "webhook_events_filter": ["completed"],
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
    assert got == Unknown(message="no whole answer within 0 s", outage=True)


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
        (Scripted(429, b"<html>"), None),
    ],
)
def test_a_429_is_busy_for_as_long_as_it_says(
    replicate: Replicate, server: Server, scripted: Scripted, wait: float | None
) -> None:
    server.plays(scripted)
    busy = Busy(reason=Reason.BLOCKED, wait_seconds=wait)
    assert replicate.submit(ORDER) == busy
    assert replicate.status(Prediction(id=PREDICTION_ID)) == busy
    assert len(server.seen) == 2


def test_the_token_shows_nowhere(server: Server, nobody: str) -> None:
    credentials = Credentials(base_url=server.url, token=TOKEN)
    adapter = Replicate(credentials)
    server.plays(answer(401, {"detail": f"the token {TOKEN} is not known"}))
    lost = Replicate(Credentials(base_url=nobody, token=TOKEN))
    for shown in (credentials, adapter, adapter.submit(ORDER), adapter.status(Prediction(id="x")), lost.submit(ORDER)):
        assert TOKEN not in repr(shown)


def test_hostile_words_are_made_harmless(replicate: Replicate, server: Server) -> None:
    server.plays(Scripted(422, b'{"detail": "a\\u0000b\\ud800c\\nFAKE LOG LINE \\u001b[31m' + b"x" * 9999 + b'"}'))
    got = replicate.submit(ORDER)
    assert isinstance(got, Refused)
    assert got.message.startswith("a b c FAKE LOG LINE [31mxxx")
    assert len(got.message) <= http.MAX_TEXT
