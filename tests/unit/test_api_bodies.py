import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest

from api.bodies import MAX_BODY_BYTES, MAX_DEPTH, parse
from tests.web import KnownKeys, Web, settings, storyboard, web

KEY = "a key"


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    with web(settings(), change=KnownKeys({KEY: "ada"}).know) as running:
        yield running


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "line 1, column 2"),
        (b"{'title': 1}", "not JSON"),
        (b'{"a": 1} {"b": 2}', "not JSON"),
        (b'{"duration": NaN}', "NaN"),
        (b'{"duration": -Infinity}', "Infinity"),
        (b'{"title": "a", "title": "b"}', "'title' stands twice"),
        (b'{"scenes": [{"seed": 1, "seed": 2}]}', "'seed' stands twice"),
        (b'{"\xf0\x9f\x8e\xac": 1, "\xf0\x9f\x8e\xac": 2}', "stands twice"),
        (b'"\xff"', "UTF-8"),
        (json.dumps("shot").encode("utf-16"), "UTF-8"),
        (b"1" * 5000, "too many digits"),
        (nested(MAX_DEPTH + 2), "deeper"),
        (nested(100_000), "deeper"),
        (b'{"a":' * 100_000, "deeper"),
    ],
)
def test_a_body_that_is_no_plain_json_is_refused_in_words(body: bytes, says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(body)
    assert says in str(refused.value.description)


@pytest.mark.parametrize("body", [nested(MAX_DEPTH), b"{}", b"[]", b"null", b'"text"', b"1e400", b'{"a": {"a": 1}}'])
def test_any_other_json_is_read(body: bytes) -> None:
    assert parse(body) == json.loads(body)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400, "validation_failed"),
        ({"data": b"", "content_type": "application/json"}, 400, "validation_failed"),
        ({"data": json.dumps(storyboard())}, 415, "unsupported_media_type"),
        ({"data": json.dumps(storyboard()), "content_type": "text/plain"}, 415, "unsupported_media_type"),
        ({"data": {"title": "form"}}, 415, "unsupported_media_type"),
        ({"data": b" " * (MAX_BODY_BYTES + 1), "content_type": "application/json"}, 413, "payload_too_large"),
        ({"json": "text"}, 422, "validation_failed"),
        ({"json": [storyboard()]}, 422, "validation_failed"),
        ({"data": b"null", "content_type": "application/json"}, 422, "validation_failed"),
    ],
)
def test_what_is_no_job_is_a_problem(api: Web, sent: dict[str, Any], status: int, code: str) -> None:
    told = api.client(KEY).post("/v1/estimate", **sent)

    assert (told.status_code, told.content_type) == (status, "application/problem+json")
    assert told.json is not None
    assert told.json["code"] == code


def test_a_large_body_without_a_length_is_refused_all_the_same(api: Web) -> None:
    told = api.client(KEY).post(
        "/v1/estimate",
        input_stream=BytesIO(b" " * (MAX_BODY_BYTES + 10)),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert told.status_code == 413


def test_a_body_just_within_the_limit_is_read(api: Web) -> None:
    body = json.dumps(storyboard()).encode()
    told = api.client(KEY).post(
        "/v1/estimate", data=body + b" " * (MAX_BODY_BYTES - len(body)), content_type="application/json"
    )
    assert told.status_code == 200


def test_json_by_another_name_is_json(api: Web) -> None:
    told = api.client(KEY).post(
        "/v1/estimate", data=json.dumps(storyboard()), content_type="application/vnd.dailies+json; charset=utf-8"
    )
    assert told.status_code == 200
