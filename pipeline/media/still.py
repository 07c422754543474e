"""Is a file a picture that models take? Asked of its first bytes, then of a decoder that may try nothing else."""

import hashlib
import mmap
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.errors import BrokenMedia
from pipeline.media import ffmpeg
from pipeline.media.track import read_tracks

_JPEG, _PNG, _RIFF, _WEBP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP"
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_DECODING = ffmpeg.Allowance(wall_seconds=30, cpu_seconds=20)
_DECODED = ("-map", "0:v:0", "-frames:v", "1", "-f", "framecrc", "pipe:1")


@dataclass(frozen=True, kw_only=True)
class Still:
    """A whole picture as measured on the file itself; ``suffix`` says what it is, whatever it was called."""

    suffix: str
    width: int
    height: int
    size_bytes: int
    sha256: str


def examine(executable: Path, path: Path) -> Still:
    """Prove that a file is a picture by decoding it. Raises ``BrokenMedia``."""
    demuxer, suffix = _opened_as(path)
    listing = ffmpeg.run(executable, [*ffmpeg.video_input(path, demuxer), *_DECODED], _DECODING)
    width, height = read_tracks(listing).video.size
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    return Still(suffix=suffix, width=width, height=height, size_bytes=path.stat().st_size, sha256=digest)


def _opened_as(path: Path) -> tuple[str, str]:
    """Which demuxer may open the file, and what it is called then."""
    with path.open("rb") as file:
        start = file.read(12)
    if start.startswith(_JPEG):
        _check_end_of_jpeg(path)
        return "jpeg_pipe", ".jpg"
    if start.startswith(_PNG):
        return "png_pipe", ".png"
    if start.startswith(_RIFF) and start.endswith(_WEBP):
        return "webp_pipe", ".webp"
    raise BrokenMedia("the file is neither a JPEG, nor a PNG, nor a WebP picture" if start else "the file is empty")


def _check_end_of_jpeg(path: Path) -> None:
    """A decoder fills up what is missing of a JPEG with grey; its last scan says itself where it ends."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_JPEG_END, content.rfind(_JPEG_SCAN)) < 0:
            raise BrokenMedia("the picture is cut short")
