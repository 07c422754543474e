"""Webhooks over HTTP on a real Postgres: genuine ones are taken, forged ones learn nothing."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pipeline.domain import webhook
from pipeline.providers.signature import sign
from tests.web import SECRET_KEY, Web, settings, web

WEBHOOK_SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture
def api(database_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url, replicate_webhook_secret=WEBHOOK_SECRET)) as running:
        yield running


def webhook_headers(body: bytes, api: Web) -> dict[str, str]:
    sent_at = str(int(api.services.now().timestamp()))
    signature = sign("msg_1", sent_at, body, secret=WEBHOOK_SECRET)
    return {"webhook-id": "msg_1", "webhook-timestamp": sent_at, "webhook-signature": signature}


@pytest.mark.requirement("R53")
def test_a_genuine_webhook_is_taken_however_often_it_comes(api: Web) -> None:
    attempt, body = str(uuid4()), b'{"id": "p1", "status": "processing"}'
    address = f"/webhooks/replicate/{attempt}/{webhook.mac(SECRET_KEY, 'replicate', attempt)}"
    for _ in range(2):
        told = api.client().post(address, data=body, headers=webhook_headers(body, api))
        assert (told.status_code, told.get_json()) == (200, {})


@pytest.mark.requirement("R53")
def test_a_forged_webhook_learns_nothing(api: Web) -> None:
    attempt, body = str(uuid4()), b'{"id": "p1", "status": "processing"}'
    mac, signed = webhook.mac(SECRET_KEY, "replicate", attempt), webhook_headers(body, api)
    forged = [
        (f"/webhooks/replicate/{attempt}/{'0' * 32}", body, signed),
        (f"/webhooks/replicate/{attempt}/schlüssel", body, signed),
        (f"/webhooks/replicate/{uuid4()}/{mac}", body, signed),
        (f"/webhooks/nobody/{attempt}/{mac}", body, signed),
        (f"/webhooks/replicate/not-an-id/{mac}", body, signed),
        (f"/webhooks/replicate/{attempt}/{mac}", body + b" ", signed),
        (f"/webhooks/replicate/{attempt}/{mac}", body, {}),
    ]
    said = set()
    for address, sent, headers in forged:
        told = api.client().post(address, data=sent, headers=headers)
        assert told.status_code == 401
        said.add(told.get_json()["detail"])
    assert len(said) == 1
