"""One child process: start on the leash, wait until it answers, read its log, stop it with all its descendants."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli.stack import watchdog
from pipeline.domain.errors import DailiesError

HERE = Path(__file__).parent
STOP_SECONDS = 15.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.03
TAIL_LINES = 25


class StackError(DailiesError):
    """The local stack can't do what was asked; the sentence says what to do, or shows the log that knows."""


class NotReadyError(Exception):
    """A process runs but does not answer yet."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The user that a child becomes, when it may not be root."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run, and how it likes to be treated. ``ready`` raises ``NotReadyError`` until the process answers."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    ready: Callable[[], None] = lambda: None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  #: what it gets when the stack's owner is gone
    run_as: Account | None = None
    niceness: int = 0  #: how much it gives way to the others


class Watchdog:
    """Starts children so that neither they nor their descendants outlive this process."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        reader, self._pipe = os.pipe()
        script = [sys.executable, "-I", "-S", str(HERE / "watchdog.py"), self._mark]
        self._script = subprocess.Popen(script, stdin=reader, start_new_session=True)
        os.close(reader)
        # A parent-death signal comes at the death of the *thread* that started the child, so one thread starts them
        # all and lives as long as the stack.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stack-starter")

    @property
    def pid(self) -> int:
        """The process id of the script that watches."""
        return self._script.pid

    def start(self, program: Program, log: Path) -> subprocess.Popen[bytes]:
        """Start a program as the leader of a group that the watchdog knows."""
        return self._starter.submit(self._start, program, log).result()

    def clear(self, name: str, group: int) -> None:
        """Kill what is left of a program: its group, and descendants that left it."""
        watchdog.kill_group(group)
        watchdog.kill_marked(self._mark_of(name))
        os.write(self._pipe, b"-%d\n" % group)

    def close(self) -> None:
        """Kill whatever is left and stop watching."""
        os.close(self._pipe)
        self._script.wait()
        self._starter.shutdown()

    def _start(self, program: Program, log: Path) -> subprocess.Popen[bytes]:
        account = (str(program.run_as.uid), str(program.run_as.gid)) if program.run_as else ("-", "-")
        leash = [sys.executable, "-I", "-S", str(HERE / "leash.py"), str(self._pipe), str(os.getpid())]
        with log.open("ab") as output:
            return subprocess.Popen(
                [*leash, str(int(program.death_signal)), str(program.niceness), *account, *program.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=program.folder,
                env={**program.environment, watchdog.VARIABLE: self._mark_of(program.name)},
                pass_fds=[self._pipe],
            )

    def _mark_of(self, name: str) -> str:
        return f"{self._mark}:{name};"


class Process:
    """A program that can be started, asked, stopped, killed and started again."""

    def __init__(self, program: Program, watchdog: Watchdog, log_folder: Path) -> None:
        self.program = program
        self.log = log_folder / f"{program.name}.log"
        self._watchdog = watchdog
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last run ended; None while it runs or before the first start."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Start it; the log goes on where it was."""
        self.clear()
        self._child = self._watchdog.start(self.program, self.log)

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when it answers; raise ``StackError`` with its last words when it does not."""
        give_up_at = time.monotonic() + seconds
        while True:
            if (code := self.exit_code) is not None:
                raise StackError(f"{self.program.name} stopped with exit code {code}:\n{self.tail()}")
            try:
                return self.program.ready()
            except NotReadyError as error:
                if time.monotonic() > give_up_at:
                    raise StackError(f"{self.program.name} does not answer ({error}):\n{self.tail()}") from error
            time.sleep(POLL_SECONDS)

    def run(self, seconds: float = READY_SECONDS) -> None:
        """Run a one-shot program to its end; raise ``StackError`` with its last words when it fails."""
        self.start()
        code = self._wait(seconds)
        self.clear()
        if code != 0:
            raise StackError(f"{self.program.name} ended with exit code {code}:\n{self.tail()}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its descendants."""
        if self._child:
            self._child.send_signal(number)

    def finish(self, seconds: float = STOP_SECONDS) -> None:
        """Wait for the end that was asked for, then take away whatever is left of its group."""
        self._wait(seconds)
        self.clear()

    def stop(self) -> None:
        """Ask it to stop, wait, insist."""
        self.send(self.program.stop_signal)
        self.finish()

    def kill(self) -> None:
        """SIGKILL, to the process and all of its group."""
        self.send(signal.SIGKILL)
        self.finish()

    def clear(self) -> None:
        """Take away what is left of the last run: the process, and descendants that outlived it."""
        if self._child is None:
            return
        self._watchdog.clear(self.program.name, self._child.pid)
        self._child.wait()
        self._child = None

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _wait(self, seconds: float) -> int | None:
        if self._child is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(seconds)
        return None
