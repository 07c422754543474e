"""Is a file whole, audible sound? Asked of its first bytes, then of a decoder that may try nothing else."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.errors import BrokenMedia
from pipeline.media import ffmpeg
from pipeline.media.container import MATROSKA, MP4, sound_demuxer_of
from pipeline.media.track import read_tracks

MAX_SECONDS = 3600.0
_SUFFIXES = {
    "mp3": ".mp3",
    "wav": ".wav",
    "flac": ".flac",
    "ogg": ".ogg",
    "aac": ".aac",
    MP4: ".m4a",
    MATROSKA: ".weba",
}
_PACKETS = ("-map", "0:a:0", "-c", "copy", "-f", "framecrc", "pipe:1")
_DECODED = ("-map", "0:a:0", "-f", "null", "-")


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Whole sound as measured on the file itself; ``suffix`` says what it is, whatever it was called."""

    suffix: str
    duration_seconds: float
    size_bytes: int
    sha256: str


def listened_to(executable: Path, path: Path) -> Sound:
    """Prove that a file is sound by decoding all of it. Raises ``BrokenMedia``."""
    demuxer = sound_demuxer_of(path)
    source = ["-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{path}"]
    listing = ffmpeg.run(executable, [*source, *_PACKETS, *_DECODED], ffmpeg.Allowance())
    seconds = read_tracks(listing).video.duration_seconds
    if seconds > MAX_SECONDS:
        raise BrokenMedia(f"the sound is longer than {MAX_SECONDS:.0f} s")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    return Sound(
        suffix=_SUFFIXES[demuxer], duration_seconds=round(seconds, 3), size_bytes=path.stat().st_size, sha256=digest
    )
