"""The way in: how members, bodies and chores become messages. Start, wake and sweep publish the very same member.

Everything that Celery counts a chord by - task id, group id, group index, body - is derived from the rows, so a member
can be published by anybody, at any time, any number of times (Celery 5.7 counts it once).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import Celery, Signature
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from pipeline import logs, metrics
from pipeline.domain.member import Member, body_id, group_id
from worker.queues import CONTROL, FETCH, rendering

_LOG = logs.get(__name__)
_BROKER_ERRORS = (KombuError, OperationalError, RedisError, CeleryError, OSError)
_BATCH = 500
# The broker hands out again what is held for longer than its patience, so a longer wait is taken in turns.
_MAX_COUNTDOWN_SECONDS = 60.0


class CeleryCarrier:
    """Carries work by Celery; a message that can't be sent is counted, and left to the sweeper."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def start(self, job_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
        """Ask a worker to publish the job's newest round, after a delay if one is told."""
        self._send("start_job", str(job_id), delay.total_seconds())

    def turn(self, provider: str, wait_seconds: float) -> None:
        """Ask a worker to give out the provider's free slots after so long."""
        self._send("turn_line", provider, min(wait_seconds, _MAX_COUNTDOWN_SECONDS))

    def open(self, job_id: UUID, round_: int, size: int) -> bool:
        """Set the chord's counter before the first member can end.

        ``chord()`` itself is not used: it sends every member at once, and in a process that lives long it leaks a
        subscription for each.
        """
        return self._tried("chord", lambda: self._app.backend.set_chord_size(group_id(job_id, round_), size))

    def members(self, members: Sequence[Member], *, delay: timedelta = timedelta(0)) -> None:
        """Publish members, whatever else of them is on its way."""
        for at in range(0, len(members), _BATCH):
            self._tried("members", partial(self._batch, members[at : at + _BATCH], delay.total_seconds()))

    def finish(self, job_id: UUID) -> None:
        """Ask a worker to see whether the job is over."""
        self._send("finish_job", str(job_id))

    def film(self, job_id: UUID) -> None:
        """Ask the media pool for the job's film."""
        self._send("make_film", str(job_id))

    def thumbnail(self, clip_id: UUID) -> None:
        """Ask the media pool for a clip's thumbnail."""
        self._send("make_thumbnail", str(clip_id))

    def _batch(self, members: Sequence[Member], wait_seconds: float) -> None:
        options: dict[str, Any] = {"countdown": wait_seconds} if wait_seconds else {}
        with self._app.producer_or_acquire() as producer, producer.batch(len(members)):
            for member in members:
                self._app.send_task(
                    "render_asset",
                    args=(str(member.asset_id),),
                    producer=producer,
                    **headers(self._app, member),
                    **options,
                )

    def _send(self, task: str, argument: str, wait_seconds: float = 0) -> None:
        options: dict[str, Any] = {"countdown": wait_seconds} if wait_seconds else {}
        options |= {"ignore_result": True, "result_cls": _Sent}
        send = partial(self._app.send_task, task, args=(argument,), **options)
        self._tried(task, send)

    def _tried(self, what: str, send: Callable[[], object]) -> bool:
        try:
            send()
        except _BROKER_ERRORS as error:
            metrics.PUBLISH_FAILURES.labels(what=what).inc()
            _LOG.warning("dispatch.failed", what=what, error=type(error).__name__)
            return False
        return True


def headers(app: Celery, member: Member) -> dict[str, Any]:
    """What makes a message a member of its chord, on the first copy as on the tenth."""
    return {
        "task_id": member.task_id,
        "group_id": member.group_id,
        "group_index": member.group_index,
        "chord": _body(app, member),
        "queue": _queue(app, member),
        "priority": member.rank(datetime.now(UTC)),
        "ignore_result": True,
        "result_cls": _Sent,
        "add_to_parent": False,
    }


class _Sent:
    """What comes back from a send: nothing. Celery's own result makes a new backend in every green thread."""

    def __init__(self, _task_id: str) -> None: ...


def _body(app: Celery, member: Member) -> Signature[Any]:
    options = {"task_id": body_id(member.job_id, member.round), "queue": CONTROL, "ignore_result": True}
    return app.signature("finish_job", args=(str(member.job_id),), immutable=True, options=options)


def _queue(app: Celery, member: Member) -> str:
    """The provider's queue; one that left the catalogue has none, and what is left of its work must still end."""
    name = FETCH if member.fetching else rendering(member.provider)
    return name if name in app.amqp.queues else CONTROL
