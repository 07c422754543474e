"""The worker of the plain Celery contender. It reads its environment, as the product's own worker does."""

import os
import time
from collections.abc import Mapping

import requests
from celery import Celery

from bench.arena import MODEL
from bench.contenders.baseline import now, prompt

EVERY_SECONDS, TIMEOUT_SECONDS = 2.0, 600.0


def connected(url: str) -> Celery:
    """The app at a broker."""
    return Celery("plain", broker=url, backend=url)


app = connected(os.environ.get("REDIS_URL", ""))


@app.task(
    name="render",
    autoretry_for=(requests.RequestException,),
    retry_backoff=True,
    retry_backoff_max=60,
    max_retries=10,
    rate_limit="60/m",
)
def render(number: int) -> str:
    """Order a clip, and ask until it is there; the time at which it was."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {os.environ['REPLICATE_API_TOKEN']}"
        body = {"input": {"prompt": prompt(number), "duration": 2}}
        base_url = os.environ["REPLICATE_BASE_URL"]
        prediction = _asked(session, "POST", f"{base_url}/v1/models/{MODEL}/predictions", body)
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while prediction["status"] != "succeeded" and time.monotonic() < give_up_at:
            time.sleep(EVERY_SECONDS)
            prediction = _asked(session, "GET", f"{base_url}/v1/predictions/{prediction['id']}")
    return now().isoformat()


def _asked(
    session: requests.Session, method: str, url: str, body: Mapping[str, object] | None = None
) -> dict[str, str]:
    answer = session.request(method, url, json=body, timeout=30)
    answer.raise_for_status()
    document: dict[str, str] = answer.json()
    return document
