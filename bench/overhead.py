"""What a clip costs us over its life: time on a core in our own processes, not in servers nor at the provider."""

from collections.abc import Callable, Sequence

from bench.contenders.ours import Ours
from bench.processes import usage
from bench.results import Figure

# A run that shows its jobs to whoever wants to see them.
Watched = Callable[[Callable[[Sequence[str]], object]], object]

# Whoever answers, orders, asks, fetches and checks. Not the film: it is made once for a job.
PROCESSES = ("api", "worker-io", "worker-fetch")
GOAL_MS = 25.0
_STORED = "select 1 from assets where job_id = any(:jobs) and state = 'done'"


def of_clips(it: Ours, clips: int, case: str, run: Watched) -> list[Figure]:
    """Around a run of so many clips, until the last of them is stored; ``run`` is given what wants to see the jobs."""
    jobs: list[str] = []
    before = _seconds(it)
    run(jobs.extend)
    it.wait(lambda: len(it.ask(_STORED, jobs=jobs)) == clips, 60)
    spent_ms = {name: 1000 * (after - before[name]) / clips for name, after in _seconds(it).items()}
    rows = [*((name, spent, None) for name, spent in spent_ms.items()), ("in all", sum(spent_ms.values()), GOAL_MS)]
    return [
        Figure(name="cpu_ms_per_clip", case=f"{case}, {name}", contender=it.name, value=spent, n=clips, goal=goal)
        for name, spent, goal in rows
    ]


def _seconds(it: Ours) -> dict[str, float]:
    found = {name: it.stack.pid(name) for name in PROCESSES}
    return {name: usage(pid).cpu_seconds for name, pid in found.items() if pid}
