"""The first figures: parallel clips against their longest, and how fast a job is taken in while workers are busy.

Run on an idle machine: ``make bench``. Everything runs here, the simulator too, so the figures are upper bounds.
"""

import statistics
import sys
import threading
import time
from typing import Any

import requests

from bench.results import Figure, show, write
from cli.client import Client
from cli.stack.stack import Stack

CLIPS, RENDER_SECONDS, RUNS = 5, 6.0, 5
SUBMITS, SUBMITS_PER_SECOND, SCENES, WARM_UPS = 400, 20, 20, 20


def body(scenes: int) -> dict[str, Any]:
    """A job of so many short scenes."""
    shots = [{"description": f"shot {number}", "duration": 4} for number in range(scenes)]
    return {"title": "bench", "model": "replicate/seedance-1-pro", "scenes": shots}


def parallel_clips(client: Client) -> list[Figure]:
    """R30: a job of as many clips as the account has slots takes little longer than its longest clip."""
    totals, walls = [], []
    for _ in range(RUNS):
        began = time.monotonic()
        job = finished(client, client.submit(body(CLIPS))["id"])
        walls.append(time.monotonic() - began)
        totals.append(job["total_seconds"])
    case = f"{CLIPS} clips of {RENDER_SECONDS:g} s"
    goal = 1.15 + 2 / RENDER_SECONDS
    worst = max(totals) / RENDER_SECONDS
    print(f"from the first call to the last stored clip: {', '.join(f'{t:.2f}' for t in totals)} s")
    print(f"from the submit to the closed job, film included: {', '.join(f'{w:.2f}' for w in walls)} s")
    return [
        Figure(name="job_over_longest_clip", case=case, contender="ours, worst run", value=worst, n=RUNS, goal=goal)
    ]


def finished(client: Client, job_id: str) -> dict[str, Any]:
    """The document of a job that has ended."""
    while True:
        job = client.job(job_id)
        if job["state"] in {"complete", "partial", "failed", "cancelled"}:
            if job["state"] != "complete":
                raise SystemExit(f"a bench job ended as {job['state']}")
            return job
        time.sleep(0.05)


def submits(stack: Stack, key: str) -> list[Figure]:
    """``POST /v1/jobs`` at a steady rate from many connections, while the workers start what comes in."""
    url = f"{stack.addresses.api_url}/v1/jobs"
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    taken_ms: list[float] = []
    lock = threading.Lock()

    def submit() -> None:
        began = time.perf_counter()
        answer = session.post(url, json=body(SCENES), timeout=10)
        milliseconds = (time.perf_counter() - began) * 1000
        if answer.status_code != requests.codes.accepted:
            raise SystemExit(f"a submit was answered {answer.status_code}")
        with lock:
            taken_ms.append(milliseconds)

    for _ in range(WARM_UPS):
        submit()
    taken_ms.clear()
    threads = []
    began = time.monotonic()
    for number in range(SUBMITS):
        time.sleep(max(0.0, began + number / SUBMITS_PER_SECOND - time.monotonic()))
        threads.append(threading.Thread(target=submit))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if len(taken_ms) != SUBMITS:
        raise SystemExit(f"only {len(taken_ms)} of {SUBMITS} submits came through")
    p99 = statistics.quantiles(taken_ms, n=100)[98]
    print(f"submit: p50 {statistics.median(taken_ms):.1f} ms, p99 {p99:.1f} ms, worst {max(taken_ms):.1f} ms")
    case = f"{SCENES} scenes at {SUBMITS_PER_SECOND}/s"
    return [Figure(name="submit_p99_ms", case=case, contender="ours", value=p99, n=SUBMITS, goal=50)]


def main() -> int:
    """Measure, print, keep."""
    more = {"SIMULATOR_RENDER_SECONDS": str(RENDER_SECONDS), "LOG_LEVEL": "WARNING"}
    with Stack(more=more) as stack:
        key = stack.create_key()
        figures = parallel_clips(Client(stack.addresses.api_url, key))
        figures += submits(stack, key)
    show(figures)
    write(figures)
    return 0 if all(each.reached for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
