"""A run as rows of figures, each under the name by which runs are compared."""

from collections.abc import Mapping

from bench import measures
from bench.measures import Run
from bench.results import Figure


def of_run(run: Run, *, case: str, contender: str, goals: Mapping[str, float] | None = None) -> list[Figure]:
    """Every measure of a run over fixed slots. Of a run that lost clips only what it lost and asked for is told."""
    lost = measures.lost(run)
    rows = _always(run, lost) if lost else {**_of_time(run), **_always(run, lost)}
    return [
        Figure(name=name, case=case, contender=contender, value=value, n=n, goal=(goals or {}).get(name))
        for name, (value, n) in rows.items()
    ]


def _of_time(run: Run) -> dict[str, tuple[float, int]]:
    gaps = measures.freed_to_submit_seconds(run.made, run.slots)
    lateness = measures.lateness_seconds(run)
    return {
        "makespan_ratio": (measures.makespan_ratio(run), 1),
        "slot_utilisation": (measures.slot_utilisation(run), 1),
        "freed_to_submit_p50_ms": (1000 * measures.quantile(gaps, 0.5), len(gaps)),
        "freed_to_submit_p95_ms": (1000 * measures.quantile(gaps, 0.95), len(gaps)),
        "knowing_lateness_p50_s": (measures.quantile(lateness, 0.5), len(lateness)),
        "knowing_lateness_p95_s": (measures.quantile(lateness, 0.95), len(lateness)),
    }


def _always(run: Run, lost: int) -> dict[str, tuple[float, int]]:
    return {
        "refusals_per_clip": (run.refusals / run.clips, run.clips),
        "rate_429_per_submit": (run.turned_away / run.creates, run.creates),
        "requests_per_clip": (run.requests / run.clips, run.clips),
        "rendered_twice": (measures.rendered_twice(run), run.clips),
        "lost": (lost, run.clips),
    }
