"""How a round of a job begins and ends: what to dispatch, when it is over, who makes the film, and the last word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, bindparam, func, select, update

from pipeline.database.choosing import fall_back
from pipeline.database.engine import retried_on_deadlock, transaction
from pipeline.database.forgotten import MAX_THUMBNAIL_TRIES, OPEN_JOBS, has_open_assets
from pipeline.database.outbox import append
from pipeline.database.pictures import keep_picture
from pipeline.database.tables import assets, attempts, jobs
from pipeline.domain.answers import Picture
from pipeline.domain.asset import State
from pipeline.domain.events import Event
from pipeline.domain.job import JobState

_CLOCK = func.clock_timestamp()
_LOCK_JOB = select(jobs.c.id).where(jobs.c.id == bindparam("of")).with_for_update(key_share=True)


@dataclass(frozen=True, kw_only=True)
class Film:
    """A stitched film in the store."""

    key: str
    thumbnail_key: str | None
    duration_seconds: float
    why: str | None  #: why its clips were encoded again; None when they were copied


@dataclass(frozen=True, kw_only=True)
class FilmClaim:
    """The right to make the film of one round of a job, and which try at it this is."""

    job_id: UUID
    round: int
    number: int


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

    def unstarted(self, job_id: UUID) -> list[tuple[int, int]]:
        """Each round of the job that was not begun yet, oldest first, and how many members it has."""
        query = (
            select(assets.c.round, func.count())
            .join(jobs, jobs.c.id == assets.c.job_id)
            .where(jobs.c.id == job_id, assets.c.round > jobs.c.dispatched_round)
            .group_by(assets.c.round)
            .order_by(assets.c.round)
        )
        with transaction(self.engine) as connection:
            return [(round_, size) for round_, size in connection.execute(query)]

    def dispatched(self, job_id: UUID, round_: int) -> None:
        """The round's members are published; from here on the sweeper looks after them."""
        query = update(jobs).where(jobs.c.id == job_id, jobs.c.dispatched_round < round_)
        with transaction(self.engine) as connection:
            connection.execute(query.values(dispatched_round=round_))

    def fetching(self, job_id: UUID, round_: int) -> list[UUID]:
        """The round's assets that only have to be fetched: what the customer gives by links."""
        query = select(assets.c.id).where(assets.c.job_id == job_id, assets.c.round == round_)
        with transaction(self.engine) as connection:
            return list(connection.execute(query.where(assets.c.state == State.FETCHING)).scalars())

    def begin_assembly(self, job_id: UUID) -> list[Event] | None:
        """Take a job whose clips have all ended to its end; the news for exactly one caller, None for all others."""
        query = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN_JOBS), ~has_open_assets())
            # Free to be claimed at once, and not yet forgotten.
            .values(state=JobState.ASSEMBLING, film_claimed_until=_CLOCK)
            .returning(jobs.c.owner_id)
        )
        with transaction(self.engine) as connection:
            # Locked first: a statement that waited for a retry would still see the clips as they were before it.
            connection.execute(_LOCK_JOB, {"of": job_id})
            begun = connection.execute(query).one_or_none()
            return fall_back(connection, job_id, begun.owner_id) if begun else None

    def claim_film(self, job_id: UUID, lease: timedelta) -> FilmClaim | None:
        """Take the making of the film, unless somebody else is at it, or the job does not wait for one."""
        query = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state == JobState.ASSEMBLING, jobs.c.film_claimed_until <= _CLOCK)
            .values(film_tries=jobs.c.film_tries + 1, film_claimed_until=_CLOCK + lease)
            .returning(jobs.c.round, jobs.c.film_tries)
        )
        with transaction(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return FilmClaim(job_id=job_id, round=row[0], number=row[1]) if row else None

    def keep_film(self, claim: FilmClaim, lease: timedelta) -> None:
        """The film is still being made; if another is wanted by now, it is made after this one and not beside it."""
        waits = (jobs.c.id == claim.job_id, jobs.c.state == JobState.ASSEMBLING)
        with transaction(self.engine) as connection:
            connection.execute(update(jobs).where(*waits).values(film_claimed_until=_CLOCK + lease))

    def made_in_vain(self, claim: FilmClaim) -> bool:
        """Whether the job waits for another film than this one by now; then it can be claimed at once."""
        another = (jobs.c.state == JobState.ASSEMBLING, jobs.c.round != claim.round)
        query = update(jobs).where(jobs.c.id == claim.job_id, *another).values(film_claimed_until=_CLOCK)
        with transaction(self.engine) as connection:
            return connection.execute(query).rowcount == 1

    def put_off_film(self, claim: FilmClaim, pause: timedelta) -> None:
        """The store is away: this was no try, and the sweeper brings the film back."""
        values = {"film_claimed_until": _CLOCK + pause, "film_tries": jobs.c.film_tries - 1}
        with transaction(self.engine) as connection:
            connection.execute(_filming(claim).values(values))

    @retried_on_deadlock
    def close(
        self,
        claim: FilmClaim,
        owner_id: UUID,
        *,
        state: JobState,
        film: Film | None,
        video_clips: Sequence[Mapping[str, Any]],
        events: Sequence[Event],
    ) -> list[Event]:
        """The last word on a job's round, said once: nothing comes back when it was said, or the job was reopened."""
        query = _filming(claim).values(
            state=state,
            # A film that was made anew does not make the job end later.
            finished_at=func.coalesce(jobs.c.finished_at, _CLOCK),
            film_claimed_until=None,
            video_clips=list(video_clips),
            film_key=film.key if film else None,
            film_thumbnail_key=film.thumbnail_key if film else None,
            film_duration_seconds=film.duration_seconds if film else None,
            film_why=film.why if film else None,
        )
        with transaction(self.engine) as connection:
            if connection.execute(query).rowcount == 0:
                return []
            return append(connection, claim.job_id, owner_id, events)

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

    def put_off_thumbnail(self, clip_id: UUID) -> None:
        """The store is away: this was no try."""
        query = update(assets).where(assets.c.id == clip_id).values(thumbnail_tries=assets.c.thumbnail_tries - 1)
        with transaction(self.engine) as connection:
            connection.execute(query)

    def keep_thumbnail(self, clip: DoneClip, picture: Picture, events: Sequence[Event]) -> list[Event]:
        """Write a clip's thumbnail, once, unless the clip is another take by now, or one is being made.

        The step of a clip that is rendered anew holds its row and may wait for the job's; should that take fail, the
        picture is made again.
        """
        as_it_was = (assets.c.state == State.DONE, assets.c.file_key == clip.file_key)
        unseen = (assets.c.id == clip.id, assets.c.thumbnail_key.is_(None), *as_it_was)
        of_it = (attempts.c.asset_id == clip.id, attempts.c.file_key == clip.file_key)
        with transaction(self.engine) as connection:
            # The job before its clips that have ended, as whoever chooses a take or retries does.
            connection.execute(_LOCK_JOB, {"of": clip.job_id})
            mark = update(assets).where(*unseen).values(thumbnail_key=picture.key)
            if connection.execute(mark).rowcount == 0:
                return []
            connection.execute(update(attempts).where(*of_it).values(thumbnail_key=picture.key))
            keep_picture(connection, clip_id=clip.id, job_id=clip.job_id, index=clip.index, picture=picture)
            return append(connection, clip.job_id, clip.owner_id, events)


def _filming(claim: FilmClaim) -> Any:
    """The job, while it still waits for the film of this round."""
    waits = (jobs.c.state == JobState.ASSEMBLING, jobs.c.round == claim.round)
    return update(jobs).where(jobs.c.id == claim.job_id, *waits)
