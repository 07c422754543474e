"""Tell watchers what happened: Redis pub/sub to Socket.IO rooms and to event streams. A courtesy, never a failure.

What is lost here is not lost: stored events are read again by their number, and every watcher starts with a snapshot.
"""

import json
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import socketio
from redis import Redis
from redis.exceptions import RedisError

from pipeline import logs, metrics

CHANNEL = "dailies-socketio"
NAMESPACE = "/jobs"
_TICK_SECONDS = 1.0
_LOG = logs.get(__name__)


def room(owner_id: UUID | str, job_id: UUID | str) -> str:
    """The room of one job; the owner is part of its name, so that no other can guess it."""
    return f"{owner_id}:{job_id}"


def owner_room(owner_id: UUID | str) -> str:
    """The room of an owner's list of jobs."""
    return str(owner_id)


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event as watchers see it; ``for_list`` also goes to the owner's list of jobs."""

    type: str
    job_id: str
    owner_id: str
    payload: Mapping[str, Any]
    for_list: bool = False


class Progress:
    """The way to watchers, and for event streams the way back."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._patience = threading.Event()

    def tell(self, news: Sequence[Told]) -> bool:
        """Send events, in order, to everyone who watches their jobs; False when Redis would not take them."""
        trip = self._redis.pipeline(transaction=False)
        for told in news:
            trip.publish(_topic(told.job_id), json.dumps({"type": told.type, "payload": told.payload}))
            for letter in _letters(told):
                trip.publish(CHANNEL, letter)
        try:
            trip.execute()
        except RedisError as error:
            metrics.PUBLISH_FAILURES.labels(what="event").inc(len(news))
            _LOG.warning("progress.dropped", jobs=sorted({told.job_id for told in news}), error=type(error).__name__)
            return False
        return True

    def listen(self, job_id: UUID | str) -> Generator[dict[str, Any] | None]:
        """Live events of a job, and None at least once a second; ends never, and falls silent without Redis."""
        while True:
            try:
                yield from self._heard(str(job_id))
            except RedisError:
                yield None
                self._patience.wait(_TICK_SECONDS)

    def _heard(self, job_id: str) -> Generator[dict[str, Any] | None]:
        pubsub: Any = self._redis.pubsub  # untyped in redis-py
        with pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(_topic(job_id))
            yield None
            while True:
                message = subscription.get_message(timeout=_TICK_SECONDS)
                yield json.loads(message["data"]) if message else None


class _Writer(socketio.RedisManager):  # type: ignore[misc]  # untyped
    """Words events as Socket.IO's servers tell each other, and keeps them: a step's news leaves in one trip."""

    def __init__(self) -> None:
        super().__init__(channel=CHANNEL, write_only=True)
        self.letters: list[str] = []

    def _publish(self, data: Mapping[str, Any]) -> None:
        self.letters.append(json.dumps(data))


def _letters(told: Told) -> list[str]:
    writer = _Writer()
    rooms = [room(told.owner_id, told.job_id), *([owner_room(told.owner_id)] if told.for_list else [])]
    for each in rooms:
        writer.emit(told.type, dict(told.payload), namespace=NAMESPACE, room=each)
    return writer.letters


def _topic(job_id: str) -> str:
    return f"dailies:job:{job_id}"
