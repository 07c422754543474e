"""Fetching a provider's output: a link from outside is followed only to the public internet, and never with our key."""

import hashlib
import ipaddress
import socket
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import requests

from pipeline.domain.answers import Refused, Silent
from pipeline.providers.protocol import Fetched
from pipeline.providers.wire import Failed, Limits, call

MAX_REDIRECTS = 3
MAX_URL = 4096
CHUNK_BYTES = 256 * 1024
NAT64 = ipaddress.ip_network("64:ff9b::/96")

_HEADERS = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "dailies"}
_GONE = frozenset({403, 404, 410})


def download(
    url: str, path: Path, *, max_bytes: int, insecure: bool = False, total_seconds: float = 300.0
) -> Fetched | Refused | Silent:
    """Stream a file to ``path``; on anything but ``Fetched`` there is no file.

    ``insecure`` (the provider itself is spoken to over http: a simulator) allows http and private addresses.
    ``Refused(code="lost")``: the link is dead, a fresh one may not be. ``Silent``: fetch again, it costs nothing.
    """
    limits = Limits(read_seconds=10.0, total_seconds=total_seconds, max_bytes=max_bytes)
    for _ in range(MAX_REDIRECTS + 1):
        if complaint := _complaint(url, insecure=insecure):
            return complaint
        got = _fetch(url, path, limits, insecure=insecure)
        if not isinstance(got, _Redirect):
            return got
        url = urljoin(url, got.location)
        if insecure:
            return Silent(message="the link leads elsewhere, and http links are not followed")
    return Silent(message=f"the link leads on and on: more than {MAX_REDIRECTS} redirects")


class _Redirect:
    def __init__(self, location: str) -> None:
        self.location = location


def _fetch(url: str, path: Path, limits: Limits, *, insecure: bool) -> Fetched | Refused | Silent | _Redirect:
    got = call(
        "GET",
        url,
        limits,
        _HEADERS,
        consume=lambda response: _read(response, path, limits.max_bytes),
        check_peer=None if insecure else require_public,
    )
    if isinstance(got, Fetched):
        return got
    path.unlink(missing_ok=True)
    return Silent(message=got.message) if isinstance(got, Failed) else got


def _read(response: requests.Response, path: Path, max_bytes: int) -> Fetched | Refused | Silent | _Redirect:
    status, length = response.status_code, response.headers.get("Content-Length", "")
    if response.is_redirect:
        return _Redirect(response.headers["location"])
    if status in _GONE:
        return Refused(code="lost", message=f"the output link is dead (HTTP {status})", retryable=True)
    if status != requests.codes.ok:
        return Silent(message=f"the output link answered HTTP {status}")
    if length.isdigit() and int(length) > max_bytes:
        return _too_large(max_bytes)
    with path.open("wb") as file:
        return _copy(response, file, max_bytes)


def _copy(response: requests.Response, file: BinaryIO, max_bytes: int) -> Fetched | Refused:
    """Copy the body; a body shorter than its Content-Length breaks off inside ``iter_content``."""
    digest, size = hashlib.sha256(), 0
    for chunk in response.iter_content(CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            return _too_large(max_bytes)
        digest.update(chunk)
        file.write(chunk)
    return Fetched(size_bytes=size, sha256=digest.hexdigest())


def _too_large(max_bytes: int) -> Refused:
    return Refused(code="broken_file", message=f"the output is larger than {max_bytes} bytes")


def _complaint(url: str, *, insecure: bool) -> Refused | Silent | None:
    """What is wrong with a link before anything is sent; a name is looked up here and the address checked again."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return _forbidden("it is not an address")
    if len(url) > MAX_URL or not host or parts.username is not None or not url.isprintable() or "\\" in url:
        return _forbidden("it is not an address")
    if insecure:
        return None if parts.scheme in {"http", "https"} else _forbidden("only http is fetched")
    if parts.scheme != "https" or port not in {None, 443}:
        return _forbidden("only https on its own port is fetched")
    try:
        for *_, address in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM):
            require_public(str(address[0]))
    except PermissionError as error:
        return _forbidden(str(error))
    except (OSError, UnicodeError):
        return Silent(message="the host of the output link has no address just now")
    return None


def _forbidden(why: str) -> Refused:
    return Refused(code="provider_error", message=f"the output link is not followed: {why}")


def require_public(address: str) -> None:
    """Raise ``PermissionError`` unless the address belongs to the public internet, tunnels to elsewhere included."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64 or ip.sixtofour is not None or ip.teredo is not None:
            raise PermissionError("it leads into a tunnel")
        ip = ip.ipv4_mapped or ip
    if not ip.is_global or ip.is_multicast:
        raise PermissionError("it leads to a private address")
