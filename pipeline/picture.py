"""Bring a customer's picture home: fetched by us, proven to be one, stored; a provider gets a link to our copy."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore

from pipeline.domain.answers import Answer, Busy, Reason, Refused, Silent, Stored
from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.domain.hold import Hold
from pipeline.providers.download import GIVEN, GIVEN_HERE, follow
from pipeline.providers.wire import Limits
from pipeline.services import Services
from pipeline.storage import CONTENT_TYPES

MAX_BYTES = 30 * 1024 * 1024
_FETCHING = Limits(read_seconds=10.0, total_seconds=60.0, max_bytes=MAX_BYTES)
_STORE_AWAY_SECONDS = 10.0
# In one process: a customer's slow host must not keep other customers' clips from coming home.
_AT_ONCE = BoundedSemaphore(3)
_AGAIN_SECONDS = (0.2, 2.0)
# The further back in its job, the later it asks again: hundreds that wait must cost no more looks than a few.
_AGAIN_SHARE = 1 / 20


def bring_picture(services: Services, hold: Hold) -> Answer:
    """Stored; Silent, when fetching again may help; or Refused, which names the field that it was given in."""
    if not _AT_ONCE.acquire(blocking=False):
        wait_seconds = random.uniform(*_AGAIN_SECONDS) * (1 + hold.index * _AGAIN_SHARE)  # noqa: S311 - dice, not secrets
        return Busy(reason=Reason.RETRY, wait_seconds=min(wait_seconds, 60.0))
    try:
        return _fetched(services, hold)
    finally:
        _AT_ONCE.release()


def _fetched(services: Services, hold: Hold) -> Answer:
    with tempfile.TemporaryDirectory(prefix="dailies-") as folder:
        try:
            answer = _brought(services, hold, Path(folder) / "picture")
        except BrokenMedia as error:
            answer = Refused(code="bad_picture", message=str(error))
        except Unavailable as error:
            if services.storage_is_away():
                return Busy(reason=Reason.RETRY, wait_seconds=_STORE_AWAY_SECONDS)
            answer = Silent(message=str(error))
    if isinstance(answer, Stored):
        return answer
    return replace(answer, message=f"{hold.shot['field']}: {answer.message}")


def _brought(services: Services, hold: Hold, path: Path) -> Stored | Refused | Silent:
    rules = GIVEN_HERE if services.settings.links_to_loopback else GIVEN
    fetched = follow(hold.shot["link"], path, _FETCHING, rules)
    if isinstance(fetched, Silent):
        return fetched
    if isinstance(fetched, Refused):
        return Refused(code="bad_picture", message=fetched.message)
    found = services.media.check_picture(path)
    key = f"{hold.member.job_id}/picture_{hold.index}_{found.sha256[:16]}{found.suffix}"
    services.storage.put_file(services.settings.s3_bucket_clips, key, path, CONTENT_TYPES[found.suffix])
    return Stored(key=key, sha256=found.sha256, size_bytes=found.size_bytes, duration_seconds=None)
