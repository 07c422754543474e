"""Kills every process group of a stack when the stack's owner is gone, however it went.

A parent-death signal reaches a child but not its grandchildren (pool children, ffmpeg). So each child is the leader of
a group, tells this script its number through a pipe, and the pipe's end is the owner's death: the kernel closes it even
after SIGKILL. Run as a script of its own (no imports of ours, so that it starts in milliseconds).

Lines read from standard input: ``123`` a group that was started, ``-123`` a group that is gone.
"""

import contextlib
import os
import signal
import sys
import time

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


def kill_all(groups: set[int]) -> set[int]:
    """Send SIGKILL once to every group; the groups that still have members."""
    alive = set()
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
            alive.add(group)
    return alive


def main() -> None:
    """Wait for the owner's end, then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = read_groups()
    if not groups:
        return
    time.sleep(GRACE_SECONDS)
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while (groups := kill_all(groups)) and time.monotonic() < give_up_at:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
