"""The whole stack on this machine: embedded servers, the simulator and the processes of docker-compose.yml."""

import contextlib
import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.stack import compose, environment
from cli.stack.folder import RunFolder
from cli.stack.ports import Port
from cli.stack.postgres import postgres
from cli.stack.processes import STOP_SECONDS, NotReadyError, Process, Program, StackError, Watchdog
from cli.stack.s3 import s3
from cli.stack.server import ROOT, Server, make_data
from cli.stack.supervisor import Supervisor
from cli.stack.valkey import valkey

# Each server, and the variable with which the caller brings his own.
SERVERS: dict[str, tuple[Callable[[Path, Port], Server], str]] = {
    "redis": (valkey, "REDIS_URL"),
    "postgres": (postgres, "DATABASE_URL"),
    "s3": (s3, "S3_ENDPOINT_URL"),
}
PULSE = {"api": "/readyz", "flower": "/healthcheck", "simulator": "/_sim/stats"}
# On one machine pictures wait for requests: whoever only renders gives way to whoever answers a person.
NICENESS = {"worker-io": 2, "worker-fetch": 12, "worker-media": 15, "simulator": 10}
COMMAND_SECONDS = 60
RESTARTS, RESTART_SECONDS = 5, 1.0


def silent(_words: str) -> None:
    """Say nothing about where things come from."""


