"""``python -m simulator``: reads the environment, listens, and says where."""

import logging
import os
import signal
import sys

import gevent
from gevent import monkey
from gevent.event import Event

from simulator.settings import Settings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    monkey.patch_all()
    from simulator.app import build_app, build_parts, stop
    from simulator.server import Server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as nonsense:
        sys.exit(str(nonsense))
    leave = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, leave.set)
    parts = build_parts(settings)
    server = Server(build_app(parts), settings.host, settings.port)
    server.start()
    sys.stdout.write(f"simulator ready at http://{settings.host}:{server.port}\n")
    sys.stdout.flush()
    leave.wait()
    server.stop()
    stop(parts)


if __name__ == "__main__":
    main()
