"""Ours with waking switched off: the same stack, whose render worker knows only countdowns."""

from bench.arena import Case
from bench.contenders.ours import ours
from bench.measures import Run

WORKER = "bench.contenders.countdown_worker"


class CountdownOnly:
    """A contender with a stack of its own."""

    name = "countdown-only"

    def run(self, case: Case) -> Run:
        """Render the case, ordered as from ours."""
        with ours(case, app=WORKER) as running:
            return running.run(case)


COUNTDOWN_ONLY = CountdownOnly()
