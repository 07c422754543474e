"""Which reference images a scene gets: its own and the job's, as many as its model takes (R45)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class References:
    """The links that are sent, and how many more were named."""

    links: tuple[str, ...]
    left_out: int


def combined(own: Sequence[str], of_job: Sequence[str], *, at_most: int) -> References:
    """The scene's own first, then the job's, each once, cut at what the model takes."""
    named = tuple(dict.fromkeys((*own, *of_job)))
    return References(links=named[:at_most], left_out=max(len(named) - at_most, 0))
