"""Files that Runway could not fetch by itself are brought there: it asks with HEAD before it fetches.

A presigned link of an object store is signed for GET alone and answers HEAD with 403, so it would be refused as an
invalid asset. Whether a link answers is tried first; all of this is free, and happens before anything is bought.
"""

import mimetypes
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3 import encode_multipart_formdata

from pipeline.domain.answers import Busy, Refused, Silent
from pipeline.providers.download import download, require_public
from pipeline.providers.http import Client, Reply, free_answer
from pipeline.providers.protocol import Fetched
from pipeline.providers.wire import Failed, Limits, call

#: What an upload may hold is 200 MB; a whole one is held in memory here, so less.
MAX_BYTES = 64 * 2**20
LINKS = frozenset({"promptImage", "uri", "videoUri"})

_LOOKING = Limits(read_seconds=3.0, total_seconds=5.0)
_SENDING = Limits(read_seconds=20.0, total_seconds=60.0)
_HEADERS = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "dailies"}


def brought(client: Client, body: dict[str, Any], *, insecure: bool) -> Refused | Busy | Silent | None:
    """Replace each link in a body that does not answer HEAD by an upload's; None when the order can be sent.

    ``insecure``: the provider itself is spoken to over http (a simulator), so plain http and private addresses do.
    """
    for place, name in _links(body):
        if not _refuses_head(place[name], insecure=insecure):
            continue
        told = _uploaded(client, place[name], insecure=insecure)
        if not isinstance(told, str):
            return told
        place[name] = told
    return None


def _links(part: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Where the links of a body stand."""
    if isinstance(part, list):
        for each in part:
            yield from _links(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in LINKS and isinstance(value, str) and value.startswith(("https://", "http://")):
                yield part, name
            else:
                yield from _links(value)


def _refuses_head(url: str, *, insecure: bool) -> bool:
    """Whether a server is there and does not tell what a HEAD asks for; one that is not there is Runway's to refuse."""

    def tells(response: requests.Response) -> bool:
        return response.status_code == requests.codes.ok and "Content-Length" in response.headers

    return call("HEAD", url, _LOOKING, _HEADERS, consume=tells, check_peer=_check(insecure=insecure)) is False


def _uploaded(client: Client, url: str, *, insecure: bool) -> str | Refused | Busy | Silent:
    """Fetch a file and bring it there; the address that it has from now on, for a day."""
    with tempfile.TemporaryDirectory(prefix="dailies-") as folder:
        path = Path(folder) / "file"
        fetched = download(url, path, max_bytes=MAX_BYTES, insecure=insecure, total_seconds=_SENDING.total_seconds)
        if not isinstance(fetched, Fetched):
            message = f"what the order is made from could not be fetched: {fetched.message}"
            # What is gone, too large or not to be followed stays so: to wait for it would hold the scene for an hour.
            gone = isinstance(fetched, Refused)
            return Refused(code="rejected_input", message=message) if gone else Silent(message=message)
        name = Path(urlsplit(url).path).name[-100:] or "file"
        return _sent(client, name, path.read_bytes(), insecure=insecure)


def _sent(client: Client, name: str, content: bytes, *, insecure: bool) -> str | Refused | Busy | Silent:
    reply = client.ask("POST", f"{client.base_url}/v1/uploads", document={"filename": name, "type": "ephemeral"})
    if answer := free_answer(reply):
        return answer
    place = (reply.document() if isinstance(reply, Reply) else None) or {}
    url, fields, uri = place.get("uploadUrl"), place.get("fields"), place.get("runwayUri")
    if not (isinstance(url, str) and isinstance(fields, dict) and isinstance(uri, str)):
        return Silent(message="the answer names no place for an upload")
    if not url.startswith(("https://", "http://") if insecure else "https://"):
        return Silent(message="the place for an upload is not reached over https")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    form = {str(key): str(value) for key, value in fields.items()}
    data, form_type = encode_multipart_formdata({**form, "file": (name, content, kind)})
    # To an object store, and not to Runway: our key stays here.
    headers = {**_HEADERS, "Content-Type": form_type}
    status = call(
        "POST",
        url,
        _SENDING,
        headers,
        consume=lambda response: response.status_code,
        body=data,
        check_peer=_check(insecure=insecure),
    )
    if isinstance(status, Failed) or status not in range(200, 300):
        return Silent(message="an upload did not arrive", outage=isinstance(status, Failed) and status.outage)
    return uri


def _check(*, insecure: bool) -> Any:
    return None if insecure else require_public
