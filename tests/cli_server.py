"""A small real server that speaks the API's words, for tests of the command line: HTTP and Socket.IO on loopback."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import Namespace, SocketIO, join_room
from werkzeug.serving import BaseWSGIServer, make_server

KEY = "dailies_of_a_test"
JOB = "6b1f6d1e-5f0a-4d3e-9a53-0c1f4a3a0001"

Step = Callable[[], None]


class CliServer:
    """One job and its events. ``story`` is played, one step after the other, once somebody subscribes."""

    def __init__(self, clips: int = 2, *, sockets: bool = True) -> None:
        self.job: dict[str, Any] = new_job(clips)
        self.account: dict[str, Any] = new_account()
        self.events: list[dict[str, Any]] = []
        self.story: list[Step] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.subscribed = 0
        self.key = KEY
        self._lock = threading.RLock()
        self._teller: threading.Thread | None = None
        self._app = Flask(__name__)
        self._socketio = SocketIO(self._app if sockets else None, async_mode="threading")
        self._socketio.on_namespace(_Watchers(self))
        _job_routes(self._app, self)
        _other_routes(self._app, self)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, the second time at the same address."""
        self._server = make_server("127.0.0.1", self.port, self._app, threaded=True)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the door and hang up on everybody."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = None
        if self._socketio.server:
            for sid, _ in list(self._socketio.server.manager.get_participants("/jobs", None)):
                self._socketio.server.disconnect(sid, namespace="/jobs")

    def tell(self, type_: str, *, lost: bool = False, **payload: Any) -> None:
        """Store an event and tell it; a lost one reaches nobody."""
        with self._lock:
            seq = len(self.events) + 1
            payload = {"seq": seq, "job_id": JOB, **payload}
            self.events.append({"type": type_, "seq": seq, "payload": payload})
        if not lost:
            self.emit(type_, payload)

    def emit(self, type_: str, payload: dict[str, Any]) -> None:
        """Tell something that is not stored."""
        if self._socketio.server:
            self._socketio.emit(type_, {"job_id": JOB, **payload}, namespace="/jobs", to=JOB)

    def clip(self, index: int, **changes: Any) -> None:
        """Change a clip of the document."""
        with self._lock:
            self.job["video_clips"][index] |= changes

    def finish_clip(self, index: int, *, lost: bool = False) -> None:
        """A clip is saved: the document first, then the events, as the real server does."""
        self.clip(index, status="complete", state="done", progress=100, duration=5.0, cost_cents=62, attempts=1)
        self.tell("video_progress", index=index, progress=100, status="complete", lost=lost)
        self.tell("video_complete", index=index, url="http://files.example/clip.mp4", duration=5.0, lost=lost)

    def fail_clip(self, index: int, message: str) -> None:
        """A clip failed for good."""
        error = {"code": "moderated", "message": message, "retryable": False}
        self.clip(index, status="failed", state="failed", error=error)
        self.tell("video_progress", index=index, progress=0, status="failed")
        self.tell("video_failed", index=index, error=error)

    def end(self, state: str) -> None:
        """The job is over."""
        with self._lock:
            self.job |= {"state": state, "finished_at": "2026-01-02T03:04:47Z", "actual_cents": 124}
        self.tell("job_complete", state=state, film_url=None, total_seconds=40.0, actual_cents=124)

    def snapshot(self) -> tuple[dict[str, Any], int]:
        with self._lock:
            return {**self.job, "video_clips": [dict(clip) for clip in self.job["video_clips"]]}, len(self.events)

    def somebody_subscribed(self) -> None:
        self.subscribed += 1
        if self._teller is None:
            self._teller = threading.Thread(target=self._tell_the_story, daemon=True)
            self._teller.start()

    def _tell_the_story(self) -> None:
        for step in self.story:
            step()


@contextmanager
def running(clips: int = 2, *, sockets: bool = True) -> Iterator[CliServer]:
    """A server for one test; without sockets it is one behind a proxy that knows no WebSocket."""
    server = CliServer(clips, sockets=sockets)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def new_job(clips: int) -> dict[str, Any]:
    """The document of a job that was just taken in."""
    return {
        "id": JOB,
        "title": "The lighthouse",
        "state": "running",
        "progress": 0,
        "created_at": "2026-01-02T03:04:05Z",
        "started_at": "2026-01-02T03:04:06Z",
        "finished_at": None,
        "actual_cents": 0,
        "estimate_cents": 124,
        "links": {"self": f"/v1/jobs/{JOB}", "page": f"/jobs/{JOB}"},
        "film": None,
        "video_clips": [new_clip(index) for index in range(clips)],
    }


def new_clip(index: int) -> dict[str, Any]:
    """A clip of which nothing has begun."""
    return {
        "clip_id": f"clip-{index}",
        "index": index,
        "description": f"Shot {index + 1}: waves against a black rock, a small lit window far above",
        "status": "queued",
        "state": "waiting",
        "progress": 0,
        "model": "replicate/seedance-1-pro",
        "provider": "replicate",
        "attempts": 0,
        "waiting": None,
        "error": None,
        "duration": None,
        "cost_cents": 0,
        "created_at": "2026-01-02T03:04:05Z",
        "finished_at": None,
    }


