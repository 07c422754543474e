"""The address that a provider calls about one attempt: it names the attempt, and proves that we wrote it."""

import hashlib
import hmac

_MAC_CHARS = 32  # 128 bits in hex


def mac(secret_key: str, provider: str, attempt_id: str) -> str:
    """What makes an attempt's address unguessable; each part is length-prefixed, so none can slide into the next."""
    said = "".join(f"{len(part)}:{part}" for part in ("webhook", provider, attempt_id))
    return hmac.new(secret_key.encode(), said.encode(), hashlib.sha256).hexdigest()[:_MAC_CHARS]


def is_ours(secret_key: str, provider: str, attempt_id: str, given: str) -> bool:
    """Whether an address was written by us; in constant time."""
    return hmac.compare_digest(mac(secret_key, provider, attempt_id).encode(), given.encode())


def address(public_url: str, secret_key: str, provider: str, attempt_id: str) -> str | None:
    """Where the provider reports this attempt; None when nobody can reach us, so that we ask instead."""
    if not public_url:
        return None
    return f"{public_url.rstrip('/')}/webhooks/{provider}/{attempt_id}/{mac(secret_key, provider, attempt_id)}"
