"""Tell watchers what happened: Redis pub/sub to Socket.IO rooms and to event streams. A courtesy, never a failure.

What is lost here is not lost: stored events are read again by their number, and every watcher starts with a snapshot.
"""

import json
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
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

    def __init__(self, redis_url: str, redis: Redis) -> None:
        self._redis_url = redis_url
        self._redis = redis
        self._patience = threading.Event()

    def tell(self, told: Told) -> bool:
        """Send an event to everyone who watches its job; False when Redis would not take it."""
        try:
            self._redis.publish(_topic(told.job_id), json.dumps({"type": told.type, "payload": told.payload}))
        except RedisError as error:
            metrics.PUBLISH_FAILURES.labels(what="event").inc()
            _LOG.warning("progress.dropped", job_id=told.job_id, error=type(error).__name__)
            return False
        self._emit(told, room(told.owner_id, told.job_id))
        if told.for_list:
            self._emit(told, owner_room(told.owner_id))
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

    def _emit(self, told: Told, to: str) -> None:
        self._manager.emit(told.type, dict(told.payload), namespace=NAMESPACE, room=to)

    @cached_property
    def _manager(self) -> Any:
        """Made on first use, so that each forked process has its own."""
        return socketio.RedisManager(self._redis_url, channel=CHANNEL, write_only=True)


def _topic(job_id: str) -> str:
    return f"dailies:job:{job_id}"
