"""Counts what came in and went out, for whoever audits the other side."""

import threading
from collections import Counter


class Stats:
    """Named counters; thread safe."""

    NAMES = (
        *("creates", "accepted", "gets", "lists", "cancels", "files", "downloads", "other"),
        *("webhooks", "rate_limited", "refused"),
    )

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def snapshot(self) -> dict[str, int]:
        with self._lock:
            return {name: self._counts[name] for name in self.NAMES}

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()
