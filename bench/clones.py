"""Predictions in flight by the thousand: one job that really was ordered, and copies of its rows and predictions.

To order them all would take longer than everything else here; what is measured is what they cost while they render.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, insert, select

from bench.contenders.ours import SLOW_MODEL, Ours
from pipeline.database.tables import assets, attempts, jobs, scenes
from pipeline.domain.webhook import address

SECONDS = 1000
JOB_SIZE, ORDERED_AT_ONCE = 200, 4

Row = Mapping[str, Any]


@dataclass
class Clones:
    """The source rows, and how many copies there are."""

    it: Ours
    job: Row
    scene: Row
    asset: Row
    attempt: Row
    version: str
    count: int = 0

    @classmethod
    def of(cls, it: Ours) -> "Clones":
        """Order one clip that renders for long, and take its rows once it does."""
        [job] = it.order(1, words=lambda _: f"[[sim: seconds={SECONDS}]]", model=SLOW_MODEL)
        rendering = "select 1 from assets where job_id = any(:jobs) and state = 'rendering'"
        if not it.wait(lambda: bool(it.ask(rendering, jobs=[job])), 30):
            raise SystemExit("the clip that was to be copied never got to render")
        job_id = UUID(job)
        job_row, scene, asset, attempt = (_row(it, table, job_id) for table in (jobs, scenes, assets, attempts))
        version = it.provider.ledger()[-1]["version"]
        return cls(it=it, job=job_row, scene=scene, asset=asset, attempt=attempt, version=version)

    def add_up_to(self, count: int) -> None:
        """Copy until there are so many in flight."""
        while self.count < count:
            size = min(JOB_SIZE, count - self.count)
            self._add(size)
            self.count += size

    def _add(self, size: int) -> None:
        job = {**self.job, "id": uuid4()}
        shots = [{**self.scene, "id": uuid4(), "job_id": job["id"], "index": index} for index in range(size)]
        clips = [self._asset(shot) for shot in shots]
        takes = [self._attempt(clip) for clip in clips]
        with ThreadPoolExecutor(ORDERED_AT_ONCE) as pool:
            ids = list(pool.map(self._bought, takes))
        takes = [{**take, "prediction_id": id_} for take, id_ in zip(takes, ids, strict=True)]
        with self.it.database.begin() as connection:
            for table, rows in ((jobs, [job]), (scenes, shots), (assets, clips), (attempts, takes)):
                connection.execute(insert(table), [dict(row) for row in rows])

    def _asset(self, shot: Row) -> Row:
        own = {"id": uuid4(), "job_id": shot["job_id"], "scene_id": shot["id"], "attempt_id": uuid4()}
        return {**self.asset, **own, "index": shot["index"], "group_index": shot["index"]}

    def _attempt(self, clip: Row) -> Row:
        return {**self.attempt, "id": clip["attempt_id"], "asset_id": clip["id"], "job_id": clip["job_id"]}

    def _bought(self, take: Row) -> str:
        """The prediction of this attempt, ordered at the provider itself; a connection for each, as we do it too."""
        environment = self.it.stack.environment
        hook = address(environment["PUBLIC_URL"], environment["SECRET_KEY"], "replicate", str(take["id"]))
        body = {
            "version": self.version,
            "input": take["input"],
            "webhook": hook,
            "webhook_events_filter": ["completed"],
        }
        headers = {"Authorization": f"Bearer {environment['REPLICATE_API_TOKEN']}", "Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", self.it.stack.addresses.simulator, timeout=30)) as connection:
            connection.request("POST", "/v1/predictions", json.dumps(body), headers)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        if answer.status != HTTPStatus.CREATED:
            raise SystemExit(f"the simulator refused an order: {document}")
        return str(document["id"])


def _row(it: Ours, table: Table, job_id: UUID) -> Row:
    key = table.c.id if table is jobs else table.c.job_id
    with it.database.connect() as connection:
        return dict(connection.execute(select(table).where(key == job_id)).mappings().one())
