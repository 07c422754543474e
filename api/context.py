"""What belongs to the running app and to the request at hand, typed, so that nobody digs in Flask's dictionaries."""

from uuid import uuid4

from flask import Flask, current_app, g

from pipeline.services import Services

_SERVICES = "dailies"


def install(app: Flask, services: Services) -> None:
    """Give the app its services."""
    app.extensions[_SERVICES] = services


def services() -> Services:
    """The services of the running app."""
    found: Services = current_app.extensions[_SERVICES]
    return found


def request_id() -> str:
    """The name of this request, in its answer's header, in its problem and in every log line; made on first use."""
    if "request_id" not in g:
        g.request_id = uuid4().hex
    return str(g.request_id)
