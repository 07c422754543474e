"""What a customer does to a job that is under way or over: cancel it, retry a clip, resume the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import show
from pipeline.database.reopening import Replan
from pipeline.domain.asset import State
from pipeline.domain.document import ClipRow, JobRow
from pipeline.domain.errors import FieldError, NotInThatState, Refusal, ValidationFailed
from pipeline.domain.job import FINAL, JobState
from pipeline.domain.order import Shot, plan
from pipeline.domain.spec import JobSpec, parse_job, sentence, shortened
from pipeline.services import Services

_UNFINISHED = frozenset({State.FAILED, State.CANCELLED})


class Changes(BaseModel):
    """What a retry may change about a clip."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str | None = None
    seed: int | None = None
    model: str | None = None


def retry(services: Services, owner_id: UUID, job_id: UUID, index: int, changes: Any = None) -> dict[str, Any]:
    """Render one failed clip anew, perhaps with another prompt, seed or model (R36).

    Raises NotFound, NotInThatState when the clip has not failed, OverBudget, or a Refusal for changes that can't be.
    """
    job = show.owned(services, owner_id, job_id)
    clip = show.owned_clip(services, job, index)
    if clip.state not in _UNFINISHED:
        raise NotInThatState(f"clip {index} is {clip.state}; only a failed or cancelled clip can be retried")
    replan = _replanned(services, job, clip, _changes(changes))
    return _reopen(services, owner_id, job, [clip], {clip.id: replan})


def retry_failed(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """Render every failed clip anew. Raises NotFound, OverBudget, or NotInThatState when none has failed."""
    job = show.owned(services, owner_id, job_id)
    failed = [clip for clip in _clips(services, job) if clip.state is State.FAILED]
    if not failed:
        raise NotInThatState("no clip of this job has failed")
    return _reopen(services, owner_id, job, failed)


def resume(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """Render what has no clip yet, and nothing else (R13).

    Raises NotFound, OverBudget, or NotInThatState when all are there.
    """
    job = show.owned(services, owner_id, job_id)
    found = _clips(services, job)
    if job.state is JobState.COMPLETE or all(clip.state is State.DONE for clip in found):
        raise NotInThatState("every clip of this job is there; nothing is left to resume")
    missing = [clip for clip in found if clip.state in _UNFINISHED]
    if missing:
        return _reopen(services, owner_id, job, missing)
    if job.cancel_requested_at:
        raise NotInThatState("the job is being cancelled; wait until that is done")
    # Everything that is missing is on its way already: resuming is then only a nudge.
    services.wake([clip.id for clip in found if clip.state is not State.DONE])
    return show.job(services, owner_id, job_id)


def cancel(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """Stop a job and its predictions at the provider. Raises NotFound, or NotInThatState when it is over."""
    job = show.owned(services, owner_id, job_id)
    if job.state in FINAL:
        raise NotInThatState(f"the job is {job.state} already; there is nothing to cancel")
    services.wake(services.store.jobs.cancel(job_id))
    return show.job(services, owner_id, job_id)


def _reopen(
    services: Services,
    owner_id: UUID,
    job: JobRow,
    clips: Sequence[ClipRow],
    replans: Mapping[UUID, Replan] | None = None,
) -> dict[str, Any]:
    told = services.store.jobs.reopen(job.id, [clip.id for clip in clips], replans=replans)
    services.carrier.start(job.id)
    services.tell([*told, *services.job_progress(job.id, owner_id)])
    return show.job(services, owner_id, job.id)


def _clips(services: Services, job: JobRow) -> list[ClipRow]:
    return services.store.jobs.clips(job.id)[job.id]


def _changes(given: Any) -> Changes:
    try:
        return Changes.model_validate(given if given is not None else {})
    except ValidationError as error:
        allowed = sorted(Changes.model_fields)
        found = [
            FieldError(
                field=".".join(map(str, each["loc"])) or "body",
                value=shortened(each["input"]),
                allowed=allowed if each["type"] == "extra_forbidden" else None,
                message=each["msg"],
            )
            for each in error.errors()
        ]
        raise ValidationFailed(
            "a retry may change prompt (text), seed (a whole number) and model", errors=found
        ) from None


def _replanned(services: Services, job: JobRow, clip: ClipRow, changes: Changes) -> Replan:
    """The clip as it last was, with the changes, planned as the one scene of its job: every check holds for it too.

    But for the budget: that is for the whole job, and looked at when the clip is reopened.
    """
    scene = {**job.spec["scenes"][clip.index], "description": clip.description, "model": clip.model}
    scene |= {"seed": clip.shot["seed"]}
    scene |= {"description": changes.prompt} if changes.prompt is not None else {}
    scene |= {"seed": changes.seed} if changes.seed is not None else {}
    scene |= {"model": changes.model} if changes.model is not None else {}
    spec, shot = _planned(services, {**job.spec, "scenes": [scene], "min_clips": 1, "budget_cents": None})
    account = services.account(services.catalogue.model(shot.model))
    services.require_account(account.provider)
    return Replan(
        description=spec.scenes[0].description,
        model=shot.model,
        provider=account.provider,
        account=account.name,
        shot={**asdict(shot), "index": clip.index},
    )


def _planned(services: Services, body: Any) -> tuple[JobSpec, Shot]:
    """The only shot of this body. Raises a Refusal that calls the fields as a retry does."""
    try:
        spec = parse_job(body)
        planned = plan(spec, services.catalogue, duration_buffer=services.settings.video_generator_duration_buffer)
    except Refusal as refusal:
        errors = [replace(error, field=_name(error.field)) for error in refusal.errors]
        raise type(refusal)(sentence(errors), errors=errors) from None
    return spec, planned.shots[0]


def _name(field: str) -> str:
    """``scenes.0.seed`` of the body is ``seed`` of the retry."""
    own = field.removeprefix("scenes.0.")
    return "prompt" if own == "description" else own
