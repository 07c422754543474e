"""Fetching files from outside: a link is followed only to where its rules allow, and never with our key."""

import hashlib
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import requests

from pipeline.domain.answers import Refused, Silent
from pipeline.providers.protocol import Fetched
from pipeline.providers.wire import Failed, Limits, call

MAX_URL = 4096
CHUNK_BYTES = 256 * 1024
ANY_PORT = 0

_HEADERS = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "dailies"}
_GONE = frozenset({403, 404, 410})
_PASSING = frozenset({408, 425, 429})
#: Public by the books, and yet not the internet: tunnels into other nets (NAT64, Teredo, 6to4 and its relays, IPv4
#: inside IPv6), what was once site-local, protocol assignments, and Azure's host, which tells a machine its secrets.
_NOT_OUTSIDE = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "192.88.99.0/24", "::/96", "::ffff:0:0:0/96"),
        *("fec0::/10", "192.0.0.0/24", "168.63.129.16/32"),
    )
)


def require_public(address: str) -> None:
    """Raise ``PermissionError`` unless the address belongs to the public internet, tunnels to elsewhere included."""
    ip = _ip(address)
    if not ip.is_global or ip.is_multicast or any(ip in net for net in _NOT_OUTSIDE if net.version == ip.version):
        raise PermissionError("it leads to a private address")


def require_public_or_loopback(address: str) -> None:
    """The same, but for this machine itself: where tests have their servers."""
    if not _ip(address).is_loopback:
        require_public(address)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Where links may lead: a port for each scheme, addresses that ``check`` lets pass, so many redirects.

    ``final`` are the statuses that say that the link is dead, and not that its host has a bad minute.
    """

    what: str
    ports: Mapping[str, int]
    check: Callable[[str], None] | None
    max_redirects: int = 3
    final: frozenset[int] = _GONE


#: A real provider's files.
OUTPUTS = Rules(what="the output link", ports={"https": 443}, check=require_public)
#: Those of a provider that is itself spoken to over http: a simulator.
_SIMULATED = Rules(what="the output link", ports={"http": ANY_PORT, "https": ANY_PORT}, check=None, max_redirects=0)
#: What customers name.
GIVEN = Rules(
    what="the link",
    ports={"http": 80, "https": 443},
    check=require_public,
    final=frozenset(range(400, 500)) - _PASSING,
)
GIVEN_HERE = Rules(
    what="the link",
    ports={"http": ANY_PORT, "https": ANY_PORT},
    check=require_public_or_loopback,
    final=GIVEN.final,
)


def download(
    url: str, path: Path, *, max_bytes: int, insecure: bool = False, total_seconds: float = 300.0
) -> Fetched | Refused | Silent:
    """Stream a provider's file to ``path``, as ``follow`` does.

    ``insecure`` (the provider itself is spoken to over http: a simulator) allows http and private addresses.
    """
    limits = Limits(read_seconds=10.0, total_seconds=total_seconds, max_bytes=max_bytes)
    return follow(url, path, limits, _SIMULATED if insecure else OUTPUTS)


def follow(url: str, path: Path, limits: Limits, rules: Rules) -> Fetched | Refused | Silent:
    """Stream a file to ``path``; on anything but ``Fetched`` there is no file.

    ``Refused(code="lost")``: the link is dead, a fresh one may not be. ``Silent``: fetch again, it costs nothing.
    """
    for _ in range(rules.max_redirects + 1):
        if complaint := _complaint(url, rules):
            return complaint
        got = _fetch(url, path, limits, rules)
        if not isinstance(got, _Redirect):
            return got
        url = urljoin(url, got.location)
    return Silent(message=f"{rules.what} leads on and on: more than {rules.max_redirects} redirects")


class _Redirect:
    def __init__(self, location: str) -> None:
        self.location = location


def _fetch(url: str, path: Path, limits: Limits, rules: Rules) -> Fetched | Refused | Silent | _Redirect:
    got = call(
        "GET",
        url,
        limits,
        _HEADERS,
        consume=lambda response: _read(response, path, limits.max_bytes, rules),
        check_peer=rules.check,
    )
    if isinstance(got, Fetched):
        return got
    path.unlink(missing_ok=True)
    return Silent(message=got.message) if isinstance(got, Failed) else got


def _read(
    response: requests.Response, path: Path, max_bytes: int, rules: Rules
) -> Fetched | Refused | Silent | _Redirect:
    status, length = response.status_code, response.headers.get("Content-Length", "")
    if response.is_redirect:
        return _Redirect(response.headers["location"])
    if status in rules.final:
        return Refused(code="lost", message=f"{rules.what} is dead (HTTP {status})", retryable=True)
    if status != requests.codes.ok:
        return Silent(message=f"{rules.what} answered HTTP {status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        # Nobody asked for it, and a small body can be made to unpack into a very large one.
        return Silent(message=f"{rules.what} answered with a packed file")
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
    return Refused(code="broken_file", message=f"the file is larger than {max_bytes} bytes")


def _complaint(url: str, rules: Rules) -> Refused | Silent | None:
    """What is wrong with a link before anything is sent; a name is looked up here and the address checked again."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return _forbidden(rules, "it is not an address")
    if len(url) > MAX_URL or not host or parts.username is not None or not url.isprintable() or "\\" in url:
        return _forbidden(rules, "it is not an address")
    if parts.scheme not in rules.ports:
        return _forbidden(rules, f"only {' and '.join(sorted(rules.ports))} is fetched")
    own_port = rules.ports[parts.scheme]
    if own_port != ANY_PORT and port not in {None, own_port}:
        return _forbidden(rules, f"{parts.scheme} is only fetched from port {own_port}")
    return _misled(host, rules, rules.check) if rules.check else None


def _misled(host: str, rules: Rules, check: Callable[[str], None]) -> Refused | Silent | None:
    """Whether any of the host's addresses is one that no request may go to."""
    try:
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            check(str(address[0]))
    except PermissionError as error:
        return _forbidden(rules, str(error))
    except (OSError, UnicodeError):
        return Silent(message=f"the host of {rules.what} has no address just now")
    return None


def _forbidden(rules: Rules, why: str) -> Refused:
    return Refused(code="provider_error", message=f"{rules.what} is not followed: {why}")


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address itself, without its zone; an IPv4 address that is written as an IPv6 one is what it is."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
