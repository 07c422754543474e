"""The script that everybody writes first: three at once, a status every two seconds, and a 429 means "not yet"."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

from bench.arena import MODEL, Case
from bench.contenders.baseline import Access, Baseline, Known, now, prompt
from cli.stack.stack import Stack

AT_ONCE, EVERY_SECONDS = 3, 2.0


def _render(_stack: Stack, access: Access, case: Case) -> Known:
    known = {}
    give_up_at = time.monotonic() + case.patience_seconds

    def clip(session: requests.Session, number: int) -> None:
        body = {"input": {"prompt": prompt(number), "duration": 2}}
        created = session.post(f"{access.base_url}/v1/models/{MODEL}/predictions", json=body, timeout=30)
        prediction = created.json()
        while prediction.get("status") != "succeeded" and time.monotonic() < give_up_at:
            time.sleep(EVERY_SECONDS)
            # A create that was refused has no address to ask, which this script takes for "still processing" too.
            answer = session.get(f"{access.base_url}/v1/predictions/{prediction.get('id')}", timeout=30)
            prediction = {**prediction, **answer.json()}
        if prediction.get("status") == "succeeded":
            known[number] = now()

    with requests.Session() as session, ThreadPoolExecutor(AT_ONCE) as pool:
        session.headers["Authorization"] = f"Bearer {access.token}"
        list(pool.map(partial(clip, session), range(case.clips)))
    return known


TIGHT_POLLING = Baseline(name="tight-polling", render=_render)
