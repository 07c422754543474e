"""Jobs and their clips over HTTP: taken in, read, steered. What happens is decided in `pipeline`."""

from flask import Response
from pydantic import Field

from api import documented, schemas
from api.auth import Policy, allow, caller
from api.bodies import json_body, optional_json_body
from api.context import services
from api.forms import ClipPath, IdempotencyHeader, JobPath, Page, Submitting
from api.replies import reply, taken_in
from pipeline import show, steer
from pipeline.accept import accept, estimate
from pipeline.domain.job import JobState
from pipeline.domain.spec import JobSpec

jobs = documented.blueprint("jobs", __name__, url_prefix="/v1/jobs", about="Storyboards, and what becomes of them.")


class JobsQuery(Page):
    """Which jobs to list."""

    state: JobState | None = Field(default=None, description="Only jobs in this state.")


@jobs.post(
    "",
    responses={200: schemas.Priced, 202: schemas.Accepted},
    openapi_extensions=documented.body(JobSpec),
)
@allow(Policy.KEY)
def submit_job(query: Submitting, header: IdempotencyHeader) -> Response:
    """Take a job in: checked, priced and stored, before any provider is asked."""
    if query.dry_run:
        return reply(estimate(services(), json_body()))
    document = accept(
        services(),
        owner_id=caller().owner_id,
        key_id=caller().key_id,
        body=json_body(),
        idempotency_key=header.key,
    )
    return taken_in(document)


@jobs.get("", responses={200: schemas.JobPage})
@allow(Policy.KEY)
def list_jobs(query: JobsQuery) -> Response:
    """Your jobs, newest first."""
    page = show.jobs(services(), caller().owner_id, state=query.state, start=query.start, limit=query.limit)
    return reply(page)


@jobs.get("/<job_id>", responses={200: schemas.Job})
@allow(Policy.KEY)
def read_job(path: JobPath) -> Response:
    """A job with all of its clips."""
    return reply(show.job(services(), caller().owner_id, path.job_id))


@jobs.get("/<job_id>/clips", responses={200: schemas.ClipPage})
@allow(Policy.KEY)
def list_clips(path: JobPath, query: Page) -> Response:
    """The clips of a job, in scene order."""
    return reply(show.clips(services(), caller().owner_id, path.job_id, start=query.start, limit=query.limit))


@jobs.get("/<job_id>/clips/<index>", responses={200: schemas.ClipWithTakes})
@allow(Policy.KEY)
def read_clip(path: ClipPath) -> Response:
    """One clip with every attempt at it."""
    return reply(show.clip(services(), caller().owner_id, path.job_id, path.index))


@jobs.post("/<job_id>/cancel", responses={202: schemas.Job})
@allow(Policy.KEY)
def cancel_job(path: JobPath) -> Response:
    """Stop a job, and its predictions at the provider."""
    return reply(steer.cancel(services(), caller().owner_id, path.job_id), 202)


@jobs.post("/<job_id>/resume", responses={202: schemas.Job})
@allow(Policy.KEY)
def resume_job(path: JobPath) -> Response:
    """Render what has no clip yet, and nothing else."""
    return reply(steer.resume(services(), caller().owner_id, path.job_id), 202)


@jobs.post("/<job_id>/retry-failed", responses={202: schemas.Job})
@allow(Policy.KEY)
def retry_failed_clips(path: JobPath) -> Response:
    """Render every failed clip anew."""
    return reply(steer.retry_failed(services(), caller().owner_id, path.job_id), 202)


@jobs.post("/<job_id>/retry-stale", responses={202: schemas.Job})
@allow(Policy.KEY)
def retry_stale_clips(path: JobPath) -> Response:
    """Render anew every clip that was made from an older take than the one that is shown, and what goes on from it."""
    return reply(steer.retry_stale(services(), caller().owner_id, path.job_id), 202)


@jobs.post(
    "/<job_id>/clips/<index>/retry",
    responses={202: schemas.Job},
    openapi_extensions=documented.body(steer.Changes, required=False),
)
@allow(Policy.KEY)
def retry_clip(path: ClipPath) -> Response:
    """Render a clip anew, perhaps with another prompt, seed or model; one that is done, only with a change."""
    changes = optional_json_body()
    return reply(steer.retry(services(), caller().owner_id, path.job_id, path.index, changes), 202)


@jobs.post(
    "/<job_id>/clips/<index>/choose",
    responses={202: schemas.Job},
    openapi_extensions=documented.body(steer.Choice),
)
@allow(Policy.KEY)
def choose_take(path: ClipPath) -> Response:
    """Let a clip be another of its takes; the film is made anew, and the old one stays until then."""
    return reply(steer.choose(services(), caller().owner_id, path.job_id, path.index, optional_json_body()), 202)
