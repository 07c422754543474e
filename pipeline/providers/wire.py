"""One request on one new connection: the only way out to a provider, for paying calls and for files alike.

A connection is never reused and a request never repeated here, so "was a byte of it possibly sent?" has an exact
answer for every failure: yes once the connection stood, no before.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

CONNECT_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a call may be without a byte, how long it may last, and how much of its body is read."""

    read_seconds: float = 10.0
    total_seconds: float = 20.0
    max_bytes: int = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Failed:
    """No whole answer. ``sent`` when a byte of the request may have left; ``outage`` unless we are to blame."""

    message: str
    sent: bool
    outage: bool = True


#: What broke, in words, and whether the other side did; ``Failed.sent`` says whether that was before the first byte.
FAILURES: tuple[tuple[type[Exception], str, bool], ...] = (
    (requests.exceptions.SSLError, "the TLS connection failed", True),
    (requests.exceptions.ConnectTimeout, f"no connection within {CONNECT_SECONDS:.0f} s", True),
    (requests.exceptions.Timeout, "no answer in time", True),
    (requests.exceptions.ChunkedEncodingError, "the answer broke off", True),
    (requests.exceptions.ConnectionError, "the connection was refused or lost", True),
    (requests.exceptions.RequestException, "the request could not be made", False),
    (urllib3.exceptions.HTTPError, "the answer is not HTTP", True),
    (OSError, "the connection or the disk failed", True),
    (ValueError, "the address or a header is not valid", False),
)

_Result = TypeVar("_Result")


def call(
    method: str,
    url: str,
    limits: Limits,
    headers: Mapping[str, str],
    *,
    consume: Callable[[requests.Response], _Result],
    body: bytes | None = None,
    check_peer: Callable[[str], None] | None = None,
) -> _Result | Failed:
    """Send one request on one new connection, follow nothing, and give the open answer to ``consume``.

    ``check_peer`` is told the address really connected to, before a byte of ours leaves; it raises
    ``OSError`` to stop there.
    """
    line, too_late = _Line(check_peer), f"no whole answer within {limits.total_seconds:.0f} s"
    try:
        request = requests.Request(method, url, headers=dict(headers), data=body).prepare()
        with (
            line.cut_after(limits.total_seconds),
            line.send(request, stream=True, timeout=(CONNECT_SECONDS, limits.read_seconds)) as response,
        ):
            result = consume(response)
    except tuple(kind for kind, *_ in FAILURES) as error:
        sentence, outage = next(told for kind, *told in FAILURES if isinstance(error, kind))
        message = too_late if line.late else f"{sentence} ({type(error).__name__})"
        return Failed(message=message, sent=line.stood, outage=bool(outage))
    finally:
        line.close()
    return Failed(message=too_late, sent=line.stood) if line.late else result


class _Line(HTTPAdapter):
    """One connection for one request: knows whether it ever stood, and is cut at the deadline."""

    def __init__(self, check_peer: Callable[[str], None] | None) -> None:
        super().__init__(max_retries=0)
        self.stood = False
        self.late = False
        self._check_peer = check_peer
        self._socket: socket.socket | None = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = pool.ConnectionCls
        pool.ConnectionCls = lambda **options: self._watched(kind(**options))
        return pool  # type: ignore[no-any-return] # a pool, whose class of connections urllib3 only ever calls

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Shut the socket when time is up: a read timeout alone lets a trickle of bytes go on for ever."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.late = True
        if self._socket is not None:
            try:
                # Past the TLS layer, which would wait for the other side to agree.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def _watched(self, connection: Any) -> HTTPConnection:
        dial, connect = connection._new_conn, connection.connect  # noqa: SLF001 - urllib3 has no other hook there

        def dial_and_check() -> socket.socket:
            # Before TLS says a word: a name may by now lead elsewhere than when it was looked up.
            reached: socket.socket = dial()
            try:
                if self._check_peer is not None:
                    self._check_peer(reached.getpeername()[0])
            except OSError:
                reached.close()
                raise
            return reached

        def connect_and_note() -> None:
            connect()
            self._socket = connection.sock
            if self.late:
                raise TimeoutError
            self.stood = True

        connection._new_conn, connection.connect = dial_and_check, connect_and_note  # noqa: SLF001
        return connection  # type: ignore[no-any-return] # it went in as one
