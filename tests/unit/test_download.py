"""Fetching outputs: whole or not at all, from the public internet only, without our key."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.domain.answers import Refused, Silent
from pipeline.providers import wire
from pipeline.providers.download import ANY_PORT, GIVEN, GIVEN_HERE, Rules, download, follow, require_public
from pipeline.providers.protocol import Fetched
from pipeline.providers.replicate import Replicate
from tests.replicate_server import Scripted, Server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def replicate(server: Server) -> Replicate:
    return server.account()


CLIP = bytes(range(256)) * 1000


def test_an_output_is_downloaded_whole_and_without_our_key(
    replicate: Replicate, server: Server, tmp_path: Path
) -> None:
    server.plays(Scripted(200, CLIP))
    got = replicate.download(server.url + "/a.mp4?sig=1", tmp_path / "a.mp4", max_bytes=len(CLIP))
    assert got == Fetched(size_bytes=len(CLIP), sha256=hashlib.sha256(CLIP).hexdigest())
    assert (tmp_path / "a.mp4").read_bytes() == CLIP
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.requirement("R63")
@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (Scripted(403), "lost"),
        (Scripted(404), "lost"),
        (Scripted(410), "lost"),
        (Scripted(200, CLIP + b"x"), "broken_file"),
        (Scripted(200, CLIP, cut=1), None),
        (Scripted(reset=True), None),
        (Scripted(503), None),
        (Scripted(302, headers={"Location": "/b.mp4"}), None),
    ],
)
def test_a_file_that_is_not_whole_leaves_nothing_behind(
    replicate: Replicate, server: Server, tmp_path: Path, scripted: Scripted, expected: str | None
) -> None:
    server.plays(scripted)
    got = replicate.download(server.url + "/a.mp4", tmp_path / "a.mp4", max_bytes=len(CLIP))
    assert isinstance(got, Silent) if expected is None else isinstance(got, Refused) and got.code == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/a.mp4",
        "ftp://93.184.216.34/a.mp4",
        "file:///etc/passwd",
        "https://93.184.216.34:6379/",
        "https://user@93.184.216.34/",
        "https://93.184.216.34\\@127.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1]/",
        "https:///a.mp4",
        "https://[::1",
        "https://93.184.216.34:99999/",
        "https://93.184.216.34/\na",
        "https://93.184.216.34/" + "a" * 5000,
    ],
)
def test_a_link_to_anywhere_but_the_public_internet_is_not_followed(url: str, tmp_path: Path) -> None:
    got = download(url, tmp_path / "a.mp4", max_bytes=1)
    assert isinstance(got, Refused)
    assert not got.retryable


def test_a_name_that_changes_its_address_after_the_check_gets_no_request(server: Server) -> None:
    got = wire.call("GET", server.url, wire.Limits(), {}, consume=lambda _: "reached", check_peer=require_public)
    assert got == wire.Failed(message="the connection was refused or lost (ConnectionError)", sent=False)
    assert server.seen == []


def test_a_peer_that_passes_the_check_gets_the_request(server: Server) -> None:
    server.plays(Scripted(200))
    reached: Callable[[requests.Response], int] = lambda response: response.status_code  # noqa: E731 -- typed
    assert wire.call("GET", server.url, wire.Limits(), {}, consume=reached, check_peer=lambda _: None) == 200


LIMITS = wire.Limits(max_bytes=len(CLIP))
PUBLIC = "93.184.216.34"
INNER = [
    *("127.0.0.1", "127.1.2.3", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.0.192", "198.18.0.1", "192.0.2.1"),
    *("192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378::1", "100::1"),
]
SPELT = [
    *(
        "localhost",
        "localhost.",
        "LOCALHOST",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
    ),
    *(
        "0",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
    ),
]
CUT = [
    *("ftp://93.184.216.34/a.jpg", "file:///etc/passwd", "gopher://93.184.216.34/", "data:image/png;base64,AAAA"),
    *("javascript:alert(1)", "//93.184.216.34/a.jpg", "/etc/passwd", "a.jpg", "", "https:///a.jpg", "https://[::1"),
    *(
        "http://93.184.216.34:6379/",
        "https://93.184.216.34:80/",
        "http://93.184.216.34:443/",
        "https://93.184.216.34:0/",
    ),
    *("https://93.184.216.34:99999/", "https://user@93.184.216.34/", "https://user:key@93.184.216.34/"),
    *("https://93.184.216.34\\@127.0.0.1/", "https://93.184.216.34/\na", "https://93.184.216.34/\ta"),
    *("https://93.184.216.34/" + "a" * 5000, "https://127.0.0.1\\.cdn.test/", "http:93.184.216.34"),
]


@pytest.mark.parametrize("address", INNER)
def test_an_inner_address_is_inner_in_every_form(address: str, tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        require_public(address)
    host = f"[{address}]" if ":" in address else address
    assert isinstance(follow(f"https://{host}/a.jpg", tmp_path / "a.jpg", LIMITS, GIVEN), Refused)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "2a00:1450::200e", "::ffff:8.8.8.8"])
def test_a_public_address_is_public(address: str) -> None:
    require_public(address)


@pytest.mark.parametrize("url", [f"{scheme}://{host}/a.jpg" for scheme in ("http", "https") for host in SPELT] + CUT)
def test_a_customers_link_to_anywhere_but_the_public_internet_is_not_followed(url: str, tmp_path: Path) -> None:
    got = follow(url, tmp_path / "a.jpg", LIMITS, GIVEN)
    assert isinstance(got, Refused) or got == Silent(message="the host of the link has no address just now")


@pytest.fixture
def canary() -> Iterator[tuple[int, list[bytes]]]:
    """A port, and whatever anybody said there."""
    heard: list[bytes] = []

    def listen() -> None:
        with suppress(OSError):
            while True:
                visitor, _ = listener.accept()
                with visitor:
                    heard.append(visitor.recv(1024))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


Canary = tuple[int, list[bytes]]


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch, canary: Canary) -> Rules:
    """A name server that says a public address when asked to check, and ours when it comes to connecting."""
    answers = cycle([(PUBLIC, 80), ("127.0.0.1", canary[0])])

    def told(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", next(answers))]

    monkeypatch.setattr(socket, "getaddrinfo", told)
    return replace(GIVEN, ports={"http": ANY_PORT, "https": ANY_PORT})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_changes_its_address_between_check_and_connection_is_told_nothing(
    lying: Rules, canary: Canary, tmp_path: Path, scheme: str
) -> None:
    for _ in range(50):
        assert isinstance(follow(f"{scheme}://cdn.test/a.jpg", tmp_path / "a.jpg", LIMITS, lying), Silent)
    assert b"".join(canary[1]) == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_is_the_check_of_the_connection_that_stops_it(
    lying: Rules, canary: Canary, tmp_path: Path, scheme: str
) -> None:
    unpinned = replace(lying, check=None)
    socket.getaddrinfo("cdn.test", 80)
    follow(f"{scheme}://cdn.test/a.jpg", tmp_path / "a.jpg", LIMITS, unpinned)
    assert b"".join(canary[1]) != b""


@pytest.mark.parametrize(
    "to", ["http://10.0.0.1/", "http://169.254.169.254/latest/", "file:///etc/passwd", "//[fd00::1]/"]
)
def test_a_redirect_to_an_inner_address_is_not_followed(server: Server, tmp_path: Path, to: str) -> None:
    server.plays(Scripted(302, headers={"Location": to}), Scripted(200, CLIP))
    assert isinstance(follow(server.url, tmp_path / "a.jpg", LIMITS, GIVEN_HERE), Refused)
    assert len(server.seen) == 1


def test_a_redirect_is_followed_a_few_times(server: Server, tmp_path: Path) -> None:
    server.plays(Scripted(301, headers={"Location": "/b.jpg"}), Scripted(200, CLIP))
    assert isinstance(follow(server.url + "/a.jpg", tmp_path / "a.jpg", LIMITS, GIVEN_HERE), Fetched)
    assert [seen.path for seen in server.seen] == ["/a.jpg", "/b.jpg"]
    server.plays(Scripted(302, headers={"Location": "/a.jpg"}))
    assert isinstance(follow(server.url + "/a.jpg", tmp_path / "a.jpg", LIMITS, GIVEN_HERE), Silent)


@pytest.mark.parametrize(
    ("scripted", "meant"),
    [
        *((Scripted(status), Refused) for status in (400, 401, 403, 404, 410, 451)),
        *((Scripted(status), Silent) for status in (408, 425, 429, 500, 503)),
        (Scripted(200, CLIP + b"x"), Refused),
        (Scripted(200, CLIP, headers={"Content-Encoding": "gzip"}), Silent),
    ],
)
def test_a_customers_dead_link_is_refused_and_a_bad_minute_of_its_host_is_not(
    server: Server, tmp_path: Path, scripted: Scripted, meant: type
) -> None:
    server.plays(scripted)
    assert isinstance(follow(server.url, tmp_path / "a.jpg", LIMITS, GIVEN_HERE), meant)
    assert list(tmp_path.iterdir()) == []
