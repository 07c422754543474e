"""Makes the real files: a clip, a picture or a tone that shows what was ordered, so that a mix-up can be seen."""

import hashlib
import json
import logging
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from simulator.predictions import Order

log = logging.getLogger(__name__)

FONT = Path(__file__).parent / "fonts" / "DejaVuSans-Latin.ttf"
FRAMES_PER_SECOND = 24
AT_ONCE = 2
LONGEST_RENDER_SECONDS = 120
BACKDROP_SHRINK = 4  #: a gradient has no detail: drawn small and scaled up it costs a third
CAPTION_LINES = 4
SHADOW = "shadowcolor=black@0.4:shadowx=1:shadowy=1"

PALETTES = (
    ("0x0b132b", "0x1c2541", "0x3a506b", "0x5bc0be"),
    ("0x1b2a49", "0x7a3b69", "0xe07a5f", "0xf2cc8f"),
    ("0x10002b", "0x3c096c", "0x9d4edd", "0xff9e00"),
    ("0x081c15", "0x1b4332", "0x40916c", "0xd8f3dc"),
    ("0x03071e", "0x6a040f", "0xdc2f02", "0xffba08"),
    ("0x012a4a", "0x2a6f97", "0x61a5c2", "0xe9f5db"),
    ("0x22223b", "0x4a4e69", "0x9a8c98", "0xf2e9e4"),
    ("0x001219", "0x005f73", "0x94d2bd", "0xee9b00"),
)


def truth_marker(order: Order) -> dict[str, str | int]:
    """What a file says about its origin, in its metadata and in the picture."""
    digest = hashlib.sha256(json.dumps(order.input, sort_keys=True).encode()).hexdigest()
    return {"prediction": order.id, "number": order.number, "model": order.model, "input_sha256": digest}


def file_names(order: Order) -> list[str]:
    """What the files of an order are called."""
    return [f"output-{index}.{order.media.extension}" for index in range(order.media.count)]


