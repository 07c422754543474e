"""Replicate, spoken over plain HTTP: its own SDK is kept off the paying path, to know exactly what was sent."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pipeline.domain.answers import Accepted, Busy, Finished, Refused, Silent, Unknown
from pipeline.domain.attempt import Prediction
from pipeline.providers import download as downloads
from pipeline.providers import signature
from pipeline.providers.http import (
    MAX_JSON_BYTES,
    MAX_LIST_BYTES,
    Client,
    Reply,
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
    Order,
    Reading,
    Status,
    Submitted,
    Survey,
    WebhookNews,
)
from pipeline.providers.replicate_reading import has_id, is_older, kept_of, reading, tells_all, with_verdict_on_content
from pipeline.providers.wire import Failed, Limits

MAX_PAGES = 50
SURVEY_PAGES = 2
LISTING = Limits(max_bytes=MAX_LIST_BYTES)


class Replicate:
    """One Replicate account, at its own address or at a simulator's."""

    def __init__(self, credentials: Credentials) -> None:
        # Replicate's own SDKs disagree on whether the address ends with the version; both forms are taken.
        host = replace(credentials, base_url=credentials.base_url.rstrip("/").removesuffix("/v1"))
        self._client = Client(host, {"Authorization": f"Bearer {credentials.token}"})

    def submit(self, order: Order) -> Submitted:
        """Buy a prediction: exactly one POST; what can't be read as a clear answer is ``Unknown``."""
        headers = {"Cancel-After": f"{order.cancel_after_seconds}s"} if order.cancel_after_seconds else {}
        reply = self._client.pay(_path(order), _body(order), headers)
        answer = paying_answer(reply)
        if isinstance(answer, Refused):
            return with_verdict_on_content(answer)
        return answer or _bought(reply)

    def status(self, prediction: Prediction) -> Status:
        """Ask for one prediction; a 404 is ``Refused(code="lost")``."""
        return self._look("GET", prediction.id, "")

    def cancel(self, prediction: Prediction) -> Status:
        """Cancel a prediction; the answer is what it has become, which may be ``Finished``."""
        return self._look("POST", prediction.id, "/cancel")

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:
        """Read the account's list back to ``since`` for predictions of this model with this very input."""
        url: str | None = self._list_since(since)
        wanted, found, complete = _canonical(order.input), dict[str, Reading](), True
        for _ in range(MAX_PAGES):
            reply = self._client.ask("GET", url or "", LISTING)
            page = _page(reply)
            if isinstance(page, Busy | Silent):
                return page
            entries, url = page
            recent = [entry for entry in entries if not is_older(entry, since)]
            ours = [entry for entry in recent if entry.get("model") == order.model]
            # An input that was wiped could have been ours: then absence is not proven.
            complete = complete and not any(entry.get("data_removed") for entry in ours)
            found |= {
                entry["id"]: reading(entry) for entry in ours if _is_ours(entry.get("input"), wanted) and has_id(entry)
            }
            if url is None or len(recent) < len(entries):
                return _found(found, complete=complete)
            if self._is_elsewhere(url):
                break
        return _found(found, complete=False)

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:
        """Read the newest pages of the account's list until all of these were seen."""
        wanted, readings = set(prediction_ids), dict[str, Reading]()
        url: str | None = self._list_since(since)
        for _ in range(SURVEY_PAGES):
            page = _page(self._client.ask("GET", url or "", LISTING))
            if isinstance(page, Busy | Silent):
                return page
            entries, url = page
            told = (entry for entry in entries if has_id(entry) and entry["id"] in wanted and tells_all(entry))
            readings |= {entry["id"]: reading(entry) for entry in told}
            if url is None or self._is_elsewhere(url) or readings.keys() == wanted:
                break
        return Survey(readings=readings)

    def probe(self, model: str) -> Busy | Silent | None:
        """Read the model's page: free, and it comes from where predictions are ordered."""
        answer = free_answer(self._client.ask("GET", self._url(f"/v1/models/{quote(model, safe='/')}")))
        return None if isinstance(answer, Refused) else answer

    def webhook_secret(self) -> str | Busy | Silent:
        """Fetch the account's signing key, ``whsec_…``."""
        reply = self._client.ask("GET", self._url("/v1/webhooks/default/secret"))
        document = _document(reply)
        if not isinstance(document, dict):
            return Silent(message=document.message) if isinstance(document, Refused) else document
        key = document.get("key")
        return key if isinstance(key, str) and key else Silent(message="the answer holds no webhook key")

    def read_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime
    ) -> WebhookNews | Forged:
        """Check, then read, a webhook; its id is the one to remember against repeats."""
        if len(body) > MAX_JSON_BYTES:
            return Forged(message="the webhook is too large")
        if complaint := signature.complaint(headers, body, secret=secret, now=now):
            return Forged(message=complaint)
        document = parsed(body)
        if document is None or not has_id(document):
            return Forged(message="the webhook is signed, but it is no prediction")
        webhook_id = next(value for name, value in headers.items() if name.lower() == "webhook-id")
        return WebhookNews(webhook_id=webhook_id, prediction_id=document["id"], answer=reading(document))

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        insecure = urlsplit(self._client.base_url).scheme == "http"
        return downloads.download(url, path, max_bytes=max_bytes, insecure=insecure)

    def _look(self, method: str, prediction_id: str, suffix: str) -> Status:
        path = f"/v1/predictions/{quote(prediction_id, safe='')}{suffix}"
        document = _document(self._client.ask(method, self._url(path)))
        if not isinstance(document, dict):
            return document
        if document.get("id") != prediction_id:
            return Silent(message="the answer is about another prediction")
        return reading(document)

    def _url(self, path: str) -> str:
        return self._client.base_url + path

    def _list_since(self, since: datetime) -> str:
        created_after = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return self._url("/v1/predictions?" + urlencode({"created_after": created_after}))

    def _is_elsewhere(self, url: str) -> bool:
        """The token is for this host only."""
        return urlsplit(url)[:2] != urlsplit(self._client.base_url)[:2]


