"""What the command line is told by the environment: which server, and with which key."""

import os
from urllib.parse import urlsplit

from cli.client import Client
from pipeline.domain.errors import SettingsError

DEFAULT_URL = "http://127.0.0.1:8080"


def url() -> str:
    """The server's address. Raises SettingsError when it is none."""
    told = os.environ.get("DAILIES_URL", "").strip() or DEFAULT_URL
    try:
        parts = urlsplit(told)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not told.isprintable():
        raise SettingsError(f"DAILIES_URL is {told!r}; it has to be an address like {DEFAULT_URL}")
    return told.rstrip("/")


def key() -> str:
    """The API key, or nothing. Raises SettingsError when it can't be one."""
    told = os.environ.get("DAILIES_API_KEY", "").strip()
    if not told.isascii() or not told.isprintable() or " " in told:
        raise SettingsError("DAILIES_API_KEY holds something else than a key; set it again")
    return told


def client() -> Client:
    """The server and the key of the environment. Raises SettingsError when there is no key."""
    known = key()
    if not known:
        message = "DAILIES_API_KEY is not set. `make up` prints a key; an operator makes one with `dailies keys create`"
        raise SettingsError(message)
    return Client(url(), known)
