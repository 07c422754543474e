"""Files that Runway could not fetch by itself are brought there before anything is bought."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.domain.answers import Accepted, Busy, Refused, Silent
from pipeline.providers.protocol import Credentials, Order
from pipeline.providers.runway import Runway
from tests.picture_server import Pictures
from tests.replicate_server import Scripted, Server, answer

TOKEN = "key_canary_of_the_account"
TASK = answer(200, {"id": "17f20503-6c24-4c16-946b-35dbbce2af2f"})
PNG = b"\x89PNG keyframe"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    """A store like any that signs links for GET: it answers HEAD with an error."""
    with Pictures.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def runway(server: Server) -> Runway:
    return Runway(Credentials(base_url=server.url, token=TOKEN))


def order(**given: Any) -> Order:
    return Order(model="gen4_turbo", endpoint="image_to_video", input={"ratio": "1280:720", **given})


def place(server: Server) -> Scripted:
    fields = {"key": "k1", "policy": "p1"}
    return answer(200, {"uploadUrl": f"{server.url}/store", "fields": fields, "runwayUri": "runway://k1"})


def calls(server: Server) -> list[tuple[str, str]]:
    return [(seen.method, seen.path) for seen in server.seen]


@pytest.mark.requirement("R50")
def test_a_picture_whose_link_answers_no_head_is_uploaded_and_then_ordered_once(
    runway: Runway, server: Server, pictures: Pictures
) -> None:
    server.plays(place(server), Scripted(204, b""), TASK)
    assert isinstance(runway.submit(order(promptImage=pictures.put("clip_1.png", PNG))), Accepted)
    asked, sent, bought = server.seen
    assert calls(server) == [("POST", "/v1/uploads"), ("POST", "/store"), ("POST", "/v1/image_to_video")]
    assert asked.document == {"filename": "clip_1.png", "type": "ephemeral"}
    assert PNG in sent.body
    assert b'name="policy"\r\n\r\np1' in sent.body
    assert "Authorization" not in sent.headers
    assert bought.document["promptImage"] == "runway://k1"


def test_every_link_of_an_order_is_looked_at_wherever_it_stands(
    runway: Runway, server: Server, pictures: Pictures
) -> None:
    server.plays(place(server), Scripted(204, b""), place(server), Scripted(204, b""), TASK)
    first, last = (pictures.put(f"{name}.png", PNG) for name in ("first", "last"))
    assert isinstance(runway.submit(order(promptImage=first, lastFrame=last)), Accepted)
    assert [item["uri"] for item in server.seen[-1].document["promptImage"]] == ["runway://k1"] * 2


@pytest.mark.parametrize(
    "link", ["runway://k7", "data:image/png;base64,AAAA", "http://127.0.0.1:1/nobody.png", "https://nowhere.invalid/a"]
)
def test_what_runway_fetches_refuses_or_has_already_is_left_as_it_is(runway: Runway, server: Server, link: str) -> None:
    server.plays(TASK)
    runway.submit(order(promptImage=link))
    assert calls(server) == [("POST", "/v1/image_to_video")]
    assert server.seen[0].document["promptImage"] == link


def test_a_link_that_answers_head_with_a_length_is_left_as_it_is(runway: Runway, server: Server) -> None:
    server.plays(answer(200, {}), TASK)
    runway.submit(order(promptImage=f"{server.url}/public.png"))
    assert calls(server) == [("HEAD", "/public.png"), ("POST", "/v1/image_to_video")]


@pytest.mark.requirement("R50")
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([answer(500, {})], Silent),
        ([answer(429, {})], Busy),
        ([answer(200, {"uploadUrl": 7})], Silent),
        ([answer(200, {"uploadUrl": "file:///etc", "fields": {}, "runwayUri": "runway://k"})], Silent),
        (["place", Scripted(403, b"AccessDenied")], Silent),
        (["place", Scripted(reset=True)], Silent),
    ],
    ids=["500", "429", "no place", "odd place", "refused", "reset"],
)
def test_an_upload_that_fails_buys_nothing_and_is_tried_again(
    runway: Runway, server: Server, pictures: Pictures, script: list[Any], kind: type
) -> None:
    server.plays(*(place(server) if each == "place" else each for each in script))
    assert isinstance(runway.submit(order(promptImage=pictures.put("a.png", PNG))), kind)
    assert ("POST", "/v1/image_to_video") not in calls(server)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_gone_is_not_ordered_with_and_not_waited_for(
    runway: Runway, server: Server, pictures: Pictures, status: int
) -> None:
    server.plays(TASK)
    told = runway.submit(order(promptImage=pictures.put("gone.png", b"", status=status)))
    assert isinstance(told, Refused)
    assert (told.code, told.retryable) == ("rejected_input", False)
    assert server.seen == []


def test_a_host_that_has_a_bad_minute_is_asked_again(runway: Runway, server: Server, pictures: Pictures) -> None:
    server.plays(TASK)
    assert isinstance(runway.submit(order(promptImage=pictures.put("late.png", b"", status=503))), Silent)
    assert server.seen == []
