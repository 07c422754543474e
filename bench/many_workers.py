"""R14: however many worker processes ask at once, the provider never sees more than the limit."""

import requests

from bench import measures
from bench.arena import Case
from bench.contenders.ours import WORKER, Ours, free_port
from bench.results import Figure

WORKERS, CLIPS = 8, 60


def many_workers(it: Ours, slots: int) -> list[Figure]:
    """Render clips with seven more worker processes, while the provider would take any number."""
    ports = [free_port() for _ in range(WORKERS - 1)]
    for number, port in enumerate(ports, start=2):
        it.start_worker(f"{WORKER}-{number}", port=port)
    it.wait(lambda: all(_answers(port) for port in ports), 60)
    it.provider.limit(max_in_flight=None)
    run = it.run(Case(clips=CLIPS, slots=slots))
    values = {
        "max_in_flight_seen": (measures.most_at_once(run.made), slots),
        "rendered_twice": (measures.rendered_twice(run), 0),
        "lost": (measures.lost(run), 0),
    }
    case_name = f"{WORKERS} workers, {slots} slots"
    return [
        Figure(name=name, case=case_name, contender=it.name, value=value, n=CLIPS, goal=goal)
        for name, (value, goal) in values.items()
    ]


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=2).ok
    except requests.RequestException:
        return False
