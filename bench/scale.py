"""R16: thousands of predictions in flight on one render worker cost little, and nobody wakes late for them."""

import time

from bench import measures
from bench.arena import Case, made
from bench.clones import Clones
from bench.contenders.ours import WORKER, Ours, ours
from bench.processes import share_of_a_core, usage
from bench.results import Figure

FEW, MANY = 500, 5_000
QUIET_SECONDS, SWEEP_SECONDS = 15.0, 6.0
SHORT, SHORTEST_SECONDS, SHORT_STEP_SECONDS = 200, 12.0, 0.1
CASE = Case(clips=SHORT, slots=MANY + 2 * SHORT)


def scale() -> list[Figure]:
    """The same measured with few and with many in flight."""
    with ours(CASE) as it:
        clones = Clones.of(it)
        few = _measured(it, clones, FEW)
        many = _measured(it, clones, MANY)
    growth = many["in_flight_cpu_share"] / max(few["in_flight_cpu_share"], 0.001)
    goals = {"in_flight_rss_mb": 400, "in_flight_cpu_share": 0.25, "wake_lateness_p99_s": 1.0}
    sizes = {"wake_lateness_p99_s": SHORT}
    figures = [
        Figure(
            name=name, case=f"{count} in flight", contender=it.name, value=found[name], n=sizes.get(name, 1), goal=goal
        )
        for count, found in ((FEW, few), (MANY, many))
        for name, goal in goals.items()
    ]
    case = f"{FEW} to {MANY}"
    return [
        *figures,
        Figure(name="in_flight_cpu_growth", case=case, contender=it.name, value=growth, n=1, goal=MANY / FEW),
    ]


def _measured(it: Ours, clones: Clones, count: int) -> dict[str, float]:
    clones.add_up_to(count)
    # One sweep, to take the new ones in.
    time.sleep(SWEEP_SECONDS)
    pid = it.stack.pid(WORKER)
    if pid is None:
        raise SystemExit("the render worker has died")
    cpu_share = share_of_a_core(pid, lambda: time.sleep(QUIET_SECONDS))
    if it.provider.stats()["in_flight"] < count:
        raise SystemExit("fewer are in flight than were to be measured")
    lateness = _lateness(it)
    return {
        "in_flight_rss_mb": usage(pid).rss_mb,
        "in_flight_cpu_share": cpu_share,
        "wake_lateness_p99_s": measures.quantile(lateness, 0.99),
    }


def _lateness(it: Ours) -> list[float]:
    """How late we know of short clips among all those long ones."""
    jobs = it.order(SHORT, words=lambda number: f"[[sim: seconds={SHORTEST_SECONDS + number * SHORT_STEP_SECONDS:g}]]")
    it.wait_for_rendered(jobs, SHORT, 4 * (SHORTEST_SECONDS + SHORT * SHORT_STEP_SECONDS))
    known = it.rendered(jobs)
    ended = {each.id: each.completed_at for order in it.provider.ledger() if (each := made(order)).id in known}
    return [measures.seconds(at, known[id_]) for id_, at in ended.items() if at]
