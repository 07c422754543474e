"""What scenes are made from, on real files: the last picture of a clip, and whole sound of a known length."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.domain.errors import BrokenMedia
from pipeline.media import Media

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


def make(out: Path, *arguments: str) -> Path:
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", *arguments, "-y", str(out)], check=True)
    return out


def from_red_to_blue(out: Path, red_seconds: float, blue_seconds: float, *more: str) -> Path:
    colours = [f"color=c={name}:s=160x90:r=24:d={t}" for name, t in (("red", red_seconds), ("blue", blue_seconds))]
    sources = [word for colour in colours for word in ("-f", "lavfi", "-i", colour)]
    return make(out, *sources, *more, "-filter_complex", "[0][1]concat=n=2:v=1[v]", "-map", "[v]", *X264)


def colour_of(picture: Path) -> str:
    raw = ["-i", str(picture), "-vf", "scale=1:1,format=rgb24", "-f", "rawvideo", "-"]
    red, _, blue = subprocess.run([FFMPEG, "-v", "error", *raw], check=True, capture_output=True).stdout
    return "red" if red > blue else "blue"


@pytest.fixture(scope="module")
def media() -> Media:
    return Media(FFMPEG)


@pytest.mark.requirement("R62")
@pytest.mark.parametrize(("red", "blue"), [(2.0, 1 / 24), (0.05, 0.05), (0.5, 4.0)])
def test_the_last_picture_of_a_clip_is_its_very_last_in_its_own_size(
    media: Media, tmp_path: Path, red: float, blue: float
) -> None:
    clip = from_red_to_blue(tmp_path / "clip.mp4", red, blue)
    media.last_frame(clip, tmp_path / "last.jpg")
    assert colour_of(tmp_path / "last.jpg") == "blue"
    assert (found := media.check_picture(tmp_path / "last.jpg", min_side_pixels=1)).suffix == ".jpg"
    assert (found.width, found.height) == (160, 90)


@pytest.mark.requirement("R62")
@pytest.mark.parametrize("sound_seconds", [2, 6])
def test_sound_that_goes_on_after_the_picture_hides_nothing(media: Media, tmp_path: Path, sound_seconds: int) -> None:
    sound = ["-f", "lavfi", "-i", f"sine=duration={sound_seconds}"]
    clip = from_red_to_blue(tmp_path / "clip.mp4", 1, 0.2, *sound, "-map", "2:a", "-c:a", "aac")
    media.last_frame(clip, tmp_path / "last.jpg")
    assert colour_of(tmp_path / "last.jpg") == "blue"


def test_what_is_no_clip_has_no_last_picture(media: Media, tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<!doctype html>")
    with pytest.raises(BrokenMedia):
        media.last_frame(tmp_path / "page.mp4", tmp_path / "last.jpg")


@pytest.mark.requirement("R46", "R63")
@pytest.mark.parametrize("name", ["a.mp3", "b.wav", "c.flac", "d.m4a", "e.ogg"])
def test_sound_is_known_by_its_bytes_and_measured(media: Media, tmp_path: Path, name: str) -> None:
    codec = ["-c:a", "libvorbis"] if name.endswith("ogg") else []
    made = make(tmp_path / name, "-f", "lavfi", "-i", "sine=duration=2.5", *codec)
    nameless = made.rename(tmp_path / "output")
    found = media.check_sound(nameless)
    assert found.suffix == Path(name).suffix
    assert found.duration_seconds == pytest.approx(2.5, abs=0.1)
    assert found.size_bytes == nameless.stat().st_size


@pytest.mark.requirement("R63")
@pytest.mark.parametrize("content", [b"", b"<!doctype html>", b"ID3 and then nothing that sounds", b"\x00" * 4096])
def test_what_is_no_sound_is_refused(media: Media, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "output").write_bytes(content)
    with pytest.raises(BrokenMedia):
        media.check_sound(tmp_path / "output")


@pytest.mark.requirement("R63")
def test_a_clip_without_sound_is_no_narration(media: Media, tmp_path: Path) -> None:
    with pytest.raises(BrokenMedia):
        media.check_sound(from_red_to_blue(tmp_path / "clip.mp4", 0.2, 0.2))
