"""What is in a clip, packet by packet: read from ffmpeg's framecrc listing, which is made for machines.

(There is no ffprobe in the bundled ffmpeg, and the text of ``ffmpeg -i`` can be forged by a file's metadata.)
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipeline.domain.errors import BrokenMedia
from pipeline.media import ffmpeg
from pipeline.media.container import demuxer_of

#: Frame rates in use; a measured one is rounded to the nearest.
RATES = tuple(Fraction(n, d) for n, d in ((8, 1), (12, 1), (15, 1), (16, 1), (24000, 1001), (24, 1), (25, 1),
              (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1)))  # fmt: skip

_HEADER = re.compile(r"#(\w+) (\d+): *(.*)")
_PACKET = re.compile(r"(\d+), *-?\w+, *(-?\d+), *(\d+), *\d+, *0x")


@dataclass(frozen=True, kw_only=True)
class Track:
    """One stream: its shape (codec, time base, size, codec parameters) and its packets' extent in time."""

    shape: frozenset[tuple[str, str]]
    duration_seconds: float
    packets: int
    frame_ticks: int  #: the commonest length of a packet
    ends: tuple[tuple[int, float], ...] = ()  #: after how many packets nothing is missing that was shown by then

    def cut(self, seconds: float) -> tuple[int, float]:
        """The end nearest to a time: after how many packets, which come in another order than shown; and when."""
        return min(self.ends, key=lambda end: abs(end[1] - seconds))

    @property
    def frame_seconds(self) -> float:
        return float(self.frame_ticks * Fraction(dict(self.shape)["tb"]))

    @property
    def codec(self) -> str:
        return dict(self.shape)["codec_id"]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, _, height = dict(self.shape)["dimensions"].partition("x")
        return int(width), int(height)

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        measured = self.packets / self.duration_seconds
        return min(RATES, key=lambda rate: abs(float(rate) - measured))


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """The first video track of a file, and its first audio track when it has one."""

    video: Track
    audio: Track | None


def measure(executable: Path, path: Path, *also: str) -> Tracks:
    """Read every packet of a file that is proven whole; ``also`` are outputs to make in the same run."""
    source = ffmpeg.video_input(path, demuxer_of(path))
    every_packet = ["-map", "0:V:0", "-map", "0:a:0?", "-c", "copy", "-f", "framecrc", "pipe:1"]
    return read_tracks(ffmpeg.run(executable, [*source, *every_packet, *also], ffmpeg.Allowance()))


def read_tracks(listing: str) -> Tracks:
    """Read a framecrc listing whose first stream is the video; raises ``BrokenMedia`` when nothing is in it."""
    shapes: dict[int, set[tuple[str, str]]] = {}
    packets: dict[int, list[tuple[int, int]]] = {}
    for line in listing.splitlines():
        if packet := _PACKET.match(line):
            packets.setdefault(int(packet[1]), []).append((int(packet[2]), int(packet[3])))
        elif header := _HEADER.match(line):
            shapes.setdefault(int(header[2]), set()).add((header[1], header[3].strip()))
    tracks = [_track(shapes[stream], packets.get(stream, [])) for stream in sorted(shapes)]
    if not tracks or tracks[0] is None:
        raise BrokenMedia("the file has no moving picture in it")
    return Tracks(video=tracks[0], audio=tracks[1] if len(tracks) > 1 else None)


def _track(shape: set[tuple[str, str]], packets: list[tuple[int, int]]) -> Track | None:
    if not packets:
        return None
    start = min(shown_at for shown_at, _ in packets)
    end = max(shown_at + ticks for shown_at, ticks in packets)
    seconds = float((end - start) * Fraction(dict(shape)["tb"]))
    if seconds <= 0:
        return None
    common = Counter(ticks for _, ticks in packets).most_common(1)[0][0]
    ends = tuple(_ends(packets, start, common, Fraction(dict(shape)["tb"])))
    return Track(shape=frozenset(shape), duration_seconds=seconds, packets=len(packets), frame_ticks=common, ends=ends)


def _ends(
    packets: list[tuple[int, int]], start: int, frame: int, tick_seconds: Fraction
) -> Iterator[tuple[int, float]]:
    last = filled = 0
    for count, (shown_at, ticks) in enumerate(packets, 1):
        last, filled = max(last, shown_at + ticks - start), filled + ticks
        if last - filled < frame / 2 or count == len(packets):
            yield count, float(last * tick_seconds)
