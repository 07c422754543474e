"""The one way to Postgres: an engine with timeouts, and the translation of its errors."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg2
from psycopg2.extensions import TransactionRollbackError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from tenacity import retry, retry_if_exception, stop_after_attempt

from pipeline.domain.errors import Unavailable

_TIMEOUT_MS = 15_000
_CONNECT_TIMEOUT_SECONDS = 5
_TRUSTED_SECONDS = 1.0


def connect(url: str, *, pool_size: int = 10) -> Engine:
    """An engine whose every statement ends by itself, and which notices a restarted server."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=2 * pool_size,
        pool_timeout=10,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "application_name": "dailies",
            "options": f"-c statement_timeout={_TIMEOUT_MS} -c lock_timeout={_TIMEOUT_MS} -c timezone=UTC",
        },
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_make_sure, engine))
    return engine


def _note_use(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _make_sure(
    engine: Engine, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Ask an idle connection whether it is alive; asking each time would cost a round trip per transaction."""
    if time.monotonic() - record.info.get("used_at", math.inf) < _TRUSTED_SECONDS:
        return
    try:
        engine.dialect.do_ping(connection)
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise InvalidatePoolError from error


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; raises Unavailable when Postgres does not answer."""
    try:
        with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise Unavailable(f"Postgres does not answer: {_first_line(error)}") from error


def _deadlocked(error: BaseException) -> bool:
    """Whether Postgres undid the transaction, so that others who waited for it could go on."""
    cause = getattr(error.__cause__, "orig", None)
    return isinstance(error, Unavailable) and isinstance(cause, TransactionRollbackError)


#: For one transaction that needs only its arguments. More than once: it may have a row back before the one who waits
#: for it has noticed that it was free.
retried_on_deadlock = retry(retry=retry_if_exception(_deadlocked), stop=stop_after_attempt(4), reraise=True)


def _first_line(error: Exception) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return (str(origin).strip().splitlines() or [type(error).__name__])[0]
