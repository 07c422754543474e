"""A job ends: its clips are counted, its film is stitched, and the last word is said once.

Called by the chord's body, by the sweeper, and again after any crash; every part is guarded by the row, and everything
is read from Postgres, never from the results of tasks.
"""

import tempfile
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from pipeline import logs
from pipeline.database.runs import DoneClip, Film, FilmClaim
from pipeline.domain.answers import Picture
from pipeline.domain.asset import State
from pipeline.domain.document import ClipRow, JobRow, Links, clip_document, total_seconds
from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.domain.events import ClipRef, Event, EventType, thumbnail_ready
from pipeline.domain.job import HAS_FILM, JobState, outcome
from pipeline.fetch import store_picture
from pipeline.keeper import kept
from pipeline.media.film import Scene
from pipeline.services import Services

FILM_CLAIM = timedelta(seconds=15)
_MAX_FILM_TRIES = 3
_STORE_AWAY = timedelta(seconds=10)
_KEYS = Links(clip=str, picture=str)
_LOG = logs.get(__name__)


def finish(services: Services, job_id: UUID) -> bool:
    """Begin the end of a job whose clips have all ended; True for the one caller who did."""
    news = services.store.runs.begin_assembly(job_id)
    if news is None:
        return False
    services.carrier.film(job_id)
    services.tell(news)
    return True


def make_film(services: Services, job_id: UUID) -> None:
    """Stitch the film, if the job has earned one, and close the job; a film that can't be made never holds it up."""
    claim = services.store.runs.claim_film(job_id, FILM_CLAIM)
    job = services.store.jobs.read(job_id)
    if claim is None or job is None:
        return
    clips = services.store.jobs.clips(job_id)[job_id]
    state = outcome([c.state for c in clips], min_clips=job.min_clips, cancelled=job.cancel_requested_at is not None)
    with kept(partial(services.store.runs.keep_film, claim, FILM_CLAIM), FILM_CLAIM):
        # More tries than there are: those before died over it, so it is not tried again.
        wanted = state in HAS_FILM and claim.number <= _MAX_FILM_TRIES
        film = _film(services, claim, job, clips) if wanted else None
    _close(services, claim, job, clips, state, film)


def make_thumbnail(services: Services, clip_id: UUID) -> None:
    """The first frame of a clip that came home without (R47); tried a few times, and never in anybody's way."""
    clip = services.store.runs.done_clip(clip_id)
    if clip is None:
        return
    try:
        kept_picture = _pictured(services, clip)
    except Unavailable:
        if services.storage_is_away():
            services.store.runs.put_off_thumbnail(clip_id)
        raise
    about = ClipRef(job_id=str(clip.job_id), clip_id=str(clip.id), index=clip.index)
    event = thumbnail_ready(about, kept_picture.key)
    services.tell(services.store.runs.keep_thumbnail(clip, kept_picture, [event]))


def _pictured(services: Services, clip: DoneClip) -> Picture:
    with tempfile.TemporaryDirectory(prefix="dailies-") as folder:
        video, picture = Path(folder) / "clip.mp4", Path(folder) / "thumbnail.jpg"
        services.storage.get_file(services.settings.s3_bucket_clips, clip.file_key, video)
        services.media.thumbnail(video, picture)
        return store_picture(services, clip.job_id, clip.index, clip.file_key, picture)


def _film(services: Services, claim: FilmClaim, job: JobRow, clips: list[ClipRow]) -> Film | None:
    """The film in the store; None when it can't be made. Raises Unavailable while another try may help."""
    shown = [clip for clip in clips if clip.state is State.DONE and clip.file_key]
    try:
        with tempfile.TemporaryDirectory(prefix="dailies-") as folder:
            return _stitched(services, job, claim.round, shown, Path(folder))
    except BrokenMedia as error:
        _LOG.warning("film.failed", job_id=str(claim.job_id), error=str(error))
        return None
    except Unavailable as error:
        _LOG.warning("film.held_up", job_id=str(claim.job_id), error=str(error), number=claim.number)
        if services.storage_is_away():
            services.store.runs.put_off_film(claim, _STORE_AWAY)
        elif claim.number >= _MAX_FILM_TRIES:
            return None
        raise


