"""Puts a command on the leash, then becomes it: own group, reported to the watchdog, dead when its parent dies.

It does after the fork what must not be done between fork and exec of a process with threads. Run as a script of its
own (no imports of ours): ``leash.py PIPE PARENT DEATH_SIGNAL NICENESS UID GID COMMAND…``, with ``-`` for "stay who you
are".
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def become(uid: str, gid: str) -> None:
    """Give up root for good."""
    if uid == "-":
        return
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))


def die_with(parent: int, death_signal: int) -> None:
    """Ask the kernel for a signal at the parent's death (after the change of user, which would clear it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit("the parent died before its child had started")


def give_way(niceness: int) -> None:
    """Let other processes go first; on Linux a session is scheduled as a whole, so it has a niceness of its own."""
    os.nice(niceness)
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as session:  # noqa: PTH123 - one import less to start
            session.write(str(niceness))
    except OSError:
        return  # no such thing here


def main() -> None:
    """Put the command on the leash and become it."""
    pipe, parent, death_signal, niceness, uid, gid, *command = sys.argv[1:]
    os.setsid()
    give_way(int(niceness))
    os.write(int(pipe), f"{os.getpid()}\n".encode())
    os.set_inheritable(int(pipe), False)
    become(uid, gid)
    die_with(int(parent), int(death_signal))
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list of arguments from the compose file or a server module
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error}")


if __name__ == "__main__":
    main()
