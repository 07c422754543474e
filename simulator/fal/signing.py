"""fal's signatures: ED25519 over who was told what and when, with keys that anybody may fetch."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER = "user_simulated"


def key_of(secret: str) -> Ed25519PrivateKey:
    """The key that a simulator signs with; the same as long as its secret is."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"fal {secret}".encode()).digest())


def published(*keys: Ed25519PrivateKey) -> dict[str, Any]:
    """The set of public keys, as JWKS."""
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": _text(key)} for key in keys]}


def headers_of(key: Ed25519PrivateKey, request_id: str) -> Callable[[int, bytes], Mapping[str, str]]:
    """What proves a webhook about this request: the headers, by the time and the body."""

    def headers(timestamp: int, body: bytes) -> Mapping[str, str]:
        lines = (request_id, USER, str(timestamp), hashlib.sha256(body).hexdigest())
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": USER,
            "X-Fal-Webhook-Timestamp": str(timestamp),
            "X-Fal-Webhook-Signature": key.sign("\n".join(lines).encode()).hex(),
        }

    return headers


def _text(key: Ed25519PrivateKey) -> str:
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
