from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import pytest
from flask_socketio import SocketIO

from api import live
from api.auth import Callers
from tests.web import KnownKeys, Web, settings, web

KEY, OTHER = "key-of-ada", "key-of-bob"


@pytest.fixture
def keys() -> KnownKeys:
    return KnownKeys({KEY: "ada", OTHER: "bob"})


@pytest.fixture
def api(keys: KnownKeys) -> Iterator[Web]:
    with web(settings(), change=keys.know) as running:
        yield running


def server(api: Web) -> SocketIO:
    return api.app.extensions["socketio"]


def watchers(api: Web) -> live.Watchers:
    return cast("live.Watchers", server(api).server.namespace_handlers["/jobs"])


def socket(api: Web, token: object = KEY) -> Any:
    return server(api).test_client(api.app, namespace="/jobs", auth={"token": token})


def test_a_key_opens_a_socket(api: Web) -> None:
    assert socket(api).is_connected("/jobs")


@pytest.mark.parametrize("token", ["wrong", "", "\ud800", None, 7, ["x"], {"a": 1}], ids=ascii)
def test_without_a_key_or_a_session_there_is_no_socket(api: Web, token: object) -> None:
    assert not socket(api, token).is_connected("/jobs")


def test_a_session_opens_a_socket(api: Web) -> None:
    browser = api.client()
    browser.post("/session", json={"api_key": KEY})
    opened = server(api).test_client(api.app, namespace="/jobs", flask_test_client=browser)
    assert opened.is_connected("/jobs")


def test_a_page_of_another_site_opens_no_socket(api: Web) -> None:
    address = "/socket.io/?EIO=4&transport=websocket"
    refused = api.client().get(address, headers={"Origin": "https://evil.example"})
    assert (refused.status_code, "origin" in refused.text) == (400, True)
    # Its own page gets further: all that is missing here is the upgrade itself.
    taken = api.client().get(address, headers={"Origin": "http://localhost"})
    assert "origin" not in taken.text


@pytest.mark.parametrize(
    "asked",
    [
        (),
        (None,),
        ({},),
        ("x",),
        ({"job_id": None},),
        ({"job_id": "x"},),
        ({"job_id": 7},),
        ({"job_id": ["x"]},),
        ([1],),
        ({"job_id": "x", "after": 1}, "more"),
    ],
)
def test_a_question_that_names_no_job_is_answered_like_one_about_an_unknown_job(api: Web, asked: Any) -> None:
    assert socket(api).emit("subscribe", *asked, namespace="/jobs", callback=True) == {"error": "not_found"}


def test_without_a_database_a_subscription_says_so(api: Web) -> None:
    asked = {"job_id": str(uuid4()), "after": 0}
    assert socket(api).emit("subscribe", asked, namespace="/jobs", callback=True) == {"error": "unavailable"}


def test_a_bug_is_an_answer_too_and_tells_nothing(api: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(live, "join_room", broken)
    assert socket(api).emit("subscribe_list", namespace="/jobs", callback=True) == {"error": "internal_error"}


@pytest.mark.requirement("R06")
def test_news_for_an_owners_list_reach_that_owner_alone(api: Web, keys: KnownKeys) -> None:
    ada, bob = socket(api), socket(api, OTHER)
    for each in (ada, bob):
        assert each.emit("subscribe_list", namespace="/jobs", callback=True) == {"ok": True}
    ada.get_received("/jobs")

    server(api).emit("job_progress", {"progress": 5}, namespace="/jobs", to=str(keys.callers[KEY].owner_id))
    assert [event["name"] for event in ada.get_received("/jobs")] == ["job_progress"]
    assert bob.get_received("/jobs") == []


def test_a_revoked_key_loses_its_sockets_and_no_other(api: Web, keys: KnownKeys) -> None:
    ada, bob = socket(api), socket(api, OTHER)
    del keys.callers[KEY]
    watchers(api).drop_revoked(Callers(cast("Any", keys)))
    assert not ada.is_connected("/jobs")
    assert bob.is_connected("/jobs")


def test_a_revoked_key_asks_in_vain_before_its_socket_is_cut(
    api: Web, keys: KnownKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = socket(api)
    del keys.callers[KEY]
    monkeypatch.setattr(api.app.extensions["dailies.callers"], "_known", {})  # the five seconds are over
    assert ada.emit("subscribe_list", namespace="/jobs", callback=True) == {"error": "unauthorized"}


def test_an_owner_has_only_so_many_sockets_at_once(api: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_SOCKETS_PER_OWNER", 2)
    first, second = socket(api), socket(api)
    assert not socket(api).is_connected("/jobs")
    assert socket(api, OTHER).is_connected("/jobs")
    first.disconnect("/jobs")
    assert socket(api).is_connected("/jobs")
    assert second.is_connected("/jobs")


def test_messages_to_the_server_are_small(api: Web) -> None:
    assert server(api).server.eio.max_http_buffer_size == 16_000
