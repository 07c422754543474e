"""fal's queue, spoken over plain HTTP: its own SDK sends a lost order again, up to ten times.

An order goes to the model's whole path; whatever comes after it, to the owner and the alias alone. fal queues by
itself, and ``X-Fal-Request-Timeout``, with which it would give up what waits there, is never sent.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pipeline.domain.answers import Accepted, Busy, Refused, Silent, Unknown
from pipeline.domain.attempt import Prediction
from pipeline.domain.rows import BusySign
from pipeline.providers import download as downloads
from pipeline.providers import fal_signature as signature
from pipeline.providers.fal_reading import (
    has_id,
    is_older,
    listed,
    refusal,
    reported,
    result,
    tells_of_the_run,
    waiting,
)
from pipeline.providers.http import (
    MAX_JSON_BYTES,
    MAX_LIST_BYTES,
    Client,
    Reply,
    Sign,
    free_answer,
    parsed,
    paying_answer,
)
from pipeline.providers.protocol import (
    Credentials,
    Fetched,
    Forged,
    Found,
    FoundPrediction,
    Hint,
    Order,
    Reading,
    Status,
    Submitted,
    Survey,
    WebhookNews,
)
from pipeline.providers.wire import Failed, Limits

#: An empty account is "locked", under the status of a wrong key.
SIGNS = (Sign(code="no_credit", says=BusySign(status=403, field="detail", words=("User is locked",))),)
#: What stands before owner and alias where it is not a model.
NAMESPACES = frozenset({"workflows", "comfy"})
MAX_PAGES = 20
NOBODYS = "00000000-0000-0000-0000-000000000000"
LISTING = Limits(max_bytes=MAX_LIST_BYTES)


class Fal:
    """One fal account, at its own addresses or at a simulator's; ``hosts`` names ``rest`` and ``platform``."""

    def __init__(self, credentials: Credentials) -> None:
        self._client = Client(credentials, {"Authorization": f"Key {credentials.token}"})
        self._hosts = {name: url.rstrip("/") for name, url in credentials.hosts.items()}

    def submit(self, order: Order) -> Submitted:
        """Put an order into the queue: exactly one POST; what can't be read as a clear answer is ``Unknown``."""
        query = "?" + urlencode({"fal_webhook": order.webhook_url}) if order.webhook_url else ""
        reply = self._client.pay(f"/{_path(order)}{query}", _nested(order.input), {})
        answer = paying_answer(reply, SIGNS)
        if isinstance(answer, Refused) and isinstance(reply, Reply) and answer.code == "rejected_input":
            return refusal(reply.status, reply.document() or {}, retryable=_retryable(reply))
        return answer or _bought(reply)

    def status(self, prediction: Prediction) -> Status:
        """Ask how it goes, and when it is over what it came to; a 404 is ``Refused(code="lost")``."""
        document = _document(self._client.ask("GET", self._url(prediction, "/status")))
        if not isinstance(document, dict):
            return document
        if document.get("status") != "COMPLETED":
            return waiting(document, prediction.id)
        return self._result(prediction, document)

    def cancel(self, prediction: Prediction) -> Status:
        """Ask fal to stop it; the answer is what it has become, and it may run on to its end all the same."""
        reply = self._client.ask("PUT", self._url(prediction, "/cancel"))
        answer = None if _is_over(reply) else free_answer(reply, SIGNS)
        return answer or self.status(prediction)

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:
        """Search the finished requests back to ``since``; what still runs is not listed, so absence is never proven."""
        wanted, found = _canonical(_nested(order.input)), dict[str, Reading]()
        cursor: Any = ""
        for _ in range(MAX_PAGES):
            page = _document(self._client.ask("GET", self._list(_path(order), since, cursor), LISTING))
            if not isinstance(page, dict):
                return Silent(message=page.message) if isinstance(page, Refused) else page
            entries = page.get("items")
            mine = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
            found |= {each["request_id"]: listed(each) for each in mine if _is_ours(each, wanted, since)}
            cursor = page.get("next_cursor")
            if not page.get("has_more") or not isinstance(cursor, str):
                break
        predictions = tuple(FoundPrediction(prediction_id=key, answer=answer) for key, answer in found.items())
        return Found(predictions=predictions, complete=False)

    def probe(self, model: str) -> Busy | Silent | None:
        """Ask the queue of a model for a request that nobody made: free, and answered from where orders go."""
        answer = free_answer(self._client.ask("GET", self._url(Prediction(id=NOBODYS, endpoint=model), "/status")))
        return None if isinstance(answer, Refused) else answer

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:  # noqa: ARG002
        """Nothing: no list tells what is under way."""
        return Survey(readings={})

    def webhook_secret(self) -> str | Busy | Silent:
        """Fetch the public keys that any of which may sign, as text."""
        document = _document(self._client.ask("GET", self._hosts["rest"] + "/.well-known/jwks.json"))
        if not isinstance(document, dict):
            return Silent(message=document.message) if isinstance(document, Refused) else document
        return signature.keys_of(document) or Silent(message="the answer holds no webhook key")

    def read_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime
    ) -> WebhookNews | Hint | Forged:
        """Check, then read, a webhook; one that was too large for fal to fill is a hint."""
        if len(body) > MAX_JSON_BYTES:
            return Forged(message="the webhook is too large")
        if complaint := signature.complaint(headers, body, keys=secret, now=now):
            return Forged(message=complaint)
        document = parsed(body)
        if document is None or not has_id(document):
            return Forged(message="the webhook is signed, but it is about no request")
        request_id, answer = document["request_id"], reported(document)
        if answer is None:
            return Hint(webhook_id=request_id, prediction_id=request_id)
        return WebhookNews(webhook_id=request_id, prediction_id=request_id, answer=answer)

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        insecure = urlsplit(self._client.base_url).scheme == "http"
        return downloads.download(url, path, max_bytes=max_bytes, insecure=insecure)

    def _result(self, prediction: Prediction, status: Mapping[str, Any]) -> Status:
        """The result of a request that is over; a failed run answers with the error that it came to."""
        reply = self._client.ask("GET", self._url(prediction))
        if isinstance(reply, Reply) and tells_of_the_run(reply, status):
            told = {"error_type": status.get("error_type"), "error": status.get("error"), **(reply.document() or {})}
            return refusal(reply.status, told, retryable=_retryable(reply))
        document = _document(reply)
        return result(document, prediction.id) if isinstance(document, dict) else document

    def _url(self, prediction: Prediction, suffix: str = "") -> str:
        place = f"{_app(prediction.endpoint)}/requests/{quote(prediction.id, safe='')}"
        return f"{self._client.base_url}/{place}{suffix}"

    def _list(self, endpoint: str, since: datetime, cursor: str) -> str:
        start = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        query = {"endpoint_id": endpoint, "start": start, "expand": "payloads", "limit": "100"}
        more = {"cursor": cursor} if cursor else {}
        return f"{self._hosts['platform']}/v1/models/requests/by-endpoint?{urlencode(query | more)}"


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """The input with each name of two parts as a field of an object: ``voice_setting.voice_id``."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        outer, _, inner = name.partition(".")
        if inner:
            found.setdefault(outer, {})[inner] = value
        else:
            found[name] = value
    return found


def _path(order: Order) -> str:
    return quote(order.endpoint or order.model, safe="/")


def _app(endpoint: str) -> str:
    """Owner and alias of an endpoint, with the namespace where it has one."""
    parts = endpoint.split("/")
    return quote("/".join(parts[: 3 if parts[0] in NAMESPACES else 2]), safe="/")


def _bought(reply: Reply | Failed) -> Accepted | Unknown:
    document = reply.document() if isinstance(reply, Reply) else None
    if document is None or not has_id(document):
        return Unknown(message="the order was answered with something that names no request")
    return Accepted(prediction_id=document["request_id"], raw={"request_id": document["request_id"]})


def _retryable(reply: Reply) -> str | None:
    return reply.headers.get("x-fal-retryable") or reply.headers.get("x-fal-needs-retry")


def _is_over(reply: Reply | Failed) -> bool:
    """Whether a cancel came too late, which fal calls an error."""
    document = reply.document() if isinstance(reply, Reply) else None
    return (document or {}).get("status") == "ALREADY_COMPLETED"


def _document(reply: Reply | Failed) -> dict[str, Any] | Refused | Busy | Silent:
    answer = free_answer(reply, SIGNS)
    if answer is not None:
        return answer
    document = reply.document() if isinstance(reply, Reply) else None
    return Silent(message="the answer is not a JSON object") if document is None else document


def _canonical(given: Mapping[str, Any]) -> Any:
    """The input as it comes back to us: through JSON once."""
    return json.loads(json.dumps(dict(given)))


def _is_ours(entry: Mapping[str, Any], wanted: Mapping[str, Any], since: datetime) -> bool:
    """Whether a listed request has what we sent; fal may have added the model's defaults."""
    given = entry.get("json_input")
    if not isinstance(given, dict) or not has_id(entry) or is_older(entry, since):
        return False
    return all(name in given and given[name] == value for name, value in wanted.items())