def _stitched(services: Services, job: JobRow, round_: int, clips: list[ClipRow], folder: Path) -> Film:
    began = time.monotonic()
    scenes = [_scene(services, clip, folder) for clip in clips]
    whole, picture = folder / "film.mp4", folder / "film.jpg"
    made, why = services.media.film(scenes, whole, ratio=job.spec.get("aspect_ratio"))
    services.media.thumbnail(whole, picture)
    key = _film_key(job, round_, made.sha256)
    picture_key = f"{key.removesuffix('.mp4')}.jpg"
    services.storage.put_file(services.settings.s3_bucket_clips, key, whole, "video/mp4")
    services.storage.put_file(services.settings.s3_bucket_thumbnails, picture_key, picture, "image/jpeg")
    took = round(time.monotonic() - began, 3)
    _LOG.info("film.made", job_id=str(job.id), clips=len(clips), seconds=took, encoded_because=why)
    return Film(key=key, thumbnail_key=picture_key, duration_seconds=made.duration_seconds, why=why)


def _film_key(job: JobRow, round_: int, sha256: str) -> str:
    """A name of its own for each film, so that nobody's mark is ever another's; the one that is shown keeps its name.

    A second making of the same film in the same round is the same object.
    """
    digest = sha256[:16]
    return job.film_key if job.film_key and digest in job.film_key else f"{job.id}/film_{round_}_{digest}.mp4"


def _leave_behind(services: Services, job: JobRow, film: Film | None) -> None:
    """Mark the film that this one took the place of: no job names it any more, and none will."""
    if job.film_key is None or (film and film.key == job.film_key):
        return
    settings = services.settings
    old = ((settings.s3_bucket_clips, job.film_key), (settings.s3_bucket_thumbnails, job.film_thumbnail_key))
    try:
        for bucket, key in old:
            if key:
                services.storage.supersede(bucket, key)
    except Unavailable as error:
        # It only stays in the store for longer.
        _LOG.warning("film.unmarked", job_id=str(job.id), key=job.film_key, error=str(error))


def _scene(services: Services, clip: ClipRow, folder: Path) -> Scene:
    """A clip on disk, how long its scene was meant to be, and the words that go with it."""
    said = (part["file_key"] for part in clip.parts if part["kind"] == "audio" and part["state"] == State.DONE)
    files = {"clip": clip.file_key, "narration": next(said, None)}
    paths = {name: folder / f"{clip.index}-{name}" for name, key in files.items() if key}
    for name, path in paths.items():
        services.storage.get_file(services.settings.s3_bucket_clips, str(files[name]), path)
    return Scene(clip=paths["clip"], seconds=clip.shot.get("target_seconds"), narration=paths.get("narration"))


def _close(
    services: Services, claim: FilmClaim, job: JobRow, clips: list[ClipRow], state: JobState, film: Film | None
) -> None:
    payload = {
        "job_id": str(job.id),
        "state": state,
        "film_key": film.key if film else None,
        "total_seconds": total_seconds(job, clips),
        "actual_cents": job.actual_cents,
    }
    events = services.store.runs.close(
        claim,
        job.owner_id,
        state=state,
        film=film,
        # Kept with object keys: a link is a secret that lapses after a day.
        video_clips=[clip_document(job, clip, _KEYS) for clip in clips],
        events=[Event(type=EventType.JOB_COMPLETE, job_id=str(job.id), payload=payload)],
    )
    if events:
        services.tell([*services.job_progress(job.id, job.owner_id), *events])
        _LOG.info("job.closed", job_id=str(job.id), state=state, total_seconds=payload["total_seconds"])
        _leave_behind(services, job, film)
    elif services.store.runs.made_in_vain(claim):
        services.carrier.film(job.id)