def _path(order: Order) -> str:
    return "/v1/predictions" if order.version else f"/v1/models/{quote(order.model, safe='/')}/predictions"


def _body(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = {"input": dict(order.input)}
    if order.version:
        body["version"] = order.version
    if order.webhook_url:
        body |= {"webhook": order.webhook_url, "webhook_events_filter": ["completed"]}
    return body


def _bought(reply: Reply | Failed) -> Accepted | Finished | Unknown:
    """Read the 2xx of a paying POST: anything with an id was bought, whatever else it says."""
    document = reply.document() if isinstance(reply, Reply) else None
    if document is None or not has_id(document):
        return Unknown(message="the order was answered with something that is no prediction")
    told = reading(document)
    return told if isinstance(told, Finished) else Accepted(prediction_id=document["id"], raw=kept_of(document))


def _document(reply: Reply | Failed) -> dict[str, Any] | Refused | Busy | Silent:
    answer = free_answer(reply)
    if answer is not None:
        return answer
    document = reply.document() if isinstance(reply, Reply) else None
    return Silent(message="the answer is not a JSON object") if document is None else document


def _page(reply: Reply | Failed) -> tuple[list[dict[str, Any]], str | None] | Busy | Silent:
    document = _document(reply)
    if isinstance(document, Refused):
        return Silent(message=document.message)
    if not isinstance(document, dict):
        return document
    entries, following = document.get("results"), document.get("next")
    if not isinstance(entries, list) or not isinstance(following, str | None):
        return Silent(message="the list of predictions can't be read")
    return [entry for entry in entries if isinstance(entry, dict)], following or None


def _canonical(given: Mapping[str, Any]) -> Any:
    """The input as it comes back to us: through JSON once."""
    return json.loads(json.dumps(dict(given)))


def _found(found: Mapping[str, Reading], *, complete: bool) -> Found:
    predictions = tuple(FoundPrediction(prediction_id=key, answer=answer) for key, answer in found.items())
    return Found(predictions=predictions, complete=complete)


def _is_ours(echoed: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether a listed input is what we sent; the provider may have added its defaults to it."""
    return isinstance(echoed, dict) and all(name in echoed and echoed[name] == value for name, value in wanted.items())
