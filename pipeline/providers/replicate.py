"""Replicate, spoken over plain HTTP: its own SDK is kept off the paying path, to know exactly what was sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pipeline.domain.answers import Accepted, Busy, Finished, Refused, Silent, Unknown, Working
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
    text,
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
    WebhookNews,
)
from pipeline.providers.wire import Failed, Limits

MAX_OUTPUTS = 16
MAX_PAGES = 50
LISTING = Limits(max_bytes=MAX_LIST_BYTES)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROGRESS = re.compile(r"\s*(\d{1,3})%\s*\|.{1,200}?\|\s*\d+/\d+")
_MODERATED = re.compile(r"flagged as sensitive|\bE005\b", re.IGNORECASE)


class Replicate:
    """One Replicate account, at its own address or at a simulator's."""

    def __init__(self, credentials: Credentials) -> None:
        # Replicate's own SDKs disagree on whether the address ends with the version; both forms are taken.
        host = replace(credentials, base_url=credentials.base_url.rstrip("/").removesuffix("/v1"))
        self._client = Client(host, authorization=f"Bearer {credentials.token}")

    def submit(self, order: Order) -> Submitted:
        """Buy a prediction: exactly one POST; what can't be read as a clear answer is ``Unknown``."""
        headers = {"Cancel-After": f"{order.cancel_after_seconds}s"} if order.cancel_after_seconds else {}
        reply = self._client.pay(_path(order), _body(order), headers)
        answer = paying_answer(reply)
        if isinstance(answer, Refused):
            return _with_verdict_on_content(answer)
        return answer or _bought(reply)

    def status(self, prediction_id: str) -> Status:
        """Ask for one prediction; a 404 is ``Refused(code="lost")``."""
        return self._look("GET", prediction_id, "")

    def cancel(self, prediction_id: str) -> Status:
        """Cancel a prediction; the answer is what it has become, which may be ``Finished``."""
        return self._look("POST", prediction_id, "/cancel")

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:
        """Read the account's list back to ``since`` for predictions of this model with this very input."""
        created_after = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        url: str | None = self._url("/v1/predictions?" + urlencode({"created_after": created_after}))
        wanted, found, complete = _canonical(order.input), dict[str, Reading](), True
        for _ in range(MAX_PAGES):
            reply = self._client.ask("GET", url or "", LISTING)
            page = _page(reply)
            if isinstance(page, Busy | Silent):
                return page
            entries, url = page
            recent = [entry for entry in entries if not _older(entry, since)]
            ours = [entry for entry in recent if entry.get("model") == order.model]
            # An input that was wiped could have been ours: then absence is not proven.
            complete = complete and not any(entry.get("data_removed") for entry in ours)
            found |= {
                entry["id"]: _reading(entry) for entry in ours if _is_ours(entry.get("input"), wanted) and _id(entry)
            }
            if url is None or len(recent) < len(entries):
                return _found(found, complete=complete)
            if urlsplit(url)[:2] != urlsplit(self._client.base_url)[:2]:
                break
        return _found(found, complete=False)

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
        if document is None or not _id(document):
            return Forged(message="the webhook is signed, but it is no prediction")
        webhook_id = next(value for name, value in headers.items() if name.lower() == "webhook-id")
        return WebhookNews(webhook_id=webhook_id, prediction_id=document["id"], answer=_reading(document))

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
        return _reading(document)

    def _url(self, path: str) -> str:
        return self._client.base_url + path


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
    if document is None or not _id(document):
        return Unknown(message="the order was answered with something that is no prediction")
    reading = _reading(document)
    return reading if isinstance(reading, Finished) else Accepted(prediction_id=document["id"], raw=_raw(document))


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


def _reading(document: Mapping[str, Any]) -> Reading:
    """What a prediction's document says. An unknown status is work in progress: only time may end it."""
    match document.get("status"):
        case "starting":
            return Working(prediction_id=document["id"], queued=True)
        case "succeeded":
            return _succeeded(document)
        case "failed":
            return _with_verdict_on_content(_refused("provider_error", _error(document), document))
        case "canceled" | "aborted" as status:
            return _refused("provider_cancelled", f"the provider ended the prediction: {status}", document)
        case _:
            return Working(prediction_id=document["id"], progress=_progress(document.get("logs")))


def _succeeded(document: Mapping[str, Any]) -> Finished | Refused:
    outputs = _outputs(document.get("output"))
    if outputs:
        return Finished(outputs=outputs, prediction_id=document["id"], raw=_raw(document))
    if document.get("data_removed"):
        return _refused("lost", "the provider has already removed the output", document)
    return _refused("provider_error", "the prediction succeeded without an output", document)


def _outputs(output: object) -> tuple[str, ...]:
    """The links of an output: one string, a list of them, or an object that names them."""
    match output:
        case str():
            candidates: list[object] = [output]
        case list():
            candidates = output
        case dict():
            candidates = list(output.values())
        case _:
            candidates = []
    links = [link for link in candidates if isinstance(link, str) and link.startswith(("https://", "http://"))]
    return tuple(link for link in links if len(link) <= downloads.MAX_URL and link.isprintable())[:MAX_OUTPUTS]


def _progress(logs: object) -> int | None:
    """The percentage of the last progress bar that the model's code printed."""
    if not isinstance(logs, str):
        return None
    bars = (_PROGRESS.match(line) for line in reversed(re.split(r"[\r\n]", logs[-8192:])))
    return next((min(int(bar[1]), 100) for bar in bars if bar), None)


def _error(document: Mapping[str, Any]) -> str:
    error = document.get("error")
    return text(error) if isinstance(error, str) and error else "the prediction failed without a reason"


def _refused(code: str, message: str, document: Mapping[str, Any]) -> Refused:
    return Refused(code=code, message=message, retryable=True, raw=_raw(document))


def _with_verdict_on_content(refused: Refused) -> Refused:
    """The same refusal, or a moderation verdict, which no unchanged attempt can cure (R68)."""
    if not _MODERATED.search(refused.message):
        return refused
    return Refused(code="moderated", message=refused.message, raw=refused.raw)


def _raw(document: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links, which are keys to the files."""
    named = ("id", "status", "error", "created_at", "started_at", "completed_at")
    words = {name: document.get(name) for name in named}
    kept: dict[str, Any] = {name: text(said) for name, said in words.items() if isinstance(said, str)}
    metrics = document.get("metrics")
    if isinstance(metrics, dict):
        numbers = {text(name, 40): value for name, value in metrics.items() if isinstance(value, int | float)}
        kept["metrics"] = dict(list(numbers.items())[:MAX_OUTPUTS])
    return kept


def _id(document: Mapping[str, Any]) -> bool:
    given = document.get("id")
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def _older(entry: Mapping[str, Any], since: datetime) -> bool:
    try:
        created_at = datetime.fromisoformat(entry["created_at"])
    except (KeyError, TypeError, ValueError):
        return False
    return created_at.replace(tzinfo=created_at.tzinfo or UTC) < since


def _canonical(given: Mapping[str, Any]) -> Any:
    """The input as it comes back to us: through JSON once."""
    return json.loads(json.dumps(dict(given)))


def _found(found: Mapping[str, Reading], *, complete: bool) -> Found:
    predictions = tuple(FoundPrediction(prediction_id=key, answer=answer) for key, answer in found.items())
    return Found(predictions=predictions, complete=complete)


def _is_ours(echoed: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether a listed input is what we sent; the provider may have added its defaults to it."""
    return isinstance(echoed, dict) and all(name in echoed and echoed[name] == value for name, value in wanted.items())
