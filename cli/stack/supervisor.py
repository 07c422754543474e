"""Starts again what ends without being asked to: Celery 5.7 workers may exit when the broker goes away."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.stack.processes import Process

LOOK_EVERY_SECONDS = 0.1
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 8.0
STEADY_SECONDS = 20.0  # who ran so long starts again without a pause


@dataclass
class Watched:
    """A process under supervision. ``start_at`` is set while it waits to be started again."""

    process: Process
    started_at: float
    backoff_seconds: float = FIRST_BACKOFF_SECONDS
    start_at: float | None = None
    restarts: int = 0


class Supervisor:
    """Watches processes from a thread of its own and keeps them running, with a growing pause."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._watched: dict[str, Watched] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stack-supervisor", daemon=True)
        self._thread.start()

    def watch(self, process: Process) -> None:
        """Keep a started process running from now on."""
        with self._lock:
            self._watched[process.program.name] = Watched(process=process, started_at=time.monotonic())

    def release(self, name: str) -> None:
        """Leave a process alone: it is about to be stopped."""
        with self._lock:
            self._watched.pop(name, None)

    def restarts(self, name: str) -> int:
        """How often a watched process was started again."""
        with self._lock:
            return self._watched[name].restarts

    def close(self) -> None:
        """Leave everything alone."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_EVERY_SECONDS):
            with self._lock:
                for watched in self._watched.values():
                    self._look_at(watched, time.monotonic())

    def _look_at(self, watched: Watched, now: float) -> None:
        if watched.start_at is not None:
            if now >= watched.start_at:
                self._start_again(watched, now)
        elif (code := watched.process.exit_code) is not None:
            steady = now - watched.started_at > STEADY_SECONDS
            pause = FIRST_BACKOFF_SECONDS if steady else watched.backoff_seconds
            watched.backoff_seconds = min(2 * pause, LONGEST_BACKOFF_SECONDS)
            watched.start_at = now + pause
            watched.process.clear()
            self._write(watched, f"exit code {code}, again in {pause:.1f} s")

    def _start_again(self, watched: Watched, now: float) -> None:
        watched.process.start()
        watched.started_at, watched.start_at = now, None
        watched.restarts += 1
        self._write(watched, f"started again as {watched.process.pid}")

    def _write(self, watched: Watched, words: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S} {watched.process.program.name}: {words}\n")
