"""Orders of one clip on the paths that old clients use, and how such a clip stands: jobs like any other."""

from typing import Any
from uuid import UUID

from pipeline import show
from pipeline.accept import accept, estimate
from pipeline.domain import single
from pipeline.domain.errors import FieldError, ModelRetired, NotFound, Refusal
from pipeline.domain.model import Model
from pipeline.services import Services

Document = dict[str, Any]


def submit(
    services: Services,
    *,
    owner_id: UUID,
    path: str,
    body: Any,
    key_id: UUID | None = None,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> Document:
    """Order a clip on a path of old: the row of the catalogue that has it says what is made of the body.

    Raises NotFound for an unknown path, ModelRetired, and every Refusal of a job in the words of the body.
    """
    default, mode = services.catalogue.on_path(path)
    model = single.row_of(body, services.catalogue, default)
    _refuse_retired(model)
    order = single.read(body, model, mode if mode in model.modes else None)
    told = taken(services, owner_id, order, idempotency_key, dry_run=dry_run, key_id=key_id)
    return {
        **told,
        "model": model.key,
        "sunset": model.sunset and model.sunset.isoformat(),
        "successor": model.successor,
    }


def taken(
    services: Services,
    owner_id: UUID,
    order: single.Single,
    idempotency_key: str | None,
    *,
    dry_run: bool,
    key_id: UUID | None = None,
    said: Any = None,
) -> Document:
    """The job of one scene: stored and started, or only priced. Raises a Refusal as ``submit`` does."""
    try:
        if dry_run:
            return estimate(services, order.body)
        told = accept(
            services, owner_id=owner_id, body=order.body, key_id=key_id, idempotency_key=idempotency_key, said=said
        )
    except Refusal as refusal:
        raise order.named(refusal) from None
    return {**told, "task_id": told["id"]}


def status(services: Services, owner_id: UUID, job_id: UUID) -> Document:
    """How an order of one clip stands, in a flat form. Raises NotFound, also for a job of several scenes."""
    job = show.job(services, owner_id, job_id)
    clip, *others = job["video_clips"]
    if others:
        raise NotFound("this job has several clips; GET /v1/jobs/{id} tells of all")
    told = ("clip_id", "status", "progress", "url", "thumbnail_url", "duration", "provider", "model", "cost_cents")
    more = ("error", "error_message", "waiting", "retry_after_ms", "created_at", "finished_at")
    return {"id": job["id"], **{name: clip[name] for name in (*told, *more)}, "links": job["links"]}


def _refuse_retired(model: Model) -> None:
    if model.retired is None:
        return
    instead = f"take {model.successor} instead" if model.successor else "GET /v1/models lists what there is"
    message = f"{model.key} was withdrawn on {model.retired.isoformat()}: {instead}"
    allowed = [model.successor] if model.successor else None
    raise ModelRetired(message, errors=[FieldError(field="model", value=model.key, allowed=allowed, message=message)])
