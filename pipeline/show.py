"""What customers read: documents of jobs and clips, and the events that a watcher missed."""

from typing import Any
from uuid import UUID

from pipeline.domain.document import ClipRow, JobRow, attempt_document, clip_document, job_document, job_summary
from pipeline.domain.errors import NotFound
from pipeline.places import placed
from pipeline.services import Services


def job(services: Services, owner_id: UUID, job_id: UUID) -> dict[str, Any]:
    """The job document. Raises NotFound, also for somebody else's job."""
    return snapshot(services, owner_id, job_id)[0]


def snapshot(services: Services, owner_id: UUID, job_id: UUID) -> tuple[dict[str, Any], int]:
    """The job document and the number of the last event that it includes. Raises NotFound."""
    row = owned(services, owner_id, job_id)
    clips = placed(services, services.store.jobs.clips(job_id)[job_id])
    # The number was read first: an event may be told twice after a snapshot, but never be missed.
    return job_document(row, clips, services.links), row.event_seq


def jobs(
    services: Services, owner_id: UUID, *, state: str | None = None, start: int = 0, limit: int = 50
) -> dict[str, Any]:
    """A page of an owner's jobs, newest first (R18)."""
    rows = services.store.jobs.page(owner_id, state=state, start=start, limit=limit + 1)
    page = rows[:limit]
    clips = services.store.jobs.clips(*[row.id for row in page]) if page else {}
    return {"jobs": [job_summary(row, clips[row.id]) for row in page], **_next(rows, start, limit)}


def clips(services: Services, owner_id: UUID, job_id: UUID, *, start: int = 0, limit: int = 50) -> dict[str, Any]:
    """A page of a job's clips in scene order. Raises NotFound."""
    row = owned(services, owner_id, job_id)
    rows = placed(services, services.store.jobs.clips(job_id)[job_id])[start : start + limit + 1]
    page = [clip_document(row, each, services.links) for each in rows[:limit]]
    return {"clips": page, **_next(rows, start, limit)}


def clip(services: Services, owner_id: UUID, job_id: UUID, index: int) -> dict[str, Any]:
    """One clip with all of its attempts. Raises NotFound."""
    row = owned(services, owner_id, job_id)
    found = owned_clip(services, row, index)
    takes = [
        attempt_document(each, services.links, chosen=each.file_key is not None and each.file_key == found.file_key)
        for each in services.store.jobs.attempts(found.id)
    ]
    return {**clip_document(row, found, services.links), "takes": takes}


def events_since(services: Services, owner_id: UUID, job_id: UUID, seq: int) -> list[dict[str, Any]]:
    """Stored events after a number, as they are told. Raises NotFound."""
    owned(services, owner_id, job_id)
    found = services.store.outbox.since(job_id, seq)
    return [{"type": event.type, "seq": event.seq, "payload": services.present(event)} for event in found]


def owned(services: Services, owner_id: UUID, job_id: UUID) -> JobRow:
    """The job, if it is this owner's. Raises NotFound, the same for a stranger's job and for none."""
    row = services.store.jobs.read(job_id, owner_id)
    if row is None:
        raise NotFound("there is no such job; GET /v1/jobs lists yours")
    return row


def owned_clip(services: Services, row: JobRow, index: int) -> ClipRow:
    """The clip of a scene. Raises NotFound."""
    for each in placed(services, services.store.jobs.clips(row.id)[row.id]):
        if each.index == index:
            return each
    raise NotFound(f"this job has no clip {index}; clips count from 0")


def _next(rows: list[Any], start: int, limit: int) -> dict[str, Any]:
    more = len(rows) > limit
    return {"has_more": more, "next_start_index": start + limit if more else None}
