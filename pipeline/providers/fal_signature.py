"""How fal signs its webhooks: ED25519 over four lines, checked with any key of its published set."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOLERANCE_SECONDS = 300
REQUEST_ID = "x-fal-webhook-request-id"
USER_ID = "x-fal-webhook-user-id"
TIMESTAMP = "x-fal-webhook-timestamp"
SIGNATURE = "x-fal-webhook-signature"
HEADERS = (REQUEST_ID, USER_ID, TIMESTAMP, SIGNATURE)


def keys_of(document: Mapping[str, Any]) -> str:
    """The public keys of a JWKS document, as base64url with spaces between; empty where there is none."""
    entries = document.get("keys")
    found = [entry.get("x") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return " ".join(key for key in found if isinstance(key, str) and _public(key))


def complaint(headers: Mapping[str, str], body: bytes, *, keys: str, now: datetime) -> str | None:
    """Why a webhook must not be believed; None when it is genuine and fresh. ``keys`` as ``keys_of`` gives them."""
    named = {name.lower(): value for name, value in headers.items()}
    sent_at = named.get(TIMESTAMP, "")
    if not all(named.get(name) for name in HEADERS) or not (sent_at.isascii() and sent_at.isdigit()):
        return "the signature headers are missing or malformed"
    if abs(now.timestamp() - int(sent_at[:20])) > TOLERANCE_SECONDS:
        return "the webhook is too old, or from the future"
    try:
        signature = bytes.fromhex(named[SIGNATURE])
    except ValueError:
        return "the signature is not hexadecimal"
    signed = message(named[REQUEST_ID], named[USER_ID], sent_at, body)
    matches = any(_holds(key, signature, signed) for key in keys.split())
    return None if matches else "no signature matches"


def message(request_id: str, user_id: str, sent_at: str, body: bytes) -> bytes:
    """What is signed: who was told what and when, the body as its SHA-256."""
    return "\n".join((request_id, user_id, sent_at, hashlib.sha256(body).hexdigest())).encode()


def _holds(key: str, signature: bytes, signed: bytes) -> bool:
    public = _public(key)
    try:
        if public:
            public.verify(signature, signed)
    except InvalidSignature:
        return False
    return public is not None


def _public(key: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)))
    except ValueError:
        return None
