"""``python -m simulator``: reads the environment, listens, and says where."""

import logging
import os
import signal
import sys
import threading
from types import FrameType

from simulator.app import build_app, build_parts, build_server, stop
from simulator.settings import Settings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as nonsense:
        sys.exit(str(nonsense))
    parts = build_parts(settings)
    server = build_server(build_app(parts), settings)

    def leave(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    sys.stdout.write(f"simulator ready at http://{settings.host}:{server.port}\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    stop(parts)


if __name__ == "__main__":
    main()
