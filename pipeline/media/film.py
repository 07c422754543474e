"""Stitching scenes into a film: pictures are copied as they came when they fit together, else all made alike first.

A scene is as long as it is meant to be: what is too long is cut where no picture is missed, and of what is too short
the last picture is held. Neither needs encoding. A scene whose words take longer is held until they are over.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipeline.domain.errors import BrokenMedia
from pipeline.media import ffmpeg
from pipeline.media.container import demuxer_of
from pipeline.media.sound import Heard, soundtrack
from pipeline.media.speech import listened_to
from pipeline.media.track import Track, Tracks, measure

#: What an MP4 holds and browsers play without being encoded again.
COPIED = frozenset({"h264", "hevc", "av1", "vp9"})
#: Apple's players know HEVC by this name alone; it promises that all clips share one set of parameters, as they do.
_TAGS = {"hevc": ("-tag:v", "hvc1")}
_CLOSE_SECONDS = 0.1  # two frames: nobody sees the difference, so nothing is cut or held for it
_LOOSE_SECONDS = 0.25  # how far from its wanted end a clip may be cut
_BREATH_SECONDS = 0.25  # of rest after words that take longer than their scene
_SAME_RATIO = 0.02

_JOINING = ffmpeg.Allowance(wall_seconds=600, cpu_seconds=300, output_bytes=16 * 1024 * ffmpeg.MIB)
_ENCODING = ffmpeg.Allowance(wall_seconds=900, cpu_seconds=900, output_bytes=4 * 1024 * ffmpeg.MIB)
_ENCODING_THREADS = "2"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A clip, how long it is to be seen (None: as long as it is), and the words that are spoken over it."""

    clip: Path
    seconds: float | None = None
    narration: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A scene as measured, and how long it is to be seen."""

    scene: Scene
    tracks: Tracks
    seconds: float

    @property
    def video(self) -> Track:
        return self.tracks.video

    @property
    def too_long(self) -> bool:
        return self.video.duration_seconds - self.seconds > _CLOSE_SECONDS


@dataclass(frozen=True, kw_only=True)
class _Shot:
    """A file whose pictures are copied into the film, and the time that it gets there."""

    path: Path
    seconds: float
    own_seconds: float
    packets: int
    codec: str


def stitch(executable: Path, scenes: Sequence[Scene], out: Path, scratch: Path, *, ratio: str | None) -> str | None:
    """Write the scenes, in their order, to one MP4; ``scratch`` is a folder of ours for what lies between.

    ``ratio`` ("16:9") is the film's when its clips have to be encoded again. Returns why they were, None when they were
    copied. Raises ``BrokenMedia`` when there is none, or one is no clip.
    """
    if not scenes:
        raise BrokenMedia("there is no clip to stitch")
    parts = [_part(executable, scene) for scene in scenes]
    if why := _misfit(parts):
        shots = _encoded(executable, parts, scratch, ratio)
    else:
        shots = [_copied(executable, part, scratch / f"cut-{number}.mp4") for number, part in enumerate(parts)]
    heard = [_heard(part, shot) for part, shot in zip(parts, shots, strict=True)]
    _join(executable, shots, soundtrack(executable, heard, scratch), out, scratch)
    return why


def _part(executable: Path, scene: Scene) -> _Part:
    """A scene is seen as long as it is meant to be, but never shorter than its words."""
    tracks = measure(executable, scene.clip)
    meant = tracks.video.duration_seconds if scene.seconds is None else scene.seconds
    words = listened_to(executable, scene.narration).duration_seconds if scene.narration else 0.0
    return _Part(scene=scene, tracks=tracks, seconds=words + _BREATH_SECONDS if words > meant else meant)


def _heard(part: _Part, shot: _Shot) -> Heard:
    clip = part.scene.clip if part.tracks.audio else None
    return Heard(clip=clip, narration=part.scene.narration, seconds=shot.seconds)


def _misfit(parts: Sequence[_Part]) -> str | None:
    """Why these can't simply follow each other, in words; None when they can."""
    videos = [part.video for part in parts]
    if foreign := {video.codec for video in videos} - COPIED:
        return f"{', '.join(sorted(foreign))} can't be copied into a film"
    for what, values in (
        ("sizes", {video.size for video in videos}),
        ("codecs", {video.codec for video in videos}),
        ("frame rates", {video.frame_seconds for video in videos}),
        ("encodings", {video.shape for video in videos}),
    ):
        if len(values) > 1:
            return f"the clips are of {len(values)} {what}"
    for number, part in enumerate(parts, 1):
        if part.too_long and abs(part.video.cut(part.seconds)[1] - part.seconds) > _LOOSE_SECONDS:
            return f"clip {number} can't be cut to {part.seconds:.1f} s as it is"
    return None


