"""Clips for a bench: each shape is rendered once, and every order's file is that one with its own truth in it."""

import json
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

from simulator.predictions import Order
from simulator.render import Picture, Renderer, file_names, truth_marker

COMMENT_BYTES = 320
BLANK = b"#" * COMMENT_BYTES
CAPTION = "One picture for every clip of this shape"
ONE_BY_ONE = threading.Lock()


class SharedRenderer(Renderer):
    """Like ``Renderer``, but only the first clip of a length and frame size costs ffmpeg.

    ffmpeg writes a blank of fixed length as its comment; an order's own goes in its place, and everything else in the
    file stays where it is. That happens as it is read. Pictures and tones are rendered as ever.
    """

    def read(self, order: Order, name: str) -> bytes | None:
        if order.media.kind != "video":
            return super().read(order, name)
        [path] = self._paths(order)
        known = name in file_names(order) and path.exists()
        return _content(path).replace(BLANK, comment(order)) if known else None

    def _paths(self, order: Order) -> list[Path]:
        if order.media.kind != "video":
            return super()._paths(order)
        picture = Picture(order, 0, self._frame_height)
        shape = f"{picture.width}x{picture.height}-{picture.frames}.{order.media.extension}"
        return [self._folder.with_name("shapes") / shape]

    def _make(self, order: Order, index: int, path: Path) -> None:
        if order.media.kind != "video":
            super()._make(order, index, path)
            return
        with ONE_BY_ONE:
            if not path.exists():
                anybodys = replace(order, id=path.stem, number=0, input={}, caption=CAPTION)
                self._run(anybodys, index, path, BLANK.decode())


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def comment(order: Order) -> bytes:
    """The order's truth marker, as long as the blank."""
    return json.dumps(truth_marker(order)).encode().ljust(COMMENT_BYTES)
