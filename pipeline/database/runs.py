"""How a round of a job begins and ends: what to dispatch, when it is over, who makes the film, and the last word."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from pipeline.database.engine import transaction
from pipeline.database.forgotten import MAX_THUMBNAIL_TRIES, OPEN_JOBS, has_open_assets
from pipeline.database.outbox import append
from pipeline.database.tables import assets, clip_thumbnails, jobs
from pipeline.domain.answers import Reason
from pipeline.domain.asset import PARKED, State, Waiting
from pipeline.domain.events import Event
from pipeline.domain.hold import line_order
from pipeline.domain.job import JobState

_CLOCK = func.clock_timestamp()


@dataclass(frozen=True, kw_only=True)
class Film:
    """A stitched film in the store."""

    key: str
    thumbnail_key: str | None
    duration_seconds: float


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A thumbnail in the store."""

    key: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class InLine:
    """An asset that waits for a slot of its account."""

    asset_id: UUID
    account: str
    order: float


@dataclass(frozen=True, kw_only=True)
class DoneClip:
    """A finished clip, for the media work that follows it."""

    id: UUID
    job_id: UUID
    owner_id: UUID
    index: int
    file_key: str


@dataclass(frozen=True)
class Runs:
    """The questions asked of a job's rounds."""

    engine: Engine

    def unstarted(self, job_id: UUID) -> tuple[int, int]:
        """The job's newest round and how many members it has; (0, 0) when it was begun already, or the job is gone."""
        query = (
            select(jobs.c.round, func.count())
            .join(assets, (assets.c.job_id == jobs.c.id) & (assets.c.round == jobs.c.round))
            .where(jobs.c.id == job_id, jobs.c.dispatched_round < jobs.c.round)
            .group_by(jobs.c.round)
        )
        with transaction(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return (row[0], row[1]) if row else (0, 0)

    def park(self, job_id: UUID, round_: int) -> list[InLine]:
        """Let the round's waiting assets wait for their slots, without a message; who they are, to be put in line.

        Those of a cancelled job stay due: they were waked to learn of it, and must not sleep over that.
        """
        free = or_(assets.c.claimed_until.is_(None), assets.c.claimed_until < _CLOCK)
        wanted = exists().where(jobs.c.id == assets.c.job_id, jobs.c.cancel_requested_at.is_(None))
        query = (
            update(assets)
            .where(assets.c.job_id == job_id, assets.c.round == round_, assets.c.state == State.WAITING, free, wanted)
            .values(due_at=_CLOCK + PARKED, waiting=asdict(Waiting(reason=Reason.SLOT)))
            .returning(assets.c.id, assets.c.account, assets.c.created_at, assets.c["index"])
        )
        with transaction(self.engine) as connection:
            rows = connection.execute(query).all()
        return [InLine(asset_id=id_, account=account, order=line_order(at, index)) for id_, account, at, index in rows]

    def dispatched(self, job_id: UUID, round_: int) -> None:
        """The round's members are published; from here on the sweeper looks after them."""
        query = update(jobs).where(jobs.c.id == job_id, jobs.c.dispatched_round < round_)
        with transaction(self.engine) as connection:
            connection.execute(query.values(dispatched_round=round_))

    def begin_assembly(self, job_id: UUID, lease: timedelta) -> bool:
        """Take a job whose clips have all ended to its end; True for exactly one caller."""
        query = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN_JOBS), ~has_open_assets())
            .values(state=JobState.ASSEMBLING, film_claimed_until=_CLOCK + lease)
        )
        with transaction(self.engine) as connection:
            # Locked first: a statement that waited for a retry would still see the clips as they were before it.
            connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
            return connection.execute(query).rowcount == 1

    def claim_film(self, job_id: UUID, lease: timedelta) -> int:
        """Take the making of the film; which try this is, or 0 when the job does not wait for one."""
        query = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state == JobState.ASSEMBLING)
            .values(film_tries=jobs.c.film_tries + 1, film_claimed_until=_CLOCK + lease)
            .returning(jobs.c.film_tries)
        )
        with transaction(self.engine) as connection:
            return int(connection.execute(query).scalar_one_or_none() or 0)

    def keep_film(self, job_id: UUID, lease: timedelta) -> None:
        """The film is still being made."""
        query = update(jobs).where(jobs.c.id == job_id, jobs.c.state == JobState.ASSEMBLING)
        with transaction(self.engine) as connection:
            connection.execute(query.values(film_claimed_until=_CLOCK + lease))

    def close(
        self,
        job_id: UUID,
        owner_id: UUID,
        *,
        state: JobState,
        film: Film | None,
        video_clips: Sequence[Mapping[str, Any]],
        events: Sequence[Event],
    ) -> list[Event]:
        """The last word on a job, said once: nothing comes back when it was said already."""
        query = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state == JobState.ASSEMBLING)
            .values(
                state=state,
                finished_at=_CLOCK,
                film_claimed_until=None,
                video_clips=list(video_clips),
                film_key=film.key if film else None,
                film_thumbnail_key=film.thumbnail_key if film else None,
                film_duration_seconds=film.duration_seconds if film else None,
            )
        )
        with transaction(self.engine) as connection:
            if connection.execute(query).rowcount == 0:
                return []
            return append(connection, job_id, owner_id, events)

    def done_clip(self, clip_id: UUID) -> DoneClip | None:
        """A clip that is done and has no thumbnail yet; counts the try."""
        query = (
            update(assets)
            .where(assets.c.id == clip_id, assets.c.state == State.DONE, assets.c.thumbnail_key.is_(None))
            .where(assets.c.thumbnail_tries < MAX_THUMBNAIL_TRIES)
            .values(thumbnail_tries=assets.c.thumbnail_tries + 1)
            .returning(assets.c.id, assets.c.job_id, assets.c.owner_id, assets.c["index"], assets.c.file_key)
        )
        with transaction(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        return DoneClip(**row) if row else None

    def keep_thumbnail(self, clip: DoneClip, picture: Picture, events: Sequence[Event]) -> list[Event]:
        """Write a clip's thumbnail, once."""
        values = {
            "clip_id": clip.id,
            "job_id": clip.job_id,
            "clip_index": clip.index,
            "key": picture.key,
            "width": picture.width,
            "height": picture.height,
            "size_bytes": picture.size_bytes,
        }
        with transaction(self.engine) as connection:
            mark = update(assets).where(assets.c.id == clip.id, assets.c.thumbnail_key.is_(None))
            if connection.execute(mark.values(thumbnail_key=picture.key)).rowcount == 0:
                return []
            upsert = insert(clip_thumbnails).values(values)
            connection.execute(upsert.on_conflict_do_update(index_elements=["clip_id"], set_=values))
            return append(connection, clip.job_id, clip.owner_id, events)
