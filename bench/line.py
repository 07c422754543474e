"""Clips of 3 s over a few slots: how near each contender comes to the best schedule, and what it asks for that."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench import figures, measures, overhead
from bench.arena import Case, Contender
from bench.contenders.countdown_only import COUNTDOWN_ONLY
from bench.contenders.ours import Ours, ours
from bench.contenders.plain_celery import PLAIN_CELERY
from bench.contenders.sdk import SDK
from bench.contenders.tight_polling import TIGHT_POLLING
from bench.many_workers import many_workers
from bench.measures import Run
from bench.results import Figure

FEW, LONG, WIDE = Case(clips=20, slots=4), Case(clips=100, slots=4), Case(clips=100, slots=20)
OTHERS: tuple[Contender, ...] = (TIGHT_POLLING, SDK, PLAIN_CELERY, COUNTDOWN_ONLY)
GOALS = {
    "freed_to_submit_p95_ms": 250.0,
    "refusals_per_clip": 0.999,
    "rate_429_per_submit": 0.0,
    "rendered_twice": 0.0,
    "lost": 0.0,
}
MAKESPAN_GOALS = {True: 1.03, False: 1.08}  # with webhooks, without
TOLERANCE = 0.25


def others() -> list[Figure]:
    """The other contenders side by side, each with its own simulator."""
    with ThreadPoolExecutor(len(OTHERS)) as pool:
        runs = list(pool.map(lambda contender: contender.run(FEW), OTHERS))
    return [
        figure
        for contender, run in zip(OTHERS, runs, strict=True)
        for figure in figures.of_run(run, case=FEW.name, contender=contender.name)
    ]


def few_slots(*, webhooks: bool) -> list[Figure]:
    """Ours over four slots, first few clips and then many."""
    estimates = _Estimates()
    with ours(LONG, webhooks=webhooks) as it:
        runs = {case: it.run(case, watch=estimates.watch(it, case)) for case in (FEW, LONG)}
    found = [figure for case, run in runs.items() for figure in _told(run, case, webhooks=webhooks)]
    share = measures.within(estimates.told(runs[LONG]), TOLERANCE)
    n = len(estimates.about)
    name = "estimates_within_25_percent"
    return [*found, Figure(name=name, case=LONG.name, contender=it.name, value=share, n=n, goal=0.8)]


def many_slots() -> list[Figure]:
    """Ours over twenty slots, with webhooks and then without; and with more workers."""
    with ours(WIDE) as it:
        runs: list[Run] = []
        costs = overhead.of_clips(it, WIDE.clips, WIDE.name, lambda watch: runs.append(it.run(WIDE, watch=watch)))
        found = [*_told(runs[0], WIDE, webhooks=True), *costs]
        polling = it.without_webhooks()
        found += _told(polling.run(WIDE), WIDE, webhooks=False)
        return found + many_workers(polling, WIDE.slots)


def _told(run: Run, case: Case, *, webhooks: bool) -> list[Figure]:
    goals = {**GOALS, "makespan_ratio": MAKESPAN_GOALS[webhooks]}
    if not webhooks:
        # A slot can't be known to be free before somebody has asked.
        del goals["freed_to_submit_p95_ms"]
    name = "ours-webhooks" if webhooks else "ours-polling"
    return figures.of_run(run, case=case.name, contender=name, goals=goals)


@dataclass
class _Estimates:
    """What each waiting clip of the long case was told at first (R60)."""

    at: datetime | None = None
    about: dict[int, float] = field(default_factory=dict)

    def watch(self, it: Ours, case: Case) -> Callable[[Sequence[str]], None]:
        """Reads the documents a moment after the order, as a customer's first look would."""

        def look(jobs: Sequence[str]) -> None:
            if case is not LONG:
                return
            time.sleep(1)
            self.at = datetime.now(UTC)
            for clip in it.client.job(jobs[0])["video_clips"]:
                if clip["waiting"] and clip["waiting"]["about_seconds"]:
                    self.about[clip["index"]] = clip["waiting"]["about_seconds"]

        return look

    def told(self, run: Run) -> list[tuple[float, float]]:
        """What was told of each clip, and how long it really took until its slot came."""
        began = {each.clip: each.created_at for each in run.made}
        return [(about, measures.seconds(self.at or began[clip], began[clip])) for clip, about in self.about.items()]
