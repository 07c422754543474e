"""The run folder of one stack: data, logs and passwords, private, gone when the stack is gone."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "dailies-"
LOCK = "owner.lock"


class RunFolder:
    """A fresh folder under the temp folder, marked as alive by a file lock that the kernel drops with its owner."""

    def __init__(self) -> None:
        base = temp_folder()
        remove_stale(base)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=base))
        self._lock = os.open(unfinished / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Root's Postgres runs as somebody else, who must be able to walk through.
        unfinished.chmod(0o755 if os.geteuid() == 0 else 0o700)
        self.path = unfinished.rename(base / unfinished.name.removeprefix("."))

    def private(self, name: str) -> Path:
        """A sub-folder that only its owner can read."""
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def temp_folder() -> Path:
    """The temp folder; for root one that every user can walk to."""
    folder = Path(tempfile.gettempdir()).resolve()
    walkable = all(parent.stat().st_mode & stat.S_IXOTH for parent in (folder, *folder.parents))
    return folder if walkable or os.geteuid() != 0 else Path("/tmp")  # noqa: S108 - mkdtemp makes the name in it


def remove_stale(base: Path) -> None:
    """Remove the run folders of this user whose owner died."""
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and not is_owned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def is_owned(folder: Path) -> bool:
    """Whether a living process holds the folder's lock. A folder without a lock is none of ours."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
