"""How fast a job is taken in while the workers start what comes in, and render as much as the account may."""

import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from queue import Empty, LifoQueue

from bench import measures
from bench.contenders.ours import Ours, body
from bench.results import Figure

SUBMITS, SUBMITS_PER_SECOND, SCENES, WARM_UPS = 400, 20, 20, 20


def submit_latency(it: Ours) -> list[Figure]:
    """``POST /v1/jobs`` at a steady rate."""
    customer = _Customer(port=it.stack.addresses.api, key=it.client.api_key)
    for _ in range(WARM_UPS):
        customer.submit()
    customer.taken_ms.clear()
    threads = [threading.Thread(target=customer.submit) for _ in range(SUBMITS)]
    began = time.monotonic()
    for number, thread in enumerate(threads):
        time.sleep(max(0.0, began + number / SUBMITS_PER_SECOND - time.monotonic()))
        thread.start()
    for thread in threads:
        thread.join()
    if len(customer.taken_ms) != SUBMITS:
        raise SystemExit(f"only {len(customer.taken_ms)} of {SUBMITS} submits came through")
    p99 = measures.quantile(customer.taken_ms, 0.99)
    case = f"{SCENES} scenes at {SUBMITS_PER_SECOND}/s"
    return [Figure(name="submit_p99_ms", case=case, contender=it.name, value=p99, n=SUBMITS, goal=50)]


@dataclass(frozen=True, kw_only=True)
class _Customer:
    """As lean as can be, since it shares the cores with what it measures."""

    port: int
    key: str = field(repr=False)
    taken_ms: list[float] = field(default_factory=list)
    spare: LifoQueue[HTTPConnection] = field(default_factory=LifoQueue)
    payload: bytes = field(default_factory=lambda: json.dumps(body(range(SCENES))).encode())

    def submit(self) -> None:
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        began = time.perf_counter()
        connection.request("POST", "/v1/jobs", self.payload, headers)
        answer = connection.getresponse()
        answer.read()
        milliseconds = (time.perf_counter() - began) * 1000
        if answer.status == HTTPStatus.ACCEPTED:
            self.taken_ms.append(milliseconds)
        self.spare.put(connection)

    def _connection(self) -> HTTPConnection:
        try:
            return self.spare.get_nowait()
        except Empty:
            return HTTPConnection("127.0.0.1", self.port, timeout=30)
