"""The one way to Postgres: an engine with timeouts, and the translation of its errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pipeline.domain.errors import Unavailable

_TIMEOUT_MS = 15_000
_CONNECT_TIMEOUT_SECONDS = 5


def connect(url: str, *, pool_size: int = 10) -> Engine:
    """An engine whose every statement ends by itself, and which notices a restarted server."""
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=2 * pool_size,
        pool_timeout=10,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "application_name": "dailies",
            "options": f"-c statement_timeout={_TIMEOUT_MS} -c lock_timeout={_TIMEOUT_MS} -c timezone=UTC",
        },
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; raises Unavailable when Postgres does not answer."""
    try:
        with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise Unavailable(f"Postgres does not answer: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return (str(origin).strip().splitlines() or [type(error).__name__])[0]
