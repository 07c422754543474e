"""Simulated webhooks are signed by the public scheme and go only where the provider would send them."""

import json

import pytest
from replicate.webhook import Webhooks, WebhookSigningSecret

from simulator.webhooks import FORGED_SECRET, may_be_called, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'


def test_the_published_example_is_signed_as_published() -> None:
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(SECRET, MESSAGE, TIMESTAMP, BODY) == expected


@pytest.mark.parametrize(("secret", "genuine"), [(SECRET, True), (FORGED_SECRET, False)])
def test_the_official_sdk_tells_a_genuine_signature_from_a_forged_one(secret: str, *, genuine: bool) -> None:
    body = json.dumps({"id": "ünïcode"}).encode()
    headers = {
        "webhook-id": MESSAGE,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": sign(secret, MESSAGE, TIMESTAMP, body),
    }
    try:
        Webhooks.validate(headers=headers, body=body.decode(), secret=WebhookSigningSecret(key=SECRET))
        accepted = True
    except ValueError:
        accepted = False
    assert accepted is genuine


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.com/hook", True),
        ("http://127.0.0.1:8000/hook", True),
        ("http://localhost/hook", True),
        ("http://[::1]:80/hook", True),
        ("http://example.com/hook", False),
        ("http://127.0.0.1.example.com/hook", False),
        ("ftp://127.0.0.1/hook", False),
        ("https:///hook", False),
        ("hook", False),
        ("", False),
    ],
)
def test_plain_http_is_called_on_this_machine_only(url: str, *, allowed: bool) -> None:
    assert may_be_called(url) is allowed
