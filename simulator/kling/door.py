"""Who may come in to Kling, and how it says no: always with a code, whatever the HTTP status is."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from flask import Response, jsonify

from simulator.desk import Desk
from simulator.parts import Parts
from simulator.stats import Why

SKEW_SECONDS = 30
#: code → HTTP status, sentence
CODES = {
    1000: (401, "Authentication failed"),
    1002: (401, "Authorization is invalid"),
    1003: (401, "Authorization is not yet valid"),
    1004: (401, "Authorization has expired"),
    1102: (429, "Resource pack exhausted or expired"),
    1201: (400, "Invalid parameter"),
    1203: (404, "The requested resource does not exist"),
    1302: (429, "API requests are too fast, exceeding the preset rate limit"),
    1303: (429, "parallel task over resource pack limit"),
    5000: (500, "Server internal error"),
    5001: (503, "Server temporarily unavailable"),
    5002: (504, "Server internal timeout"),
}
OF_STATUS = {500: 5000, 502: 5001, 503: 5001}


class Problem(Exception):
    """A code that is not 0."""

    def __init__(self, code: int, message: str = "", retry_after_seconds: float | None = None) -> None:
        self.code = code
        self.status, usual = CODES[code]
        self.message = message or usual
        self.headers = {} if retry_after_seconds is None else {"Retry-After": f"{retry_after_seconds:g}"}
        super().__init__(self.message)


class KlingWords:
    """How Kling says no. That a 429 names a time was never seen; it does so only on demand."""

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Problem:
        return Problem(1302 if why is Why.RATE else 1303, retry_after_seconds=retry_after_seconds)

    def no_credit(self) -> Problem:
        return Problem(1102)

    def invalid(self, message: str) -> Problem:
        return Problem(1201, message)

    def broken(self, status: int) -> Problem:
        return Problem(OF_STATUS[status])


def envelope(data: Any) -> Response:
    """An answer with code 0."""
    return jsonify({"code": 0, "message": "SUCCEED", "request_id": str(uuid.uuid4()), "data": data})


def problem_response(problem: Problem) -> Response:
    """The envelope of a code that is not 0."""
    answer = jsonify({"code": problem.code, "message": problem.message, "request_id": str(uuid.uuid4())})
    answer.status_code = problem.status
    answer.headers.update(problem.headers)
    return answer


def key_of(parts: Parts, desk: Desk, authorization: str, *, legacy: bool) -> str:
    """The key behind ``Authorization``: an API key, or ``access:secret`` where a token is signed. Raises Problem."""
    scheme, _, word = authorization.partition(" ")
    if scheme != "Bearer" or not word:
        raise Problem(1000)
    if word.count(".") == 2:  # noqa: PLR2004 - what a JSON Web Token looks like
        key = _signer(parts.settings.tokens, word)
        if not legacy:
            raise Problem(1002, "the new API takes API keys only")
        return key
    if not desk.knows(word) or ":" in word:
        raise Problem(1002)
    return word


def _signer(keys: frozenset[str], token: str) -> str:
    """The ``access:secret`` that a token was signed with. Raises Problem."""
    content, _, signature = token.rpartition(".")
    try:
        header, claims = (json.loads(_unpacked(part)) for part in content.split("."))
        access, expires, begins = claims["iss"], float(claims["exp"]), float(claims["nbf"])
    except (ValueError, KeyError, TypeError):
        raise Problem(1002) from None
    key = next((each for each in keys if each.startswith(f"{access}:")), "")
    expected = hmac.digest(key.partition(":")[2].encode(), content.encode(), hashlib.sha256)
    if not key or header.get("alg") != "HS256" or not hmac.compare_digest(expected, _unpacked(signature)):
        raise Problem(1002)
    if time.time() + SKEW_SECONDS < begins:
        raise Problem(1003)
    if time.time() > expires:
        raise Problem(1004)
    return key


def _unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
