"""One event loop serves everything: on a machine shared with what is measured, a thread per request costs too much."""

from flask import Flask
from gevent.pywsgi import WSGIServer

WAITING_CONNECTIONS = 1024
FAREWELL_SECONDS = 0.5


class Server:
    """Listens from the start; answers between ``start`` and ``stop``."""

    def __init__(self, app: Flask, host: str, port: int) -> None:
        self._wsgi = WSGIServer((host, port), app, backlog=WAITING_CONNECTIONS, log=None)
        self._wsgi.init_socket()

    @property
    def port(self) -> int:
        """The port, also where any free one was asked for."""
        return int(self._wsgi.server_port or 0)

    def start(self) -> None:
        self._wsgi.start()

    def stop(self) -> None:
        """Let running answers end, but not for long."""
        self._wsgi.stop(timeout=FAREWELL_SECONDS)
