"""Delivers webhooks: signed after the Standard Webhooks scheme, the last one of a prediction again and again."""

import base64
import hashlib
import hmac
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from simulator.scheduler import Scheduler

log = logging.getLogger(__name__)

AT_ONCE = 32
TIMEOUT_SECONDS = 10
LONGEST_ANSWER_BYTES = 64 * 2**10
RETRY_SECONDS = (1, 2, 4, 8, 16, 32)  #: exponential, the last one about a minute after the end
FORGED_SECRET = "whsec_" + base64.b64encode(b"somebody else's secret").decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` of a body, by a secret of the form ``whsec_<base64>``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def may_be_called(url: str) -> bool:
    """Whether the provider would call this URL: https, or plain http on this machine."""
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one URL. ``settled`` hears when no further try will be made."""

    url: str
    message_id: str
    body: bytes
    persistent: bool = False
    forged: bool = False
    tries: int = 0
    settled: Callable[[], object] = lambda: None
    headers: Callable[[int, bytes], Mapping[str, str]] | None = None  #: None: Standard Webhooks


class Courier:
    """Sends deliveries on a few threads and tries the persistent ones again."""

    def __init__(self, *, secret: str, scheduler: Scheduler, count: Callable[[str], object]) -> None:
        self._secret = secret
        self._scheduler = scheduler
        self._count = count
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def send(self, delivery: Delivery, after_seconds: float = 0) -> None:
        """Deliver it in the background, now or later."""
        if after_seconds > 0:
            self._scheduler.after(after_seconds, lambda: self.send(delivery))
        else:
            self._pool.submit(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        arrived = self._post(delivery)
        if arrived or not delivery.persistent or delivery.tries >= len(RETRY_SECONDS):
            delivery.settled()
            return
        again = Delivery(**vars(delivery) | {"tries": delivery.tries + 1})
        self.send(again, RETRY_SECONDS[delivery.tries])

    def _proof(self, delivery: Delivery, timestamp: int) -> Mapping[str, str]:
        secret = FORGED_SECRET if delivery.forged else self._secret
        return {
            "webhook-id": delivery.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret, delivery.message_id, timestamp, delivery.body),
        }

    def _post(self, delivery: Delivery) -> bool:
        timestamp = int(time.time())
        proof = delivery.headers(timestamp, delivery.body) if delivery.headers else self._proof(delivery, timestamp)
        headers = {"content-type": "application/json", "user-agent": "simulator", **proof}
        self._count("webhooks")
        try:
            return call(delivery.url, delivery.body, headers) < HTTPStatus.BAD_REQUEST
        except (OSError, HTTPException) as unreachable:
            log.info("webhook to %s failed: %s", delivery.url, unreachable)
            return False


def call(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer; a redirect is not followed."""
    return exchange(url, body, headers)[0]


def exchange(
    url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float = TIMEOUT_SECONDS
) -> tuple[int, bytes]:
    """The status and the body of the answer."""
    place = urlsplit(url)
    kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
    with closing(kind(place.hostname or "", place.port, timeout=timeout_seconds)) as connection:
        connection.request("POST", (place.path or "/") + (f"?{place.query}" if place.query else ""), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST_ANSWER_BYTES)
