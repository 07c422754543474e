"""A simulator as a process of its own, that can be killed and started again, and somebody who gets its webhooks."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar

import imageio_ffmpeg
import requests

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "r8_simulated"
MODEL = "bytedance/seedance-1-pro-fast"
PATIENCE_SECONDS = 30.0
QUICK = {"SIMULATOR_RENDER_SECONDS": "0.3", "SIMULATOR_FRAME_HEIGHT": "120"}

Answer = TypeVar("Answer")


def eventually(question: Callable[[], Answer], *, patience_seconds: float = PATIENCE_SECONDS) -> Answer:
    """Ask until the answer is true, and give it."""
    give_up_at = time.monotonic() + patience_seconds
    while not (answer := question()):
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.02)
    return answer


@dataclass
class SimulatorProcess:
    """``python -m simulator`` with its data folder; the environment holds the SIMULATOR_ settings."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""
    token: str = TOKEN

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Start it and wait for its ready line."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SIMULATOR_")}
        self._log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulator"],
            cwd=ROOT,
            env=inherited | {"SIMULATOR_DIR": str(self.folder)} | self.environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout
        words = self._process.stdout.readline().split()
        assert words[:3] == ["simulator", "ready", "at"], "the simulator did not start; see its log"
        self.url = words[3]

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Kill it without a word (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop it in good order; its exit code."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def _end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        code = self._process.wait(timeout=20)
        assert self._process.stdout
        self._process.stdout.close()
        self._log.close()
        return code

    def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> requests.Response:
        """One request with a token; ``path`` may be a whole address."""
        address = path if path.startswith("http") else self.url + path
        headers = {"Authorization": f"Bearer {token or self.token}"} | more.pop("headers", {})
        return requests.request(method, address, headers=headers, timeout=more.pop("timeout", 30), **more)

    def create(self, prompt: str = "a lighthouse", *, fault: str = "", **body: Any) -> requests.Response:
        """Order a clip. More inputs go in ``input``, headers in ``headers``, everything else into the body."""
        more = {name: body.pop(name) for name in ("headers", "token", "timeout") if name in body}
        given = {"prompt": prompt, "duration": 2} | body.pop("input", {})
        headers = more.pop("headers", {}) | ({"X-Sim-Fault": fault} if fault else {})
        path = f"/v1/models/{MODEL}/predictions"
        return self.call("POST", path, json={"input": given, **body}, headers=headers, **more)

    def get(self, prediction_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/v1/predictions/{prediction_id}").json())

    def ended(self, prediction_id: str) -> dict[str, Any]:
        """The prediction, once it has ended."""
        eventually(lambda: self.get(prediction_id)["status"] not in {"starting", "processing"})
        return self.get(prediction_id)

    def finished(self, prompt: str = "a lighthouse", **body: Any) -> dict[str, Any]:
        """Order a clip and wait for its end."""
        answer = self.create(prompt, **body)
        assert answer.status_code == 201, answer.text
        return self.ended(answer.json()["id"])

    def control(self, path: str, method: str = "GET", **body: Any) -> Any:
        """Ask the control port."""
        answer = requests.request(method, f"{self.url}/_sim/{path}", json=body or None, timeout=10)
        answer.raise_for_status()
        return answer.json()


@dataclass(frozen=True)
class Letter:
    """One webhook as it arrived."""

    path: str
    headers: dict[str, str]
    body: str


class Mailbox:
    """Receives webhooks; ``answers`` are the statuses of the next ones, 200 once they are used up."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.answers: list[int] = []
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                mailbox.letters.append(Letter(self.path, headers, body))
                self.send_response(mailbox.answers.pop(0) if mailbox.answers else 200)
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int, path: str) -> list[Letter]:
        """The letters of a path, once there are so many."""
        return eventually(lambda: [*self._of(path)] if len(self._of(path)) >= count else [])

    def _of(self, path: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.path == path]


def described(path: Path) -> str:
    """What ffmpeg says about a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def fetched(url: str, folder: Path) -> str:
    """Fetch a file and describe it."""
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200
    path = folder / "fetched"
    path.write_bytes(answer.content)
    return described(path)


def duration_seconds(description: str) -> float:
    hours, minutes, seconds = re.findall(r"Duration: (\d+):(\d+):([\d.]+)", description)[0]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
