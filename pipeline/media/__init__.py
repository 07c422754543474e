"""Clips on disk: proving them whole, picturing them, stitching them. ffmpeg in a subprocess, nothing in ours."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.domain.errors import BrokenMedia
from pipeline.media import ffmpeg
from pipeline.media.container import demuxer_of, video_suffix_of
from pipeline.media.film import Scene, stitch
from pipeline.media.speech import Sound, listened_to
from pipeline.media.still import Still, examine
from pipeline.media.track import Tracks, measure

MAX_SIDE_PIXELS = 8192
MAX_SECONDS = 3600.0
# Below this providers refuse a picture, or make mush of it.
MIN_PICTURE_PIXELS = 256
THUMBNAIL_PIXELS = (320, 180)

_PICTURING = ffmpeg.Allowance(wall_seconds=30, cpu_seconds=20)

_FRAME = ":".join(map(str, THUMBNAIL_PIXELS))
#: The whole picture on black, whatever its ratio or the shape of its pixels.
_WHOLE = (
    "scale=trunc(iw*sar/2)*2:ih,"
    f"scale={_FRAME}:force_original_aspect_ratio=decrease:flags=lanczos,"
    f"pad={_FRAME}:-1:-1:color=black,setsar=1"
)
_EVERY_FRAME = ("-map", "0:V:0", "-f", "null", "-")
_FIRST_FRAME = ("-map", "0:V:0", "-frames:v", "1", "-vf", _WHOLE, "-c:v", "mjpeg", "-threads", "1", "-q:v", "2")
#: Each frame is written over the one before it.
_LAST_FRAME = ("-map", "0:V:0", "-c:v", "mjpeg", "-threads", "1", "-q:v", "2", "-f", "image2", "-update", "1")
_AS_JPEG = (*_FIRST_FRAME, "-f", "image2pipe")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A whole, playable video as measured on the file itself; ``suffix`` says what it is, whatever it was called."""

    suffix: str
    duration_seconds: float
    width: int
    height: int
    size_bytes: int
    sha256: str


class Media:
    """What we do to video files. Raises ``BrokenMedia`` for a bad file, ``Unavailable`` when ffmpeg can't work."""

    def __init__(self, ffmpeg_path: Path | str) -> None:
        self._ffmpeg = Path(ffmpeg_path)

    def check_clip(self, path: Path, *, picture: Path | None = None) -> Clip:
        """Prove that a file is a whole video: every packet is there and every frame can be decoded (R63).

        ``picture`` becomes its thumbnail on the way, unless the clip is one of which none can be made.
        """
        return _measured(path, self._decoded(path, picture))

    def check_picture(self, path: Path, *, min_side_pixels: int = MIN_PICTURE_PIXELS) -> Still:
        """Prove that a file is a whole JPEG, PNG or WebP of a size that models take, whatever it is called."""
        found = examine(self._ffmpeg, path)
        if not all(min_side_pixels <= side <= MAX_SIDE_PIXELS for side in (found.width, found.height)):
            allowed = f"{min_side_pixels} to {MAX_SIDE_PIXELS} a side"
            raise BrokenMedia(f"the picture is {found.width}x{found.height} pixels; we take {allowed}")
        return found

    def thumbnail(self, path: Path, out: Path) -> None:
        """Write the first frame as a JPEG of 320x180, whole, on black where the ratio is another (R47)."""
        source = ffmpeg.video_input(path, demuxer_of(path))
        with _finished(out) as unfinished:
            ffmpeg.run(self._ffmpeg, [*source, *_AS_JPEG, f"file:{unfinished}"], _PICTURING)

    def last_frame(self, path: Path, out: Path) -> None:
        """Write the last frame as a JPEG of the clip's own size, for a scene that goes on from it."""
        demuxer = demuxer_of(path)
        # A quarter of a second from the end is enough, unless the sound goes on for longer than the picture.
        for near_end in (["-sseof", "-0.25"], ["-sseof", "-2"], []):
            source = [*near_end, *ffmpeg.video_input(path, demuxer)]
            with suppress(FileNotFoundError, BrokenMedia), _finished(out) as unfinished:
                ffmpeg.run(self._ffmpeg, [*source, *_LAST_FRAME, f"file:{unfinished}"], _PICTURING)
                return
        raise BrokenMedia("the clip has no last picture")

    def check_sound(self, path: Path) -> Sound:
        """Prove that a file is sound, all of which can be decoded, and measure how long it is."""
        return listened_to(self._ffmpeg, path)

    def film(self, scenes: Sequence[Scene], out: Path, *, ratio: str | None = None) -> tuple[Clip, str | None]:
        """Stitch scenes in their order into one MP4 (R48): the film, and why its clips were encoded again (or None).

        ``ratio`` ("16:9") is the film's when they are; without, it is that of the first clip.
        """
        with _finished(out) as unfinished:
            why = stitch(self._ffmpeg, scenes, unfinished, unfinished.parent, ratio=ratio)
            return _measured(unfinished, measure(self._ffmpeg, unfinished)), why

    def _decoded(self, path: Path, picture: Path | None) -> Tracks:
        if picture:
            # Whether the clip or only its picture is at fault, the check alone tells (R47).
            with suppress(BrokenMedia), _finished(picture) as unfinished:
                return measure(self._ffmpeg, path, *_EVERY_FRAME, *_AS_JPEG, f"file:{unfinished}")
        return measure(self._ffmpeg, path, *_EVERY_FRAME)


def _measured(path: Path, tracks: Tracks) -> Clip:
    width, height = tracks.video.size
    if not 1 <= width <= MAX_SIDE_PIXELS or not 1 <= height <= MAX_SIDE_PIXELS:
        raise BrokenMedia(f"the picture is {width}x{height} pixels; we take up to {MAX_SIDE_PIXELS} a side")
    if tracks.video.duration_seconds > MAX_SECONDS:
        raise BrokenMedia(f"the video is longer than {MAX_SECONDS:.0f} s")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    return Clip(
        suffix=video_suffix_of(path),
        duration_seconds=round(tracks.video.duration_seconds, 3),
        width=width,
        height=height,
        size_bytes=path.stat().st_size,
        sha256=digest,
    )


@contextmanager
def _finished(out: Path) -> Iterator[Path]:
    """A path in a scratch folder beside ``out`` that becomes ``out`` only when everything went well."""
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out.parent) as scratch:
        unfinished = Path(scratch) / "out"
        yield unfinished
        unfinished.replace(out)
