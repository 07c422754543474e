"""What a process with all its children costs: memory, and time on a core."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Seconds of CPU used so far, and the memory held now."""

    cpu_seconds: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """A living process and its living children."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    times = [each.cpu_times() for each in family]
    return Usage(
        # A child that has ended, such as an ffmpeg, is counted in its parent.
        cpu_seconds=sum(each.user + each.system + each.children_user + each.children_system for each in times),
        rss_mb=sum(each.memory_info().rss for each in family) / 2**20,
    )


def share_of_a_core(pid: int, during: Callable[[], object]) -> float:
    """How much of a core a process uses while something else happens."""
    before, began = usage(pid), time.monotonic()
    during()
    return (usage(pid).cpu_seconds - before.cpu_seconds) / (time.monotonic() - began)


class Bystanders:
    """How much of this machine others used meanwhile: then the figures are too bad, and not ours alone."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._all, self._ours = _busy_seconds(), _our_seconds()

    def share(self) -> float:
        """The share of all cores, since the start, that neither we nor our ended children used."""
        others = _busy_seconds() - self._all - (_our_seconds() - self._ours)
        return max(0.0, others) / (time.monotonic() - self._began) / (os.cpu_count() or 1)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _our_seconds() -> float:
    return sum(os.times()[:4])
