"""Documents as responses: each says when to come back also where every HTTP client looks."""

import math
from typing import Any

from flask import Response, jsonify


def reply(document: dict[str, Any], status: int = 200) -> Response:
    """A document, with ``Retry-After`` where it names a wait (R14)."""
    response: Response = jsonify(document)
    response.status_code = status
    if wait_ms := document.get("retry_after_ms"):
        response.headers["Retry-After"] = str(math.ceil(wait_ms / 1000))
    return response


def taken_in(document: dict[str, Any]) -> Response:
    """A job that was taken in, with where it is; or, of a dry run, its price."""
    if document.get("dry_run"):
        return reply(document)
    response = reply(document, 202)
    response.headers["Location"] = document["links"]["self"]
    return response
