"""Where providers report. The raw bytes are checked before anything reads them; a stranger learns nothing."""

from flask import Blueprint, Response, jsonify, request

from api.auth import Policy, allow
from api.context import services
from pipeline import receive
from pipeline.domain.errors import Unauthorized

webhooks = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@webhooks.post("/<provider>/<attempt_id>/<mac>")
@allow(Policy.SIGNED)
def take(provider: str, attempt_id: str, mac: str) -> Response:
    """A provider tells about one attempt; the same answer when it does so again."""
    answer = receive.webhook(
        services(),
        provider=provider,
        attempt_id=attempt_id,
        mac=mac,
        headers=dict(request.headers),
        body=request.get_data(),
    )
    if answer is None:
        raise Unauthorized("no")
    return jsonify(answer)
