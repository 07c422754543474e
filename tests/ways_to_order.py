"""Every way in which a row of the catalogue can be ordered: each shape, length and resolution of each of its modes."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.model import Model
from pipeline.domain.order import compose_input
from pipeline.domain.rows import INPUTS_OF_MODE, Mode, Range, Seconds, plain
from pipeline.domain.shot import Shot
from pipeline.providers.protocol import Order

PROMPT = "SCENE: a lighthouse"
LINKS: Mapping[str, Any] = {
    "image": "https://pictures.example/first.png",
    "last_frame": "https://pictures.example/last.png",
    "references": ("https://pictures.example/ada.png",),
    "video": "https://pictures.example/take.mp4",
    "audio": "https://pictures.example/voice.mp3",
    "character": "https://pictures.example/ada.png",
}


def ways_to_order(row: Model) -> Iterator[Shot]:
    """The shots, one thing varied at a time; each knows its price."""
    for mode in row.modes:
        shapes, usual = row.aspect_ratios(mode) or ("16:9",), row.default_resolution(mode)
        lengths = _lengths(row, mode, usual)
        ways = {(shape, lengths[0], usual) for shape in shapes} | {(shapes[0], each, usual) for each in lengths}
        ways |= {(shapes[0], _lengths(row, mode, each)[-1], each) for each in row.resolutions(mode)}
        for shape, seconds, resolution in sorted(ways):
            yield _shot(row, mode, shape, seconds, resolution)


def order_of(row: Model, shot: Shot) -> Order:
    """What is sent for a shot."""
    return Order(
        model=row.provider_model,
        endpoint=row.endpoint(shot.mode),
        version=row.version,
        marker=str(uuid4()),
        input=compose_input(row, shot, seed=7),
    )


def _lengths(row: Model, mode: Mode, resolution: str) -> tuple[Seconds, ...]:
    seconds = row.lengths(mode, resolution).seconds
    return (plain(seconds.min), plain(seconds.max)) if isinstance(seconds, Range) else seconds


def _shot(row: Model, mode: Mode, shape: str, seconds: Seconds, resolution: str) -> Shot:
    # How long a video is that nobody fetches stands in its link, for the simulator to charge.
    links = {**LINKS, "video": f"{LINKS['video']}?seconds={seconds}"}
    known = {INPUT_FIELDS[name][0]: links[name] for name in INPUTS_OF_MODE[mode]}
    given: dict[str, Any] = {"image_url": None, "reference_image_urls": ()} | known
    return Shot(
        **given,
        index=0,
        model=row.key,
        prompt=PROMPT,
        target_seconds=seconds,
        asked_seconds=seconds,
        aspect_ratio=shape,
        seed=None,
        negative_prompt="rain" if row.negative_prompt_field else None,
        estimate_cents=row.price_cents(seconds, resolution, characters=len(PROMPT)),
        mode=mode,
        resolution=resolution,
    )
