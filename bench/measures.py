"""What a run amounts to: pure figures from what the provider sold and from when the contender knew."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from math import ceil

_CLIP = re.compile(r"shot (\d+)")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A prediction as the provider's ledger has it; ``clip`` is the shot that its prompt names."""

    id: str
    clip: int
    created_at: datetime
    completed_at: datetime | None
    succeeded: bool

    @property
    def seconds(self) -> float:
        """From its create to its end."""
        return seconds(self.created_at, self.completed_at) if self.completed_at else 0.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """What happened when ``clips`` clips were rendered over ``slots`` slots.

    ``known`` is when the contender knew a prediction to be finished. ``turned_away`` counts creates that got a 429,
    ``refusals`` how often a clip was told to wait for its turn, by whomever, ``requests`` everything but downloads.
    """

    clips: int
    slots: int
    made: tuple[Made, ...]
    known: Mapping[str, datetime]
    creates: int
    turned_away: int
    refusals: int
    requests: int


def seconds(earlier: datetime, later: datetime) -> float:
    """The time between two moments."""
    return (later - earlier).total_seconds()


def clip_of(prompt: str) -> int:
    """The number of the shot that a prompt is about. Raises ValueError for a prompt that is none of ours."""
    if found := _CLIP.search(prompt):
        return int(found[1])
    raise ValueError(f"no shot is named in {prompt!r}")


def ideal_seconds(durations: Sequence[float], slots: int) -> float:
    """The best makespan there can be: no schedule beats the sum over the slots, nor the longest clip."""
    return max(sum(durations) / slots, *durations)


def makespan_seconds(run: Run) -> float:
    """From the first create to the last clip known."""
    return seconds(min(each.created_at for each in run.made), max(run.known.values()))


def makespan_ratio(run: Run) -> float:
    """The makespan in relation to the best schedule of the clips that came home."""
    first_known = {each.clip: each.seconds for each in reversed(run.made) if each.id in run.known}
    return makespan_seconds(run) / ideal_seconds(list(first_known.values()), run.slots)


def slot_utilisation(run: Run) -> float:
    """The share of the slots' time, from the first create to the last end, in which something was rendered."""
    ends = [each.completed_at for each in run.made if each.completed_at]
    span = seconds(min(each.created_at for each in run.made), max(ends))
    return sum(each.seconds for each in run.made) / (run.slots * span)


def freed_to_submit_seconds(made: Iterable[Made], slots: int) -> list[float]:
    """How long each freed slot stood empty before the next create.

    The first freed slot goes with the first create after the slots were all taken, and so on.
    """
    made = list(made)
    creates = sorted(each.created_at for each in made)[slots:]
    ends = sorted(each.completed_at for each in made if each.completed_at)
    return [max(0.0, seconds(freed, create)) for freed, create in zip(ends, creates, strict=False)]


def lateness_seconds(run: Run) -> list[float]:
    """How long after its end each clip was known to be over."""
    return [
        max(0.0, seconds(each.completed_at, run.known[each.id]))
        for each in run.made
        if each.completed_at and each.id in run.known
    ]


def rendered_twice(run: Run) -> int:
    """Clips that were paid for more than once."""
    return sum(count - 1 for count in Counter(each.clip for each in run.made if each.succeeded).values())


def lost(run: Run) -> int:
    """Clips that nobody knows about at the end."""
    return run.clips - len({each.clip for each in run.made if each.id in run.known})


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def jain_index(shares: Sequence[float]) -> float:
    """1 when all got the same, 1/n when one got everything."""
    return sum(shares) ** 2 / (len(shares) * sum(each * each for each in shares))


def slots_used(made: Iterable[Made], slots: int, begin: datetime, end: datetime) -> float:
    """The share of so many slots' time that was used between two moments."""
    spans = ((max(each.created_at, begin), min(each.completed_at or end, end)) for each in made)
    busy = sum(max(0.0, seconds(created, completed)) for created, completed in spans)
    return busy / (slots * seconds(begin, end))


def most_at_once(made: Iterable[Made]) -> int:
    """The most predictions that were in flight together."""
    moments = [(each.created_at, 1) for each in made]
    moments += [(each.completed_at, -1) for each in made if each.completed_at]
    return max(accumulate(step for _, step in sorted(moments)), default=0)


def recovery_seconds(
    refused_at: Iterable[datetime], changed_at: datetime, *, quiet_seconds: float, most_refused: int
) -> float:
    """How long after a change the refusals took to become rare: no such stretch after it has more than so many."""
    after = sorted(each for each in refused_at if each >= changed_at)
    troubled = [
        last for first, last in zip(after, after[most_refused:], strict=False) if seconds(first, last) <= quiet_seconds
    ]
    return seconds(changed_at, troubled[-1]) if troubled else 0.0


def within(told: Iterable[tuple[float, float]], tolerance: float) -> float:
    """The share of (told, true) pairs where what was told is near enough to what came true."""
    pairs = list(told)
    return sum(abs(said - true) <= tolerance * true for said, true in pairs) / len(pairs)


def asked_on_schedule(duration: float, *, first: float, factor: float, longest: float) -> tuple[int, float]:
    """How often a fixed schedule asks about a prediction of this duration, and how late it knows."""
    at, wait, asks = first, first, 1
    while at < duration:
        wait = min(wait * factor, longest)
        at += wait
        asks += 1
    return asks, at - duration
