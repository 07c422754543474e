"""R24: how often clips of different lengths are asked about, and how late their end is known, without webhooks."""

from bench import measures
from bench.arena import Case, made
from bench.contenders.ours import ours
from bench.results import Figure

CASE = Case(clips=90, slots=30, seconds=20.0, spread=0.15)
NAME = f"{CASE.clips} of {CASE.seconds:g} s, sigma {CASE.spread}"
# What is usual: the same pause always, or one that grows.
SCHEDULES = {
    "fixed 8 s": {"first": 8.0, "factor": 1.0, "longest": 8.0},
    "5 to 30 s": {"first": 5.0, "factor": 1.5, "longest": 30.0},
}


def varied() -> list[Figure]:
    """Ours on the simulator, the usual schedules computed on the very same clips.

    The first wave is left out: by then nobody knew how long the model takes.
    """
    with ours(CASE, webhooks=False, knows_model=False) as it:
        jobs = it.order(CASE.clips)
        it.wait(lambda: len(it.rendered(jobs)) >= CASE.slots, CASE.patience_seconds)
        before = it.provider.stats()
        it.wait_for_rendered(jobs, CASE.clips, CASE.patience_seconds)
        after, known = it.provider.stats(), it.rendered(jobs)
        orders = [each for order in it.provider.ledger() if (each := made(order)).id in known][CASE.slots :]
    asks = (after["gets"] + after["lists"] - before["gets"] - before["lists"]) / len(orders)
    lateness = [measures.seconds(each.completed_at, known[each.id]) for each in orders if each.completed_at]
    figures = _rows(it.name, asks, lateness)
    for name, schedule in SCHEDULES.items():
        asked = [measures.asked_on_schedule(each.seconds, **schedule) for each in orders]
        figures += _rows(name, sum(count for count, _ in asked) / len(asked), [late for _, late in asked])
    return figures


def _rows(contender: str, asks: float, lateness: list[float]) -> list[Figure]:
    n = len(lateness)
    values = {
        "asks_per_clip": asks,
        "knowing_lateness_mean_s": sum(lateness) / n,
        "knowing_lateness_p95_s": measures.quantile(lateness, 0.95),
    }
    return [Figure(name=name, case=NAME, contender=contender, value=value, n=n) for name, value in values.items()]
