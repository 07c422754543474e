"""What the modules of the embedded servers have in common: the shape of a server, and where its binary came from."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.stack.processes import Account, Program

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of the stack: how to run it, and what the application must know to reach it.

    ``first`` are one-shot programs that fill an empty ``data`` folder.
    """

    program: Program
    data: Path
    origin: str
    settings: Mapping[str, str]
    first: tuple[Program, ...] = ()


def bare_environment(**more: str) -> dict[str, str]:
    """The environment of a server: nothing of ours, nothing secret, one locale and one time zone."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **more}


def prefers_system() -> bool:
    """Whether the system's own servers go before those that the locked packages bring."""
    return os.environ.get("DAILIES_PREFER_SYSTEM") == "1"


def on_path(*names: str) -> Path | None:
    """The first of these programs that the PATH knows."""
    return first(Path(found) for name in names if (found := shutil.which(name)))


def first(candidates: Iterable[Path]) -> Path | None:
    """The first candidate, if there is one."""
    return next(iter(candidates), None)


def make_data(server: Server) -> None:
    """An empty data folder that belongs to whoever the server runs as."""
    shutil.rmtree(server.data, ignore_errors=True)
    server.data.mkdir(mode=0o700)
    hand_over(server.program.run_as, server.data)


def hand_over(account: Account | None, *paths: Path) -> None:
    """Give files to the account that a server runs as."""
    if account:
        for path in paths:
            os.chown(path, account.uid, account.gid)
