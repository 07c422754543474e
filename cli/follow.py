"""Hears everything about one job: over Socket.IO, kept alive by itself, with the job document as a safety net.

Stored events are handed on once each and in the order of their numbers, whatever the network did to them; a gap that
does not fill by itself is filled from the server. Behind a proxy that knows no WebSocket the documents alone serve.
"""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import socketio
from socketio.exceptions import SocketIOError

from cli.client import Client, Refused, Unreachable

NAMESPACE = "/jobs"
_LOOK_SECONDS = 5.0
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_ANSWER_SECONDS = 10.0
_GIVE_UP_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event in its wire form; ``snapshot`` has a job document in ``payload["snapshot"]``."""

    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Offline:
    """Nobody answers just now; it is tried again."""


News = Told | Offline


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """The server's answer to a subscription: a document that includes every event up to ``seq``."""

    seq: int
    snapshot: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """A document read over HTTP; ``seq`` was known before it was asked for."""

    seq: int
    document: Mapping[str, Any]


class Follower:
    """Follows a job between ``with`` and its end. Use from one thread; others do the listening."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._client = client
        self._job_id = job_id
        self._mail: queue.SimpleQueue[Told | Offline | _Joined | _Looked | Exception] = queue.SimpleQueue()
        self._seq = 0
        self._has_joined = False
        self._early: dict[int, Told] = {}
        self._look = threading.Event()
        self._join_again = threading.Event()
        self._stopped = False
        self._socket = self._new_socket()
        self._listener = threading.Thread(target=self._listen, name="follower", daemon=True)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The listener hangs up by itself: the farewell of a WebSocket takes seconds, and nobody has to wait for it.
        self._stopped = True
        self._look.set()

    def news(self, wait_seconds: float) -> Iterator[News]:
        """What came in since; waits a little for the first. Raises Refused, and Unreachable after long silence."""
        with suppress(queue.Empty):
            yield from self._sorted(self._mail.get(timeout=wait_seconds))
            while True:
                yield from self._sorted(self._mail.get_nowait())

    def look_again(self) -> None:
        """Read the job document now."""
        self._look.set()

    # ── in the caller's thread: order ──

    def _sorted(self, letter: Told | Offline | _Joined | _Looked | Exception) -> Iterator[News]:
        if isinstance(letter, Exception):
            raise letter
        if isinstance(letter, Offline):
            yield letter
        elif isinstance(letter, _Joined):
            yield from self._joined(letter)
        elif isinstance(letter, _Looked):
            # an event that came meanwhile may be younger than the document
            if letter.seq == self._seq:
                yield self._snapshot(letter.document)
        elif isinstance(letter.payload.get("seq"), int):
            self._early[letter.payload["seq"]] = letter
            yield from self._in_order()
            if self._early and self._has_joined:
                self._ask_again()
        else:
            yield letter

    def _joined(self, letter: _Joined) -> Iterator[News]:
        missed = [Told(type=each["type"], payload=each["payload"] | {"seq": each["seq"]}) for each in letter.events]
        if self._has_joined:
            self._early |= {each.payload["seq"]: each for each in missed}
            yield from self._in_order()
        if self._has_joined and missed and self._seq < letter.seq:
            self._ask_again()  # the server tells its events page by page
            return
        self._has_joined = True
        if letter.seq >= self._seq:
            self._seq = letter.seq
            yield self._snapshot(letter.snapshot)
            yield from self._in_order()
        if self._early:
            self._ask_again()

    def _in_order(self) -> Iterator[News]:
        self._early = {seq: told for seq, told in self._early.items() if seq > self._seq}
        while (told := self._early.pop(self._seq + 1, None)) is not None:
            self._seq += 1
            yield told

    def _ask_again(self) -> None:
        self._join_again.set()
        self._look.set()

    def _snapshot(self, document: Mapping[str, Any]) -> Told:
        return Told(type="snapshot", payload={"seq": self._seq, "job_id": self._job_id, "snapshot": document})

    # ── in the listener's thread: the network ──

    def _listen(self) -> None:
        try:
            self._listen_until_stopped()
        finally:
            with suppress(SocketIOError):
                self._socket.disconnect()

    def _listen_until_stopped(self) -> None:
        heard_at, failures = time.monotonic(), 0
        while not self._stopped:
            self._look.clear()
            self._connect()
            try:
                self._mail.put(self._read())
                heard_at, failures = time.monotonic(), 0
            except Unreachable as error:
                self._mail.put(error if time.monotonic() > heard_at + _GIVE_UP_SECONDS else Offline())
                failures += 1
            except Refused as error:
                self._mail.put(Offline() if error.retryable else error)
                failures += 1
            pause = _PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS)) - 1] if failures else _LOOK_SECONDS
            self._look.wait(pause)

    def _read(self) -> _Looked:
        seq = self._seq
        return _Looked(seq=seq, document=self._client.job(self._job_id))

    def _connect(self) -> None:
        try:
            if not self._socket.connected:
                self._socket.connect(
                    self._client.base_url,
                    auth={"token": self._client.api_key},
                    transports=["websocket"],
                    namespaces=[NAMESPACE],
                    socketio_path=urlsplit(self._client.base_url).path.strip("/") + "/socket.io",
                    wait_timeout=_ANSWER_SECONDS,
                )
                self._join_again.set()
            if self._join_again.is_set():
                self._subscribe()
        except (SocketIOError, OSError, ValueError):
            self._join_again.set()  # until then the documents have to do

    def _subscribe(self) -> None:
        ask = {"job_id": self._job_id} | ({"after": self._seq} if self._has_joined else {})
        self._join_again.clear()
        answer = self._socket.call("subscribe", ask, namespace=NAMESPACE, timeout=_ANSWER_SECONDS)
        if isinstance(answer, dict) and isinstance(answer.get("snapshot"), dict):
            events = tuple(answer.get("events") or ())
            self._mail.put(_Joined(seq=answer.get("seq") or 0, snapshot=answer["snapshot"], events=events))

    def _new_socket(self) -> Any:
        socket = socketio.Client(reconnection=False, handle_sigint=False, request_timeout=_ANSWER_SECONDS)

        def heard(name: str, *data: Any) -> None:
            payload = data[0] if data and isinstance(data[0], dict) else {}
            if payload.get("job_id") == self._job_id:
                self._mail.put(Told(type=name, payload=payload))

        socket.on("*", heard, namespace=NAMESPACE)
        socket.on("disconnect", lambda *_: self._look.set(), namespace=NAMESPACE)
        return socket
