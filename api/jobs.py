"""Jobs and their clips over HTTP: taken in, read, steered. What happens is decided in `pipeline`."""

import math
from typing import Any

from flask import Response, jsonify
from pydantic import BaseModel, ConfigDict, Field

from api import schemas
from api.auth import Policy, allow, caller
from api.bodies import json_body, optional_json_body
from api.context import services
from api.forms import ClipPath, JobPath, Page, Query
from pipeline import show, steer
from pipeline.accept import accept, estimate
from pipeline.domain.job import JobState
from pipeline.domain.spec import JobSpec

jobs = schemas.documented("jobs", __name__, url_prefix="/v1/jobs", about="Storyboards, and what becomes of them.")


class Submitting(Query):
    """How a job is submitted."""

    dry_run: bool = Field(default=False, description="Check and price the job; store nothing.")


class IdempotencyHeader(BaseModel):
    """The client's own name for its request."""

    model_config = ConfigDict(extra="ignore")
    key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$",
        description="The same key with the same body is the same job, for at least a day.",
    )


class JobsQuery(Page):
    """Which jobs to list."""

    state: JobState | None = Field(default=None, description="Only jobs in this state.")


def _answer(document: dict[str, Any], status: int = 200) -> Response:
    """A document, which says when to come back also where every HTTP client looks (R14)."""
    response: Response = jsonify(document)
    response.status_code = status
    if wait_ms := document.get("retry_after_ms"):
        response.headers["Retry-After"] = str(math.ceil(wait_ms / 1000))
    return response


@jobs.post(
    "",
    responses={200: schemas.Priced, 202: schemas.Accepted},
    openapi_extensions=schemas.body(JobSpec),
)
@allow(Policy.KEY)
def submit_job(query: Submitting, header: IdempotencyHeader) -> Response:
    """Take a job in: checked, priced and stored, before any provider is asked."""
    if query.dry_run:
        return _answer(estimate(services(), json_body()))
    document = accept(services(), owner_id=caller().owner_id, body=json_body(), idempotency_key=header.key)
    response = _answer(document, 202)
    response.headers["Location"] = document["links"]["self"]
    return response


@jobs.get("", responses={200: schemas.JobPage})
@allow(Policy.KEY)
def list_jobs(query: JobsQuery) -> Response:
    """Your jobs, newest first."""
    page = show.jobs(services(), caller().owner_id, state=query.state, start=query.start, limit=query.limit)
    return _answer(page)


@jobs.get("/<job_id>", responses={200: schemas.Job})
@allow(Policy.KEY)
def read_job(path: JobPath) -> Response:
    """A job with all of its clips."""
    return _answer(show.job(services(), caller().owner_id, path.job_id))


@jobs.get("/<job_id>/clips", responses={200: schemas.ClipPage})
@allow(Policy.KEY)
def list_clips(path: JobPath, query: Page) -> Response:
    """The clips of a job, in scene order."""
    return _answer(show.clips(services(), caller().owner_id, path.job_id, start=query.start, limit=query.limit))


@jobs.get("/<job_id>/clips/<index>", responses={200: schemas.ClipWithTakes})
@allow(Policy.KEY)
def read_clip(path: ClipPath) -> Response:
    """One clip with every attempt at it."""
    return _answer(show.clip(services(), caller().owner_id, path.job_id, path.index))


@jobs.post("/<job_id>/cancel", responses={202: schemas.Job})
@allow(Policy.KEY)
def cancel_job(path: JobPath) -> Response:
    """Stop a job, and its predictions at the provider."""
    return _answer(steer.cancel(services(), caller().owner_id, path.job_id), 202)


@jobs.post("/<job_id>/resume", responses={202: schemas.Job})
@allow(Policy.KEY)
def resume_job(path: JobPath) -> Response:
    """Render what has no clip yet, and nothing else."""
    return _answer(steer.resume(services(), caller().owner_id, path.job_id), 202)


@jobs.post("/<job_id>/retry-failed", responses={202: schemas.Job})
@allow(Policy.KEY)
def retry_failed_clips(path: JobPath) -> Response:
    """Render every failed clip anew."""
    return _answer(steer.retry_failed(services(), caller().owner_id, path.job_id), 202)


@jobs.post(
    "/<job_id>/clips/<index>/retry",
    responses={202: schemas.Job},
    openapi_extensions=schemas.body(steer.Changes, required=False),
)
@allow(Policy.KEY)
def retry_clip(path: ClipPath) -> Response:
    """Render a clip anew, perhaps with another prompt, seed or model; one that is done, only with a change."""
    changes = optional_json_body()
    return _answer(steer.retry(services(), caller().owner_id, path.job_id, path.index, changes), 202)


@jobs.post(
    "/<job_id>/clips/<index>/choose",
    responses={202: schemas.Job},
    openapi_extensions=schemas.body(steer.Choice),
)
@allow(Policy.KEY)
def choose_take(path: ClipPath) -> Response:
    """Let a clip be another of its takes; the film is made anew, and the old one stays until then."""
    return _answer(steer.choose(services(), caller().owner_id, path.job_id, path.index, json_body()), 202)
