"""A stack to break: one for all of these tests, since it must be whole again after each."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from cli.stack.stack import Stack
from pipeline.database.store import Store

SERVICES = (
    "redis",
    "postgres",
    "s3",
    "simulator",
    "migrate",
    "api",
    "worker-io",
    "worker-fetch",
    "worker-media",
    "beat",
)
PATIENCE_SECONDS = 100.0


@dataclass
class Studio:
    """A stack as a customer and an auditor see it."""

    stack: Stack
    key: str

    def order(self, scenes: int, directive: str = "") -> str:
        """Submit a job; its id."""
        body = {
            "title": "chaos",
            "model": "replicate/seedance-1-pro",
            "scenes": [{"description": f"shot {n} {directive}".strip(), "duration": 2} for n in range(scenes)],
        }
        answer = self._ask("POST", "/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def document(self, job_id: str) -> dict[str, Any]:
        """The job document; raises while the API is away."""
        answer = self._ask("GET", f"/v1/jobs/{job_id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def until(self, job_id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first document that is as wanted; the API may be away meanwhile."""
        last: Any = None
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            try:
                last = self.document(job_id)
            except requests.RequestException as error:
                last = error
            else:
                if wanted(last):
                    return dict(last)
            time.sleep(0.2)
        raise AssertionError(f"never came: {last}")

    def finished(self, job_id: str) -> dict[str, Any]:
        """The document of the job when it has ended."""
        return self.until(job_id, lambda d: d["state"] in {"complete", "partial", "failed", "cancelled"})

    def paid(self, job: dict[str, Any]) -> dict[str, int]:
        """Predictions that the simulator was paid for, by the prompt of the job's clips."""
        ledger = requests.get(f"{self.stack.addresses.simulator_url}/_sim/ledger", timeout=5).json()
        ours = {attempt["prediction_id"] for clip in job["video_clips"] for attempt in self._takes(job["id"], clip)}
        bought: dict[str, int] = {}
        for line in ledger:
            if line["created_at"] >= job["created_at"]:
                prompt = line["input"]["prompt"]
                bought[prompt] = bought.get(prompt, 0) + 1
                assert line["id"] in ours, f"{line['id']} was paid for, and no attempt owns it"
        return bought

    def stats(self) -> dict[str, Any]:
        """What the simulator has seen."""
        seen: dict[str, Any] = requests.get(f"{self.stack.addresses.simulator_url}/_sim/stats", timeout=5).json()
        return seen

    def _takes(self, job_id: str, clip: dict[str, Any]) -> list[dict[str, Any]]:
        takes: list[dict[str, Any]] = self._ask("GET", f"/v1/jobs/{job_id}/clips/{clip['index']}").json()["takes"]
        return takes

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.request(method, self.stack.addresses.api_url + path, headers=headers, timeout=10, **more)


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with Stack(services=SERVICES, more={"SIMULATOR_RENDER_SECONDS": "3", "SIMULATOR_FRAME_HEIGHT": "120"}) as stack:
        store = Store.at(stack.environment["DATABASE_URL"])
        _, key = store.keys.create(owner="chaos", name="chaos")
        store.close()
        yield Studio(stack, key)
