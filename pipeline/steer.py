"""What a customer does to a job that is under way or over: cancel it, retry a clip, resume the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import show
from pipeline.database.reopening import Replan
from pipeline.domain.asset import TERMINAL, State
from pipeline.domain.document import ClipRow, JobRow
from pipeline.domain.errors import FieldError, NotInThatState, Refusal, ValidationFailed
from pipeline.domain.fit import refusal
from pipeline.domain.job import FINAL
from pipeline.domain.needs import sources
from pipeline.domain.order import plan_clip
from pipeline.domain.shot import Shot
from pipeline.domain.spec import JobSpec, parse_job, sentence, shortened
from pipeline.inputs import planned_anew
from pipeline.services import Services

_Form = TypeVar("_Form", bound=BaseModel)
_FLAGGED = "what is missing was flagged: retry it with another prompt, seed or model"
_UNFINISHED = frozenset({State.FAILED, State.CANCELLED})


class Choice(BaseModel):
    """A choice names the take to show by its attempt_id."""

    model_config = ConfigDict(extra="forbid")

    attempt_id: UUID


class Changes(BaseModel):
    """A retry may change prompt (text), seed (a whole number) and model of a clip."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str | None = None
    seed: int | None = None
    model: str | None = None


def retry(services: Services, owner_id: UUID, job_id: UUID, index: int, changes: Any = None) -> dict[str, Any]:
    """Render one clip anew, perhaps with another prompt, seed or model (R36); every take is kept (R61).

    A clip that is done gets another take only for a change, so that a request which is sent twice is not paid twice;
    that the scene which it goes on from is another take now is one.
    Raises NotFound, NotInThatState when that is not to be had, OverBudget, or a Refusal for changes that can't be.
    """
    job = show.owned(services, owner_id, job_id)
    clip = show.owned_clip(services, job, index)
    if clip.state not in TERMINAL:
        raise NotInThatState(f"clip {index} is {clip.state}; it can be retried when that has ended")
    replan = _replanned(services, job, clip, _parsed(Changes, changes))
    if clip.state is State.DONE and _same(replan, clip) and _lacks_a_part(clip):
        return _reopen(services, owner_id, job, [clip])
    if clip.state is State.DONE and _same(replan, clip) and clip.stale is None:
        raise NotInThatState(f"clip {index} is done as asked; change its prompt, seed or model for a new take")
    return _reopen(services, owner_id, job, [clip], {clip.id: replan})


def choose(services: Services, owner_id: UUID, job_id: UUID, index: int, choice: Any) -> dict[str, Any]:
    """Let a clip be another of its takes, and make the film anew (R61).

    Raises NotFound, also for a take of another clip; NotInThatState for one that brought no file, or while the clip is
    being rendered; ValidationFailed for a body without an attempt_id.
    """
    job = show.owned(services, owner_id, job_id)
    clip = show.owned_clip(services, job, index)
    wanted = _parsed(Choice, choice).attempt_id
    told, film = services.store.jobs.choose(job_id, clip.id, wanted)
    if told:
        services.carrier.thumbnail(clip.id)
        services.tell([*told, *services.job_progress(job_id, owner_id)])
    if film:
        services.carrier.film(job_id)
    return show.job(services, owner_id, job_id)


