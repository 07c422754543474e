"""Bring what was made home: fetched, proven to be a whole clip, picture or sound, stored by its digest (R63)."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pipeline.domain.answers import Answer, Busy, Picture, Reason, Refused, Silent, Stored, Working
from pipeline.domain.attempt import Attempt
from pipeline.domain.context import context_of
from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.domain.hold import Hold
from pipeline.domain.pictures import CONTEXT
from pipeline.media import THUMBNAIL_PIXELS
from pipeline.services import Services
from pipeline.storage import CONTENT_TYPES

_MAX_BYTES = 2 * 1024**3
_STORE_AWAY_SECONDS = 10.0
# R43: what was asked for, give or take.
_TOLERANCE_SECONDS = 2.0


def fetch(services: Services, hold: Hold, attempt: Attempt) -> Answer:
    """Stored; or Silent, when fetching again may help; or Refused, when only another attempt can."""
    if hold.kind == CONTEXT:
        return _said(attempt)
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


def _said(attempt: Attempt) -> Stored | Refused:
    """The consistency context in what a vision model answered: its words are the whole result (R45)."""
    context = context_of(str(attempt.receipt.get("words", "")))
    if context is None:
        return Refused(code="broken_file", message="the vision model said nothing that describes the pictures")
    return Stored(key=None, sha256=None, size_bytes=None, duration_seconds=None, words=context)


def store_picture(services: Services, job_id: UUID, index: int, file_key: str, picture: Path) -> Picture:
    """Put a take's thumbnail into the store: under its own name, and under its clip's, whose it is now (R47, R61)."""
    key, clip_key = f"{file_key.removesuffix('.mp4')}.jpg", f"{job_id}/clip_{index}_thumbnail.jpg"
    content = picture.read_bytes()
    for each in (key, clip_key):
        services.storage.put_bytes(services.settings.s3_bucket_thumbnails, each, content, "image/jpeg")
    width, height = THUMBNAIL_PIXELS
    return Picture(key=key, clip_key=clip_key, width=width, height=height, size_bytes=len(content))


def _bring(services: Services, hold: Hold, attempt: Attempt, path: Path) -> Answer:
    fetched = services.provider(hold.account).download(attempt.outputs[0], path, max_bytes=_MAX_BYTES)
    if isinstance(fetched, Silent):
        return fetched
    if isinstance(fetched, Refused):
        return _dead_link(services, hold, attempt, fetched)
    return _CHECKED[hold.kind](services, hold, attempt, path)


def _clip(services: Services, hold: Hold, attempt: Attempt, path: Path) -> Answer:
    """A clip of the length that was asked for, with its thumbnail, and its last picture if a scene goes on from it."""
    picture = path.with_name("thumbnail.jpg")
    clip = services.media.check_clip(path, picture=picture)
    asked = float(hold.shot["asked_seconds"])
    if _has_own_length(services, attempt) and abs(clip.duration_seconds - asked) > _TOLERANCE_SECONDS:
        message = f"the clip is {clip.duration_seconds:.1f} s long, {asked:g} s were asked for"
        return Refused(code="wrong_duration", message=message, retryable=True)
    key = _key(hold, attempt, "clip", clip.sha256, ".mp4")
    services.storage.put_file(services.settings.s3_bucket_clips, key, path, "video/mp4")
    return Stored(
        key=key,
        sha256=clip.sha256,
        size_bytes=clip.size_bytes,
        duration_seconds=clip.duration_seconds,
        picture=_pictured(services, hold, key, picture),
        last_frame_key=_last_frame(services, path, key) if "last_frame" in hold.shot.get("gives", ()) else None,
    )


def _still(services: Services, hold: Hold, attempt: Attempt, path: Path) -> Answer:
    """A keyframe: a whole picture, of whatever size the model makes."""
    still = services.media.check_picture(path, min_side_pixels=1)
    key = _key(hold, attempt, hold.kind, still.sha256, still.suffix)
    services.storage.put_file(services.settings.s3_bucket_clips, key, path, CONTENT_TYPES[still.suffix])
    return Stored(key=key, sha256=still.sha256, size_bytes=still.size_bytes, duration_seconds=None)


def _sound(services: Services, hold: Hold, attempt: Attempt, path: Path) -> Answer:
    """A narration, as long as its words take."""
    sound = services.media.check_sound(path)
    key = _key(hold, attempt, hold.kind, sound.sha256, sound.suffix)
    services.storage.put_file(services.settings.s3_bucket_clips, key, path, CONTENT_TYPES[sound.suffix])
    return Stored(key=key, sha256=sound.sha256, size_bytes=sound.size_bytes, duration_seconds=sound.duration_seconds)


_CHECKED: dict[str, Callable[[Services, Hold, Attempt, Path], Answer]] = {
    "video": _clip,
    "image": _still,
    "audio": _sound,
}


def _key(hold: Hold, attempt: Attempt, what: str, sha256: str, suffix: str) -> str:
    return f"{hold.member.job_id}/{what}_{hold.index}_{attempt.number}_{sha256[:16]}{suffix}"


def _last_frame(services: Services, path: Path, clip_key: str) -> str | None:
    """The clip's last picture, in the store. One that can't be made is no fault of the clip's."""
    picture = path.with_name("last.jpg")
    with suppress(BrokenMedia):
        services.media.last_frame(path, picture)
        key = f"{clip_key.removesuffix('.mp4')}_last.jpg"
        services.storage.put_file(services.settings.s3_bucket_clips, key, picture, CONTENT_TYPES[".jpg"])
        return key
    return None


def _has_own_length(services: Services, attempt: Attempt) -> bool:
    """Whether the clip has the length that was asked for, and not that of the video it was made from."""
    model = services.catalogue.models.get(attempt.model)
    return model is None or model.duration.strategy != "input"


def _pictured(services: Services, hold: Hold, file_key: str, picture: Path) -> Picture | None:
    """The thumbnail that the check made on its way. None is no loss: the media pool makes one in its own time."""
    if picture.exists():
        with suppress(Unavailable):
            return store_picture(services, hold.member.job_id, hold.index, file_key, picture)
    return None


def _dead_link(services: Services, hold: Hold, attempt: Attempt, dead: Refused) -> Answer:
    """A link that expired may have a fresh sibling: the prediction is asked once more before it counts as lost."""
    if attempt.prediction is None:
        return dead
    if held := services.limiter.ask(services.pool(hold.provider), hold.account):
        # It keeps within the account's window like any other look.
        return Busy(reason=Reason.RETRY, wait_seconds=held.wait_seconds)
    answer = services.provider(hold.account).status(attempt.prediction)
    if isinstance(answer, Refused):
        return answer
    if isinstance(answer, Working | Silent):
        return Silent(message="the provider has no fresh link yet")
    return answer
