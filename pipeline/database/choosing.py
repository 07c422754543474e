"""Which take of a clip is shown: the one that somebody chose, or the last good one when those after it failed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update

from pipeline.database.outbox import append
from pipeline.database.tables import assets, attempts, jobs, scenes
from pipeline.domain.asset import TERMINAL, Asset, State
from pipeline.domain.errors import NotFound, NotInThatState
from pipeline.domain.events import ClipRef, Event, changes
from pipeline.domain.job import FINAL, JobState
from pipeline.domain.parts import description_of

_CLOCK = func.clock_timestamp()
_CLIP = select(assets, assets.c["index"].label("clip_index"))
_ENDED = Asset(state=State.FAILED)
_DONE = Asset(state=State.DONE, progress=100)

AnyRow = Row[*tuple[Any, ...]]


def choose(connection: Connection, job_id: UUID, clip_id: UUID, attempt_id: UUID) -> tuple[list[Event], bool]:
    """Let a clip be this take: what watchers are to be told, and whether the film has to be made anew.

    Nothing is changed when it is this take already. Raises NotFound for a take of another clip, NotInThatState for one
    that brought no file, and while the clip is being rendered.
    """
    job = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update(key_share=True)).one()
    # Only one that has ended is locked: the step of another holds its row and may wait for the job's.
    ended = _CLIP.where(assets.c.id == clip_id, assets.c.state.in_(TERMINAL)).with_for_update(key_share=True)
    clip = connection.execute(ended).one_or_none()
    mine = select(attempts).where(attempts.c.id == attempt_id, attempts.c.asset_id == clip_id)
    take = connection.execute(mine).one_or_none()
    if take is None:
        raise NotFound("this clip has no such take; GET the clip to see its takes")
    if take.file_key is None:
        raise NotInThatState(f"take {take.number} brought no clip, so it can't be chosen")
    if clip is None:
        raise NotInThatState("the clip is being made; choose when that take has ended, or cancel it")
    if clip.state == State.DONE and clip.file_key == take.file_key:
        return [], False
    _show(connection, clip, take)
    filmed = job.state in FINAL or job.state == JobState.ASSEMBLING
    if filmed:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(_filmed_anew(job)))
    return append(connection, job_id, job.owner_id, _news(clip, take)), filmed


def fall_back(connection: Connection, job_id: UUID, owner_id: UUID) -> list[Event]:
    """Give clips whose newest take failed or was cancelled the good one that they had before."""
    ended = [State.FAILED, State.CANCELLED]
    lost = (
        _CLIP.where(assets.c.job_id == job_id, assets.c.state.in_(ended), assets.c.file_key.is_not(None))
        .where(assets.c.kind == "video")
        .order_by(assets.c.id)
        .with_for_update(key_share=True)
    )
    told: list[Event] = []
    for clip in connection.execute(lost).all():
        had = select(attempts).where(attempts.c.asset_id == clip.id, attempts.c.file_key == clip.file_key)
        if take := connection.execute(had).one_or_none():
            _show(connection, clip, take)
            told += _news(clip, take)
    return append(connection, job_id, owner_id, told)


def _show(connection: Connection, clip: AnyRow, take: AnyRow) -> None:
    """The clip becomes this take, and its scene what that was asked for."""
    connection.execute(update(assets).where(assets.c.id == clip.id).values(_shows(take)))
    described = update(scenes).where(scenes.c.id == clip.scene_id)
    connection.execute(described.values(description=description_of(take.prompt)))


def _shows(take: AnyRow) -> dict[str, Any]:
    """The clip's row, as if this take had just ended it."""
    return {
        "state": State.DONE,
        "progress": 100,
        "waiting": None,
        "failure": None,
        "attempt_id": take.id,
        "model": take.model,
        "provider": take.provider,
        "account": take.account,
        "file_key": take.file_key,
        "sha256": take.sha256,
        "size_bytes": take.size_bytes,
        "duration_seconds": take.duration_seconds,
        "last_frame_key": take.last_frame_key,
        # The media pool writes it under the clip's own name; the take's is shown until then.
        "thumbnail_key": None,
        "thumbnail_tries": 0,
        "finished_at": func.coalesce(take.finished_at, _CLOCK),
        "updated_at": _CLOCK,
        "version": assets.c.version + 1,
    }


def _filmed_anew(job: AnyRow) -> dict[str, Any]:
    """Whoever makes the film now makes it in vain; he finds out at the end, and then it is made once more."""
    values = {"state": JobState.ASSEMBLING, "round": job.round + 1, "film_tries": 0}
    return values | ({"film_claimed_until": _CLOCK} if job.state in FINAL else {})


def _news(clip: AnyRow, take: AnyRow) -> Sequence[Event]:
    about = ClipRef(job_id=str(clip.job_id), clip_id=str(clip.id), index=clip.clip_index)
    # A take that takes another's place is news like one that came home.
    return changes(
        about,
        _ENDED,
        _DONE,
        key=take.file_key,
        duration_seconds=take.duration_seconds,
        thumbnail_key=take.thumbnail_key,
    )