def retry_failed(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """Render every failed clip anew, also what was left out because of it, and every part that failed.

    But for what was flagged, which needs a change (R68). Raises NotFound, OverBudget, or NotInThatState when there is
    nothing else.
    """
    job = show.owned(services, owner_id, job_id)
    failed = [clip for clip in _clips(services, job) if _has_failed(clip)]
    if not failed:
        raise NotInThatState("nothing of this job has failed")
    again = [clip for clip in failed if not _was_flagged(clip)]
    if not again:
        raise NotInThatState(_FLAGGED)
    return _reopen(services, owner_id, job, again)


def retry_stale(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """Another take of every clip that was made from an older take of its scene's, and of those that go on from it.

    Raises NotFound, OverBudget, or NotInThatState when there is none.
    """
    job = show.owned(services, owner_id, job_id)
    again = _following([clip for clip in _clips(services, job) if clip.state is State.DONE])
    if not again:
        raise NotInThatState("no clip of this job was made from an older take than the one that is shown")
    replans = {clip.id: _replanned(services, job, clip, Changes()) for clip in again}
    return _reopen(services, owner_id, job, again, replans)


def resume(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """Render what has no clip yet, and nothing else (R13); what was flagged needs a change first (R68).

    Raises NotFound, OverBudget, or NotInThatState when nothing is left that can be rendered.
    """
    job = show.owned(services, owner_id, job_id)
    found = _clips(services, job)
    if all(clip.state is State.DONE and not _lacks_a_part(clip) for clip in found):
        raise NotInThatState("every clip of this job is there; nothing is left to resume")
    missing = [clip for clip in found if clip.state in _UNFINISHED or _lacks_a_part(clip)]
    if again := [clip for clip in missing if not _was_flagged(clip)]:
        return _reopen(services, owner_id, job, again)
    if all(clip.state in TERMINAL for clip in found):
        raise NotInThatState(_FLAGGED)
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


def _following(clips: Sequence[ClipRow]) -> list[ClipRow]:
    """Those of these clips, in scene order, that are stale, or that start from one which is."""
    found: list[ClipRow] = []
    for clip in clips:
        before = {source["asset"] for _, source in sources(clip.shot.get("inputs", {}))}
        if clip.stale is not None or before & {str(each.id) for each in found}:
            found.append(clip)
    return found


def _lacks_a_part(clip: ClipRow) -> bool:
    """Whether something that was to be made beside the clip is not there, and not on its way."""
    return any(State(part["state"]) in _UNFINISHED for part in clip.parts)


def _was_flagged(clip: ClipRow) -> bool:
    """Whether a moderation verdict ended it, or a part of it: unchanged it would be paid for to hear the same again."""
    ended = [(clip.state, clip.failure), *((State(part["state"]), part["failure"]) for part in clip.parts)]
    return any(state is State.FAILED and (failure or {}).get("code") == "moderated" for state, failure in ended)


def _has_failed(clip: ClipRow) -> bool:
    parts = [State(part["state"]) for part in clip.parts]
    left_out = clip.state is State.CANCELLED and (clip.failure or {}).get("code") == "dependency_failed"
    return State.FAILED in {clip.state, *parts} or left_out


def _same(replan: Replan, clip: ClipRow) -> bool:
    """Whether it is asked for what is shown; the newest order may be another take's."""
    shown = (clip.description, clip.model, clip.shot["seed"])
    return (replan.description, replan.model, replan.shot["seed"]) == shown


def _parsed(form: type[_Form], given: Any) -> _Form:
    try:
        return form.model_validate(given if given is not None else {})
    except ValidationError as error:
        allowed = sorted(form.model_fields)
        found = [
            FieldError(
                field=".".join(map(str, each["loc"])) or "body",
                value=shortened(each["input"]),
                allowed=allowed if each["type"] == "extra_forbidden" else None,
                message=each["msg"],
            )
            for each in error.errors()
        ]
        raise ValidationFailed(form.__doc__ or sentence(found), errors=found) from None


def _replanned(services: Services, job: JobRow, clip: ClipRow, changes: Changes) -> Replan:
    """The clip as it last was, with the changes, planned as a scene of its job: every check holds for it too.

    But for the budget: that is for the whole job, and looked at when the clip is reopened.
    """
    scenes = list(job.spec["scenes"])
    scene = {**scenes[clip.index], "description": clip.description, "model": clip.model}
    scene |= {"seed": clip.shot["seed"]}
    scene |= {"description": changes.prompt} if changes.prompt is not None else {}
    scene |= {"seed": changes.seed} if changes.seed is not None else {}
    scene |= {"model": changes.model} if changes.model is not None else {}
    scenes[clip.index] = scene
    spec, shot = _planned(services, {**job.spec, "scenes": scenes, "budget_cents": None}, clip.index)
    account = services.account(services.catalogue.model(shot.model))
    services.require_account(account.provider)
    row, needs = planned_anew(services, job.id, spec, shot)
    return Replan(
        description=spec.scenes[clip.index].description,
        model=shot.model,
        provider=account.provider,
        account=account.name,
        needs=needs,
        # What others take from it stays as it was.
        shot={**row, "gives": clip.shot.get("gives", [])},
    )


def _planned(services: Services, body: Any, index: int) -> tuple[JobSpec, Shot]:
    """The clip of this scene of the body. Raises a Refusal that calls the fields as a retry does."""
    buffer = services.settings.video_generator_duration_buffer
    try:
        spec = parse_job(body)
        shot, problems = plan_clip(spec, index, services.catalogue, duration_buffer=buffer)
        if shot is None:
            raise refusal(problems)
    except Refusal as refused:
        errors = [replace(error, field=_name(error.field, index)) for error in refused.errors]
        raise type(refused)(sentence(errors), errors=errors) from None
    return spec, shot


def _name(field: str, index: int) -> str:
    """``scenes.3.seed`` of the body is ``seed`` of the retry of clip 3."""
    own = field.removeprefix(f"scenes.{index}.")
    return "prompt" if own == "description" else own
