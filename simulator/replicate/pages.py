"""The rest of Replicate's paths: pages of a list, files, models, the account and its webhook secret."""

import base64
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, jsonify, request, send_file

from simulator.parts import Parts
from simulator.predictions import Order
from simulator.replicate.documents import (
    Problem,
    invalid,
    model_document,
    new_id,
    not_found,
    timestamp,
    version_document,
)
from simulator.schema import Complaint, Model, Models
from simulator.uploads import Upload

PAGE_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list, newest first, and the way to its neighbours."""

    items: Sequence[Order]
    next: str | None = None
    previous: str | None = None
    filters: Mapping[str, str]

    @classmethod
    def of(cls, arguments: Mapping[str, str], orders: Sequence[Order]) -> "Page":
        """Cut the page that the query string asks for out of ``orders``, which come oldest first. Raises Problem."""
        filters = {name: arguments[name] for name in ("created_after", "created_before", "source") if name in arguments}
        first, end = _window(orders, filters)
        start, stop = _cut(orders, first, end, arguments.get("cursor", ""))
        items = orders[start:stop][::-1]
        return cls(
            items=items,
            next=_cursor("older", items[-1]) if start > first and items else None,
            previous=_cursor("newer", items[0]) if stop < end and items else None,
            filters=filters,
        )

    def link(self, place: str, which: str) -> str | None:
        cursor = self.next if which == "next" else self.previous
        return f"{place}?{urlencode({**self.filters, 'cursor': cursor})}" if cursor else None


def _window(orders: Sequence[Order], filters: Mapping[str, str]) -> tuple[int, int]:
    """Where the orders that the filters let through begin and end."""
    first, end = 0, len(orders)
    if "created_after" in filters:
        first = bisect_left(orders, _moment("created_after", filters), key=_born)
    if "created_before" in filters:
        end = bisect_left(orders, _moment("created_before", filters), key=_born)
    return (first, max(first, end)) if filters.get("source") != "web" else (0, 0)


def _born(order: Order) -> datetime:
    return order.created_at


def _cut(orders: Sequence[Order], first: int, end: int, cursor: str) -> tuple[int, int]:
    """Where the page of a cursor begins and ends, between ``first`` and ``end``."""
    if not cursor:
        return max(first, end - PAGE_LENGTH), end
    try:
        direction, text = base64.urlsafe_b64decode(cursor).decode().split()
        number = int(text)
    except ValueError:
        raise invalid([Complaint(type="format", field="cursor", description="Is not a cursor of ours")]) from None
    if direction == "older":
        stop = min(end, bisect_left(orders, number, key=_number))
    else:
        stop = min(end, bisect_right(orders, number, key=_number) + PAGE_LENGTH)
    return max(first, stop - PAGE_LENGTH), max(first, stop)


def _number(order: Order) -> int:
    return order.number


def _moment(name: str, filters: Mapping[str, str]) -> datetime:
    unescaped = re.sub(r"(:\d\d[.\d]*) (\d\d:\d\d)$", r"\1+\2", filters[name])
    try:
        moment = datetime.fromisoformat(unescaped)
    except ValueError:
        raise invalid([Complaint(type="format", field=name, description="Is not an ISO-8601 time")]) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cursor(direction: str, item: Order) -> str:
    return base64.urlsafe_b64encode(f"{direction} {item.number}".encode()).decode()


def add_pages(pages: Blueprint, parts: Parts, models: Models) -> None:
    """Add files, models and account to the dialect."""
    _add_files(pages, parts)
    _add_models(pages, models)

    @pages.get("/account")
    def account() -> Response:
        name = f"simulated-{g.account}"
        return jsonify({"type": "user", "username": name, "name": "A simulated account", "github_url": None})

    @pages.get("/webhooks/default/secret")
    def webhook_secret() -> Response:
        return jsonify({"key": parts.secrets.webhook})

    @pages.get("/hardware")
    def hardware() -> Response:
        return jsonify([{"name": "CPU", "sku": "cpu"}, {"name": "Nvidia H100 GPU", "sku": "gpu-h100"}])


def _add_models(pages: Blueprint, models: Models) -> None:
    def known(owner: str, name: str) -> Model:
        model = models.by_name.get(f"{owner}/{name}")
        if model is None:
            raise not_found()
        return model

    @pages.get("/models/<owner>/<name>")
    def model(owner: str, name: str) -> Response:
        return jsonify(model_document(known(owner, name), request.host_url.rstrip("/")))

    @pages.get("/models/<owner>/<name>/versions/<version>")
    def version(owner: str, name: str, version: str) -> Response:
        page = version_document(known(owner, name))
        if page["id"] != version:
            raise not_found()
        return jsonify(page)


def _add_files(pages: Blueprint, parts: Parts) -> None:
    def own(upload_id: str) -> Upload:
        upload = parts.uploads.get(upload_id)
        if upload is None or upload.account != g.account:
            raise not_found()
        return upload

    @pages.post("/files")
    def create_file() -> tuple[Response, int]:
        return jsonify(_file_document(_receive(parts))), 201

    @pages.get("/files")
    def list_files() -> Response:
        results = [_file_document(item) for item in parts.uploads.newest_first(g.account)]
        return jsonify({"next": None, "previous": None, "results": results})

    @pages.get("/files/<upload_id>")
    def get_file(upload_id: str) -> Response:
        return jsonify(_file_document(own(upload_id)))

    @pages.delete("/files/<upload_id>")
    def delete_file(upload_id: str) -> tuple[str, int]:
        parts.uploads.delete(own(upload_id).id)
        return "", 204

    @pages.get("/files/<upload_id>/download")
    def download_file(upload_id: str) -> Response:
        arguments = (request.args.get("expiry", ""), request.args.get("signature", ""))
        upload = parts.uploads.get(upload_id)
        if upload is None or not parts.links.hold(f"v1/files/{upload_id}/download", *arguments):
            raise not_found()
        return send_file(parts.uploads.path(upload_id).resolve(), mimetype=upload.content_type, conditional=True)


def _receive(parts: Parts) -> Upload:
    part = request.files.get("content")
    if part is None:
        raise invalid([Complaint(type="required", field="(root)", description="content is required")])
    try:
        metadata = json.loads(request.form.get("metadata", "{}"))
    except ValueError:
        raise Problem(400, "Bad Request", "metadata is not JSON") from None
    return parts.uploads.add(
        upload_id=new_id(),
        account=g.account,
        name=part.filename or "file",
        content_type=part.mimetype or "application/octet-stream",
        data=part.read(),
        metadata=metadata,
    )


def _file_document(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "name": upload.name,
        "content_type": upload.content_type,
        "size": upload.size,
        "etag": upload.md5,
        "checksums": {"sha256": upload.sha256, "md5": upload.md5},
        "metadata": upload.metadata,
        "created_at": timestamp(upload.created),
        "expires_at": timestamp(upload.expires),
        "urls": {"get": f"{request.host_url}v1/files/{upload.id}"},
    }
