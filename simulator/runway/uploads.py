"""Files on their way to Runway: a place is asked for, then the file is posted there in a form, as to a store."""

from dataclasses import dataclass
from uuid import uuid4

from flask import Blueprint, Response, g, jsonify, request

from simulator.desk import root_url
from simulator.parts import Parts
from simulator.runway.documents import Problem, invalid, issue


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a file is expected, and whose it will be."""

    account: str
    filename: str
    policy: str


def add_uploads(pages: Blueprint, parts: Parts) -> None:
    """Add the two steps to the dialect."""
    places: dict[str, Place] = {}

    @pages.post("/uploads")
    def start_upload() -> Response:
        body = request.get_json(force=True, silent=True) or {}
        if not isinstance(body.get("filename"), str) or body.get("type") != "ephemeral":
            raise invalid([issue("invalid_type", ["filename"], "A filename and type ephemeral are required")])
        upload_id = uuid4().hex
        place = places[upload_id] = Place(account=g.account, filename=body["filename"], policy=uuid4().hex)
        return jsonify(
            {
                "uploadUrl": f"{root_url()}/runway/v1/_upload",
                "fields": {"key": upload_id, "policy": place.policy},
                "runwayUri": f"runway://{upload_id}",
            }
        )

    @pages.post("/_upload")
    def receive_upload() -> Response:
        key, file = request.form.get("key", ""), request.files.get("file")
        place = places.get(key)
        if place is None or file is None or request.form.get("policy") != place.policy:
            raise Problem(403, "AccessDenied")
        del places[key]
        parts.uploads.add(
            upload_id=key,
            account=place.account,
            name=place.filename,
            content_type=file.mimetype or "application/octet-stream",
            data=file.read(),
            metadata={},
        )
        return Response(status=204)
