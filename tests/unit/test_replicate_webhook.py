"""What Replicate tells by itself: believed by its signature only, and read whatever it holds."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.answers import Busy, Finished, Reason, Silent
from pipeline.providers import signature
from pipeline.providers.protocol import Credentials, Forged, WebhookNews
from pipeline.providers.replicate import Replicate
from tests.replicate_server import PREDICTION_ID, TOKEN, Scripted, Server, answer, prediction


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
        stored = json.dumps(asdict(got.answer), allow_nan=False, ensure_ascii=False)
        assert "\\u0000" not in stored
        assert stored.encode(), "half a surrogate can't be encoded, and so not stored"


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
