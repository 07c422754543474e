"""Kling's own API: two families, one code for everything, and the only provider that takes our id of an order.

An endpoint that begins with ``v1/`` is of the legacy family (the model in the body, flat); any other is a path of the
new one, that ends with the model. The same task is asked for, and told of by webhooks, in the words of its family.
"""

import hashlib
import time
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
from pipeline.providers import signature
from pipeline.providers.http import MAX_JSON_BYTES, Client, Reply, Sign, free_answer, parsed, paying_answer
from pipeline.providers.kling_reading import Task, id_of, kept_of, marker_of, reading, succeeded, tasks_of
from pipeline.providers.kling_token import bearer
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
from pipeline.providers.wire import Failed


def _sign(code: str, *codes: int) -> Sign:
    return Sign(code=code, says=BusySign(field="code", values=codes))


_ACCOUNT_SIGNS = (_sign("not_authorised", *range(1000, 1005), 1100, 1103, 1304), _sign("no_credit", 1101, 1102))
#: After an order; the codes of "not now" (1302, 1303) are the catalogue's.
SIGNS = (*_ACCOUNT_SIGNS, _sign("rejected_input", *range(1200, 1204)), _sign("moderated", 1300, 1301))
#: After a question. Whatever else is wrong with it says nothing of the task.
FREE_SIGNS = (*_ACCOUNT_SIGNS, _sign("lost", 1203))

#: What of a flat input belongs to ``contents``, as its type and the field of its value; the rest are ``settings``.
CONTENTS = {"prompt": "text", "first_frame": "url", "last_frame": "url", "refer_image": "url"}

#: Its input is an object of its own, and it takes no id of ours.
LIP_SYNC = "v1/videos/lip-sync"


class Kling:
    """One Kling account; its key is an API key, or ``access:secret`` of the older kind."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = replace(credentials, base_url=credentials.base_url.rstrip("/"))

    def submit(self, order: Order) -> Submitted:
        """Buy a task under our own id: exactly one POST; what can't be read as a clear answer is ``Unknown``."""
        reply = self._client.pay(f"/{order.endpoint}", _body(order), {})
        return paying_answer(reply, SIGNS) or _bought(reply)

    def status(self, prediction: Prediction) -> Status:
        """Ask for one task; one that is not known is ``Refused(code="lost")``."""
        tasks = self._tasks(self._place(prediction.endpoint, prediction.id, "task_ids"))
        if not isinstance(tasks, list):
            return tasks
        told = next((reading(task) for task in tasks if id_of(task) == prediction.id), None)
        return told or Refused(code="lost", message="the provider does not know this task", retryable=True)

    def cancel(self, prediction: Prediction) -> Status:
        """There is no way to cancel: the task is asked for, and its end awaited."""
        return self.status(prediction)

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:  # noqa: ARG002 - our id needs no time
        """Ask for the task that bears our id: there is one, or the order was never accepted; lip sync takes none."""
        if order.endpoint == LIP_SYNC:
            return Found(predictions=(), complete=False)
        tasks = self._tasks(self._place(order.endpoint, order.marker, "external_task_ids"))
        if isinstance(tasks, Refused):
            # Only the provider's own word proves absence; a 404 may be anybody's.
            unknown = tasks.raw.get("code") == _NOT_THERE
            return Found(predictions=(), complete=True) if unknown else Silent(message=tasks.message)
        if not isinstance(tasks, list):
            return tasks
        ours = {id_of(task): reading(task) for task in tasks if marker_of(task) == order.marker}
        found = tuple(FoundPrediction(prediction_id=key, answer=answer) for key, answer in ours.items() if key)
        return Found(predictions=found, complete=len(found) == len(tasks))

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:  # noqa: ARG002
        """Ask for these by one request; the new family's query is said to know the legacy one's tasks too."""
        tasks = self._tasks(self._place("", ",".join(prediction_ids), "task_ids"))
        if isinstance(tasks, Busy | Silent):
            return tasks
        known = tasks if isinstance(tasks, list) else []
        readings: dict[str, Reading] = {task_id: reading(task) for task in known if (task_id := id_of(task))}
        return Survey(readings={key: told for key, told in readings.items() if key in prediction_ids})

    def probe(self, model: str) -> Busy | Silent | None:  # noqa: ARG002 - no page of a model is free to read
        """Ask for a task that nobody has: free, and whatever is said comes from where tasks are ordered."""
        answer = self._tasks(self._place("", "0", "task_ids"))
        return answer if isinstance(answer, Busy | Silent) else None

    def webhook_secret(self) -> str | Busy | Silent:
        """The key is shown in the provider's console only; where nobody told it, webhooks are hints."""
        return ""

    def read_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime
    ) -> WebhookNews | Hint | Forged:
        """Check, then read, a webhook; without a key it is a reason to look at the task that it names."""
        if len(body) > MAX_JSON_BYTES:
            return Forged(message="the webhook is too large")
        if secret and (complaint := signature.complaint(headers, body, secret=secret, now=now)):
            return Forged(message=complaint)
        document = parsed(body) or {}
        task = next(iter(tasks_of(document) or [document]))
        task_id = id_of(task)
        if task_id is None:
            return Forged(message="the webhook names no task")
        if not secret:
            return Hint(webhook_id=hashlib.sha256(body).hexdigest(), prediction_id=task_id)
        webhook_id = next(value for name, value in headers.items() if name.lower() == "webhook-id")
        return WebhookNews(webhook_id=webhook_id, prediction_id=task_id, answer=reading(task))

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        insecure = urlsplit(self._credentials.base_url).scheme == "http"
        return downloads.download(url, path, max_bytes=max_bytes, insecure=insecure)

    @property
    def _client(self) -> Client:
        """A client with a token of this moment."""
        token = bearer(self._credentials.token, now=int(time.time()))
        return Client(replace(self._credentials, token=token), {"Authorization": f"Bearer {token}"})

    def _place(self, endpoint: str, name: str, by: str) -> str:
        """Where a task is asked for: by its own name or ours, which the legacy family takes in the same place."""
        if _is_legacy(endpoint):
            return f"{self._credentials.base_url}/{endpoint}/{quote(name, safe='')}"
        return f"{self._credentials.base_url}/tasks?{urlencode({by: name})}"

    def _tasks(self, url: str) -> list[Task] | Refused | Busy | Silent:
        """The tasks of an answer; ``Refused`` is always about a task that is not known."""
        reply = self._client.ask("GET", url)
        answer = free_answer(reply, FREE_SIGNS)
        document = (reply.document() if isinstance(reply, Reply) else None) or {}
        if isinstance(answer, Refused):
            return replace(answer, raw={**answer.raw, "code": document.get("code")})
        if answer is not None:
            return answer
        tasks = tasks_of(document) if succeeded(document) else None
        return Silent(message="the answer is no list of tasks") if tasks is None else tasks


