"""Orders of one clip on a real Postgres: jobs like any other, and told in a flat form."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from api.single import Standing, Taken
from pipeline.database.engine import transaction
from pipeline.database.tables import jobs
from pipeline.domain.asset import State
from pipeline.domain.job import JobState
from tests.web import NOTHING, Web, put, settings, stored, storyboard, submitted, web

PATH = "/api/replicate/seedance-t2v/submit"
BODY = {"prompt": "A lighthouse at dusk", "duration": 5}


@pytest.fixture
def api(database_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url)) as running:
        yield running


@pytest.mark.requirement("R14", "R20", "R21")
def test_an_order_of_one_clip_is_a_job_of_one_scene_before_anybody_renders_it(api: Web) -> None:
    told = api.client(api.key("ada")).post(PATH, json=BODY)
    assert told.status_code == 202, told.text
    document = told.get_json()
    Taken.model_validate(document)
    assert document["task_id"] == document["id"]
    assert told.headers["Location"] == document["links"]["self"]
    assert document["retry_after_ms"] == int(told.headers["Retry-After"]) * 1000 == 8000
    assert stored(api) == {**NOTHING, "jobs": 1, "scenes": 1, "assets": 1}
    assert [str(each) for each in api.carrier.started] == [document["id"]]


@pytest.mark.requirement("R21", "R23")
def test_the_same_order_twice_is_one_job_and_on_another_path_it_is_another_order(api: Web) -> None:
    client, named = api.client(api.key("ada")), {"Idempotency-Key": "order 7"}
    first, again = (client.post(PATH, json=BODY, headers=named).get_json() for _ in range(2))
    other = client.post("/api/replicate/kling-t2v/submit", json=BODY, headers=named)
    assert first["id"] == again["id"]
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert stored(api)["jobs"] == 1


@pytest.mark.requirement("R21", "R66")
def test_a_dry_run_stores_nothing(api: Web) -> None:
    told = api.client(api.key("ada")).post(f"{PATH}?dry_run=true", json=BODY)
    assert (told.status_code, told.get_json()["dry_run"]) == (200, True)
    assert stored(api) == NOTHING


@pytest.mark.requirement("R14", "R21")
@pytest.mark.parametrize("address", ["/api/runway/status/{}", "/api/minimax/video/status?task_id={}"])
def test_how_an_order_stands_is_told_flat_with_when_to_ask_again(api: Web, address: str) -> None:
    client = api.client(api.key("ada"))
    job_id = client.post(PATH, json=BODY).get_json()["id"]
    told = client.get(address.format(job_id))
    standing = told.get_json()
    Standing.model_validate(standing)
    assert (standing["status"], standing["progress"], standing["url"]) == ("queued", 0, None)
    assert standing["retry_after_ms"] == int(told.headers["Retry-After"]) * 1000 == 8000
    put(api, f"/v1/jobs/{job_id}", JobState.FAILED, State.FAILED)
    failed = client.get(address.format(job_id))
    assert (failed.get_json()["status"], failed.get_json()["error"]["code"]) == ("failed", "moderated")
    assert "Retry-After" not in failed.headers


def test_how_a_storyboard_or_somebody_elses_order_stands_is_not_told_there(api: Web) -> None:
    key = api.key("ada")
    several = submitted(api, key, storyboard(2)).rpartition("/")[2]
    one = api.client(key).post(PATH, json=BODY).get_json()["id"]
    assert api.client(key).get(f"/api/runway/status/{several}").status_code == 404
    assert api.client(api.key("bob")).get(f"/api/runway/status/{one}").status_code == 404
    assert api.client(key).get(f"/api/minimax/video/status?task_id={'nobody'}").status_code == 422


@pytest.mark.requirement("R66")
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/jobs", storyboard()), (PATH, BODY), ("/api/canvas/generate-video", BODY)]
)
def test_a_job_knows_which_key_ordered_it(api: Web, path: str, body: dict[str, Any]) -> None:
    api.key("ada")
    row, key = api.services.store.keys.create(owner="ada", name="intern")
    assert api.client(key).post(path, json=body).status_code == 202
    with transaction(api.services.store.engine) as connection:
        assert connection.execute(select(jobs.c.api_key_id)).scalars().all() == [row.id]
