"""Fetching outputs: whole or not at all, from the public internet only, without our key."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from pipeline.domain.answers import Refused, Silent
from pipeline.providers import wire
from pipeline.providers.download import download, require_public
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