class Renderer:
    """Runs ffmpeg, at most two at once; a file appears under its name only when it is whole."""

    def __init__(self, *, folder: Path, ffmpeg: str, frame_height: int) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._frame_height = frame_height
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ffmpeg")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def ready(self, order: Order) -> bool:
        return all(path.exists() for path in self._paths(order))

    def read(self, order: Order, name: str) -> bytes | None:
        """The file of that name, if it is one of this order's and there."""
        path = self._folder / order.id / name
        return path.read_bytes() if path in self._paths(order) and path.exists() else None

    def remove(self, order: Order) -> None:
        shutil.rmtree(self._folder / order.id, ignore_errors=True)

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def submit(self, order: Order, done: Callable[[bool], None]) -> None:
        """Render in the background; ``done`` hears whether the files are there."""
        if self.ready(order):
            done(True)
        else:
            self._pool.submit(self._work, order, done)

    def _paths(self, order: Order) -> list[Path]:
        return [self._folder / order.id / name for name in file_names(order)]

    def _work(self, order: Order, done: Callable[[bool], None]) -> None:
        try:
            for index, path in enumerate(self._paths(order)):
                if not path.exists():
                    self._make(order, index, path)
        except (OSError, subprocess.SubprocessError) as broken:
            words = getattr(broken, "stderr", None) or b""
            log.warning("%s could not be rendered: %s %s", order.id, broken, words.decode(errors="replace"))
        done(self.ready(order))

    def _make(self, order: Order, index: int, path: Path) -> None:
        self._run(order, index, path, json.dumps(truth_marker(order)))

    def _run(self, order: Order, index: int, path: Path, comment: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        subprocess.run(
            [
                # A real provider renders on its own machines: what runs beside the simulator goes first.
                *("nice", "-n", "15"),
                *(self._ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
                *self._arguments(order, index, path.parent),
                *("-metadata", f"comment={comment}", str(unfinished)),
            ],
            check=True,
            capture_output=True,
            timeout=LONGEST_RENDER_SECONDS,
        )
        unfinished.replace(path)

    def _arguments(self, order: Order, index: int, folder: Path) -> Iterator[str]:
        if order.media.kind == "audio":
            yield from _tone(order)
            return
        picture = Picture(order, index, self._frame_height)
        yield from ("-filter_complex", picture.filters(folder), "-map", "[out]")
        if order.media.kind == "image":
            yield from ("-frames:v", "1")
            return
        yield from ("-frames:v", str(picture.frames), "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1")
        yield from ("-pix_fmt", "yuv420p", "-movflags", "+faststart")


def _tone(order: Order) -> Iterator[str]:
    pitch_hertz = 220 + 20 * (order.number % 20)
    yield from ("-f", "lavfi", "-i", f"sine=frequency={pitch_hertz}:duration={order.media.seconds}:r=32000")
    yield from ("-af", "volume=0.3,tremolo=f=4:d=0.6")


class Picture:
    """The look of one order: a slow gradient of its own colours, its text on a dark band, a line that runs along."""

    def __init__(self, order: Order, index: int, frame_height: int) -> None:
        self._order = order
        self._seed = int(hashlib.sha256(f"{order.id} {index}".encode()).hexdigest()[:8], 16)
        self.height = _even(frame_height)
        self.width = _even(frame_height * order.media.ratio)
        self.frames = max(1, round(self._length_seconds() * FRAMES_PER_SECOND))

    def filters(self, folder: Path) -> str:
        """The filter graph; the texts go through files in ``folder``, so that no prompt can break out of it."""
        texts = list(self._texts(folder))
        backdrop = f"{self._gradient()},scale={self.width}:{self.height}:flags=bicubic,setsar=1"
        band = "drawbox=y=ih*0.58:w=iw:h=ih:color=black@0.45:t=fill"
        line = f"color=c=white@0.85:s={self.width}x4:r={FRAMES_PER_SECOND}[line]"
        run = f"[still][line]overlay=x='-w+w*n/{self.frames}':y=H-h,format=yuv420p[out]"
        return f"{','.join([backdrop, band, *texts])}[still];{line};{run}"

    def _length_seconds(self) -> float:
        seconds = self._order.media.seconds
        return seconds + max(4.0, seconds) if self._order.fault.output == "wrong-duration" else seconds

    def _gradient(self) -> str:
        width, height = self.width // BACKDROP_SHRINK, self.height // BACKDROP_SHRINK
        palette = PALETTES[self._seed % len(PALETTES)]
        colours = ":".join(f"c{index}={colour}" for index, colour in enumerate(palette))
        kind = ("linear", "spiral")[self._seed // len(PALETTES) % 2]
        shape = f"type={kind}:speed=0.012:nb_colors={len(palette)}:seed={self._seed % 10_000}"
        return f"gradients=s={width}x{height}:r={FRAMES_PER_SECOND}:{colours}:{shape}:x0=0:y0=0:x1={width}:y1={height}"

    def _texts(self, folder: Path) -> Iterator[str]:
        size = max(8, min(self.height // 17, self.width // 20))
        small = max(7, size * 6 // 10)
        marker = truth_marker(self._order)
        columns = int((self.width - 2 * size) / (size * 0.55))
        small_columns = int((self.width - 2 * size) / (small * 0.62))
        origin = f"{marker['prediction']} · {str(marker['input_sha256'])[:12]} · {marker['model']}"
        yield _drawn(folder, "number", f"#{self._order.number}", f"fontsize={size * 2}:x={size}:y={size}")
        wrapped = "\n".join(textwrap.wrap(self._order.caption, columns, max_lines=CAPTION_LINES, placeholder=" …"))
        place = f"fontsize={size}:x={size}:y=h*0.62:line_spacing={size // 4}"
        yield _drawn(folder, "caption", wrapped, place)
        wrapped = "\n".join(textwrap.wrap(origin, small_columns))
        yield _drawn(folder, "origin", wrapped, f"fontsize={small}:x={size}:y={size * 7 // 2}:alpha=0.7")


def _drawn(folder: Path, name: str, text: str, place: str) -> str:
    path = folder / f"{name}.txt"
    path.write_text(text or " ", encoding="utf-8")
    files = f"fontfile={_quoted(FONT)}:textfile={_quoted(path)}"
    return f"drawtext={files}:expansion=none:fontcolor=white:{SHADOW}:{place}"


def _quoted(path: Path) -> str:
    """A path inside a filter graph: ffmpeg unescapes it twice."""
    once = str(path).replace("\\", "\\\\").replace("'", "\\'").replace(":", "\\:")
    return "".join(f"\\{sign}" if sign in "\\'[],;" else sign for sign in once)


def _even(figure: float) -> int:
    return max(2, round(figure / 2) * 2)
