"""Bring what a customer gives home: fetched by us, proven to be what it should, stored; providers get links to ours."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore

from pipeline.domain.answers import Answer, Busy, Reason, Refused, Silent, Stored
from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.domain.hold import Hold
from pipeline.domain.needs import FOOTAGE, PICTURE, SOUND
from pipeline.media import Clip, Media
from pipeline.media.speech import Sound
from pipeline.media.still import Still
from pipeline.providers.download import GIVEN, GIVEN_HERE, follow
from pipeline.providers.wire import Limits
from pipeline.services import Services
from pipeline.storage import CONTENT_TYPES

_MIB = 1024 * 1024
_STORE_AWAY_SECONDS = 10.0
# In one process, half of the shipped threads: customers' slow hosts must not keep finished clips from coming home.
_AT_ONCE = BoundedSemaphore(4)
_AGAIN_SECONDS = (0.2, 2.0)
# The further back in its job, the later it asks again: hundreds that wait must cost no more looks than a few.
_AGAIN_SHARE = 1 / 20


@dataclass(frozen=True, kw_only=True)
class Sort:
    """How one kind of material is brought home: its proof, its limits, and the code of what is none."""

    check: Callable[[Media, Path], Still | Clip | Sound]
    refusal: str
    most: Limits


def bring_home(services: Services, hold: Hold) -> Answer:
    """Stored; Silent, when fetching again may help; or Refused, which names the field that it was given in."""
    if not _AT_ONCE.acquire(blocking=False):
        wait_seconds = random.uniform(*_AGAIN_SECONDS) * (1 + hold.index * _AGAIN_SHARE)  # noqa: S311 - dice, not secrets
        return Busy(reason=Reason.RETRY, wait_seconds=min(wait_seconds, 60.0))
    try:
        return _fetched(services, hold, SORTS[hold.kind])
    finally:
        _AT_ONCE.release()


def _fetched(services: Services, hold: Hold, sort: Sort) -> Answer:
    with tempfile.TemporaryDirectory(prefix="dailies-") as folder:
        try:
            answer = _brought(services, hold, sort, Path(folder) / hold.kind)
        except BrokenMedia as error:
            answer = Refused(code=sort.refusal, message=str(error))
        except Unavailable as error:
            if services.storage_is_away():
                return Busy(reason=Reason.RETRY, wait_seconds=_STORE_AWAY_SECONDS)
            answer = Silent(message=str(error))
    if isinstance(answer, Stored):
        return answer
    return replace(answer, message=f"{hold.shot['field']}: {answer.message}")


def _brought(services: Services, hold: Hold, sort: Sort, path: Path) -> Stored | Refused | Silent:
    rules = GIVEN_HERE if services.settings.links_to_loopback else GIVEN
    fetched = follow(hold.shot["link"], path, sort.most, rules)
    if isinstance(fetched, Silent):
        return fetched
    if isinstance(fetched, Refused):
        return Refused(code=sort.refusal, message=fetched.message)
    found = sort.check(services.media, path)
    key = f"{hold.member.job_id}/{hold.kind}_{hold.index}_{found.sha256[:16]}{found.suffix}"
    services.storage.put_file(services.settings.s3_bucket_clips, key, path, CONTENT_TYPES[found.suffix])
    seconds = None if isinstance(found, Still) else found.duration_seconds
    return Stored(key=key, sha256=found.sha256, size_bytes=found.size_bytes, duration_seconds=seconds)


def _footage(media: Media, path: Path) -> Clip:
    found = media.check_clip(path)
    if found.suffix not in CONTENT_TYPES:
        raise BrokenMedia("the video is Matroska; we take MP4, MOV and WebM")
    return found


#: As large as the most generous of our providers takes, pictures and voices as nobody needs larger. What is too large
#: for the one that is asked, that one refuses, and takes no money for it.
SORTS = {
    PICTURE: Sort(
        check=Media.check_picture,
        refusal="bad_picture",
        most=Limits(read_seconds=10.0, total_seconds=60.0, max_bytes=30 * _MIB),
    ),
    FOOTAGE: Sort(
        check=_footage,
        refusal="bad_video",
        most=Limits(read_seconds=10.0, total_seconds=180.0, max_bytes=200 * _MIB),
    ),
    SOUND: Sort(
        check=Media.check_sound,
        refusal="bad_audio",
        most=Limits(read_seconds=10.0, total_seconds=60.0, max_bytes=50 * _MIB),
    ),
}
