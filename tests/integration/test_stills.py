"""Real ffmpeg on small pictures made here: what counts as a picture that models take."""

import hashlib
import subprocess
import tracemalloc
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.domain.errors import BrokenMedia
from pipeline.media import Media

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CODECS = {".jpg": "mjpeg", ".png": "png", ".webp": "libwebp"}


def make(out: Path, size: str = "320x256", codec: str = "mjpeg", *more: str) -> Path:
    source = [
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=s={size},format=rgb24",
        "-frames:v",
        "1",
        "-c:v",
        codec,
        *more,
        "-f",
        "image2",
    ]
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", *source, "-y", str(out)], check=True)
    return out


@pytest.fixture(scope="module")
def media() -> Media:
    return Media(FFMPEG)


@pytest.mark.requirement("R45")
@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("called", ["picture", "picture.mp4", "picture.html"])
def test_a_picture_is_what_its_bytes_say_whatever_it_is_called(
    media: Media, tmp_path: Path, suffix: str, called: str
) -> None:
    path = make(tmp_path / called, codec=CODECS[suffix])
    found = media.check_picture(path)
    assert (found.suffix, found.width, found.height) == (suffix, 320, 256)
    assert found.size_bytes == path.stat().st_size
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_picture_that_is_cut_short_is_refused(media: Media, tmp_path: Path, suffix: str, share: float) -> None:
    path = make(tmp_path / "a", size="640x480", codec=CODECS[suffix])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BrokenMedia):
        media.check_picture(path)


@pytest.mark.parametrize(
    ("size", "good"),
    [("256x256", True), ("255x256", False), ("256x255", False), ("8192x256", True), ("8193x256", False)],
)
def test_a_picture_has_to_be_of_a_size_that_models_take(media: Media, tmp_path: Path, size: str, good: bool) -> None:  # noqa: FBT001 - a row of a table
    path = make(tmp_path / "a.png", size=size, codec="png")
    if good:
        assert media.check_picture(path).suffix == ".png"
    else:
        with pytest.raises(BrokenMedia, match="256 to 8192 a side"):
            media.check_picture(path)


PAGES = {
    "empty": b"",
    "page": b"<!doctype html><title>Not found</title>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "gif": b"GIF89a" + bytes(100),
    "pdf": b"%PDF-1.7\n",
    "riff": b"RIFF\x10\x00\x00\x00AVI LIST",
    "jpeg in name only": b"\xff\xd8\xff" + b"#EXTM3U\nfile:///etc/passwd\n" * 20,
    "png in name only": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "webp in name only": b"RIFF\x10\x00\x00\x00WEBP" + bytes(200),
}


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES)
def test_whatever_is_no_picture_is_refused(media: Media, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(BrokenMedia):
        media.check_picture(path)


def test_a_small_file_that_unpacks_into_a_huge_picture_is_refused(media: Media, tmp_path: Path) -> None:
    path = make(tmp_path / "a.png", size="256x256", codec="png")
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4) * 2
    path.write_bytes(content)
    with pytest.raises(BrokenMedia):
        media.check_picture(path)


def test_a_very_large_file_that_says_it_is_a_jpeg_is_not_taken_into_memory(media: Media, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    with path.open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(256 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(BrokenMedia):
            media.check_picture(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
