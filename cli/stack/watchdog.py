"""Kills everything of a stack when the stack's owner is gone, however it went.

A parent-death signal reaches a child but not its descendants (pools, ffmpeg). So each child leads a process group and
tells this script its number through a pipe; the pipe's end is the death of the owner, since the kernel closes it even
after SIGKILL.
Who left its group for a session of its own still carries the stack's mark in its environment (looked up on Linux).
Run as ``watchdog.py MARK``, a script of its own without imports of ours, so that it starts in milliseconds.

Lines read from standard input: ``123`` a group that was started, ``-123`` a group that is gone.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "DAILIES_STACK"
GRACE_SECONDS = 0.5  # the children got their own parent-death signal; Postgres uses it to tidy up
GIVE_UP_SECONDS = 10.0


def read_groups() -> set[int]:
    """Follow the owner until it dies or says goodbye; the groups it left running."""
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        number = int(line)
        if number > 0:
            groups.add(number)
        else:
            groups.discard(-number)
    return groups


def marked(mark: str) -> Iterator[int]:
    """The living processes whose mark begins so; a zombie has no environment any more."""
    words = f"{VARIABLE}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if words in (folder / "environ").read_bytes():
                yield int(folder.name)


def kill_group(group: int) -> bool:
    """SIGKILL for a group; whether it still had members."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def kill_marked(mark: str) -> None:
    """SIGKILL for everybody with the mark, until nobody is left to be found."""
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while (found := list(marked(mark))) and time.monotonic() < give_up_at:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def main() -> None:
    """Wait for the owner's end, then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    (mark,) = sys.argv[1:]
    groups = read_groups()
    if not groups:
        return
    time.sleep(GRACE_SECONDS)
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while (groups := set(filter(kill_group, groups))) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    kill_marked(mark)


if __name__ == "__main__":
    main()
