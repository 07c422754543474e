"""The Celery app, and this process's services."""

from contextlib import suppress
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, worker_ready
from prometheus_client import start_http_server

from pipeline import logs
from pipeline.domain.errors import Unavailable
from pipeline.services import Services, build
from pipeline.settings import read
from worker import brief
from worker.dispatch import CeleryCarrier

app = Celery("dailies")
app.config_from_object("celeryconfig")
brief.install()


@cache
def services() -> Services:
    """Built on first use, so that each process of a prefork pool has its own connections."""
    return build(read(), CeleryCarrier(app))


@setup_logging.connect
def _set_up_logs(**_: Any) -> None:
    settings = read()
    logs.set_up(level=settings.log_level, form=settings.log_format)


@worker_ready.connect
def _say_ready(**_: Any) -> None:
    if port := read().worker_metrics_port:
        start_http_server(port, addr="127.0.0.1")
    with suppress(Unavailable):
        # The first use of the S3 client costs a third of a second of CPU: better now than under the first clips.
        services().storage.ping()
    logs.get(__name__).info("worker.ready")


@task_postrun.connect
def _forget_context(**_: Any) -> None:
    logs.clear()
