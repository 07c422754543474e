"""The first figures: parallel clips against their longest, and how fast a job is taken in while workers are busy.

Run on an idle machine: ``make bench``. Everything runs here, the simulator too, so the figures are upper bounds.
"""

import json
import statistics
import sys
import threading
import time
from http import HTTPStatus
from http.client import HTTPConnection
from queue import LifoQueue
from typing import Any

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
    """``POST /v1/jobs`` at a steady rate, while the workers start what comes in and render as much as the account may.

    The client is as lean as can be, since it shares the cores with what it measures.
    """
    spare: LifoQueue[HTTPConnection] = LifoQueue()
    payload = json.dumps(body(SCENES)).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    taken_ms: list[float] = []

    def submit() -> None:
        connection = (
            spare.get_nowait() if spare.qsize() else HTTPConnection("127.0.0.1", stack.addresses.api, timeout=30)
        )
        began = time.perf_counter()
        connection.request("POST", "/v1/jobs", payload, headers)
        answer = connection.getresponse()
        answer.read()
        milliseconds = (time.perf_counter() - began) * 1000
        if answer.status == HTTPStatus.ACCEPTED:
            taken_ms.append(milliseconds)
        spare.put(connection)

    for _ in range(WARM_UPS):
        submit()
    taken_ms.clear()
    threads = [threading.Thread(target=submit) for _ in range(SUBMITS)]
    began = time.monotonic()
    for number, thread in enumerate(threads):
        time.sleep(max(0.0, began + number / SUBMITS_PER_SECOND - time.monotonic()))
        thread.start()
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
