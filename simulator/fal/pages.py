"""The rest of fal's paths: signing keys, uploads, and the platform's lists of finished requests and of prices."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, g, jsonify, request, send_file

from simulator.desk import Desk, links_of, root_url
from simulator.fal import documents, signing
from simulator.fal.documents import Problem, not_found, problem_of
from simulator.fal.orders import FalModel
from simulator.parts import Parts
from simulator.predictions import Phase, Prediction

#: Routes that nobody needs a key for; the files' own take the token of an upload.
OPEN = frozenset({"keys", "receive", "receive_direct", "uploaded"})
PAGE_LENGTH = 100
TOKEN_LIFE = timedelta(hours=1)


def add_pages(pages: Blueprint, parts: Parts, desk: Desk, models: Mapping[str, FalModel]) -> None:
    """Add them to the dialect."""
    _Uploads(parts).add_to(pages)
    _Platform(parts, desk, models).add_to(pages)

    @pages.get("/_rest/.well-known/jwks.json")
    def keys() -> Response:
        # An older key stands beside the one that signs: whoever checks has to try them all.
        return jsonify(signing.published(signing.key_of("of last year"), signing.key_of(parts.secrets.webhook)))


class _Uploads:
    """Files as inputs: a token first, then the bytes; or an address to put them to."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._accounts: dict[str, str] = {}  #: by the token of an upload
        self._expected: dict[str, tuple[str, str, str]] = {}  #: account, name and type of an upload to come

    def add_to(self, pages: Blueprint) -> None:
        pages.add_url_rule("/_rest/storage/auth/token", "upload_token", self.token, methods=["POST"])
        pages.add_url_rule("/_rest/storage/upload/initiate", "upload", self.initiate, methods=["POST"])
        pages.add_url_rule("/_cdn/files/upload", "receive", self.receive, methods=["POST"])
        pages.add_url_rule("/_cdn/files/<upload_id>", "receive_direct", self.receive_direct, methods=["PUT"])
        pages.add_url_rule("/_cdn/files/<upload_id>/<name>", "uploaded", self.uploaded)

    def token(self) -> Response:
        token = secrets.token_hex(16)
        self._accounts[token] = g.account
        expires_at = (datetime.now(UTC) + TOKEN_LIFE).isoformat()
        place = f"{root_url()}/fal/_cdn"
        return jsonify(
            {
                "token": token,
                "token_type": "Bearer",
                "base_url": place,
                "base_upload_url": place,
                "expires_at": expires_at,
            }
        )

    def receive(self) -> Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self._accounts:
            raise Problem(401, "The upload token is not valid.")
        name = request.headers.get("X-Fal-File-Name", "file")
        place = self._keep(secrets.token_hex(8), self._accounts[token], name, request.mimetype)
        return jsonify({"access_url": place})

    def initiate(self) -> Response:
        body = request.get_json(force=True)
        upload_id, name = secrets.token_hex(8), str(body["file_name"])
        self._expected[upload_id] = (g.account, name, str(body["content_type"]))
        place = f"{root_url()}/fal/_cdn/files/{upload_id}"
        return jsonify({"upload_url": place, "file_url": f"{place}/{name}"})

    def receive_direct(self, upload_id: str) -> Response:
        if upload_id not in self._expected:
            raise not_found("Upload not found")
        self._keep(upload_id, *self._expected.pop(upload_id))
        return jsonify({})

    def uploaded(self, upload_id: str, name: str) -> Response:
        upload = self._parts.uploads.get(upload_id)
        if upload is None or upload.name != name:
            raise not_found("File not found")
        return send_file(self._parts.uploads.path(upload_id).resolve(), mimetype=upload.content_type)

    def _keep(self, upload_id: str, account: str, name: str, content_type: str) -> str:
        self._parts.uploads.add(
            upload_id=upload_id,
            account=account,
            name=name,
            content_type=content_type or "application/octet-stream",
            data=request.get_data(),
            metadata={},
        )
        return f"{root_url()}/fal/_cdn/files/{upload_id}/{name}"


class _Platform:
    """api.fal.ai: what has finished, and what things cost."""

    def __init__(self, parts: Parts, desk: Desk, models: Mapping[str, FalModel]) -> None:
        self._parts = parts
        self._desk = desk
        self._models = models

    def add_to(self, pages: Blueprint) -> None:
        pages.add_url_rule("/_platform/v1/models/requests/by-endpoint", "listed", self.listed)
        pages.add_url_rule("/_platform/v1/models/pricing", "pricing", self.pricing)

    def listed(self) -> Response:
        """A page of finished requests, newest first; what still runs is not there."""
        if trouble := self._desk.trouble("list", None):
            return trouble
        wanted = self._wanted()
        start, length = request.args.get("cursor", 0, type=int), request.args.get("limit", PAGE_LENGTH, type=int)
        page = wanted[start : start + min(length, PAGE_LENGTH)]
        more = start + len(page) < len(wanted)
        items = [self._item(prediction) for prediction in page]
        return jsonify({"items": items, "has_more": more, "next_cursor": str(start + len(page)) if more else None})

    def pricing(self) -> Response:
        names = request.args.getlist("endpoint_id")
        prices = [
            {
                "endpoint_id": name,
                "unit_price": self._models[name].price_cents({}) / 100,
                "unit": "run",
                "currency": "USD",
            }
            for name in names
            if name in self._models
        ]
        return jsonify({"prices": prices})

    def _wanted(self) -> list[Prediction]:
        endpoint, since, until = (request.args.get(name, "") for name in ("endpoint_id", "start", "end"))
        if not endpoint:
            raise _missing("endpoint_id")
        found = (self._parts.engine.find(order.id) for order in reversed(self._parts.engine.orders(g.account)))
        return [
            each
            for each in found
            if each
            and each.phase.ended
            and each.order.model == endpoint
            and (not since or each.order.created_at >= _moment(since))
            and (not until or each.order.created_at <= _moment(until))
        ]

    def _item(self, prediction: Prediction) -> dict[str, Any]:
        order, problem = prediction.order, problem_of(prediction)
        item: dict[str, Any] = {
            "request_id": order.id,
            "endpoint_id": order.model,
            "sent_at": order.created_at.isoformat(),
            "started_at": (prediction.started_at or order.created_at).isoformat(),
            "ended_at": prediction.completed_at.isoformat() if prediction.completed_at else None,
            "status_code": problem.status if problem else 200,
            "duration": order.render_seconds,
        }
        if request.args.get("expand") == "payloads" and not prediction.data_removed:
            done = prediction.phase is Phase.SUCCEEDED
            output = documents.result(prediction, links_of(prediction, self._parts.links)) if done else None
            item |= {"json_input": order.input, "json_output": output if problem is None else problem.body}
        return item


def _missing(name: str) -> Problem:
    """A query that lacks a word."""
    return documents.invalid([{"loc": ["query", name], "msg": "Field required", "type": "missing", "input": None}])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
