"""What the dashboard needs and programs do not: its files, its session, and a storyboard to try."""

from pathlib import Path

from flask import Blueprint, Response, jsonify, send_from_directory
from pydantic import BaseModel, ConfigDict, ValidationError

from api import auth
from api.auth import Policy, allow
from api.bodies import json_body
from api.forms import refuse
from pipeline.domain.errors import Unauthorized

_DASHBOARD = Path(__file__).parent / "dashboard"
_EXAMPLES = Path(__file__).parents[1] / "examples"

pages = Blueprint("pages", __name__)


class _SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    api_key: str


@pages.get("/")
@pages.get("/accounts")
@pages.get("/jobs/<path:_>")
@allow(Policy.PUBLIC)
def page(_: str = "") -> Response:
    """The dashboard is one page; it reads its own address."""
    return send_from_directory(_DASHBOARD, "index.html", max_age=0)


@pages.get("/dashboard/<path:name>")
@allow(Policy.PUBLIC)
def file(name: str) -> Response:
    """A script, a style or an icon; asked for each time, and sent only when it changed."""
    return send_from_directory(_DASHBOARD, name, max_age=0)


@pages.get("/dashboard/lighthouse.json")
@allow(Policy.PUBLIC)
def sample() -> Response:
    """A ready-made storyboard to try."""
    return send_from_directory(_EXAMPLES, "lighthouse.json", max_age=0)


@pages.post("/session")
@allow(Policy.PUBLIC)
def sign_in() -> Response:
    """A key goes in, a cookie comes back."""
    try:
        form = _SignIn.model_validate(json_body())
    except ValidationError as error:
        refuse(error)
    auth.sign_in(form.api_key)
    return Response(status=204)


@pages.get("/session")
@allow(Policy.PUBLIC)
def who() -> Response:
    """Who is signed in."""
    caller = auth.by_session()
    if caller is None:
        raise Unauthorized("nobody is signed in here")
    return jsonify({"owner": caller.owner, "name": caller.name})


@pages.delete("/session")
@allow(Policy.PUBLIC)
def sign_out() -> Response:
    """The cookie goes."""
    auth.sign_out()
    return Response(status=204)