def new_account() -> dict[str, Any]:
    """An account with slots of two owners, in the middle of its work."""
    return {
        "name": "replicate",
        "provider": "replicate",
        "limits": {
            "slots": 5,
            "set": {"slots": 4, "floor": 1, "ceiling": 8},
            "windows": [{"name": "create", "requests": 600, "seconds": 60.0, "used": 7}],
            "learned": [{"slots": 5, "in_flight": 4, "why": "accepted", "at": "2026-01-02T03:04:05Z"}],
        },
        "slots": {
            "in_use": 3,
            "free": 2,
            "yours": 1,
            "others": 2,
            "holders": [{"job_id": JOB, "clip_id": "clip-0", "model": "replicate/x", "held_seconds": 12.3}],
        },
        "line": {"length": 9, "yours": 4},
        "blocked_seconds": 0.0,
        "blocked_until": None,
        "breakers": [],
        "spend": {"today_cents": 124, "total_cents": 3010},
    }


def problem(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> Response:
    """A refusal as the API says it."""
    body = {"code": code, "detail": detail, "status": status, "errors": errors or [], "request_id": "r-1"}
    response = jsonify(body)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


class _Watchers(Namespace):  # type: ignore[misc]  # flask_socketio is untyped
    def __init__(self, server: CliServer) -> None:
        super().__init__("/jobs")
        self._told_by = server

    def on_connect(self, auth: Any = None) -> None:
        if auth != {"token": self._told_by.key}:
            raise Refused("unauthorized")

    def on_subscribe(self, asked: dict[str, Any]) -> dict[str, Any]:
        join_room(asked["job_id"])
        document, seq = self._told_by.snapshot()
        after = asked.get("after")
        events = [] if after is None else self._told_by.events[after:]
        self._told_by.somebody_subscribed()
        return {"snapshot": document, "seq": seq, "events": events}


def _job_routes(app: Flask, server: CliServer) -> None:
    @app.post("/v1/jobs")
    def submit() -> Response | tuple[Response, int]:
        if not (request.get_json() or {}).get("scenes"):
            error = {"field": "scenes", "value": 0, "allowed": {"min": 1, "max": 200}, "message": "this can't be empty"}
            return problem(422, "validation_failed", "scenes: this can't be empty", [error])
        if request.args.get("dry_run"):
            scene = {"index": 0, "model": "replicate/x", "target_seconds": 5, "asked_seconds": 6, "estimate_cents": 75}
            return jsonify({"dry_run": True, "estimate_cents": 75, "warnings": ["an estimate"], "scenes": [scene]})
        return jsonify({"id": JOB, "state": "queued", "estimate_cents": 124, "warnings": []}), 202

    @app.get("/v1/jobs")
    def jobs() -> Response:
        return jsonify({"jobs": [server.job], "has_more": False, "next_start_index": None})

    @app.get("/v1/jobs/<job_id>")
    def job(job_id: str) -> Response:
        return jsonify(server.snapshot()[0]) if job_id == JOB else problem(404, "not_found", "there is no such job")

    @app.post("/v1/jobs/<job_id>/<path:what>")
    def steer(job_id: str, what: str) -> Response | tuple[Response, int]:
        if what == "cancel" and server.job["state"] != "running":
            return problem(409, "not_in_that_state", f"{job_id} is over")
        return jsonify(server.snapshot()[0]), 202


def _other_routes(app: Flask, server: CliServer) -> None:
    @app.before_request
    def note() -> Response | None:
        body = request.get_json(silent=True)
        server.asked.append((request.method, request.full_path.rstrip("?"), dict(request.headers), body))
        if request.path.startswith("/v1/") and request.headers.get("Authorization") != f"Bearer {server.key}":
            return problem(401, "unauthorized", "send a key")
        return None

    @app.get("/v1/models")
    def models() -> Response:
        row = {
            "model": "replicate/seedance-1-pro",
            "modes": ["text"],
            "aspect_ratios": ["16:9"],
            "durations": {"min": 2, "max": 12},
            "price": {"lines": [{"cents": 12.4, "per": "second"}]},
            "usual_seconds": 60,
        }
        return jsonify({"models": [row]})

    @app.get("/v1/accounts")
    def accounts() -> Response:
        return jsonify({"accounts": [server.account]})

    @app.get("/v1/accounts/<name>")
    def account(name: str) -> Response:
        known = name == server.account["name"]
        return jsonify(server.account) if known else problem(404, "not_found", "there is no such account here")

    @app.get("/readyz")
    def readyz() -> tuple[Response, int]:
        return jsonify({"ready": False, "parts": {"database": True, "redis": False}}), 503
