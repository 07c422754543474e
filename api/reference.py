"""The reference of the API: its OpenAPI document, and Swagger UI to read it with, all from this host."""

from importlib.resources import files
from pathlib import Path
from typing import cast

from flask import Blueprint, Response, current_app, jsonify, send_from_directory
from flask_openapi3.openapi import OpenAPI

from api.auth import Policy, allow

_OURS = Path(__file__).parent / "swagger"
_THEIRS = Path(str(files("flask_openapi3_swagger") / "templates" / "swagger"))
# Swagger UI styles its elements one by one, and draws with pictures inside its own style sheet.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

reference = Blueprint("reference", __name__)


@reference.get("/openapi.json")
@allow(Policy.PUBLIC)
def document() -> Response:
    """The OpenAPI 3.1 document."""
    return jsonify(cast("OpenAPI", current_app).api_doc)


@reference.get("/docs")
@allow(Policy.PUBLIC)
def page() -> Response:
    """The page that shows the document."""
    response = send_from_directory(_OURS, "index.html", max_age=0)
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return response


@reference.get("/docs/start.js")
@allow(Policy.PUBLIC)
def start() -> Response:
    """Our one script on that page."""
    return send_from_directory(_OURS, "start.js", max_age=0)


@reference.get("/docs/swagger/<path:name>")
@allow(Policy.PUBLIC)
def file(name: str) -> Response:
    """Swagger UI itself."""
    return send_from_directory(_THEIRS, name)
