"""A scripted Replicate on loopback: it answers as told, also as no server should, and remembers its visitors."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from pipeline.providers.protocol import Credentials, Order
from pipeline.providers.replicate import Replicate

TOKEN = "r8_canary_token_of_the_account"
ORDER = Order(model="wan-video/wan-2.5-t2v", input={"prompt": "a lighthouse", "duration": 5, "seed": 4711})
PREDICTION_ID = "q7x2m9k4t1rme0cr5h8vw3zn6g"


def prediction(**changes: Any) -> dict[str, Any]:
    return {
        "id": PREDICTION_ID,
        "model": ORDER.model,
        "version": "hidden",
        "input": dict(ORDER.input),
        "logs": "",
        "output": None,
        "data_removed": False,
        "error": None,
        "status": "starting",
        "source": "api",
        "created_at": "2026-03-01T10:00:00.123456789Z",
        "started_at": None,
        "completed_at": None,
        "metrics": {},
        "urls": {"get": "https://api.replicate.com/v1/predictions/q7x"},
    } | changes


@dataclass(frozen=True)
class Scripted:
    """One answer of the server; ``cut`` ends the body early by so many bytes, ``reset`` says nothing at all."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    reset: bool = False
    garbage: bytes = b""


def answer(status: int, document: Any, **headers: str) -> Scripted:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Server(ThreadingHTTPServer):
    """Answers with the script, one line for each request, the last one for ever; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Scripted] = []
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A server in a thread of its own."""
        with cls() as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield server
            server.shutdown()
            thread.join()

    def forgetful(self) -> Self:
        """The same server as if nobody had ever come."""
        self.seen.clear()
        self.plays(answer(500, {}))
        return self

    def account(self) -> Replicate:
        """The adapter under test, pointed here."""
        return Replicate(Credentials(base_url=self.url, token=TOKEN))

    def plays(self, *script: Scripted) -> None:
        self.script = list(script)

    def next(self) -> Scripted:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._play()

    def do_POST(self) -> None:
        self._play()

    def do_PUT(self) -> None:
        self._play()

    def do_DELETE(self) -> None:
        self._play()

    def do_HEAD(self) -> None:
        self._play()

    def _play(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        line = self.server.next()
        if line.reset:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if line.garbage:
            self.close_connection = True
            self.wfile.write(line.garbage)
            return
        self.send_response(line.status)
        for name, value in {"Content-Length": str(len(line.body)), **line.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(line.body[: len(line.body) - line.cut])
        self.close_connection = self.close_connection or bool(line.cut)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
        """Keep the test output clean."""
