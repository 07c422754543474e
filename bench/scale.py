"""R16: thousands of predictions in flight on one render worker cost little, and nobody wakes late for them."""

import time

from bench import measures
from bench.arena import Case, made
from bench.clones import Clones
from bench.contenders.ours import WORKER, Ours, ours
from bench.processes import share_of_a_core, usage
from bench.results import Figure

FEW, MANY = 500, 5_000
QUIET_SECONDS, SWEEP_SECONDS = 10.0, 6.0
SHORT, SHORTEST_SECONDS, SHORT_STEP_SECONDS = 200, 8.0, 0.1
CASE = Case(clips=0, slots=MANY + SHORT + 1, seconds=20.0)


def scale() -> list[Figure]:
    """The same measured with few and with many in flight; and with many, how late we know of short ones."""
    with ours(CASE) as it:
        clones = Clones.of(it)
        few, few_mb = _carried(it, clones, FEW)
        many, many_mb = _carried(it, clones, MANY)
        late = measures.quantile(_lateness(it), 0.99)
    growth = many / max(few, 0.001)
    rows = [
        ("in_flight_rss_mb", f"{FEW} in flight", few_mb, 1, 400),
        ("in_flight_cpu_share", f"{FEW} in flight", few, 1, 0.25),
        ("in_flight_rss_mb", f"{MANY} in flight", many_mb, 1, 400),
        ("in_flight_cpu_share", f"{MANY} in flight", many, 1, 0.25),
        ("in_flight_cpu_growth", f"{FEW} to {MANY}", growth, 1, MANY / FEW),
        ("wake_lateness_p99_s", f"{MANY} in flight", late, SHORT, 1),
    ]
    return [
        Figure(name=name, case=case, contender=it.name, value=value, n=n, goal=goal)
        for name, case, value, n, goal in rows
    ]


def _carried(it: Ours, clones: Clones, count: int) -> tuple[float, float]:
    """What the render worker uses of a core, and of memory in MB, while so many are in flight and nothing happens."""
    clones.add_up_to(count)
    # One sweep, to take the new ones in.
    time.sleep(SWEEP_SECONDS)
    pid = it.stack.pid(WORKER)
    if pid is None:
        raise SystemExit("the render worker has died")
    cpu_share = share_of_a_core(pid, lambda: time.sleep(QUIET_SECONDS))
    if it.provider.stats()["in_flight"] < count:
        raise SystemExit("fewer are in flight than were to be measured")
    return cpu_share, usage(pid).rss_mb


def _lateness(it: Ours) -> list[float]:
    """How late we know of short clips among all those long ones."""
    jobs = it.order(SHORT, words=lambda number: f"[[sim: seconds={SHORTEST_SECONDS + number * SHORT_STEP_SECONDS:g}]]")
    it.wait_for_rendered(jobs, SHORT, 120)
    known = it.rendered(jobs)
    ended = {each.id: each.completed_at for order in it.provider.ledger() if (each := made(order)).id in known}
    return [measures.seconds(at, known[id_]) for id_, at in ended.items() if at]
