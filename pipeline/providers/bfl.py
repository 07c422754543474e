"""Black Forest Labs, over plain HTTP: pictures above all, each asked for where its order was taken."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pipeline.domain.answers import Accepted, Busy, Refused, Silent, Unknown
from pipeline.domain.attempt import Prediction
from pipeline.providers import download as downloads
from pipeline.providers.bfl_reading import complaint, has_id, kept_of, reading, sent_at
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import MAX_JSON_BYTES, Client, Reply, free_answer, parsed, paying_answer
from pipeline.providers.protocol import (
    Credentials,
    Fetched,
    Forged,
    Found,
    Order,
    Status,
    Submitted,
    Survey,
    WebhookNews,
)
from pipeline.providers.wire import Failed

TOLERANCE_SECONDS = 300
SIGNATURE = "x-bfl-signature"


class Bfl:
    """One account at Black Forest Labs, at its own address or at a simulator's."""

    def __init__(self, credentials: Credentials) -> None:
        # Their tools write the address with the version, their docs without; both forms are taken.
        host = replace(credentials, base_url=credentials.base_url.rstrip("/").removesuffix("/v1"))
        self._client = Client(host, {"x-key": credentials.token})
        self._hosts = (host.base_url, *host.hosts.values())
        # They sign with what each order tells them; ours needs to be known to nobody else, and to stay the same.
        own = hmac.new(credentials.token.encode(), b"webhooks of dailies", hashlib.sha256).hexdigest()
        self._webhook_secret = credentials.webhook_secret or own

    def submit(self, order: Order) -> Submitted:
        """Buy a task: exactly one POST to the model's path; what is no clear answer is ``Unknown``."""
        path, _, more = order.endpoint.partition("?")
        body = {**dict(parse_qsl(more)), **shaped(order.input)}
        if order.webhook_url:
            body |= {"webhook_url": order.webhook_url, "webhook_secret": self._webhook_secret}
        reply = self._client.pay(f"/v1/{quote(path, safe='')}", body, {})
        answer = paying_answer(reply)
        if isinstance(answer, Refused) and isinstance(reply, Reply):
            return complaint(answer, reply.document() or {})
        return answer or _bought(reply)

    def status(self, prediction: Prediction) -> Status:
        """Ask for one task at the address that its order was answered with; ordered with a webhook it has none."""
        told = prediction.receipt.get("polling_url")
        url = told if isinstance(told, str) and self._is_theirs(told) else self._usual(prediction)
        reply = self._client.ask("GET", url)
        if answer := free_answer(reply):
            return answer
        document = reply.document() if isinstance(reply, Reply) else None
        if document is None:
            return Silent(message="the answer is not a JSON object")
        if document.get("id") != prediction.id:
            return Silent(message="the answer is about another task")
        return reading(document, told_at=told if url == told else None)

    def cancel(self, prediction: Prediction) -> Status:
        """Nothing can be stopped: the answer is how the task goes, and its end has to be waited for."""
        return self.status(prediction)

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:  # noqa: ARG002 - there is no list to look in
        """Nothing lists what was bought; only its webhook can tell of an order whose answer was lost."""
        return Found(predictions=(), complete=False)

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:  # noqa: ARG002
        """Nothing lists what was bought."""
        return Survey(readings={})

    def probe(self, model: str) -> Busy | Silent | None:  # noqa: ARG002 - models have no pages of their own
        """Read the account's credits, which is free."""
        answer = free_answer(self._client.ask("GET", f"{self._client.base_url}/v1/credits"))
        return None if isinstance(answer, Refused) else answer

    def webhook_secret(self) -> str | Busy | Silent:
        """What every order of ours asks to be signed with; nobody has to be asked."""
        return self._webhook_secret

    def read_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime
    ) -> WebhookNews | Forged:
        """Check, then read, a webhook. The signed body may name its time; nothing else protects against old ones."""
        if len(body) > MAX_JSON_BYTES:
            return Forged(message="the webhook is too large")
        given = next((value for name, value in headers.items() if name.lower() == SIGNATURE), "")
        if not hmac.compare_digest(given.encode(), signature(body, secret).encode()):
            return Forged(message="the signature does not match")
        document = parsed(body)
        if document is None or not has_id(document):
            return Forged(message="the webhook is signed, but it is no task")
        moment = sent_at(document)
        if moment is not None and abs((now - moment).total_seconds()) > TOLERANCE_SECONDS:
            return Forged(message="the webhook is too old, or from the future")
        webhook_id = f"{document['id']}:{document.get('status')}"[:200]
        return WebhookNews(webhook_id=webhook_id, prediction_id=document["id"], answer=reading(document))

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        insecure = urlsplit(self._client.base_url).scheme == "http"
        return downloads.download(url, path, max_bytes=max_bytes, insecure=insecure)

    def _usual(self, prediction: Prediction) -> str:
        return f"{self._client.base_url}/v1/get_result?{urlencode({'id': prediction.id})}"

    def _is_theirs(self, url: str) -> bool:
        """Whether an address of an answer is the provider's own: only there does our key go."""
        try:
            return len(url) <= MAX_URL and url.isprintable() and any(_is_under(url, host) for host in self._hosts)
        except ValueError:
            return False


def shaped(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flat input as they have it: several pictures are numbered fields, and keyframes always a list."""
    body: dict[str, Any] = {}
    for name, value in given.items():
        if name == "keyframes" and isinstance(value, str):
            body[name] = [value]
        elif isinstance(value, list) and name != "keyframes":
            body |= {name if number == 1 else f"{name}_{number}": each for number, each in enumerate(value, 1)}
        else:
            body[name] = value
    return body


def signature(body: bytes, secret: str) -> str:
    """What signs a webhook: ``sha256=`` and the HMAC of its raw bytes in hex."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _is_under(url: str, known: str) -> bool:
    """The same place, or over https a host of the same domain. Raises ValueError for what is no address."""
    theirs, ours = urlsplit(url), urlsplit(known)
    if theirs.username is not None or "\\" in url or theirs.scheme != ours.scheme:
        return False
    below = ours.scheme == "https" and theirs.port in {None, 443} and ours.port is None
    return theirs.netloc == ours.netloc or (below and f".{theirs.hostname}".endswith(f".{ours.hostname}"))


def _bought(reply: Reply | Failed) -> Accepted | Unknown:
    """Read the 2xx of a paying POST: anything with an id was bought."""
    document = (reply.document() if isinstance(reply, Reply) else None) or {}
    if not has_id(document):
        return Unknown(message="the order was answered with something that is no task")
    polling_url = document.get("polling_url")
    return Accepted(prediction_id=document["id"], raw=kept_of(document, told_at=polling_url))
