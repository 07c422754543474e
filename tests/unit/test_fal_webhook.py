"""fal's webhooks: the published vector, any of several keys, and what must not be believed."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.domain.answers import Finished, Refused, Silent
from pipeline.providers.fal import Fal
from pipeline.providers.http import MAX_JSON_BYTES
from pipeline.providers.protocol import Credentials, Forged, Hint, WebhookNews
from tests.replicate_server import Scripted, Server, answer

pytestmark = pytest.mark.requirement("R53")

SEED = bytes(range(32))
PUBLIC = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
SENT_AT = 1_700_000_000
NOW = datetime.fromtimestamp(SENT_AT, UTC)
BODY = b'{"request_id":"req-1","status":"OK"}'
VECTOR = (
    "b9b3e0128c065168cdabc8e784223b85794cf0a2989ca7ecab1447c15bfa6734"
    "c78c445eab492fa6fd89f006b15eb6d5e931a53ccac6dc55eec9369cbb1e600d"
)
FAL = Fal(Credentials(base_url="http://127.0.0.1:1", token="key"))
VIDEO = {"video": {"url": "https://v3.fal.media/files/a.mp4"}}


def key(seed: bytes) -> str:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return base64.urlsafe_b64encode(public).decode().rstrip("=")


def headers(body: bytes = BODY, *, seed: bytes = SEED, **changes: str) -> dict[str, str]:
    said = {"request_id": "req-1", "user_id": "user-1", "timestamp": str(SENT_AT)} | changes
    lines = (said["request_id"], said["user_id"], said["timestamp"], hashlib.sha256(body).hexdigest())
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign("\n".join(lines).encode()).hex()
    named = {"Request-Id": said["request_id"], "User-Id": said["user_id"], "Timestamp": said["timestamp"]}
    return {f"X-Fal-Webhook-{name}": value for name, value in {**named, "Signature": signature}.items()}


def read(given: dict[str, str], body: bytes = BODY, *, secret: str = PUBLIC, now: datetime = NOW) -> Any:
    return FAL.read_webhook(given, body, secret=secret, now=now)


def told(**document: Any) -> Any:
    body = json.dumps({"request_id": "req-1", **document}).encode()
    return read(headers(body), body)


def test_the_vector_of_the_fact_sheet_is_believed() -> None:
    assert headers()["X-Fal-Webhook-Signature"] == VECTOR
    assert read(headers()) == Hint(webhook_id="req-1", prediction_id="req-1")


def test_names_of_headers_may_come_in_any_case() -> None:
    assert isinstance(read({name.upper(): value for name, value in headers().items()}), Hint)


def test_any_key_of_the_set_may_have_signed() -> None:
    assert isinstance(read(headers(), secret=f"{key(b'x' * 32)} {PUBLIC}"), Hint)


FORGED = {
    "another key": (headers(seed=b"x" * 32), BODY),
    "another body": (headers(), BODY.replace(b"OK", b"NO")),
    "another request": (headers() | {"X-Fal-Webhook-Request-Id": "req-2"}, BODY),
    "another user": (headers() | {"X-Fal-Webhook-User-Id": "user-2"}, BODY),
    "another time": (headers() | {"X-Fal-Webhook-Timestamp": str(SENT_AT + 1)}, BODY),
    "no signature": (headers() | {"X-Fal-Webhook-Signature": ""}, BODY),
    "no hexadecimal": (headers() | {"X-Fal-Webhook-Signature": "§" * 128}, BODY),
    "too short a signature": (headers() | {"X-Fal-Webhook-Signature": VECTOR[:-2]}, BODY),
    "no number as time": (headers() | {"X-Fal-Webhook-Timestamp": "²"}, BODY),
    "no headers": ({}, BODY),
    "no JSON": (headers(b"hello"), b"hello"),
    "no request": (headers(b"{}"), b"{}"),
    "a path as request": (headers(b'{"request_id":"../a"}'), b'{"request_id":"../a"}'),
    "too much": (headers(b" " * (MAX_JSON_BYTES + 1)), b" " * (MAX_JSON_BYTES + 1)),
}


@pytest.mark.parametrize(("given", "body"), FORGED.values(), ids=FORGED)
def test_what_is_not_signed_as_it_stands_is_forged(given: dict[str, str], body: bytes) -> None:
    assert isinstance(read(given, body), Forged)


@pytest.mark.parametrize("secret", ["", "no key", "AAAA", "§"])
def test_without_a_key_nothing_is_believed(secret: str) -> None:
    assert isinstance(read(headers(), secret=secret), Forged)


@pytest.mark.parametrize(("late", "believed"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_five_minutes_are_the_limit_both_ways(late: int, *, believed: bool) -> None:
    assert isinstance(read(headers(), now=NOW + timedelta(seconds=late)), Hint) is believed


def test_a_result_comes_with_the_webhook() -> None:
    news = told(status="OK", payload=VIDEO)
    assert isinstance(news, WebhookNews)
    assert isinstance(news.answer, Finished)
    assert (news.webhook_id, news.answer.outputs) == ("req-1", ("https://v3.fal.media/files/a.mp4",))


@pytest.mark.requirement("R68")
@pytest.mark.parametrize(
    ("kind", "status", "code", "retryable"),
    [
        ("content_policy_violation", 422, "moderated", False),
        ("image_load_error", 422, "rejected_input", False),
        ("internal_server_error", 500, "provider_error", True),
    ],
)
def test_a_failure_comes_with_its_type(kind: str, status: int, code: str, *, retryable: bool) -> None:
    payload = {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": kind}]}
    news = told(status="ERROR", error=f"Invalid status code: {status}", payload=payload)
    assert isinstance(news, WebhookNews)
    assert isinstance(news.answer, Refused)
    assert (news.answer.code, news.answer.retryable) == (code, retryable)


@pytest.mark.parametrize(
    "document",
    [
        {"status": "OK", "payload_error": "Response payload is not JSON serializable"},
        {"status": "OK", "payload": None},
        {"status": "ERROR", "error": "Invalid status code: 422"},
        {"status": "ERROR"},
        {"status": "A_NEW_WORD", "payload": VIDEO},
    ],
)
def test_an_end_that_is_not_told_in_full_is_asked_for(document: dict[str, Any]) -> None:
    assert told(**document) == Hint(webhook_id="req-1", prediction_id="req-1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server.running() as running:
        yield running


def test_the_keys_are_fetched_as_text_and_what_is_no_key_is_left_out(server: Server) -> None:
    fal = Fal(Credentials(base_url=server.url, token="key", hosts={"rest": f"{server.url}/_rest/"}))
    server.plays(answer(200, {"keys": [{"x": PUBLIC}, {"x": "AAAA"}, {"x": 5}, {}, "x", {"x": key(b"y" * 32)}]}))
    assert fal.webhook_secret() == f"{PUBLIC} {key(b'y' * 32)}"
    assert server.seen[0].path == "/_rest/.well-known/jwks.json"
    for line in (answer(200, {"keys": []}), answer(200, {}), answer(404, {}), Scripted(200, b"[]")):
        server.plays(line)
        assert isinstance(fal.webhook_secret(), Silent)
