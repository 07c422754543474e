"""Is a file the whole of what its container says it is? Asked of the bytes, before any decoder sees them."""

from pathlib import Path
from typing import BinaryIO

from pipeline.domain.errors import BrokenMedia

MAX_BOXES = 65_536
HEADER_BYTES = 8  # of a box: its length and its name
MP4, MATROSKA = "mov", "matroska"  # as ffmpeg names the demuxers

_QUICKTIME = b"qt  "
_EBML = b"\x1a\x45\xdf\xa3"
_SOUNDS = {"wav": b"RIFF", "flac": b"fLaC", "ogg": b"OggS", "mp3": b"ID3"}
_ADTS = 0xF0
# The kind of document is named in the header.
_WEBM = b"\x42\x82\x84webm"
_SEGMENT = b"\x18\x53\x80\x67"


def demuxer_of(path: Path) -> str:
    """Which demuxer may open the file, by its first bytes, and only if it is not cut short.

    Raises ``BrokenMedia``: playlists, pages and every other thing that ffmpeg would follow end here.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        file.seek(0)
        if start[4:8] == b"ftyp":
            demuxer, missing = MP4, _missing_of_mp4(file, size)
        elif start.startswith(_EBML):
            demuxer, missing = MATROSKA, _missing_of_matroska(file, size)
        else:
            raise BrokenMedia("the file is empty" if not size else "the file is neither MP4 nor WebM")
    if missing > 0:
        raise BrokenMedia(f"the file is cut short: at least {missing} bytes are missing")
    return demuxer


def video_suffix_of(path: Path) -> str:
    """What a video that ``demuxer_of`` let pass is called; ``.mkv`` for a Matroska file that is no WebM."""
    with path.open("rb") as file:
        start = file.read(64)
    if start[4:8] == b"ftyp":
        return ".mov" if start[8:12] == _QUICKTIME else ".mp4"
    return ".webm" if _WEBM in start else ".mkv"


def sound_demuxer_of(path: Path) -> str:
    """Which demuxer may open a file of sound, by its first bytes. Raises ``BrokenMedia`` when none may."""
    with path.open("rb") as file:
        start = file.read(12)
    for demuxer, sign in _SOUNDS.items():
        if start.startswith(sign):
            return demuxer
    # An MP3 without a tag begins with eleven bits that nothing else begins with.
    if start[:1] == b"\xff" and start[1:2] >= b"\xe0":
        return "aac" if start[1] & 0xF6 == _ADTS else "mp3"
    return demuxer_of(path)


def _missing_of_mp4(file: BinaryIO, size: int) -> int:
    """An MP4 is a row of boxes, each with its length; they must end where the file ends."""
    offset = 0
    for _ in range(MAX_BOXES):
        if offset >= size:
            return offset - size
        file.seek(offset)
        offset += _box_length(file.read(16), rest=size - offset)
    raise BrokenMedia("the file is in too many pieces")


def _box_length(header: bytes, *, rest: int) -> int:
    if len(header) < HEADER_BYTES:
        return HEADER_BYTES
    short = int.from_bytes(header[:4], "big")
    if short == 0:  # to the end of the file
        return rest
    length = int.from_bytes(header[8:16], "big") if short == 1 else short
    if length < HEADER_BYTES:
        raise BrokenMedia("the file's boxes make no sense")
    return length


def _missing_of_matroska(file: BinaryIO, size: int) -> int:
    """A WebM is a header and one segment with its length; 0 when a live recorder left the length out."""
    file.read(len(_EBML))
    header = _variable_integer(file)
    if header is None or header > size:
        raise BrokenMedia("the file's header makes no sense")
    file.seek(header, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        raise BrokenMedia("the file has no segment")
    length = _variable_integer(file)
    return 0 if length is None else max(file.tell() + length - size, 0)


def _variable_integer(file: BinaryIO) -> int | None:
    """EBML's integer, whose leading zero bits say how many bytes follow; None when all bits are set: unknown."""
    first = file.read(1)
    if not first or not first[0]:
        raise BrokenMedia("the file's lengths make no sense")
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + file.read(more), "big") ^ (1 << (7 * more + 7))
    return None if value == (1 << (7 * more + 7)) - 1 else value