class Stack:
    """Starts on ``with``, and takes everything away after it.

    ``services`` names the services of docker-compose.yml to run (default: all); ``more`` is set on top of the caller's
    environment. Servers whose address is set there, and the simulator when a provider's key is, are not started.
    With ``keep_logs`` the logs are copied into that folder at the end.
    """

    def __init__(
        self,
        services: Collection[str] | None = None,
        more: Mapping[str, str] | None = None,
        announce: Callable[[str], None] = silent,
        keep_logs: Path | None = None,
    ) -> None:
        self._compose = compose.read()
        self._wanted = set(self._compose if services is None else services)
        self._announce = announce
        self._keep_logs = keep_logs
        self.environment = environment.base(more or {})
        self.servers: dict[str, Server] = {}
        self.processes: dict[str, Process] = {}
        self._folder = RunFolder()
        self.log_folder = self._folder.private("logs")
        self._watchdog = Watchdog()
        self._supervisor = Supervisor(self.log_folder / "supervisor.log")
        self._ports = {name: Port() for name in (*SERVERS, *PULSE)}
        self.addresses = environment.Addresses(**{name: self._ports[name].number for name in PULSE})

    def __enter__(self) -> Self:
        try:
            self._start_servers()
            self.environment = environment.complete(self.environment, self.addresses, self._folder.private("work"))
            self._start_processes()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def names(self) -> list[str]:
        """What runs here, servers first."""
        return list(self.processes)

    def pid(self, name: str) -> int | None:
        """The process id of a service while it runs."""
        return self.processes[name].pid

    def restarts(self, name: str) -> int:
        """How often the supervisor started an application process again."""
        return self._supervisor.restarts(name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one service. Application processes come back by themselves, servers do not."""
        self.processes[name].send(number)

    def stop(self, name: str) -> None:
        """Stop one service until ``start``."""
        self._supervisor.release(name)
        self.processes[name].stop()

    def start(self, name: str) -> None:
        """Start a stopped or killed service at its old address and wait until it answers."""
        process = self.processes[name]
        process.start()
        if name in self.servers:
            self._insist(process)
        else:
            self._supervisor.watch(process)
            process.wait_until_ready()

    def restart(self, name: str, *, keep_data: bool = True) -> None:
        """Stop and start one service at the same address; a server with its data or with none."""
        self.stop(name)
        if not keep_data:
            self._empty(self.servers[name])
        self.start(name)

    def wait_until_ready(self, name: str) -> None:
        """Wait until a service answers, for example after ``kill``."""
        self.processes[name].wait_until_ready()

    def run(self, *command: str) -> str:
        """Run a command to its end in the environment of the stack; its standard output."""
        ended = subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if ended.returncode != 0:
            raise StackError(f"{command[0]} failed: {(ended.stderr or ended.stdout).strip()}")
        return ended.stdout

    def command(self, name: str) -> tuple[str, ...]:
        """What a service of docker-compose.yml runs, in the environment of the stack."""
        return self._compose[name].command_in(self.environment)

    def add(self, name: str, command: Sequence[str], niceness: int = 0) -> None:
        """Run one more command beside the services, in their environment, and keep it running."""
        program = Program(
            name=name, command=tuple(command), niceness=niceness, environment=self.environment, folder=ROOT
        )
        process = self._process(program)
        process.start()
        self._supervisor.watch(process)

    def create_key(self, owner: str = "demo", name: str = "demo") -> str:
        """A new API key."""
        answer = self.run("dailies", "keys", "create", "--owner", owner, "--name", name, "--json")
        return str(json.loads(answer)["key"])

    def close(self) -> None:
        """Stop the application first and the stores last; then nothing is left, not even the run folder."""
        self._supervisor.close()
        application = [process for name, process in self.processes.items() if name not in self.servers]
        self._stop_all(application)
        self._stop_all([self.processes[name] for name in self.servers if name in self.processes])
        self._watchdog.close()
        for port in self._ports.values():
            port.release()
        if self._keep_logs:
            shutil.copytree(self.log_folder, self._keep_logs, dirs_exist_ok=True)
        self._folder.remove()

    @staticmethod
    def _insist(server: Process) -> None:
        """A killed PostgreSQL can't start again before the last of its old processes has noticed."""
        for _ in range(RESTARTS):
            with contextlib.suppress(StackError):
                server.wait_until_ready()
                return
            time.sleep(RESTART_SECONDS)
            server.start()
        server.wait_until_ready()

    def _start_servers(self) -> None:
        wanted = {name: pair for name, pair in SERVERS.items() if name in self._wanted}
        for name, (build, variable) in wanted.items():
            if variable in self.environment:
                self._announce(f"{name}: yours, from {variable}")
                continue
            server = build(self._folder.private(name), self._ports[name])
            self.servers[name] = server
            self.environment |= server.settings
            self._empty(server)
            self._process(server.program).start()
        for name, server in self.servers.items():
            self.processes[name].wait_until_ready()
            self._announce(f"{name}: {server.origin}, 127.0.0.1:{self._ports[name].number}")

    def _start_processes(self) -> None:
        for name in self._locally(compose.Local.ONCE):
            Process(self._program(name), self._watchdog, self.log_folder).run()
        started = [self._process(self._program(name)) for name in self._locally(compose.Local.PROCESS)]
        for process in started:
            process.start()
            self._supervisor.watch(process)
        for process in started:
            process.wait_until_ready()
        if started:
            names = ", ".join(process.program.name for process in started)
            self._announce(f"{names}: the commands of docker-compose.yml")

    def _locally(self, local: compose.Local) -> list[str]:
        simulated = "SIMULATOR_PORT" in self.environment
        return [
            name
            for name, service in self._compose.items()
            if service.local is local and name in self._wanted and (simulated or name != "simulator")
        ]

    def _program(self, name: str) -> Program:
        return Program(
            name=name,
            command=self.command(name),
            niceness=NICENESS.get(name, 0),
            environment=self.environment,
            folder=ROOT,
            ready=lambda: pulse(self._ports[name].number, PULSE[name]) if name in PULSE else None,
        )

    def _process(self, program: Program) -> Process:
        process = Process(program, self._watchdog, self.log_folder)
        self.processes[program.name] = process
        return process

    def _empty(self, server: Server) -> None:
        make_data(server)
        for program in server.first:
            Process(program, self._watchdog, self.log_folder).run()

    @staticmethod
    def _stop_all(processes: list[Process]) -> None:
        for process in processes:
            process.send(process.program.stop_signal)
        give_up_at = time.monotonic() + STOP_SECONDS
        for process in processes:
            process.finish(max(0.0, give_up_at - time.monotonic()))


def pulse(port: int, path: str) -> None:
    """Ask a process for a sign of life, never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://127.0.0.1:{port}{path}", timeout=5).close()
    except (urllib.error.URLError, OSError) as error:
        raise NotReadyError(str(error)) from error
