"""Runway's developer API, over plain HTTP: it lists nothing and calls nobody, so all that is known is asked for."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pipeline.domain.answers import Accepted, Busy, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.domain.rows import BusySign
from pipeline.providers import download as downloads
from pipeline.providers.http import Client, Reply, Sign, free_answer, paying_answer
from pipeline.providers.protocol import Credentials, Fetched, Forged, Found, Order, Status, Submitted, Survey
from pipeline.providers.runway_reading import complaint, kept_of, reading
from pipeline.providers.runway_uploads import brought
from pipeline.providers.wire import Failed

VERSION = {"X-Runway-Version": "2024-11-06"}
#: An empty purse is told with the status of a bad input; only the sentence differs.
SIGNS = (Sign(code="no_credit", says=BusySign(status=400, field="error", words=("enough credits",))),)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Runway:
    """One Runway account, at its own address or at a simulator's."""

    def __init__(self, credentials: Credentials) -> None:
        self._client = Client(credentials, {**VERSION, "Authorization": f"Bearer {credentials.token}"})
        self._insecure = urlsplit(self._client.base_url).scheme == "http"

    def submit(self, order: Order) -> Submitted:
        """Buy a task: exactly one POST to the endpoint of the mode; what is no clear answer is ``Unknown``.

        Files that Runway could not fetch are brought there before, which is free.
        """
        body = {"model": order.model, **shaped(order.input)}
        if delay := brought(self._client, body, insecure=self._insecure):
            return delay
        reply = self._client.pay(f"/v1/{quote(order.endpoint, safe='')}", body, {})
        answer = paying_answer(reply, SIGNS)
        if isinstance(answer, Refused) and isinstance(reply, Reply):
            return complaint(answer, reply.document() or {})
        return answer or _bought(reply)

    def status(self, prediction: Prediction) -> Status:
        """Ask for one task; a 404 is ``Refused(code="lost")``. Each look brings fresh links to the outputs."""
        document = _document(self._task("GET", prediction))
        if not isinstance(document, dict):
            return document
        if document.get("id") != prediction.id:
            return Silent(message="the answer is about another task")
        return reading(document)

    def cancel(self, prediction: Prediction) -> Status:
        """Stop a task that is still at work. What has ended is only looked at: to delete it would lose what was paid.

        A task that is stopped can't be asked for any more, so the provider's 204 is the last word about it.
        """
        found = self.status(prediction)
        if not isinstance(found, Working):
            return found
        answer = free_answer(self._task("DELETE", prediction))
        return answer or Refused(code="provider_cancelled", message="the task was cancelled", retryable=True)

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:  # noqa: ARG002 - there is no list to look in
        """Nothing lists what was bought, so nothing is found and nothing is proven."""
        return Found(predictions=(), complete=False)

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:  # noqa: ARG002
        """Nothing lists what was bought."""
        return Survey(readings={})

    def probe(self, model: str) -> Busy | Silent | None:  # noqa: ARG002 - models have no pages of their own
        """Read the account's own page, which is free."""
        answer = free_answer(self._client.ask("GET", f"{self._client.base_url}/v1/organization"))
        return None if isinstance(answer, Refused) else answer

    def webhook_secret(self) -> str | Busy | Silent:
        """There are no webhooks."""
        return ""

    def read_webhook(self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime) -> Forged:  # noqa: ARG002
        """There are no webhooks: whoever sends one is not Runway."""
        return Forged(message="Runway calls no webhooks")

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        return downloads.download(url, path, max_bytes=max_bytes, insecure=self._insecure)

    def _task(self, method: str, prediction: Prediction) -> Reply | Failed:
        return self._client.ask(method, f"{self._client.base_url}/v1/tasks/{quote(prediction.id, safe='')}")


def shaped(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flat input as Runway nests it: ``character.uri`` becomes an object, lists of links become lists of objects.

    A ``lastFrame`` turns the first frame beside it into a list of positions, which is how both are told.
    """
    body: dict[str, Any] = {}
    for name, value in given.items():
        *parents, leaf = name.split(".")
        place = body
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = _ITEMS[name](value) if name in _ITEMS and isinstance(value, list) else value
    if last := body.pop("lastFrame", None):
        frames = {"first": body.get("promptImage"), "last": last}
        body["promptImage"] = [{"uri": uri, "position": position} for position, uri in frames.items() if uri]
    return body


#: How the items of a list of links are told, by the name of the list. A tag is what a prompt may call a picture.
_ITEMS = {
    "referenceImages": lambda uris: [{"uri": uri, "tag": f"ref{number}"} for number, uri in enumerate(uris, 1)],
    "references": lambda uris: [{"type": "image", "uri": uri} for uri in uris],
}


def _bought(reply: Reply | Failed) -> Accepted | Unknown:
    """Read the 2xx of a paying POST: anything with an id was bought."""
    document = (reply.document() if isinstance(reply, Reply) else None) or {}
    task_id = document.get("id")
    if not isinstance(task_id, str) or not _ID.fullmatch(task_id):
        return Unknown(message="the order was answered with something that is no task")
    return Accepted(prediction_id=task_id, raw=kept_of(document))


def _document(reply: Reply | Failed) -> dict[str, Any] | Refused | Busy | Silent:
    answer = free_answer(reply)
    if answer is not None:
        return answer
    document = reply.document() if isinstance(reply, Reply) else None
    return Silent(message="the answer is not a JSON object") if document is None else document
