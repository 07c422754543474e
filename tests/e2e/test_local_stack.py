"""The local stack as a person meets it: one command, and afterwards nothing is left but the film."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import psutil
import pytest
import requests

from cli.stack import compose
from cli.stack.stack import Stack
from pipeline.media import Media
from tests.processes import ROOT, eventually, gone, listening, of_family

DEMO = [sys.executable, "-m", "cli", "demo"]
SCENES = json.loads((ROOT / "examples" / "lighthouse.json").read_text())["scenes"]


@contextmanager
def demo(**more: str) -> Iterator[subprocess.Popen[str]]:
    """`dailies demo` in a session of its own, as a terminal would start it."""
    pipe = subprocess.PIPE
    environment = {**os.environ, **more}
    with subprocess.Popen(
        DEMO,
        cwd=ROOT,
        env=environment,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - it touches nothing but this one signal
    ) as running:
        yield running


def heed_interrupts() -> None:
    """Whoever runs the tests in the background ignores Ctrl-C, and everything under it would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_until(running: subprocess.Popen[str], word: str) -> list[str]:
    """The lines that it says up to one with that word in it."""
    assert running.stdout
    lines = []
    for line in running.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"it never said {word}:\n{''.join(lines)}")


@pytest.mark.requirement("R48")
def test_the_demo_ends_with_a_film_and_five_clips_that_play() -> None:
    with demo(SIMULATOR_RENDER_SECONDS="1") as running:
        assert running.stdout
        said = running.stdout.read()
    assert running.returncode == 0, said
    (folder,) = {ROOT / Path(line.split()[-1]).parent for line in said.splitlines() if line.endswith("film.mp4")}
    clips = sorted(folder.glob("0*.mp4"))
    assert [clip.name[:2] for clip in clips] == ["01", "02", "03", "04", "05"]
    media = Media(imageio_ffmpeg.get_ffmpeg_exe())
    lengths = [media.check_clip(clip).duration_seconds for clip in clips]
    assert all(length >= scene["duration"] for length, scene in zip(lengths, SCENES, strict=True))
    film = media.check_clip(folder / "film.mp4")
    assert film.duration_seconds == pytest.approx(sum(scene["duration"] for scene in SCENES), abs=1)
    assert all(clip.name in said for clip in clips)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_demo_that_is_ended_half_way_leaves_no_process(number: signal.Signals) -> None:
    with demo(SIMULATOR_RENDER_SECONDS="300") as running:
        read_until(running, "rendering")
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        running.communicate()
    assert len(family) > len(compose.read()), "processes, and the children of some"
    eventually(lambda: all(gone(each) for each in family))
    assert running.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[number]


def test_a_demo_that_fails_says_so_and_shows_the_logs(tmp_path: Path) -> None:
    storyboard = tmp_path / "storyboard.json"
    storyboard.write_text('{"title": "Nothing", "model": "replicate/no-such-model", "scenes": [{"description": "a"}]}')
    command = [*DEMO, str(storyboard)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "no model 'replicate/no-such-model'" in ended.stderr
    assert "The logs are in var/demo" in ended.stderr


@pytest.mark.requirement("R07")
def test_flower_shows_the_workers_to_who_has_the_password(stack: Stack) -> None:
    workers = f"{stack.addresses.flower_url}/workers?json=1&refresh=1"
    assert requests.get(workers, timeout=10).status_code == 401
    user, _, password = stack.environment["FLOWER_BASIC_AUTH"].partition(":")

    def seen() -> set[str]:
        answer = requests.get(workers, auth=(user, password), timeout=10)
        answer.raise_for_status()
        return {each["hostname"].partition("@")[0] for each in answer.json()["data"]}

    eventually(lambda: seen() == {"io", "fetch", "media"})


def test_nothing_of_the_stack_listens_beyond_loopback(stack: Stack) -> None:
    for name in stack.names:
        assert listening(psutil.Process(stack.pid(name))) <= {"127.0.0.1"}, name


@pytest.mark.requirement("R55")
@pytest.mark.parametrize("name", ["worker-io", "worker-fetch", "worker-media", "beat", "api", "simulator", "flower"])
def test_a_killed_process_comes_back_with_a_new_family(stack: Stack, name: str) -> None:
    before = psutil.Process(stack.pid(name))
    family = (before, *before.children(recursive=True))
    times = stack.restarts(name)
    stack.kill(name)
    eventually(lambda: stack.restarts(name) == times + 1)
    eventually(lambda: all(gone(each) for each in family))
    stack.wait_until_ready(name)
    assert stack.pid(name) not in {each.pid for each in family}


def test_no_secret_stands_in_a_command_line(stack: Stack) -> None:
    names = ("SECRET_KEY", "S3_SECRET_ACCESS_KEY", "REPLICATE_API_TOKEN", "REPLICATE_WEBHOOK_SECRET", "REDIS_URL")
    secrets = {stack.environment[name] for name in names} | {stack.environment["FLOWER_BASIC_AUTH"].partition(":")[2]}
    for name in stack.names:
        for words in of_family(psutil.Process(stack.pid(name)), psutil.Process.cmdline):
            assert not [secret for secret in secrets if secret in " ".join(words)], name
