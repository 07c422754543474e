"""Storage against a real S3 that checks signatures and expiry."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from pipeline.domain.errors import Unavailable
from pipeline.storage import Storage
from tests.servers import ObjectStore

BUCKET = "the-clips"


@pytest.fixture(scope="module")
def storage(s3: ObjectStore) -> Storage:
    storage = Storage(
        buckets=(BUCKET, "the-thumbnails"),
        endpoint_url=s3.endpoint_url,
        access_key=s3.access_key_id,
        secret_key=s3.secret_access_key,
    )
    storage.ensure_buckets()
    return storage


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.requirement("R08", "R39")
def test_a_stored_file_comes_back_through_its_link_with_its_type(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(b"moving pictures")
    storage.put_file(BUCKET, "job/clip_0.mp4", tmp_path / "clip", "video/mp4")
    link = storage.link(BUCKET, "job/clip_0.mp4")
    got = requests.get(link, timeout=5)
    assert (got.status_code, got.content) == (200, b"moving pictures")
    assert got.headers["Content-Type"] == "video/mp4"
    assert "X-Amz-Expires=86400" in link
    assert "Content-Disposition" not in got.headers


def test_a_link_never_answers_with_the_type_that_an_object_was_stored_as(storage: Storage) -> None:
    storage.put_bytes(BUCKET, "evil.mp4", b"<script>", "text/html")
    assert requests.get(storage.link(BUCKET, "evil.mp4"), timeout=5).headers["Content-Type"] == "video/mp4"


def test_a_link_with_a_filename_is_saved_under_it(storage: Storage) -> None:
    storage.put_bytes(BUCKET, "film.mp4", b"film", "video/mp4")
    got = requests.get(storage.link(BUCKET, "film.mp4", filename='the "lighthouse"\n é.mp4'), timeout=5)
    expected = "attachment; filename*=UTF-8''the%20%22lighthouse%22%0A%20%C3%A9.mp4"
    assert got.headers["Content-Disposition"] == expected


@pytest.mark.requirement("R39")
def test_a_link_is_refused_when_its_day_is_over(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put_bytes(BUCKET, "old.mp4", b"x", "video/mp4")

    def signed(ago: timedelta) -> int:
        then = datetime.now(UTC) - ago
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: then)
        return requests.get(storage.link(BUCKET, "old.mp4"), timeout=5).status_code

    assert signed(timedelta(hours=23, minutes=59)) == 200
    assert signed(timedelta(hours=24, minutes=1)) == 403


def test_a_link_that_was_tampered_with_is_refused(storage: Storage) -> None:
    storage.put_bytes(BUCKET, "a.mp4", b"a", "video/mp4")
    storage.put_bytes(BUCKET, "b.mp4", b"b", "video/mp4")
    link = storage.link(BUCKET, "a.mp4")
    assert requests.get(link.replace("a.mp4", "b.mp4"), timeout=5).status_code == 403
    assert requests.get(link.split("?")[0], timeout=5).status_code == 403


def test_links_name_the_public_address(storage: Storage) -> None:
    public = replace(storage, public_endpoint_url="https://files.example.test")
    assert urlsplit(public.link(BUCKET, "a.mp4"))[:3] == ("https", "files.example.test", f"/{BUCKET}/a.mp4")


def test_an_object_is_fetched_back_to_disk_and_a_missing_one_is_said_to_be_missing(
    storage: Storage, tmp_path: Path
) -> None:
    storage.put_bytes(BUCKET, "c.jpg", b"picture", "image/jpeg")
    storage.get_file(BUCKET, "c.jpg", tmp_path / "c.jpg")
    assert (tmp_path / "c.jpg").read_bytes() == b"picture"
    assert storage.exists(BUCKET, "c.jpg")
    assert not storage.exists(BUCKET, "d.jpg")
    with pytest.raises(Unavailable, match="not in storage"):
        storage.get_file(BUCKET, "d.jpg", tmp_path / "d.jpg")
    assert not (tmp_path / "d.jpg").exists()


def test_buckets_are_ensured_as_often_as_one_likes(storage: Storage) -> None:
    storage.ensure_buckets()
    storage.put_bytes("the-thumbnails", "t.jpg", b"t", "image/jpeg")
    storage.ensure_buckets()
    assert storage.exists("the-thumbnails", "t.jpg")
    storage.ping()


def test_a_storage_that_is_away_or_refuses_is_unavailable(storage: Storage, elsewhere: str) -> None:
    away = replace(storage, endpoint_url=elsewhere)
    strangers = replace(storage, access_key="AKIA0000000000000000")
    unmade = replace(storage, buckets=("never-made",))
    for broken in (away, strangers, unmade):
        with pytest.raises(Unavailable) as caught:
            broken.ping()
        assert elsewhere not in str(caught.value)
    with pytest.raises(Unavailable):
        away.put_bytes(BUCKET, "k", b"", "image/png")
    with pytest.raises(Unavailable):
        strangers.ensure_buckets()


class Overloaded(BaseHTTPRequestHandler):
    """A store that takes nothing just now."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1  # type: ignore[attr-defined]
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        """Nothing of this is worth a line."""


@pytest.mark.requirement("R47")
def test_what_can_wait_is_offered_to_a_store_in_trouble_once() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Overloaded) as server:
        server.asked = 0  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        storage = Storage(buckets=(BUCKET,), endpoint_url=address, access_key="a", secret_key="s")
        with pytest.raises(Unavailable):
            storage.put_bytes(BUCKET, "t.jpg", b"t", "image/jpeg")
        server.shutdown()
    assert server.asked == 1  # type: ignore[attr-defined]


def test_the_secret_key_shows_nowhere(storage: Storage) -> None:
    assert storage.secret_key is not None
    assert storage.secret_key not in repr(storage)
