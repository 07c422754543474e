"""Logs as events: structlog set up once per process, context bound per task and cleared after it."""

import logging
import sys
from typing import Any

import structlog

# Loggers of libraries that say at INFO what our own events already say, or show addresses that are secrets.
_QUIET = ("botocore", "boto3", "urllib3", "engineio", "socketio", "kombu", "amqp", "celery.redirected")


def set_up(*, level: str, form: str) -> None:
    """Send our events and the libraries' warnings to stderr; ``form`` is ``json`` or ``console``."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Any = structlog.dev.ConsoleRenderer() if form == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level.upper(), 20)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def get(name: str) -> Any:
    """A logger for a module's events; an event is a dotted name with values, never a sentence."""
    return structlog.get_logger(name)


def bind(**context: Any) -> None:
    """Say who this thread works for; every event carries it until ``clear``."""
    structlog.contextvars.bind_contextvars(**{key: str(value) for key, value in context.items()})


def clear() -> None:
    """Forget whom this thread worked for."""
    structlog.contextvars.clear_contextvars()
