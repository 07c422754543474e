"""The tasks: transport only. Arguments are ids; what happens is in ``pipeline``."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from celery.exceptions import Ignore, Reject, Retry

from pipeline import logs, metrics
from pipeline.domain.errors import DailiesError, Unavailable
from pipeline.finish import finish, make_film, make_thumbnail
from pipeline.render import Verdict, step
from pipeline.start import start
from pipeline.sweep import sweep
from pipeline.turn import turn
from worker.app import app, services
from worker.queues import FETCH

_LOG = logs.get(__name__)
_DROP = Verdict()


@app.task(name="render_asset", bind=True, max_retries=None)
def render_asset(self: Any, asset_id: str) -> str:
    """One step of one asset. Never fails: an exception that escapes a chord's member kills its job in silence."""
    verdict = _stepped(asset_id, fetches=self.request.delivery_info.get("routing_key") == FETCH)
    if verdict.over:
        return asset_id
    if verdict.countdown is None:
        raise Ignore
    raise _parked(self, verdict.countdown)


@app.task(name="start_job")
def start_job(job_id: str) -> None:
    """Publish a job's newest round."""
    _run(start, UUID(job_id))


@app.task(name="turn_line")
def turn_line(provider: str) -> None:
    """Give out a provider's free slots, now that a block or a full window is over."""
    _run(turn, provider)


@app.task(name="finish_job")
def finish_job(job_id: str) -> None:
    """The chord's body: bring the job to its end, if that is where it is."""
    _run(finish, UUID(job_id))


@app.task(name="make_film")
def film(job_id: str) -> None:
    """Stitch a job's film and close the job."""
    _run(make_film, UUID(job_id))


@app.task(name="make_thumbnail")
def thumbnail(clip_id: str) -> None:
    """Make a clip's thumbnail."""
    _run(make_thumbnail, UUID(clip_id))


@app.task(name="sweep")
def sweep_all() -> None:
    """Set going again whatever got lost."""
    try:
        sweep(services())
    except Unavailable as error:
        _LOG.warning("sweep.held", error=str(error))


def _stepped(asset_id: str, *, fetches: bool) -> Verdict:
    try:
        return step(services(), UUID(asset_id), fetches=fetches)
    except Unavailable as error:
        _LOG.warning("step.held", asset_id=asset_id, error=str(error))
        metrics.STEP_ERRORS.labels(error="Unavailable").inc()
    except Exception as error:  # noqa: BLE001 - whatever escapes a chord's member ends its job without a word
        _LOG.exception("step.failed", asset_id=asset_id)
        metrics.STEP_ERRORS.labels(error=type(error).__name__).inc()
    # The row's claim lapses by itself, and the sweeper brings it back.
    return _DROP


def _parked(task: Any, countdown: timedelta) -> Exception:
    """The exception that parks this message; a failed publish must not count as the member's failure."""
    try:
        parked: Retry = task.retry(countdown=countdown.total_seconds(), throw=False)
    except Reject:
        return Ignore()
    return parked


def _run(chore: Any, about: UUID | str) -> None:
    try:
        chore(services(), about)
    except DailiesError as error:
        _LOG.warning("chore.failed", chore=chore.__name__, about=str(about), error=str(error))
