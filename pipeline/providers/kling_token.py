"""What opens an account at Kling: an API key as it is, or an access key and a secret that sign a token for a while."""

import base64
import hashlib
import hmac
import json
from typing import Any

LIFE_SECONDS = 1800
#: Their clock may run behind ours.
SKEW_SECONDS = 5


def bearer(key: str, *, now: int) -> str:
    """What goes behind ``Bearer``: the key, or for ``access:secret`` a token; ``now`` in seconds since 1970."""
    access, colon, secret = key.partition(":")
    return signed(access, secret, expires=now + LIFE_SECONDS, begins=now - SKEW_SECONDS) if colon else key


def signed(access: str, secret: str, *, expires: int, begins: int) -> str:
    """A JSON Web Token (HS256) of an access key."""
    parts = [_packed({"alg": "HS256", "typ": "JWT"}), _packed({"iss": access, "exp": expires, "nbf": begins})]
    content = ".".join(parts)
    return f"{content}.{_plain(hmac.digest(secret.encode(), content.encode(), hashlib.sha256))}"


def _packed(document: dict[str, Any]) -> str:
    return _plain(json.dumps(document, separators=(",", ":")).encode())


def _plain(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
