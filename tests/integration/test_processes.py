"""Children and their descendants, for real: they die with their owner, and come back when they should."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack.folder import LOCK, RunFolder
from cli.stack.processes import NotReadyError, Process, Program, StackError, Watchdog
from cli.stack.supervisor import Supervisor
from tests.processes import ROOT, eventually, living

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")

SLEEP = "import time; time.sleep(600)"
# A process with two children that ask nobody: one as pools have them, one in a session of its own, as ffmpeg is.
FAMILY = f"""
import subprocess, sys
subprocess.Popen([sys.executable, '-c', {SLEEP!r}])
subprocess.run([sys.executable, '-c', {SLEEP!r}], start_new_session=True)
"""
OWNER = f"""
import os, sys, time
from pathlib import Path
from cli.stack.processes import Process, Program, Watchdog
command = (sys.executable, "-c", {FAMILY!r})
program = Program(name="family", command=command, environment=dict(os.environ), folder=Path("/"))
watchdog = Watchdog()
Process(program, watchdog, Path(sys.argv[1])).start()
print(watchdog.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """Words that only the processes of this test carry in their environment."""
    return f"mark-of-{tmp_path}"


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watching = Watchdog()
    yield watching
    watching.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    watching = Supervisor(tmp_path / "supervisor.log")
    yield watching
    watching.close()


def child(watchdog: Watchdog, logs: Path, script: str, mark: str = "") -> Process:
    command = (sys.executable, "-c", script)
    environment = {**os.environ, "MARK": mark}
    return Process(Program(name="child", command=command, environment=environment, folder=Path("/")), watchdog, logs)


def owner(folder: Path, mark: str) -> subprocess.Popen[str]:
    """A process of its own that owns a family."""
    running = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        cwd=ROOT,
        env={**os.environ, "MARK": mark},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    eventually(lambda: len(living(mark)) == 5)  # the owner, its watchdog, the parent and two children
    return running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_descendants_die_with_their_owner_however_it_ends(number: signal.Signals, tmp_path: Path, mark: str) -> None:
    with owner(tmp_path, mark) as running:
        running.send_signal(number)
    eventually(lambda: not living(mark))


def test_children_die_with_their_owner_even_without_the_watchdog(tmp_path: Path, mark: str) -> None:
    with owner(tmp_path, mark) as running:
        assert running.stdout
        os.kill(int(running.stdout.readline()), signal.SIGKILL)
        running.kill()
    eventually(lambda: len(living(mark)) == 2)
    for orphan in living(mark):
        os.kill(orphan, signal.SIGKILL)


def test_the_watchdog_survives_what_a_terminal_sends(tmp_path: Path, mark: str) -> None:
    with owner(tmp_path, mark) as running:
        assert running.stdout
        watchdog = int(running.stdout.readline())
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(watchdog, number)
        running.kill()
    eventually(lambda: not living(mark))


def test_a_stopped_process_takes_its_descendants_along(watchdog: Watchdog, tmp_path: Path, mark: str) -> None:
    process = child(watchdog, tmp_path, FAMILY, mark)
    process.start()
    eventually(lambda: len(living(mark)) == 3)
    process.stop()
    assert not living(mark)
    assert process.pid is None


def test_a_killed_process_is_started_again_without_its_old_descendants(
    watchdog: Watchdog, supervisor: Supervisor, tmp_path: Path, mark: str
) -> None:
    process = child(watchdog, tmp_path, FAMILY, mark)
    process.start()
    supervisor.watch(process)
    eventually(lambda: len(living(mark)) == 3)
    before = set(living(mark))
    process.send(signal.SIGKILL)
    eventually(lambda: supervisor.restarts("child") == 1 and len(living(mark)) == 3)
    assert not before & set(living(mark))
    supervisor.release("child")
    process.stop()
    assert "exit code -9, again in 0.5 s" in (tmp_path / "supervisor.log").read_text()


def test_a_released_process_stays_down(watchdog: Watchdog, supervisor: Supervisor, tmp_path: Path) -> None:
    released, watched = child(watchdog, tmp_path, SLEEP), child(watchdog, tmp_path, "pass")
    released.start()
    supervisor.watch(released)
    supervisor.release("child")
    released.stop()
    watched.start()
    supervisor.watch(watched)
    eventually(lambda: supervisor.restarts("child") == 1)  # the supervisor had its time, and used it on the other
    assert released.pid is None
    supervisor.release("child")
    watched.stop()


def test_a_process_that_ends_before_it_answers_shows_its_last_words(watchdog: Watchdog, tmp_path: Path) -> None:
    process = child(watchdog, tmp_path, "raise SystemExit('the port is taken')")
    process.start()
    eventually(lambda: process.exit_code is not None)
    with pytest.raises(StackError, match=r"child stopped with exit code 1:\nthe port is taken"):
        process.wait_until_ready()
    process.stop()


def test_a_process_that_never_answers_is_given_up(watchdog: Watchdog, tmp_path: Path) -> None:
    def ready() -> None:
        raise NotReadyError("nobody there")

    command = (sys.executable, "-c", SLEEP)
    mute = Program(name="mute", command=command, environment=dict(os.environ), folder=Path("/"), ready=ready)
    process = Process(mute, watchdog, tmp_path)
    process.start()
    with pytest.raises(StackError, match="mute does not answer \\(nobody there\\)"):
        process.wait_until_ready(seconds=0)
    process.stop()


def test_a_command_that_does_not_exist_is_named(watchdog: Watchdog, tmp_path: Path) -> None:
    program = Program(name="typo", command=("no-such-command",), environment={"PATH": "/bin"}, folder=Path("/"))
    with pytest.raises(StackError, match="no-such-command can't be started"):
        Process(program, watchdog, tmp_path).run()


def test_a_one_shot_program_that_fails_shows_its_last_words(watchdog: Watchdog, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="child ended with exit code 3:\nno table"):
        child(watchdog, tmp_path, "print('no table'); raise SystemExit(3)").run()


def test_a_child_started_by_a_passing_thread_lives_on(watchdog: Watchdog, tmp_path: Path) -> None:

    process = child(watchdog, tmp_path, SLEEP)
    passing = threading.Thread(target=process.start)
    passing.start()
    passing.join()
    time.sleep(0.2)  # a parent-death signal for the thread's end would have come by now
    assert process.pid is not None
    process.stop()


def test_a_dead_owner_s_folder_is_removed_by_the_next_run() -> None:
    script = "from cli.stack.folder import RunFolder; print(RunFolder().path)"
    asked = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    left = Path(asked.stdout.strip())
    assert (left / LOCK).exists()
    RunFolder().remove()
    assert not left.exists()


def test_the_folder_of_a_living_owner_stays() -> None:
    first = RunFolder()
    second = RunFolder()
    assert first.path != second.path
    assert (first.path / LOCK).exists()
    first.remove()
    second.remove()
    assert not first.path.exists()
