"""Which addresses only machines of our own reach: judged by what they are called, nothing is looked up."""

import ipaddress
from urllib.parse import urlsplit

_OURS = (".local", ".localhost", ".internal", ".lan", ".home.arpa")


def is_inner(url: str) -> bool:
    """Whether nobody out there can follow a link to this host: this machine, a private net, a name without a dot."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_OURS)
