"""What is heard in a film: the sound of each clip and the words over it, one after the other, all equally loud.

Loudness is measured by EBU R128, scene by scene, and brought to -16 LUFS by one gain for the whole scene, so that its
own quiet and loud parts stay as they are. Where there is no sound there is silence, and no noise is lifted out of it.
"""

import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media import ffmpeg
from pipeline.media.container import demuxer_of, sound_demuxer_of

LOUDNESS_LUFS = -16.0
_SILENCE_LUFS = -50.0  # below it there is only noise
_MAX_GAIN_DB = 20.0
_PEAK = 0.84  # -1.5 dBTP, with which encoders still don't clip
_UNDER_WORDS = 0.25  # a clip's own sound, while somebody speaks over it
_FADE_SECONDS = 0.03  # so that a cut does not click

_RATE, _CHANNELS, _SAMPLE_BYTES = 48_000, 2, 2
_PCM = ("-ar", str(_RATE), "-ac", str(_CHANNELS), "-c:a", "pcm_s16le", "-f", "wav", "-y")
_MEASURED = re.compile(r"lavfi\.r128\.I=(-?[\d.]+)")
_MIXING = ffmpeg.Allowance(wall_seconds=120, cpu_seconds=60, output_bytes=1024 * ffmpeg.MIB)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What is heard during one scene: a clip that has sound, words, both or nothing."""

    clip: Path | None
    narration: Path | None
    seconds: float


def soundtrack(executable: Path, scenes: Sequence[Heard], scratch: Path) -> Path | None:
    """One WAV of all scenes; None when there is nothing to be heard in any."""
    if not any(scene.clip or scene.narration for scene in scenes):
        return None
    out = scratch / "sound.wav"
    played, written = 0.0, 0
    with wave.open(str(out), "wb") as whole:
        whole.setnchannels(_CHANNELS)
        whole.setsampwidth(_SAMPLE_BYTES)
        whole.setframerate(_RATE)
        for number, scene in enumerate(scenes):
            samples = _samples(executable, scene, scratch / f"sound-{number}")
            # Counted from the beginning, so that roundings never add up.
            played += scene.seconds
            wanted = (round(played * _RATE) - written) * _CHANNELS * _SAMPLE_BYTES
            whole.writeframes(samples[:wanted].ljust(wanted, b"\0"))
            written = round(played * _RATE)
    return out


def _samples(executable: Path, scene: Heard, scratch: Path) -> bytes:
    if not scene.clip and not scene.narration:
        return b""
    mixed, level = scratch.with_suffix(".mixed"), scratch.with_suffix(".level")
    loudness = _mix(executable, scene, mixed)
    gain = min(LOUDNESS_LUFS - loudness, _MAX_GAIN_DB) if loudness > _SILENCE_LUFS else 0.0
    fade = f"afade=t=out:st={max(scene.seconds - _FADE_SECONDS, 0):.3f}:d={_FADE_SECONDS}"
    louder = f"volume={gain:.2f}dB,alimiter=limit={_PEAK}:level=disabled,{fade}"
    ffmpeg.run(executable, [*_opened(mixed, "wav"), "-af", louder, *_PCM, f"file:{level}"], _MIXING)
    with wave.open(str(level), "rb") as file:
        samples = file.readframes(file.getnframes())
    mixed.unlink()
    level.unlink()
    return samples


def _mix(executable: Path, scene: Heard, out: Path) -> float:
    """Write the scene's sound as it is, and say how loud that is, in LUFS."""
    inputs, chains = [], []
    both = scene.clip is not None and scene.narration is not None
    if scene.clip:
        inputs += _opened(scene.clip, demuxer_of(scene.clip))
        chains.append(f"aresample=async=1:first_pts=0{f',volume={_UNDER_WORDS}' if both else ''}")
    if scene.narration:
        inputs += _opened(scene.narration, sound_demuxer_of(scene.narration))
        chains.append("anull")
    graph = ";".join(
        f"[{n}:a:0]{chain},aformat=sample_rates={_RATE}:channel_layouts=stereo[s{n}]" for n, chain in enumerate(chains)
    )
    together = "[s0][s1]amix=inputs=2:duration=longest:normalize=0" if both else "[s0]anull"
    measured = "ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-"
    whole = [*inputs, "-filter_complex", f"{graph};{together},apad,atrim=end={scene.seconds:.6f},{measured}[out]"]
    listing = ffmpeg.run(executable, [*whole, "-map", "[out]", *_PCM, f"file:{out}"], _MIXING)
    told = _MEASURED.findall(listing)
    return float(told[-1]) if told else _SILENCE_LUFS


def _opened(path: Path, demuxer: str) -> list[str]:
    return ["-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{path}"]
