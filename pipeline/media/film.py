"""Stitching clips into a film: copied as they are when they fit together, else all made alike first."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.domain.errors import BrokenMedia
from pipeline.media import ffmpeg
from pipeline.media.container import demuxer_of
from pipeline.media.track import Tracks, measure

#: What an MP4 holds and browsers play without being encoded again.
COPIED = frozenset({"h264", "hevc", "av1", "vp9"})
_SOUND = ("-map", "0:a:0", "-c:a", "aac", "-b:a", "160k", "-af", "aresample=async=1")

_JOINING = ffmpeg.Allowance(wall_seconds=600, cpu_seconds=300, output_bytes=16 * 1024 * ffmpeg.MIB)
_ENCODING = ffmpeg.Allowance(wall_seconds=900, cpu_seconds=900, output_bytes=4 * 1024 * ffmpeg.MIB)
_ENCODING_THREADS = "2"


def stitch(executable: Path, paths: Sequence[Path], out: Path, scratch: Path) -> None:
    """Write the clips, in their order, to one MP4; ``scratch`` is a folder of ours for what lies between.

    Sound is kept only if every clip has some: a film must not fall silent half way by accident.
    """
    measured = [measure(executable, path) for path in paths]
    if not measured:
        raise BrokenMedia("there is no clip to stitch")
    sound = all(tracks.audio for tracks in measured)
    if not _fit_together(measured, sound=sound):
        paths = [
            _made_alike(executable, path, scratch / f"alike-{number}.mp4", measured[0], sound=sound)
            for number, path in enumerate(paths)
        ]
    _join(executable, paths, out, scratch, sound=sound)


def _fit_together(measured: Sequence[Tracks], *, sound: bool) -> bool:
    first = measured[0]
    pictures = first.video.codec in COPIED and all(tracks.video.joins(first.video) for tracks in measured)
    if not sound or first.audio is None:
        return pictures
    return pictures and all(tracks.audio and tracks.audio.joins(first.audio) for tracks in measured)


def _join(executable: Path, paths: Sequence[Path], out: Path, scratch: Path, *, sound: bool) -> None:
    """Copy the pictures of all clips into one file, through a list that holds nothing but our own names.

    Sound can't be copied: every clip's begins with samples that only its own decoder knows to drop.
    """
    names = [f"clip-{number}" for number in range(len(paths))]
    for name, path in zip(names, paths, strict=True):
        (scratch / name).symlink_to(path.resolve())
    listing = scratch / "clips.txt"
    listing.write_text("ffconcat version 1.0\n" + "".join(f"file {name}\n" for name in names))
    source = ["-protocol_whitelist", "file", "-format_whitelist", "concat,mov,matroska", "-f", "concat", "-safe", "1"]
    tracks = ["-map", "0:V:0", "-c:v", "copy", *(_SOUND if sound else [])]
    ffmpeg.run(executable, [*source, "-i", f"file:{listing}", *tracks, *_as_mp4(out)], _JOINING)


def _made_alike(executable: Path, path: Path, out: Path, model: Tracks, *, sound: bool) -> Path:
    """Encode a clip again in the size and rate of the model, on black where its ratio is another."""
    width, height = (side - side % 2 for side in model.video.size)
    picture = (
        f"scale=trunc(iw*sar/2)*2:ih,scale={width}:{height}:force_original_aspect_ratio=decrease"
        ":force_divisible_by=2:out_range=tv:out_color_matrix=bt709:flags=bicubic,"
        f"pad={width}:{height}:-1:-1:color=black,setsar=1,fps={model.video.rate},format=yuv420p,"
        "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    )
    ours = ["-map", "0:V:0", "-vf", picture, "-c:v", "libx264", "-preset", "veryfast", "-crf", "18"]
    if sound:
        ours += ["-map", "0:a:0", "-c:a", "aac", "-ar", "48000", "-ac", "2", "-af", "apad", "-shortest"]
    source = ffmpeg.video_input(path, demuxer_of(path))
    ffmpeg.run(executable, [*source, *ours, "-threads", _ENCODING_THREADS, *_as_mp4(out)], _ENCODING)
    return out


def _as_mp4(out: Path) -> list[str]:
    """The last arguments: an MP4 whose index comes first, so that it plays while it is loaded."""
    return ["-movflags", "+faststart", "-f", "mp4", "-y", f"file:{out}"]