_NOT_THERE = 1203


def _is_legacy(endpoint: str) -> bool:
    return endpoint.startswith("v1/")


def _body(order: Order) -> dict[str, Any]:
    options: dict[str, Any] = {"external_task_id": order.marker} if order.marker else {}
    if order.webhook_url:
        options["callback_url"] = order.webhook_url
    if order.endpoint == LIP_SYNC:
        options.pop("external_task_id", None)
        return {"input": dict(order.input), **options}
    if _is_legacy(order.endpoint):
        return {"model_name": order.model, **_legacy(order.input), **options}
    settings = {name: value for name, value in order.input.items() if name not in CONTENTS}
    rest = {"settings": settings, "options": {**options, "watermark_info": {"enabled": False}}}
    if order.endpoint.startswith("text-to-video/"):
        return {"prompt": order.input.get("prompt"), **rest}
    return {"contents": [entry for name in CONTENTS for entry in _contents(name, order.input.get(name))], **rest}


def _contents(kind: str, given: Any) -> list[dict[str, Any]]:
    """The entries of one kind: none, one, or of a list one each, which then have names to be called by."""
    if given is None:
        return []
    if isinstance(given, list):
        return [{"type": kind, CONTENTS[kind]: each, "id": f"image_{n}"} for n, each in enumerate(given, start=1)]
    return [{"type": kind, CONTENTS[kind]: given}]


def _legacy(given: Mapping[str, Any]) -> dict[str, Any]:
    """The input as it is, but for a list of pictures, each of which is an object."""
    pictures = given.get("image_list")
    return {**given, "image_list": [{"image": each} for each in pictures]} if pictures else dict(given)


def _bought(reply: Reply | Failed) -> Accepted | Finished | Unknown:
    """Read the 2xx of an order: only code 0 and a task's id together say that it was bought."""
    document = (reply.document() if isinstance(reply, Reply) else None) or {}
    tasks = (tasks_of(document) if succeeded(document) else None) or []
    task_id = id_of(tasks[0]) if tasks else None
    if task_id is None:
        return Unknown(message="the order was answered with something that is no task")
    return Accepted(prediction_id=task_id, raw=kept_of(tasks[0]))
