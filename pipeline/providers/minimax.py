"""MiniMax over plain HTTP: two APIs for video under one key, and pictures and speech that are ready with the answer.

Which one a model speaks is the ``endpoint`` of its catalogue row; the attempt keeps it, so later calls know it too.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pipeline.domain.answers import Busy, Finished, Refused, Silent, Unknown, Working
from pipeline.domain.attempt import Prediction
from pipeline.providers import download as downloads
from pipeline.providers import minimax_v1 as v1
from pipeline.providers import minimax_v2 as v2
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
    Challenge,
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
)
from pipeline.providers.wire import Failed, Limits

MAX_PAGES = 50
SURVEY_PAGES = 2
LISTING = Limits(max_bytes=MAX_LIST_BYTES)
#: Pictures and speech are made before the answer comes.
PATIENT = Limits(read_seconds=120.0, total_seconds=180.0)
SIGNS = v1.SIGNS + v2.SIGNS
_VIDEOS = frozenset({v1.VIDEO, v2.VIDEO})


class MiniMax:
    """One MiniMax account, at its own address or at a simulator's."""

    def __init__(self, credentials: Credentials) -> None:
        self._client = Client(credentials, {"Authorization": f"Bearer {credentials.token}"})

    def submit(self, order: Order) -> Submitted:
        """Buy: exactly one POST. Pictures and speech are ``Finished`` at once; an id that is told was bought."""
        api = v2 if order.endpoint == v2.VIDEO else v1
        limits = None if order.endpoint in _VIDEOS else PATIENT
        reply = self._client.pay(order.endpoint, api.body(order), {}, limits=limits)
        answer = paying_answer(reply, SIGNS)
        if isinstance(reply, Failed) or not isinstance(answer, Refused | None):
            return answer or Unknown(message="the order was not answered")
        document = reply.document() or {}
        return api.bought(document) or _refusal(answer, document, reply) or Unknown(message="the answer names no task")

    def status(self, prediction: Prediction) -> Status:
        """Ask what became of a task; each look at one that is finished brings a fresh link."""
        if prediction.endpoint == v2.VIDEO:
            return self._task(prediction)
        if prediction.endpoint == v1.VIDEO:
            return self._video(prediction)
        return Refused(code="lost", message="MiniMax tells the links to pictures and speech only once")

    def cancel(self, prediction: Prediction) -> Status:
        """Take back what the second API still has in its queue; nothing else can be stopped, and is only looked at.

        The same call would delete a clip that is finished, so it is made for queued tasks alone.
        """
        found = self.status(prediction)
        if prediction.endpoint != v2.VIDEO or not (isinstance(found, Working) and found.queued):
            return found
        answer = free_answer(self._client.ask("DELETE", self._url(f"{v2.VIDEO}/{quote(prediction.id, safe='')}")))
        return answer if isinstance(answer, Busy) else self.status(prediction)

    def find(self, order: Order, since: datetime) -> Found | Busy | Silent:
        """Read the second API's list back to ``since``; the first API has none, so nothing is ever proven there.

        The list shows no inputs: what is found may be somebody else's, and only absence is proof.
        """
        found, seen = dict[str, Reading](), 0
        if order.endpoint != v2.VIDEO:
            return Found(predictions=(), complete=False)
        for number in range(1, MAX_PAGES + 1):
            page = self._page(number, {"filter.model": order.model})
            if isinstance(page, Busy | Silent):
                return page
            tasks, total = page
            seen += len(tasks)
            found |= {str(task["id"]): v2.reading(task) for task in tasks if v2.could_be(task, order, since)}
            if v2.is_last(tasks, since, more=total > seen):
                return _found(found, complete=True)
        return _found(found, complete=False)

    def survey(self, prediction_ids: Collection[str], since: datetime) -> Survey | Busy | Silent:
        """Read the newest pages of the second API's list until all of these were seen."""
        wanted, readings = set(prediction_ids), dict[str, Reading]()
        for number in range(1, SURVEY_PAGES + 1):
            page = self._page(number, {})
            if isinstance(page, Busy | Silent):
                return page
            tasks, _ = page
            readings |= {str(task["id"]): v2.reading(task) for task in tasks if str(task.get("id")) in wanted}
            if readings.keys() == wanted or v2.is_last(tasks, since):
                break
        return Survey(readings=readings)

    def probe(self, model: str) -> Busy | Silent | None:  # noqa: ARG002 - models have no pages of their own
        """Ask both APIs something that costs nothing: well is who answers twice."""
        for path in ("/v1/query/video_generation?task_id=0", _page_path(1, {})):
            answer = _document(self._client.ask("GET", self._url(path), LISTING))
            if isinstance(answer, Busy) or (isinstance(answer, Silent) and answer.outage):
                return answer
            if isinstance(answer, dict) and v1.code_of(answer) in v1.OUTAGES:
                return Silent(message=v1.message_of(answer), outage=True)
        return None

    def webhook_secret(self) -> str | Busy | Silent:
        """Nothing is signed."""
        return ""

    def read_webhook(
        self,
        headers: Mapping[str, str],  # noqa: ARG002 - no header proves anything
        body: bytes,
        *,
        secret: str,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> Hint | Challenge | Forged:
        """Read a callback: first a challenge, before the order is answered, then unsigned changes of status.

        A change of status names its task; whether it is true is asked for.
        """
        document = parsed(body) if len(body) <= MAX_JSON_BYTES else None
        if document is None:
            return Forged(message="the callback is not a JSON object")
        challenge = document.get("challenge")
        if isinstance(challenge, str):
            return Challenge(document={"challenge": challenge})
        task = document["task"] if isinstance(document.get("task"), dict) else document
        task_id = v1.id_of(task.get("task_id")) or v1.id_of(task.get("id"))
        if task_id is None:
            return Forged(message="the callback names no task")
        return Hint(webhook_id=f"{task_id}:{v1.status_of(task)}"[:200], prediction_id=task_id)

    def download(self, url: str, path: Path, *, max_bytes: int) -> Fetched | Refused | Silent:
        """Fetch an output link; over http only where the account itself is (a simulator's)."""
        insecure = urlsplit(self._client.base_url).scheme == "http"
        return downloads.download(url, path, max_bytes=max_bytes, insecure=insecure)

    def _task(self, prediction: Prediction) -> Status:
        path = f"/v2/query/video_generation/{quote(prediction.id, safe='')}"
        reply = self._client.ask("GET", self._url(path))
        document = free_answer(reply, v2.FORGOTTEN) or _document(reply)
        if not isinstance(document, dict):
            return document
        task = document.get("task")
        if not isinstance(task, dict) or str(task.get("id")) != prediction.id:
            return Silent(message="the answer is about another task")
        return v2.reading(task)

    def _video(self, prediction: Prediction) -> Status:
        """Ask for a task, and when it succeeded for its file: that alone has a link, good for an hour."""
        query = urlencode({"task_id": prediction.id})
        reply = self._client.ask("GET", self._url(f"/v1/query/video_generation?{query}"))
        document = _about_task(reply) or free_answer(reply, v1.FORGOTTEN) or _document(reply)
        if not isinstance(document, dict):
            return document
        if str(document.get("task_id", prediction.id)) != prediction.id:
            return Silent(message="the answer is about another task")
        file_id = v1.file_of(document)
        return v1.reading(document) if file_id is None else self._finished(file_id, prediction, document)

    def _finished(self, file_id: str, prediction: Prediction, document: Mapping[str, Any]) -> Status:
        query = urlencode({"file_id": file_id})
        told = _document(self._client.ask("GET", self._url(f"/v1/files/retrieve?{query}")))
        if not isinstance(told, dict):
            # The task has ended well: a file that can't be told just now is asked for again.
            return Silent(message=told.message) if isinstance(told, Refused) else told
        file = told.get("file")
        outputs = v1.links(file.get("download_url")) if isinstance(file, dict) else ()
        if not outputs:
            return Silent(message=v1.message_of(told), outage=v1.code_of(told) in v1.OUTAGES)
        return Finished(outputs=outputs, prediction_id=prediction.id, raw=v1.kept_of(document))

    def _page(self, number: int, filters: Mapping[str, str]) -> tuple[list[dict[str, Any]], int] | Busy | Silent:
        """The tasks of a page, and how many the whole list is said to have; 0 where nothing is said."""
        document = _document(self._client.ask("GET", self._url(_page_path(number, filters)), LISTING))
        if isinstance(document, Refused):
            return Silent(message=document.message)
        if not isinstance(document, dict):
            return document
        items = document.get("items")
        if not isinstance(items, list):
            return Silent(message="the list of tasks can't be read")
        total = document.get("total")
        return [task for task in items if isinstance(task, dict)], total if isinstance(total, int) else 0

    def _url(self, path: str) -> str:
        return self._client.base_url + path


def _page_path(number: int, filters: Mapping[str, str]) -> str:
    page = {"page_num": str(number), "page_size": str(v2.PAGE_SIZE)}
    return f"/v2/query/video_generation?{urlencode({**page, **filters})}"


def _refusal(answer: Refused | None, document: Mapping[str, Any], reply: Reply) -> Refused | None:
    """The refusal of an order, with what was flagged where something was."""
    if answer is None:
        return v1.refused(document, reply.says())
    return v1.flagged(answer, v1.code_of(document) or v2.moderation_code(answer.message))


def _about_task(reply: Reply | Failed) -> dict[str, Any] | None:
    """A query's answer that tells a status: its code is then about the task, and not about our asking."""
    document = reply.document() if isinstance(reply, Reply) else None
    return document if document and v1.status_of(document) else None


def _document(reply: Reply | Failed) -> dict[str, Any] | Refused | Busy | Silent:
    answer = free_answer(reply)
    if answer is not None:
        return answer
    document = reply.document() if isinstance(reply, Reply) else None
    return Silent(message="the answer is not a JSON object") if document is None else document


def _found(found: Mapping[str, Reading], *, complete: bool) -> Found:
    predictions = tuple(FoundPrediction(prediction_id=key, answer=answer) for key, answer in found.items())
    return Found(predictions=predictions, complete=complete, certain=False)
