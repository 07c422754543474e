"""What most people build next: a Celery task per clip that blocks and polls, ``autoretry_for``, a rate limit."""

import sys
import time
from contextlib import suppress
from datetime import datetime

from celery.exceptions import CeleryError
from celery.result import AsyncResult

from bench.arena import Case
from bench.contenders.baseline import Access, Baseline, Known
from cli.stack.stack import Stack

# As many threads as a worker has by itself on a machine of that size.
THREADS = 8


def _render(stack: Stack, _access: Access, case: Case) -> Known:
    worker = ("-m", "celery", "--app", "bench.contenders.plain_celery_app", "worker", "--pool", "threads")
    stack.add("plain-celery", (sys.executable, *worker, "--concurrency", str(THREADS), "--loglevel", "WARNING"))
    from bench.contenders.plain_celery_app import connected

    app = connected(stack.environment["REDIS_URL"])
    sent = [app.send_task("render", args=(number,)) for number in range(case.clips)]
    give_up_at = time.monotonic() + case.patience_seconds
    return {number: at for number, result in enumerate(sent) if (at := _known(result, give_up_at))}


def _known(result: AsyncResult[str], give_up_at: float) -> datetime | None:
    """When the task had its clip. A task that gave up raises its last error here."""
    with suppress(CeleryError, OSError):
        return datetime.fromisoformat(result.get(timeout=max(0.1, give_up_at - time.monotonic())))
    return None


PLAIN_CELERY = Baseline(name="plain-celery", render=_render, services=("redis",))
