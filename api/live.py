"""Jobs live over Socket.IO: the server makes the rooms and lets in whoever the job belongs to.

Flask's request hooks do not run for these events, and the session is as old as the connection: so each event asks
anew who holds the key, and a watch ends the sockets of revoked ones.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import request
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import Namespace, SocketIO, join_room

from api import auth
from api.auth import REMEMBERED_SECONDS, Callers, callers
from api.context import services
from pipeline import logs, show
from pipeline.database.keys import Caller
from pipeline.domain.errors import NotFound, RateLimited, Refusal, Unauthorized, Unavailable
from pipeline.progress import CHANNEL, NAMESPACE, owner_room, room

MAX_SOCKETS_PER_OWNER = 200
_MAX_MESSAGE_BYTES = 16_000
_LOG = logs.get(__name__)

Ack = dict[str, Any]


def install(app: Any, *, message_queue: str | None, async_mode: str) -> SocketIO:
    """Serve sockets beside this app; ``message_queue`` is the Redis over which workers emit."""
    server = SocketIO(
        app,
        async_mode=async_mode,
        message_queue=message_queue,
        channel=CHANNEL,
        manage_session=False,
        # Long polling would need each client to meet the same process every time.
        transports=["websocket"],
        max_http_buffer_size=_MAX_MESSAGE_BYTES,
    )
    server.on_namespace(Watchers())
    return server


class Watchers(Namespace):  # type: ignore[misc]  # flask_socketio is untyped
    """Everyone who watches; each method named ``on_…`` is an event that a browser may send."""

    def __init__(self) -> None:
        super().__init__(NAMESPACE)
        self._callers: dict[str, Caller] = {}
        self._watched = False

    def on_connect(self, auth: Any = None) -> None:
        """By the dashboard's session, or by ``{"token": <API key>}``."""
        try:
            caller = _caller(auth)
            self._check_room_for(caller)
        except Refusal as refusal:
            raise Refused(refusal.code) from None
        except Unavailable as error:
            raise Refused(error.code) from None
        self._callers[_sid()] = caller
        self._watch(callers())

    def on_disconnect(self, *_: Any) -> None:
        """The socket is gone; Socket.IO leaves its rooms by itself."""
        self._callers.pop(_sid(), None)

    def on_subscribe(self, asked: Any = None, *_: Any) -> Ack:
        """Watch a job: ``{job_id, after}`` → ``{snapshot, seq, events}``, ``events`` being those after ``after``."""

        def subscribe(caller: Caller) -> Ack:
            job_id, after = _job_id(asked), _after(asked)
            show.owned(services(), caller.owner_id, job_id)
            join_room(room(caller.owner_id, job_id))
            # From here on nothing is missed: what happens now is in the snapshot, or comes into the room, or both.
            document, seq = show.snapshot(services(), caller.owner_id, job_id)
            missed = [] if after is None else show.events_since(services(), caller.owner_id, job_id, after)
            return {"snapshot": document, "seq": seq, "events": missed}

        return self._answer(subscribe)

    def on_subscribe_list(self, *_: Any) -> Ack:
        """Watch one's list of jobs."""

        def subscribe(caller: Caller) -> Ack:
            join_room(owner_room(caller.owner_id))
            return {"ok": True}

        return self._answer(subscribe)

    def _answer(self, question: Callable[[Caller], Ack]) -> Ack:
        try:
            return question(self._known())
        except (Refusal, Unavailable) as error:
            return {"error": error.code}
        except Exception as error:  # noqa: BLE001 - a socket without an ack would wait for ever
            _LOG.error("socket.failed", exc_info=error)
            return {"error": "internal_error"}

    def _known(self) -> Caller:
        """Who this socket belongs to, if their key still lives. Raises Unauthorized."""
        held = self._callers.get(_sid())
        found = callers().by_id(held.key_id) if held else None
        if found is None:
            raise Unauthorized("this key was revoked")
        return found

    def _check_room_for(self, caller: Caller) -> None:
        if sum(held.owner_id == caller.owner_id for held in self._callers.values()) >= MAX_SOCKETS_PER_OWNER:
            raise RateLimited(f"{MAX_SOCKETS_PER_OWNER} sockets are open already; close some")

    def _watch(self, known: Callers) -> None:
        """Start the watch over keys, unless it runs."""
        if self._watched:
            return
        self._watched = True

        def watch() -> None:
            while self._callers:
                self.socketio.sleep(REMEMBERED_SECONDS)
                self.drop_revoked(known)
            self._watched = False

        self.socketio.start_background_task(watch)

    def drop_revoked(self, known: Callers) -> None:
        """Cut the sockets whose key was revoked."""
        for sid, caller in list(self._callers.items()):
            try:
                if known.by_id(caller.key_id) is None:
                    self._callers.pop(sid, None)
                    self.socketio.server.disconnect(sid, namespace=NAMESPACE)
            except Unavailable:
                return


def _sid() -> str:
    """The id that Flask-SocketIO gives to this connection."""
    return str(request.sid)  # type: ignore[attr-defined]


def _caller(told: Any) -> Caller:
    """Raises Unauthorized."""
    if isinstance(told, dict) and isinstance(told.get("token"), str):
        return auth.by_key(told["token"])
    found = auth.by_session()
    if found is None:
        raise Unauthorized("sign in, or send your API key as the token")
    return found


def _job_id(asked: Any) -> UUID:
    try:
        return UUID(asked["job_id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotFound("there is no such job") from None


def _after(asked: dict[str, Any]) -> int | None:
    after = asked.get("after")
    return after if isinstance(after, int) and not isinstance(after, bool) and 0 <= after < 2**62 else None
