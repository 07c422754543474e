"""Free loopback ports that stay ours while a server is down, so that it can come back at the same address."""

import socket
import sys


class Port:
    """A loopback port, held until ``release()``.

    On Linux the holder stays bound without listening, and only afterwards allows address reuse: servers (which all
    set it) can still bind, everybody else who asks for a free port is refused, and no outgoing connection gets it.
    Elsewhere the port is merely free at the time of asking.
    """

    def __init__(self) -> None:
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._holder.bind(("127.0.0.1", 0))
        self.number: int = self._holder.getsockname()[1]
        if sys.platform == "linux":
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            self._holder.close()

    def release(self) -> None:
        """Let others have the port."""
        self._holder.close()
