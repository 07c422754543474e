"""Real ffmpeg on small clips made here: what counts as whole, what a thumbnail shows, how a film is stitched."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.domain.errors import BrokenMedia, Unavailable
from pipeline.media import Media, ffmpeg
from pipeline.media.ffmpeg import Allowance
from pipeline.media.track import read_tracks

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


def make(out: Path, *arguments: str) -> Path:
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", *arguments, "-y", str(out)], check=True)
    return out


def picture(seconds: float = 1, size: str = "160x90", rate: int = 24, colour: str = "") -> list[str]:
    source = f"color=c={colour}:s={size}:r={rate}" if colour else f"testsrc=s={size}:r={rate}"
    return ["-f", "lavfi", "-t", str(seconds), "-i", source]


def sound(seconds: float = 1, pitch: int = 440) -> list[str]:
    return ["-f", "lavfi", "-t", str(seconds), "-i", f"sine=frequency={pitch}"]


def pixel(image: Path, x: int, y: int) -> tuple[int, int, int]:
    crop = ["-i", str(image), "-vf", f"crop=2:2:{x}:{y},format=rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run([FFMPEG, "-v", "error", "-nostdin", *crop], check=True, capture_output=True).stdout
    return raw[0], raw[1], raw[2]


def frame(clip: Path, at_seconds: float, out: Path) -> Path:
    return make(out, "-ss", str(at_seconds), "-i", str(clip), "-frames:v", "1")


@pytest.fixture(scope="module")
def media() -> Media:
    return Media(FFMPEG)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def silent_clip(folder: Path) -> Path:
    return make(folder / "silent.mp4", *picture(), *X264)


@pytest.fixture(scope="module")
def clips(folder: Path) -> dict[str, Path]:
    plain = make(folder / "plain.mp4", *picture(), *sound(), *X264, "-c:a", "aac")
    fast = make(folder / "fast.mp4", "-i", str(plain), "-c", "copy", "-movflags", "+faststart")
    fragments = make(folder / "fragments.mp4", "-i", str(plain), "-c", "copy", "-movflags", "+frag_keyframe+empty_moov")
    webm = make(folder / "a.webm", *picture(), "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
    return {"plain": plain, "faststart": fast, "fragments": fragments, "webm": webm}


KINDS = ["plain", "faststart", "fragments", "webm"]


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_clip_is_measured_on_the_file_itself(media: Media, clips: dict[str, Path], kind: str) -> None:
    path = clips[kind]
    clip = media.check_clip(path)
    assert clip.duration_seconds == pytest.approx(1.0, abs=0.03)
    assert (clip.width, clip.height) == (160, 90)
    assert clip.size_bytes == path.stat().st_size
    assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.01, 0.5, 0.95, 0.99, 0.9999])
def test_a_clip_that_was_cut_short_is_broken(
    media: Media, clips: dict[str, Path], tmp_path: Path, kind: str, part: float
) -> None:
    whole = clips[kind].read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(BrokenMedia):
        media.check_clip(tmp_path / "cut")


def test_a_clip_with_noise_in_its_middle_is_broken(media: Media, clips: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(clips["faststart"].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = os.urandom(2000)
    (tmp_path / "noise.mp4").write_bytes(content)
    for wanted in (None, tmp_path / "t.jpg"):
        with pytest.raises(BrokenMedia):
            media.check_clip(tmp_path / "noise.mp4", picture=wanted)
    assert not (tmp_path / "t.jpg").exists()


FTYP = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
NO_CLIPS = {
    "nothing": b"",
    "a web page": b"<!doctype html><title>403</title>",
    "a playlist": PLAYLIST,
    "a list of files": b"ffconcat version 1.0\nfile /etc/hostname\n",
    "a playlist behind the name of an MP4": FTYP + PLAYLIST,
    "an MP4 of nothing": FTYP,
    "a box of no length": FTYP + b"\x00\x00\x00\x04free",
    "a huge box": FTYP + b"\x00\x00\x00\x01mdat" + b"\x7f" * 8,
    "half a box's name": FTYP + b"\x00\x00\x10",
    "boxes without end": FTYP + b"\x00\x00\x00\x08free" * 70_000,
    "a WebM of nothing": b"\x1a\x45\xdf\xa3\x80",
    "a WebM whose lengths are nonsense": b"\x1a\x45\xdf\xa3\x00\x00",
    "a JPEG": b"\xff\xd8\xff\xe0" + bytes(100),
}


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("content", NO_CLIPS.values(), ids=NO_CLIPS.keys())
def test_what_is_no_clip_is_broken_whatever_it_is_called(media: Media, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(BrokenMedia) as caught:
        media.check_clip(tmp_path / "clip.mp4")
    assert str(tmp_path) not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_sound_alone_is_no_clip(media: Media, tmp_path: Path) -> None:
    with pytest.raises(BrokenMedia):
        media.check_clip(make(tmp_path / "a.mp4", *sound(), "-c:a", "aac"))


def test_a_listing_without_packets_is_no_clip() -> None:
    with pytest.raises(BrokenMedia, match="no moving picture"):
        read_tracks("#software: x\n#tb 0: 1/24\n#media_type 0: video\n")


def test_the_metadata_of_a_file_can_not_pose_as_its_measures(media: Media, silent_clip: Path, tmp_path: Path) -> None:
    lie = "#dimensions 0: 9x9\n0, 0, 0, 99999999, 1, 0x1\n  Stream #0:0: Video: h264, 9x9"
    told = make(tmp_path / "lie.mp4", "-i", str(silent_clip), "-c", "copy", "-metadata", f"comment={lie}")
    assert (media.check_clip(told).width, media.check_clip(told).duration_seconds) == (160, 1.0)


def test_a_clip_is_opened_by_its_path_and_nothing_else(media: Media, silent_clip: Path, tmp_path: Path) -> None:
    odd = tmp_path / "-i concat:%d 'a|b' é.mp4"
    odd.write_bytes(silent_clip.read_bytes())
    assert media.check_clip(odd).width == 160


def test_a_picture_beyond_all_measure_is_broken(media: Media, tmp_path: Path) -> None:
    wide = make(tmp_path / "wide.mp4", *picture(0.1, "8208x16"), *X264)
    with pytest.raises(BrokenMedia, match="8208x16"):
        media.check_clip(wide)


def test_a_file_that_eats_its_time_on_the_cpu_or_its_disk_is_broken(silent_clip: Path, tmp_path: Path) -> None:
    endless = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=60", "-f", "null", "-"]
    with pytest.raises(BrokenMedia, match="the file takes too long to decode"):
        ffmpeg.run(Path(FFMPEG), endless, Allowance(cpu_seconds=1))
    copied = [*ffmpeg.video_input(silent_clip, "mov"), "-c:v", "rawvideo", "-f", "rawvideo", str(tmp_path / "big")]
    with pytest.raises(BrokenMedia):
        ffmpeg.run(Path(FFMPEG), copied, Allowance(output_bytes=10_000))


def test_a_machine_that_is_too_slow_or_has_no_ffmpeg_is_not_held_against_the_file(silent_clip: Path) -> None:
    endless = ["-re", "-f", "lavfi", "-i", "testsrc=s=16x16", "-f", "null", "-"]
    with pytest.raises(Unavailable, match="not done"):
        ffmpeg.run(Path(FFMPEG), endless, Allowance(wall_seconds=0.1))
    with pytest.raises(Unavailable, match="can't be started"):
        Media("/nowhere/ffmpeg").check_clip(silent_clip)


@pytest.mark.requirement("R47")
@pytest.mark.parametrize(
    ("size", "black", "red"),
    [
        ("160x90", [], [(1, 1), (317, 177)]),
        ("90x160", [(10, 90), (310, 90)], [(160, 2), (160, 176)]),
        ("100x100", [(30, 90), (290, 90)], [(90, 2), (228, 176)]),
        ("320x90", [(160, 20), (160, 160)], [(2, 90), (316, 90)]),
    ],
)
def test_a_thumbnail_shows_the_whole_first_frame_on_320_by_180(
    media: Media, tmp_path: Path, size: str, black: list[tuple[int, int]], red: list[tuple[int, int]]
) -> None:
    clip = make(tmp_path / "red.mp4", *picture(0.2, size, colour="red"), *X264)
    media.thumbnail(clip, tmp_path / "thumbnail.jpg")
    assert (tmp_path / "thumbnail.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    media.check_clip(clip, picture=tmp_path / "by_the_way.jpg")
    assert (tmp_path / "by_the_way.jpg").read_bytes() == (tmp_path / "thumbnail.jpg").read_bytes()
    shown = make(tmp_path / "t.png", "-i", str(tmp_path / "thumbnail.jpg"))
    assert shown.read_bytes()[16:24] == (320).to_bytes(4, "big") + (180).to_bytes(4, "big")
    assert all(max(pixel(shown, x, y)) < 40 for x, y in black)
    assert all(pixel(shown, x, y)[0] > 200 for x, y in red)


def test_a_thumbnail_that_could_not_be_made_leaves_nothing_behind(media: Media, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(FTYP + b"\x00\x00\x00\x08free")
    with pytest.raises(BrokenMedia):
        media.thumbnail(bad, tmp_path / "t.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mp4"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command line that ffmpeg is run with."""
    run: list[list[str]] = []
    real: Callable[..., str] = ffmpeg.run

    def noted(executable: Path, arguments: list[str], allowance: Allowance) -> str:
        run.append(list(arguments))
        return real(executable, arguments, allowance)

    monkeypatch.setattr(ffmpeg, "run", noted)
    return run


@pytest.mark.requirement("R47", "R63")
@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_checked_and_pictured_in_one_run(
    media: Media, clips: dict[str, Path], tmp_path: Path, commands: list[list[str]], kind: str
) -> None:
    checked = media.check_clip(clips[kind])
    commands.clear()
    assert media.check_clip(clips[kind], picture=tmp_path / "t.jpg") == checked
    assert len(commands) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.jpg"]


@pytest.mark.requirement("R47")
def test_a_clip_of_which_no_thumbnail_can_be_made_is_as_whole_as_any_other(media: Media, tmp_path: Path) -> None:
    thin = make(tmp_path / "thin.mp4", *picture(0.2, "4x2000"), *X264)
    with pytest.raises(BrokenMedia):
        media.thumbnail(thin, tmp_path / "t.jpg")
    assert media.check_clip(thin, picture=tmp_path / "t.jpg") == media.check_clip(thin)
    assert [path.name for path in tmp_path.iterdir()] == ["thin.mp4"]
