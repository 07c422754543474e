"""Bring a finished clip home: fetched, proven to be a whole video of the right length, stored by its digest (R63)."""

import tempfile
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pipeline.domain.answers import Answer, Busy, Picture, Reason, Refused, Silent, Stored, Working
from pipeline.domain.attempt import Attempt
from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.domain.hold import Hold
from pipeline.media import THUMBNAIL_PIXELS
from pipeline.services import Services

_MAX_BYTES = 2 * 1024**3
_STORE_AWAY_SECONDS = 10.0
# R43: what was asked for, give or take.
_TOLERANCE_SECONDS = 2.0


def fetch(services: Services, hold: Hold, attempt: Attempt) -> Answer:
    """Stored; or Silent, when fetching again may help; or Refused, when only another attempt can."""
    if not attempt.outputs:
        return Refused(code="broken_file", message="the provider finished without a file", retryable=True)
    with tempfile.TemporaryDirectory(prefix="dailies-") as folder:
        path = Path(folder) / "clip.mp4"
        try:
            return _bring(services, hold, attempt, path)
        except (BrokenMedia, Unavailable) as error:
            if isinstance(error, Unavailable) and services.storage_is_away():
                # Not the provider's fault, so it uses up none of the clip's chances.
                return Busy(reason=Reason.RETRY, wait_seconds=_STORE_AWAY_SECONDS)
            return Silent(message=str(error))


def store_picture(services: Services, job_id: UUID, index: int, picture: Path) -> Picture:
    """Put a clip's thumbnail into the store (R47)."""
    key = f"{job_id}/clip_{index}_thumbnail.jpg"
    content = picture.read_bytes()
    services.storage.put_bytes(services.settings.s3_bucket_thumbnails, key, content, "image/jpeg")
    width, height = THUMBNAIL_PIXELS
    return Picture(key=key, width=width, height=height, size_bytes=len(content))


def _bring(services: Services, hold: Hold, attempt: Attempt, path: Path) -> Answer:
    fetched = services.provider(hold.account).download(attempt.outputs[0], path, max_bytes=_MAX_BYTES)
    if isinstance(fetched, Silent):
        return fetched
    if isinstance(fetched, Refused):
        return _dead_link(services, hold, attempt, fetched)
    picture = path.with_name("thumbnail.jpg")
    clip = services.media.check_clip(path, picture=picture)
    asked = float(hold.shot["asked_seconds"])
    if _has_own_length(services, attempt) and abs(clip.duration_seconds - asked) > _TOLERANCE_SECONDS:
        message = f"the clip is {clip.duration_seconds:.1f} s long, {asked:g} s were asked for"
        return Refused(code="wrong_duration", message=message, retryable=True)
    key = f"{hold.member.job_id}/clip_{hold.index}_{attempt.number}_{clip.sha256[:16]}.mp4"
    services.storage.put_file(services.settings.s3_bucket_clips, key, path, "video/mp4")
    return Stored(
        key=key,
        sha256=clip.sha256,
        size_bytes=clip.size_bytes,
        duration_seconds=clip.duration_seconds,
        picture=_pictured(services, hold, picture),
    )


def _has_own_length(services: Services, attempt: Attempt) -> bool:
    """Whether the clip has the length that was asked for, and not that of the video it was made from."""
    model = services.catalogue.models.get(attempt.model)
    return model is None or model.duration.strategy != "input"


def _pictured(services: Services, hold: Hold, picture: Path) -> Picture | None:
    """The thumbnail that the check made on its way. None is no loss: the media pool makes one in its own time."""
    if picture.exists():
        with suppress(Unavailable):
            return store_picture(services, hold.member.job_id, hold.index, picture)
    return None


def _dead_link(services: Services, hold: Hold, attempt: Attempt, dead: Refused) -> Answer:
    """A link that expired may have a fresh sibling: the prediction is asked once more before it counts as lost."""
    if attempt.prediction is None:
        return dead
    answer = services.provider(hold.account).status(attempt.prediction)
    if isinstance(answer, Refused):
        return answer
    if isinstance(answer, Working | Silent):
        return Silent(message="the provider has no fresh link yet")
    return answer
