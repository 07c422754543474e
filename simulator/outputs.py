"""Serves the finished files under links that are signed and run out."""

import hashlib
import hmac
import mimetypes
import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from flask import Blueprint, Response, request

from simulator.faults import FaultBook
from simulator.misbehave import broken_off
from simulator.predictions import Prediction
from simulator.render import Renderer

HTML = b"<!doctype html><title>Just a moment</title><p>This is a page, not a clip.</p>\n"


class Links:
    """Makes and checks the links of one simulator."""

    def __init__(self, *, secret: str, link_seconds: float) -> None:
        self._secret = secret.encode()
        self._life = timedelta(seconds=link_seconds)

    def url(self, base_url: str, prediction: Prediction, name: str) -> str:
        """The absolute link to one file; the same link each time it is asked for."""
        born = prediction.completed_at or prediction.order.created_at
        ends_at = born if prediction.order.fault.output == "expired" else born + self._life
        return self.signed(base_url, f"outputs/{prediction.id}/{name}", int(ends_at.timestamp()))

    def fresh(self, base_url: str, prediction: Prediction, name: str, *, dead: bool = False) -> str:
        """A link to one file that was never given before, and lives from now on."""
        ends_at = time.time() + (0 if dead else self._life.total_seconds())
        return f"{self.signed(base_url, f'outputs/{prediction.id}/{name}', int(ends_at))}&nonce={secrets.token_hex(8)}"

    def signed(self, base_url: str, path: str, expires: int) -> str:
        """A link to any path, good until ``expires`` (seconds since 1970)."""
        return f"{base_url}/{path}?expires={expires}&signature={self._sign(path, expires)}"

    def hold(self, path: str, expires: str, signature: str) -> bool:
        """Whether the link was made by us and has not run out."""
        if not expires.isdigit() or not hmac.compare_digest(self._sign(path, int(expires)), signature):
            return False
        return time.time() < int(expires)

    def _sign(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()[:32]


def blueprint(
    *,
    links: Links,
    renderer: Renderer,
    faults: FaultBook,
    find: Callable[[str], Prediction | None],
    count: Callable[[str], None],
) -> Blueprint:
    """The route of the links."""
    pages = Blueprint("outputs", __name__)

    @pages.get("/outputs/<prediction_id>/<name>")
    def download(prediction_id: str, name: str) -> Response:
        count("downloads")
        signature = request.args.get("signature", "")
        if not links.hold(request.path.lstrip("/"), request.args.get("expires", ""), signature):
            return Response("AccessDenied: this link has expired\n", 403, mimetype="text/plain")
        prediction = find(prediction_id)
        data = renderer.read(prediction.order, name) if prediction and not prediction.data_removed else None
        if prediction is None or data is None:
            return Response("NoSuchKey\n", 404, mimetype="text/plain")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return _serve(data, kind, faults.for_download(prediction_id, prediction.order.fault))

    return pages


def _serve(data: bytes, kind: str, trouble: str | None) -> Response:
    match trouble:
        case "html":
            return Response(HTML, mimetype="text/html")
        case "cut":
            return broken_off(data, kind)
        case "empty":
            return Response(b"", mimetype=kind)
        case "truncated":
            return Response(data[: len(data) // 2], mimetype=kind)
    whole = Response(data, mimetype=kind)
    whole.add_etag()
    whole.make_conditional(request, accept_ranges=True, complete_length=len(data))
    return whole
