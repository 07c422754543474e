"""A customer's own web server on loopback: pictures under paths, and who asked for them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Pictures(ThreadingHTTPServer):
    """Serves what was put under a path, as (status, content); everything else is 404."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []

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

    def put(self, name: str, content: bytes, status: int = 200) -> str:
        """The link under which this is served from now on."""
        self.files[f"/{name}"] = (status, content)
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: Pictures

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, content = self.server.files.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the base class's
        """Keep the test output clean."""
