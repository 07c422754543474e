"""The pictures, videos and sounds that a job names by links, and which shot gets which of them.

No provider is ever told a customer's link: each becomes an asset that we fetch, and shots take its file from us.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.needs import FOOTAGE, MATERIAL, PICTURE, SOUND
from pipeline.domain.shot import Shot, Source
from pipeline.domain.spec import JobSpec

#: What each input of a model is.
SORTS = {
    "image": PICTURE,
    "last_frame": PICTURE,
    "references": PICTURE,
    "video": FOOTAGE,
    "audio": SOUND,
    "character": PICTURE,
}


@dataclass(frozen=True, kw_only=True)
class Material:
    """A file that a job names, by its link; ``field`` is where it is named first. Each kind is counted from 0."""

    kind: str
    index: int
    link: str
    field: str

    @property
    def name(self) -> tuple[str, int]:
        """What it is called in its job."""
        return self.kind, self.index


def material_of(spec: JobSpec) -> tuple[Material, ...]:
    """All that a job names, each once, however often it is named, in an order that stays."""
    named: dict[tuple[str, str], str] = {}
    for kind, field, link in _named(spec):
        named.setdefault((kind, link), field)
    numbers = {kind: count() for kind in MATERIAL}
    return tuple(
        Material(kind=kind, index=next(numbers[kind]), link=link, field=field) for (kind, link), field in named.items()
    )


def _named(spec: JobSpec) -> Iterator[tuple[str, str, str]]:
    yield from ((PICTURE, f"reference_images.{number}", link) for number, link in enumerate(spec.reference_images))
    for index, scene in enumerate(spec.scenes):
        for name, kind in SORTS.items():
            field = INPUT_FIELDS[name][0]
            given = getattr(scene, field)
            if isinstance(given, tuple):
                yield from ((kind, f"scenes.{index}.{field}.{number}", link) for number, link in enumerate(given))
            elif given:
                yield kind, f"scenes.{index}.{field}", given


def by_ours(shot: Shot, material: Sequence[Material]) -> Shot:
    """The shot with files of ours in place of links."""
    numbers = {(each.kind, each.link): each.index for each in material}
    sources, emptied = dict(shot.sources), dict[str, Any]()
    for name, kind in SORTS.items():
        field = INPUT_FIELDS[name][0]
        given = getattr(shot, field)
        several = isinstance(given, tuple)
        links = given if several else (given,) if given else ()
        # Of jobs of old we have no files.
        if not links or not numbers.keys() >= {(kind, link) for link in links}:
            continue
        found = tuple(Source(kind=kind, index=numbers[kind, link], part="file") for link in links)
        sources[name], emptied[field] = (found, ()) if several else (found[0], None)
    return replace(shot, sources=sources, **emptied)


def without_links(shot: Shot) -> Shot:
    """The shot without any link of a customer's that we may have fetched.

    The links of a video and a sound stay only in jobs of old, which have no files of them; ``by_ours`` takes them out.
    """
    fields = (INPUT_FIELDS[name][0] for name, kind in SORTS.items() if kind == PICTURE)
    emptied: dict[str, Any] = {field: () if isinstance(getattr(shot, field), tuple) else None for field in fields}
    return replace(shot, **emptied)
