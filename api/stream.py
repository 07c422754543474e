"""A job's events as Server-Sent Events: a snapshot, then what was missed, then what happens."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from uuid import UUID

from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from api import documented
from api.auth import Callers, Policy, allow, caller, callers
from api.context import services
from api.forms import JobPath
from pipeline import show
from pipeline.database.keys import Caller
from pipeline.domain.errors import NotFound, RateLimited, Unavailable
from pipeline.services import Services

MAX_STREAMS_PER_OWNER = 100
_RETRY_MS = 2000
_TICKS_BETWEEN_HEARTBEATS = 15
_MAX_SEQ = 2**62

stream = documented.blueprint("stream", __name__, url_prefix="/v1/jobs", about="What happens, as it happens.")


class ResumeHeader(BaseModel):
    """Where an interrupted stream goes on."""

    model_config = ConfigDict(extra="ignore")
    last_event_id: str | None = Field(
        default=None, alias="Last-Event-ID", description="The `id` of the last event that was seen."
    )

    @property
    def seq(self) -> int | None:
        """The number of that event; None for anything that is no number of ours."""
        told = self.last_event_id or ""
        return int(told) if told.isascii() and told.isdigit() and len(told) < len(str(_MAX_SEQ)) else None


@stream.get(
    "/<job_id>/events",
    responses={
        200: {
            "description": "Events, until you close.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
@allow(Policy.KEY)
def follow_job(path: JobPath, header: ResumeHeader) -> Response:
    """The events of a job as they happen; the first is a snapshot, `Last-Event-ID` resumes."""
    asked = caller()
    document, seq = show.snapshot(services(), asked.owner_id, path.job_id)
    resumed = header.seq is not None and header.seq <= seq
    following = Following(
        services=services(),
        callers=callers(),
        caller=asked,
        job_id=path.job_id,
        seq=header.seq if header.seq is not None and resumed else seq,
    )
    # On resuming, the snapshot has no id: what the browser remembers must not jump over what it missed.
    first = frame("snapshot", {**document, "seq": seq}, None if resumed else seq)
    _OPEN.enter(asked.owner_id)
    response = Response(_lines(first, following), mimetype="text/event-stream")
    response.call_on_close(lambda: _OPEN.leave(asked.owner_id))
    response.headers["X-Accel-Buffering"] = "no"
    return response


def frame(type_: str, payload: Mapping[str, Any], seq: int | None) -> str:
    """One event on the wire."""
    number = f"id: {seq}\n" if seq is not None else ""
    return f"{number}event: {type_}\ndata: {json.dumps(payload)}\n\n"


def _lines(first: str, following: "Following") -> Iterator[str]:
    yield f"retry: {_RETRY_MS}\n\n"
    yield first
    yield from following.told()


@dataclass(kw_only=True)
class Following:
    """One watcher of one job. ``seq`` is the number of the last stored event that was told."""

    services: Services
    callers: Callers
    caller: Caller
    job_id: UUID
    seq: int

    def told(self) -> Iterator[str]:
        """Everything after ``seq``, for as long as the watcher's key lives."""
        idle = 0
        for event in self.services.progress.listen(self.job_id):
            if event is not None:
                yield from self._heard(event)
                continue
            if not self._welcome():
                return
            # The first silence says that we are subscribed now; from time to time, what got lost is looked for.
            if idle % _TICKS_BETWEEN_HEARTBEATS == 0:
                yield from self._missed()
                yield ": still here\n\n"
            idle += 1

    def _heard(self, event: Mapping[str, Any]) -> Iterator[str]:
        """A live event; stored ones in order, each once, and with what is missing before them."""
        seq = event["payload"].get("seq")
        if seq is None:
            yield frame(event["type"], event["payload"], None)
        elif seq == self.seq + 1:
            self.seq = seq
            yield frame(event["type"], event["payload"], seq)
        elif seq > self.seq:
            yield from self._missed()

    def _missed(self) -> Iterator[str]:
        """Stored events that were not told yet; without the database they are told later."""
        try:
            while found := show.events_since(self.services, self.caller.owner_id, self.job_id, self.seq):
                for event in found:
                    self.seq = event["seq"]
                    yield frame(event["type"], event["payload"], self.seq)
        except (Unavailable, NotFound):
            return

    def _welcome(self) -> bool:
        try:
            return self.callers.by_id(self.caller.key_id) is not None
        except Unavailable:
            return True


class _Open:
    """How many streams each owner has open in this process."""

    def __init__(self) -> None:
        self._counted: Counter[UUID] = Counter()
        self._lock = Lock()

    def enter(self, owner_id: UUID) -> None:
        """Count one more. Raises RateLimited when there are too many."""
        with self._lock:
            if self._counted[owner_id] >= MAX_STREAMS_PER_OWNER:
                raise RateLimited(f"{MAX_STREAMS_PER_OWNER} event streams are open already; close some")
            self._counted[owner_id] += 1

    def leave(self, owner_id: UUID) -> None:
        """Count one less."""
        with self._lock:
            self._counted[owner_id] -= 1
            if not self._counted[owner_id]:
                del self._counted[owner_id]


_OPEN = _Open()
