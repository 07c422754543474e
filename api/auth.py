"""Who is asking, and whether they may: every route says who may use it, and one that says nothing is closed.

Programs send `Authorization: Bearer <key>`; the dashboard has a signed cookie that holds the id of its key and nothing
else. Both end with the key, within `REMEMBERED_SECONDS`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface

from api.context import services
from pipeline.database.keys import Caller, Keys, digest
from pipeline.domain.errors import Forbidden, Unauthorized

REMEMBERED_SECONDS = 5.0
SESSION_DAYS = 7
_MAX_REMEMBERED = 10_000
_CALLERS = "dailies.callers"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGE = ("X-Requested-With", "dailies")

_V = TypeVar("_V", bound=Callable[..., Any])


class Policy(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"  #: anybody: it tells nothing about anybody
    KEY = "key"  #: whoever holds an API key, for what is theirs
    SIGNED = "signed"  #: whoever has the address, which we signed; the route checks it


class Callers:
    """Who holds which key, remembered for a few seconds, so that a poll costs no query."""

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._known: dict[bytes | UUID, tuple[float, Caller]] = {}

    def by_key(self, key: str) -> Caller | None:
        """Who holds this key; None for one that is unknown or revoked."""
        return self._remembered(digest(key), lambda: self._keys.caller(key))

    def by_id(self, key_id: UUID) -> Caller | None:
        """Who holds the key of that id; None when it was revoked."""
        return self._remembered(key_id, lambda: self._keys.caller_by_id(key_id))

    def _remembered(self, name: bytes | UUID, ask: Callable[[], Caller | None]) -> Caller | None:
        until, caller = self._known.get(name, (0.0, None))
        now = self._clock()
        if caller and now < until:
            return caller
        self._known.pop(name, None)
        found = ask()
        if found:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[name] = (now + REMEMBERED_SECONDS, found)
        return found


class _Sessions(SecureCookieSessionInterface):
    """Flask's signed cookie, bound to the host and to TLS wherever there is TLS."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        return request.is_secure

    def get_cookie_name(self, app: Flask) -> str:
        return "__Host-dailies" if self.get_cookie_secure(app) else "dailies"


def install(app: Flask, *, secret_key: str) -> None:
    """Guard every route of this app."""
    app.config.update(
        SECRET_KEY=secret_key,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=SESSION_DAYS),
    )
    app.session_interface = _Sessions()
    with app.app_context():
        app.extensions[_CALLERS] = Callers(services().store.keys)
    app.before_request(_guard)


def allow(policy: Policy) -> Callable[[_V], _V]:
    """Declare who may use a view."""

    def declare(view: _V) -> _V:
        view.policy = policy  # type: ignore[attr-defined]
        return view

    return declare


def policy_of(app: Flask, endpoint: str) -> Policy | None:
    """What a route declares; None is closed."""
    return getattr(app.view_functions[endpoint], "policy", None)


def caller() -> Caller:
    """Who is asking; only behind ``Policy.KEY``."""
    found: Caller = g.caller
    return found


def callers() -> Callers:
    """The callers of the running app."""
    found: Callers = current_app.extensions[_CALLERS]
    return found


def by_key(key: str) -> Caller:
    """Who holds this key. Raises Unauthorized."""
    found = callers().by_key(key)
    if found is None:
        raise Unauthorized("this API key is unknown or revoked; `dailies keys create` makes another")
    return found


def by_session() -> Caller | None:
    """Who is signed in at the dashboard, as long as their key lives."""
    key_id = session.get("key_id")
    return callers().by_id(UUID(key_id)) if key_id else None


def sign_in(key: str) -> None:
    """Begin a session. Raises Unauthorized."""
    found = by_key(key)
    session.clear()
    session.permanent = True
    session["key_id"] = str(found.key_id)


def sign_out() -> None:
    """End the session."""
    prove_own_page()
    session.clear()


def prove_own_page() -> None:
    """A form on somebody else's page can't set a header of ours. Raises Forbidden."""
    name, value = _OWN_PAGE
    if request.headers.get(name) != value:
        raise Forbidden(f"a session needs the header {name}: {value} to change anything; or send an API key")


def _guard() -> None:
    if request.endpoint is None:
        return  # there is no such route, which is about to be said
    policy = policy_of(current_app, request.endpoint)
    if policy is None:
        raise Forbidden("this address is not open to anybody")
    if policy is Policy.KEY:
        g.caller = _authenticated()


def _authenticated() -> Caller:
    told = request.headers.get("Authorization")
    if told is not None:  # then the cookie does not count
        scheme, _, key = told.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("send your API key as Authorization: Bearer <key>")
        return by_key(key.strip())
    found = by_session()
    if found is None:
        raise Unauthorized("send your API key as Authorization: Bearer <key>")
    if request.method not in _SAFE:
        prove_own_page()
    return found
