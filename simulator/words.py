"""What a pretend vision model says: always the same of the same pictures, so that it can be found again in a prompt."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

HEADINGS = ("CHARACTER APPEARANCE", "PRODUCT FEATURES", "COLOR PALETTE", "VISUAL STYLE")


def words_of(given: Mapping[str, Any]) -> str:
    """A description of the pictures of an input under the headings that it was asked for; else one sentence."""
    marks = [hashlib.sha256(path.encode()).hexdigest()[:8] for path in _pictures(given)]
    seen = f"as in {len(marks)} pictures ({', '.join(marks)})" if marks else "as nobody has seen it"
    asked = [heading for heading in HEADINGS if heading in str(given.get("prompt", ""))]
    return "\n".join(f"{heading}: {heading.lower()} {seen}." for heading in asked) or f"Everything is {seen}."


def pieces_of(words: str) -> list[str]:
    """As language models answer: piece by piece, to be put together without anything between."""
    return [words[at : at + 12] for at in range(0, len(words), 12)]


def _pictures(given: Mapping[str, Any]) -> Iterator[str]:
    """The paths of all links: what stands behind the question mark is another one each time."""
    for value in given.values():
        for link in value if isinstance(value, list) else [value]:
            if isinstance(link, str) and link.startswith(("http://", "https://")):
                yield urlsplit(link).path
