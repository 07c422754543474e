"""Lines of JSON on disk that outlive the process: what was sold, and what became of it."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class JsonLines:
    """An append-only file of JSON objects. A torn last line (we died while writing it) is dropped on opening."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_torn_tail()
        self._file = path.open("ab", buffering=0)

    def append(self, record: Mapping[str, Any], *, sync: bool = False) -> None:
        """Write one line; with ``sync`` it is on the disk itself before this returns."""
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            if sync:
                os.fsync(self._file.fileno())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as lines:
            for line in lines:
                yield json.loads(line)

    def clear(self) -> None:
        """Forget every line."""
        with self._lock:
            self._file.truncate(0)

    def close(self) -> None:
        self._file.close()

    def _drop_torn_tail(self) -> None:
        if not self._path.exists():
            return
        written = self._path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        if whole != written:
            os.truncate(self._path, len(whole))
