"""Standard Webhooks signatures, as Replicate and others send them: checked over the raw bytes, before any parsing."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

TOLERANCE_SECONDS = 300


def complaint(headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime) -> str | None:
    """Why a webhook must not be believed; None when it is genuine and fresh.

    ``headers`` in any case; ``secret`` as the provider gives it (``whsec_…``).
    """
    named = {name.lower(): value for name, value in headers.items()}
    webhook_id, sent_at = named.get("webhook-id", ""), named.get("webhook-timestamp", "")
    if not webhook_id or not (sent_at.isascii() and sent_at.isdigit()):
        return "the signature headers are missing or malformed"
    if abs(now.timestamp() - int(sent_at[:20])) > TOLERANCE_SECONDS:
        return "the webhook is too old, or from the future"
    try:
        expected = sign(webhook_id, sent_at, body, secret=secret).encode()
    except ValueError as error:
        return str(error)
    given = [value.encode() for value in named.get("webhook-signature", "").split()]
    # Every one is compared, so that the time taken tells nothing.
    matches = sum(hmac.compare_digest(expected, candidate) for candidate in given)
    return None if matches else "no signature matches"


def sign(webhook_id: str, sent_at: str, body: bytes, *, secret: str) -> str:
    """The signature of a webhook, ``v1,<base64>``: HMAC-SHA256 over id, time and body with dots between.

    Raises ``ValueError`` when the secret is not one.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("the webhook secret is not base64") from error
    signed = b".".join((webhook_id.encode(), sent_at.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
