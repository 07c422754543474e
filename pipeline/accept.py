"""A job comes in: checked against the catalogue, priced, stored in one transaction, and then started."""

import hashlib
import json
import random
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from pipeline.database.jobs import Idempotency, NewClip, NewJob
from pipeline.domain.document import RETRY_AFTER, job_links
from pipeline.domain.job import JobState
from pipeline.domain.order import Plan, Shot, plan
from pipeline.domain.spec import JobSpec, parse_job
from pipeline.services import Services

# Jobs that come together are started within this time, not all at once.
_SPREAD = timedelta(seconds=2)
# So many are no crowd, and enough to keep every account busy at once.
_TOGETHER = 20


def accept(services: Services, *, owner_id: UUID, body: Any, idempotency_key: str | None = None) -> dict[str, Any]:
    """Take a job in and start it; nothing waits for a provider.

    Raises a Refusal, with nothing stored, when the job can't be made, and Unavailable when Postgres is away.
    """
    spec, planned = _planned(services, body)
    job = _new_job(services, owner_id, spec, planned)
    job_id = services.store.jobs.accept(job, _idempotency(idempotency_key, body))
    # A request that came before names a job that may have moved on; a fresh one needs no second look.
    known = services.store.jobs.read(job_id, owner_id) if job_id != job.id else None
    if known is None:
        services.carrier.start(job_id, delay=_delay(services))
    return {
        "id": str(job_id),
        "state": known.state if known else JobState.QUEUED,
        "links": job_links(str(job_id)),
        "estimate_cents": known.estimate_cents if known else planned.estimate_cents,
        "retry_after_ms": int(RETRY_AFTER.total_seconds() * 1000),
        "warnings": list(planned.warnings),
    }


def estimate(services: Services, body: Any) -> dict[str, Any]:
    """What a job would cost and how it would be asked for; stores nothing. Raises a Refusal as ``accept`` does."""
    _, planned = _planned(services, body)
    shown = ("index", "model", "target_seconds", "asked_seconds", "estimate_cents")
    return {
        "dry_run": True,
        "estimate_cents": planned.estimate_cents,
        "warnings": list(planned.warnings),
        "scenes": [{name: getattr(shot, name) for name in shown} for shot in planned.shots],
    }


def _planned(services: Services, body: Any) -> tuple[JobSpec, Plan]:
    spec = parse_job(body)
    planned = plan(spec, services.catalogue, duration_buffer=services.settings.video_generator_duration_buffer)
    for provider in {services.catalogue.model(shot.model).provider for shot in planned.shots}:
        services.require_account(provider)
    return spec, planned


def _delay(services: Services) -> timedelta:
    """Nothing for a job that comes alone, a throw of the dice for one of many (R25)."""
    if services.arrivals.count(_SPREAD) <= _TOGETHER:
        return timedelta(0)
    return _SPREAD * random.random()  # noqa: S311 - dice, not secrets


def _new_job(services: Services, owner_id: UUID, spec: JobSpec, planned: Plan) -> NewJob:
    return NewJob(
        id=uuid4(),
        owner_id=owner_id,
        title=spec.title,
        priority=spec.priority,
        min_clips=spec.min_clips,
        spec=spec.model_dump(mode="json"),
        metadata=spec.metadata,
        estimate_cents=planned.estimate_cents,
        budget_cents=spec.budget_cents,
        clips=[_new_clip(services, spec, shot) for shot in planned.shots],
    )


def _new_clip(services: Services, spec: JobSpec, shot: Shot) -> NewClip:
    scene = spec.scenes[shot.index]
    account = services.account(services.catalogue.model(shot.model))
    return NewClip(
        scene_id=uuid4(),
        asset_id=uuid4(),
        index=shot.index,
        description=scene.description,
        metadata=scene.metadata,
        model=shot.model,
        provider=account.provider,
        account=account.name,
        shot=asdict(shot),
    )


def _idempotency(key: str | None, body: Any) -> Idempotency | None:
    if key is None:
        return None
    said = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Idempotency(key=key, body_digest=hashlib.sha256(said.encode()).digest())
