"""A job comes in: checked against the catalogue, priced, stored in one transaction, and then started."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from pipeline.database.jobs import Idempotency, NewAsset, NewJob, NewScene
from pipeline.domain.asset import State
from pipeline.domain.document import RETRY_AFTER, job_links
from pipeline.domain.errors import FieldError
from pipeline.domain.hosts import is_inner
from pipeline.domain.job import JobState
from pipeline.domain.material import Material, by_ours, material_of
from pipeline.domain.order import Plan, endings, plan
from pipeline.domain.pictures import CONTEXT, after_words
from pipeline.domain.shot import Ids, Shot, as_kept, needed, taken
from pipeline.domain.spec import JobSpec, parse_job, refused, shortened
from pipeline.services import Services

# Jobs that come together are started within this time, not all at once.
_SPREAD = timedelta(seconds=2)
# So many are no crowd, and enough to keep every account busy at once.
_TOGETHER = 20


def accept(
    services: Services,
    *,
    owner_id: UUID,
    body: Any,
    key_id: UUID | None = None,
    idempotency_key: str | None = None,
    said: Any = None,
) -> dict[str, Any]:
    """Take a job in and start it; nothing waits for a provider. ``said``: what the client wrote, if not this body.

    ``key_id``: the API key that orders it, and whose money of a day it spends.

    Raises a Refusal, with nothing stored, when the job can't be made, and Unavailable when Postgres is away.
    """
    spec, planned = _planned(services, body)
    job = replace(_new_job(services, owner_id, spec, planned), api_key_id=key_id)
    job_id = services.store.jobs.accept(job, _idempotency(idempotency_key, said or body))
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
    beside = ("kind", "index", "model", "estimate_cents")
    return {
        "dry_run": True,
        "estimate_cents": planned.estimate_cents,
        "warnings": list(planned.warnings),
        "scenes": [{name: getattr(shot, name) for name in shown} for shot in planned.shots],
        "parts": [{name: getattr(shot, name) for name in beside} for shot in planned.parts],
    }


def _planned(services: Services, body: Any) -> tuple[JobSpec, Plan]:
    spec = parse_job(body)
    if not services.settings.links_to_loopback:
        _check_links(spec)
    buffer = services.settings.video_generator_duration_buffer
    planned = plan(spec, services.catalogue, duration_buffer=buffer, describer=services.describer)
    for provider in {services.catalogue.model(shot.model).provider for shot in (*planned.shots, *planned.parts)}:
        services.require_account(provider)
    ends = endings(planned, services.catalogue, services.now().date())
    return spec, replace(planned, warnings=(*ends, *planned.warnings, *_out_of_reach(services, spec, planned)))


def _check_links(spec: JobSpec) -> None:
    """Refuse at once what we would never fetch; a name that only turns out to lead inside is refused when it does."""
    message = (
        "this leads to a machine or a net of its own, from where we fetch nothing: give a link that anybody can follow"
    )
    errors = [
        FieldError(
            field=each.field, value=shortened(each.link), allowed="a public http:// or https:// link", message=message
        )
        for each in material_of(spec)
        if is_inner(each.link)
    ]
    if errors:
        raise refused(errors)


def _out_of_reach(services: Services, spec: JobSpec, planned: Plan) -> Iterator[str]:
    """A provider that can't fetch from our store would refuse each file, and perhaps charge for it."""
    if not material_of(spec):
        return
    for provider in sorted({services.catalogue.model(shot.model).provider for shot in planned.shots}):
        if services.store_is_hidden_from(provider):
            yield (
                f"{provider} can't fetch files from this installation's store, whose address only it knows:"
                " its operator has to set S3_PUBLIC_ENDPOINT_URL"
            )


def _delay(services: Services) -> timedelta:
    """Nothing for a job that comes alone, a throw of the dice for one of many (R25)."""
    if services.arrivals.count(_SPREAD) <= _TOGETHER:
        return timedelta(0)
    return _SPREAD * random.random()  # noqa: S311 - dice, not secrets


def _new_job(services: Services, owner_id: UUID, spec: JobSpec, planned: Plan) -> NewJob:
    scenes = [
        NewScene(id=uuid4(), index=index, description=scene.description, metadata=scene.metadata)
        for index, scene in enumerate(spec.scenes)
    ]
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
        scenes=scenes,
        assets=_all_assets(services, spec, scenes, planned),
    )


def _all_assets(services: Services, spec: JobSpec, scenes: Sequence[NewScene], planned: Plan) -> list[NewAsset]:
    """What a job makes, and the material that it names, with which everything begins."""
    material, wanted = material_of(spec), (*planned.shots, *planned.parts)
    described = any(shot.kind == CONTEXT for shot in wanted)
    shots = [by_ours(after_words(shot) if described else shot, material) for shot in wanted]
    ids = {name: uuid4() for name in (*(shot.name for shot in shots), *(each.name for each in material))}
    return [*_new_assets(services, scenes, shots, ids), *(_new_material(each, ids) for each in material)]


def _new_material(material: Material, ids: Ids) -> NewAsset:
    """No provider makes it and nothing is paid for it: it only has to be fetched."""
    return NewAsset(
        id=ids[material.name],
        scene_id=None,
        kind=material.kind,
        index=material.index,
        model="",
        provider="",
        account="",
        shot={"link": material.link, "field": material.field, "estimate_cents": 0, "gives": ["file"]},
        state=State.FETCHING,
    )


def _new_assets(services: Services, scenes: Sequence[NewScene], shots: Sequence[Shot], ids: Ids) -> list[NewAsset]:
    """The assets of a plan, each naming by their ids those that it needs, and what others take from it."""
    wanted: dict[tuple[str, int], set[str]] = {}
    for source in (source for shot in shots for source in shot.all_sources):
        wanted.setdefault((source.kind, source.index), set()).add(source.part)
    return [
        _new_asset(
            services,
            None if shot.kind == CONTEXT else scenes[shot.index].id,
            shot,
            ids,
            gives=sorted(wanted.get(shot.name, ())),
        )
        for shot in shots
    ]


def _new_asset(services: Services, scene_id: UUID | None, shot: Shot, ids: Ids, *, gives: Sequence[str]) -> NewAsset:
    account = services.account(services.catalogue.model(shot.model))
    return NewAsset(
        id=ids[shot.name],
        scene_id=scene_id,
        kind=shot.kind,
        index=shot.index,
        model=shot.model,
        provider=account.provider,
        account=account.name,
        shot={**as_kept(shot), "inputs": taken(shot, ids), "gives": gives},
        needs=needed(shot, ids),
        if_needed_fails=shot.if_needed_fails,
    )


def _idempotency(key: str | None, body: Any) -> Idempotency | None:
    if key is None:
        return None
    said = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Idempotency(key=key, body_digest=hashlib.sha256(said.encode()).digest())