def _copied(executable: Path, part: _Part, cut: Path) -> _Shot:
    """A clip as it came, but for what is cut off its end."""
    path, own_seconds, packets = part.scene.clip, part.video.duration_seconds, part.video.packets
    if part.too_long:
        packets, own_seconds = part.video.cut(part.seconds)
        kept = ["-map", "0:V:0", "-frames:v", str(packets), "-c", "copy"]
        ffmpeg.run(executable, [*ffmpeg.video_input(path, demuxer_of(path)), *kept, *_as_mp4(cut)], _JOINING)
        path = cut
    held = part.seconds - own_seconds > _CLOSE_SECONDS
    seconds = part.seconds if held else own_seconds
    return _Shot(path=path, seconds=seconds, own_seconds=own_seconds, packets=packets, codec=part.video.codec)


def _encoded(executable: Path, parts: Sequence[_Part], scratch: Path, ratio: str | None) -> list[_Shot]:
    """Every clip in the size and rate of most, on black where its ratio is another, and as long as it is to be seen."""
    size = _frame([part.video.size for part in parts], ratio)
    [(rate, _)] = Counter(part.video.rate for part in parts).most_common(1)
    shots = []
    for number, part in enumerate(parts):
        path = scratch / f"alike-{number}.mp4"
        source = ffmpeg.video_input(part.scene.clip, demuxer_of(part.scene.clip))
        ours = ["-map", "0:V:0", "-vf", _alike(part, size, rate), "-t", f"{part.seconds:.6f}"]
        ours += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-threads", _ENCODING_THREADS]
        ffmpeg.run(executable, [*source, *ours, *_as_mp4(path)], _ENCODING)
        made = measure(executable, path).video
        seconds = made.duration_seconds
        shots.append(_Shot(path=path, seconds=seconds, own_seconds=seconds, packets=made.packets, codec=made.codec))
    return shots


def _alike(part: _Part, size: tuple[int, int], rate: Fraction) -> str:
    """The filters that make a clip's picture like all others', and hold its last one for long enough."""
    width, height = size
    hold = max(part.seconds - part.video.duration_seconds, 0) + 1
    return (
        f"scale=trunc(iw*sar/2)*2:ih,scale={width}:{height}:force_original_aspect_ratio=decrease"
        ":force_divisible_by=2:out_range=tv:out_color_matrix=bt709:flags=bicubic,"
        f"pad={width}:{height}:-1:-1:color=black,setsar=1,fps={rate},"
        f"tpad=stop_mode=clone:stop_duration={hold:.3f},format=yuv420p,"
        "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    )


def _frame(sizes: Sequence[tuple[int, int]], ratio: str | None) -> tuple[int, int]:
    """The film's size: what most clips of this ratio have, else this ratio at the shorter side that most clips have."""
    wide, tall = (Fraction(part) for part in (ratio or "{}:{}".format(*sizes[0])).split(":"))
    wanted = float(wide / tall)
    if fitting := [size for size in sizes if abs(size[0] / size[1] / wanted - 1) < _SAME_RATIO]:
        [((width, height), _)] = Counter(fitting).most_common(1)
    else:
        [(short, _)] = Counter(min(size) for size in sizes).most_common(1)
        width, height = (round(short * wanted), short) if wanted >= 1 else (short, round(short / wanted))
    return width - width % 2, height - height % 2


def _join(executable: Path, shots: Sequence[_Shot], sound: Path | None, out: Path, scratch: Path) -> None:
    """Copy the pictures of all shots into one file, through a list that holds nothing but our own names."""
    names = [f"clip-{number}" for number in range(len(shots))]
    for name, shot in zip(names, shots, strict=True):
        (scratch / name).symlink_to(shot.path.resolve())
    # The next shot begins when this one's time is over, so its last picture stands until then.
    lines = [f"file {name}\nduration {shot.seconds:.6f}\n" for name, shot in zip(names, shots, strict=True)]
    listing = scratch / "clips.txt"
    listing.write_text("ffconcat version 1.0\n" + "".join(lines))
    source = ["-protocol_whitelist", "file", "-format_whitelist", "concat,mov,matroska", "-f", "concat", "-safe", "1"]
    heard = ["-protocol_whitelist", "file", "-f", "wav", "-i", f"file:{sound}"] if sound else []
    tracks = ["-map", "0:V:0", "-c:v", "copy", *_TAGS.get(shots[0].codec, ()), *_last_held(shots)]
    if sound:
        # Sound can't be copied: every clip's begins with samples that only its own decoder knows to drop.
        tracks += ["-map", "1:a:0", "-c:a", "aac", "-b:a", "160k"]
    ffmpeg.run(executable, [*source, "-i", f"file:{listing}", *heard, *tracks, *_as_mp4(out)], _JOINING)


def _last_held(shots: Sequence[_Shot]) -> list[str]:
    """After the last shot nothing begins, so its last picture itself has to say how long it stands."""
    hold = shots[-1].seconds - shots[-1].own_seconds
    if hold <= 0:
        return []
    last = sum(shot.packets for shot in shots) - 1
    return ["-bsf:v", f"setts=pts=PTS:dts=DTS:duration=if(eq(N\\,{last})\\,DURATION+{hold:.6f}/TB\\,DURATION)"]


def _as_mp4(out: Path) -> list[str]:
    """The last arguments: an MP4 whose index comes first, so that it plays while it is loaded."""
    return ["-movflags", "+faststart", "-f", "mp4", "-y", f"file:{out}"]
