"""Hypereal: jobs by polling, pictures while one waits, and early looks that may lie.

No SDK and no OpenAPI exist; what is here was seen in copies of its docs and in code of its users. It has no list, no
look-up by an id of ours, no way to cancel and no signature: whatever was lost can only come back by its webhook.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pipeline.domain.answers import Accepted, Busy, Finished, Refused, Silent, Unknown
from pipeline.domain.attempt import Prediction
from pipeline.domain.rows import BusySign
from pipeline.providers import download as downloads
from pipeline.providers.http import MAX_JSON_BYTES, Client, Reply, Sign, free_answer, parsed, paying_answer
from pipeline.providers.hypereal_reading import MODERATED, id_of, kept_of, outputs_of, reading
from pipeline.providers.protocol import (
    Credentials,
    Fetched,
    Forged,
    Found,
    Hint,
    Order,
    Status,
    Submitted,
    Survey,
)
from pipeline.providers.wire import Failed, Limits

#: A picture is made while its order waits for the answer.
DRAWING = Limits(read_seconds=110.0, total_seconds=120.0)
#: A second ask within a second is what this provider answers with a 429, so a failed one waits for its row.
TRIES = 1
SIGNS = tuple(
    Sign(code="moderated", says=BusySign(status=status, field=field, words=MODERATED))
    for status in (400, 422)
    for field in ("error", "error.message", "message")
)


class Hypereal:
    """One Hypereal account, at one of its addresses or at a simulator's."""

    def __init__(self, credentials: Credentials) -> None:
        # Its docs print the address with and without the version; both forms are taken.
        host = replace(credentials, base_url=credentials.base_url.rstrip("/").removesuffix("/v1"))
        self._client = Client(host, {"Authorization": f"Bearer {credentials.token}"})
        places = (urlsplit(each) for each in (host.base_url, *credentials.hosts.values()))
        self._homes = tuple(f"{place.scheme}://{place.netloc}/" for place in places)

    def submit(self, order: Order) -> Submitted:
        """Buy a job or a picture: exactly one POST; an endpoint ``images/MODEL`` is a picture's."""
        kind, _, model = (order.endpoint or order.model).rpartition("/")
        if kind == "images":
            reply = self._client.pay("/v1/images/generate", {"model": model, **order.input}, {}, limits=DRAWING)
            return paying_answer(reply, SIGNS) or _drawn(reply)
        reply = self._client.pay("/v1/videos/generate", _body(model, order), {})
        return paying_answer(reply, SIGNS) or _bought(reply)

    def status(self, prediction: Prediction) -> Status:
        """Ask for one job. What an early look may say wrongly is ``Refused(code="lost")``, as a 404 is."""
        if prediction.endpoint.startswith("images/"):
            return Refused(code="lost", message="a picture can't be asked for again")
        reply = self._client.ask("GET", self._place(prediction), tries=TRIES)
        answer = free_answer(reply)
        document = reply.document() if isinstance(reply, Reply) else None
        if answer is None and document is None:
            return Silent(message="the answer is not a JSON object")
        told = answer or reading(prediction.id, document or {})
        # What it said when it took the order is needed for the next look.
        return replace(told, raw={**prediction.receipt, **told.raw}) if isinstance(told, Finished | Refused) else told

    def cancel(self, prediction: Prediction) -> Status:
        """There is no way to cancel: the job is asked for, and its end awaited."""
        return self.status(prediction)

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:  # noqa: ARG002 - there is nothing to ask
        """There is no list and no look-up by our id: nothing is found, and nothing is proven."""
        return Found(predictions=(), complete=False)

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:  # noqa: ARG002
        """There is no list: each job is asked for itself."""
        return Survey(readings={})

    def probe(self, model: str) -> Busy | Silent | None:
        """Ask for a job that nobody has: free, and whatever is said comes from where jobs are ordered."""
        answer = free_answer(self._client.ask("GET", self._job("none", model), tries=TRIES))
        return None if isinstance(answer, Refused) else answer

    def webhook_secret(self) -> str | Busy | Silent:
        """Nothing is signed, as far as anybody knows."""
        return ""

    def read_webhook(self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime) -> Hint | Forged:  # noqa: ARG002
        """Take a report for what it is: a reason to look at the job that it names."""
        document = parsed(body) if len(body) <= MAX_JSON_BYTES else None
        prediction_id = id_of(document) if document else None
        if prediction_id is None:
            return Forged(message="the report names no job")
        return Hint(webhook_id=hashlib.sha256(body).hexdigest(), prediction_id=prediction_id)

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        insecure = urlsplit(self._client.base_url).scheme == "http"
        return downloads.download(url, path, max_bytes=max_bytes, insecure=insecure)

    def _place(self, prediction: Prediction) -> str:
        """Where a job is asked for: where the provider said, if that is the provider's own host."""
        told = prediction.receipt.get("pollUrl")
        if isinstance(told, str) and told.startswith(self._homes):
            return told
        return self._job(prediction.id, prediction.endpoint)

    def _job(self, job_id: str, model: str) -> str:
        query = urlencode({"model": model, "type": "video"})
        return f"{self._client.base_url}/v1/jobs/{quote(job_id, safe='')}?{query}"


def _body(model: str, order: Order) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": dict(order.input)}
    return body | ({"webhook_url": order.webhook_url} if order.webhook_url else {})


def _bought(reply: Reply | Failed) -> Accepted | Unknown:
    """Read the 2xx of an ordered job."""
    document = (reply.document() if isinstance(reply, Reply) else None) or {}
    job_id = id_of(document)
    if job_id is None:
        return Unknown(message="the order was answered with something that is no job")
    return Accepted(prediction_id=job_id, raw=kept_of(document))


def _drawn(reply: Reply | Failed) -> Finished | Unknown:
    """Read the 2xx of an ordered picture: it is there at once."""
    document = (reply.document() if isinstance(reply, Reply) else None) or {}
    outputs = outputs_of(document)
    if not outputs:
        return Unknown(message="the order was answered with something that is no picture")
    return Finished(outputs=outputs, prediction_id=id_of(document), raw=kept_of(document))
