"""Answers that no well-behaved server gives: dropped, hanging and broken-off ones."""

import errno
import time
from collections.abc import Iterator

from flask import Response


def dropped(after_seconds: float = 0) -> Response:
    """Close the connection without a single byte, perhaps after a long silence."""

    def silence() -> Iterator[bytes]:
        time.sleep(after_seconds)
        raise ConnectionResetError(errno.ECONNRESET, "dropped on demand")
        yield b""  # what makes this a generator, so that it runs while the server sends

    return Response(silence())


def broken_off(data: bytes, mimetype: str) -> Response:
    """Promise all of ``data`` and close the connection half-way."""

    def half() -> Iterator[bytes]:
        yield data[: len(data) // 2]
        raise ConnectionResetError(errno.ECONNRESET, "broken off on demand")

    return Response(half(), mimetype=mimetype, headers={"Content-Length": str(len(data))})
