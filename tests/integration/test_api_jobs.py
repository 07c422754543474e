"""Jobs over HTTP on a real Postgres: what is taken in, what is refused, and what each owner sees."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from werkzeug.test import TestResponse

from api import schemas
from pipeline.domain.asset import State
from pipeline.domain.job import JobState
from tests.web import NOTHING, Web, put, settings, stored, storyboard, submitted, web


@pytest.fixture
def api(database_url: str) -> Iterator[Web]:
    with web(settings(database_url=database_url)) as running:
        yield running


@pytest.mark.requirement("R01")
def test_a_job_is_taken_in_before_anybody_renders_it(api: Web) -> None:
    told = api.client(api.key("ada")).post("/v1/jobs", json=storyboard(3))

    assert told.status_code == 202
    document = told.get_json()
    schemas.Accepted.model_validate(document)
    assert told.headers["Location"] == document["links"]["self"] == f"/v1/jobs/{document['id']}"
    assert document["retry_after_ms"] == int(told.headers["Retry-After"]) * 1000 == 8000
    assert stored(api) == {**NOTHING, "jobs": 1, "scenes": 3, "assets": 3}
    assert api.carrier.started == [UUID(document["id"])]


def test_the_largest_figures_of_an_order_can_be_stored(api: Web) -> None:
    scene = {"description": "The lighthouse at dusk", "duration": 5, "seed": 2**31 - 1}
    submitted(api, api.key("ada"), storyboard(scenes=[scene], budget_cents=100_000_000, min_clips=1))


@pytest.mark.requirement("R66")
def test_a_dry_run_prices_and_stores_nothing(api: Web) -> None:
    told = api.client(api.key("ada")).post("/v1/jobs?dry_run=true", json=storyboard(3))

    assert told.status_code == 200
    assert told.get_json()["estimate_cents"] > 0
    assert stored(api) == NOTHING
    assert api.carrier.started == []


def test_one_scene_and_two_hundred_are_jobs(api: Web) -> None:
    key = api.key("ada")
    submitted(api, key, storyboard(1))
    long = submitted(api, key, storyboard(200))
    assert [clip["index"] for clip in api.client(key).get(long).get_json()["video_clips"]] == list(range(200))


@pytest.mark.requirement("R23")
def test_the_same_request_twice_is_one_job(api: Web) -> None:
    client, named = api.client(api.key("ada")), {"Idempotency-Key": "order 7"}
    first = client.post("/v1/jobs", json=storyboard(), headers=named)
    again = client.post("/v1/jobs", json=storyboard(), headers=named)
    other = client.post("/v1/jobs", json=storyboard(3), headers=named)

    assert again.status_code == first.status_code == 202
    assert again.get_json()["id"] == first.get_json()["id"]
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert stored(api)["jobs"] == 1
    assert len(api.carrier.started) == 1


@pytest.mark.requirement("R23")
def test_the_same_request_many_times_at_once_is_one_job(api: Web) -> None:
    key, body, named = api.key("ada"), storyboard(), {"Idempotency-Key": "order 7"}

    def submit(_: int) -> TestResponse:
        return api.client(key).post("/v1/jobs", json=body, headers=named)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(submit, range(8)))
    assert {each.status_code for each in told} == {202}
    assert len({each.get_json()["id"] for each in told}) == 1
    assert stored(api)["jobs"] == 1


def test_owners_name_their_requests_each_for_themselves(api: Web) -> None:
    for owner in ("ada", "bob"):
        client = api.client(api.key(owner))
        assert client.post("/v1/jobs", json=storyboard(), headers={"Idempotency-Key": "1"}).status_code == 202
    assert stored(api)["jobs"] == 2


OF_A_JOB = [
    ("GET", ""),
    ("GET", "/clips"),
    ("GET", "/clips/0"),
    ("GET", "/events"),
    ("POST", "/cancel"),
    ("POST", "/resume"),
    ("POST", "/retry-failed"),
    ("POST", "/retry-stale"),
    ("POST", "/clips/0/retry"),
    ("POST", "/clips/0/choose"),
]


def test_somebody_elses_job_is_told_like_one_that_never_was(api: Web) -> None:
    theirs, stranger = submitted(api, api.key("ada")), api.client(api.key("bob"))
    before = stored(api)
    for method, more in OF_A_JOB:
        foreign = stranger.open(theirs + more, method=method)
        unknown = stranger.open(f"/v1/jobs/{uuid4()}{more}", method=method)
        assert foreign.status_code == unknown.status_code == 404, (method, more)
        ids = (each.get_json()["request_id"].encode() for each in (foreign, unknown))
        assert foreign.data.replace(next(ids), b"") == unknown.data.replace(next(ids), b"")
        assert {name for name, _ in foreign.headers} == {name for name, _ in unknown.headers}
    assert stored(api) == before
    assert stranger.get("/v1/jobs").get_json()["jobs"] == []
    assert len(api.carrier.started) == 1
    assert api.carrier.woken == []


def test_every_route_of_a_job_is_in_the_table_of_strangers(api: Web) -> None:
    rules = [rule.rule for rule in api.app.url_map.iter_rules() if rule.rule.startswith("/v1/jobs/<job_id>")]
    of_jobs = {rule.replace("<index>", "0") for rule in rules}
    assert of_jobs == {f"/v1/jobs/<job_id>{more}" for _, more in OF_A_JOB}


@pytest.mark.requirement("R35")
def test_a_job_document_is_what_the_reference_says(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key, storyboard(3, metadata={"customer": "42"}))
    put(api, job, JobState.RUNNING, State.FAILED, State.WAITING, State.RENDERING)
    client = api.client(key)

    for address, form in (
        (job, schemas.Job),
        (f"{job}/clips", schemas.ClipPage),
        (f"{job}/clips/0", schemas.ClipWithTakes),
        ("/v1/jobs", schemas.JobPage),
    ):
        document = client.get(address).get_json()
        assert form.model_validate(document).model_dump(mode="json") == document


@pytest.mark.requirement("R36")
def test_a_failed_clip_tells_why_and_what_to_do(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    put(api, job, JobState.PARTIAL, State.FAILED, State.DONE)
    clip = api.client(key).get(f"{job}/clips/0").get_json()

    assert clip["status"] == "failed"
    assert clip["error"]["code"] == "moderated"
    assert clip["error"]["actions"][0]["href"] == f"{job}/clips/0/retry"


@pytest.mark.requirement("R14")
def test_a_document_says_when_to_come_back_also_in_its_header(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    running = api.client(key).get(job)
    assert int(running.headers["Retry-After"]) == math.ceil(running.get_json()["retry_after_ms"] / 1000) > 0

    put(api, job, JobState.FAILED, State.FAILED, State.FAILED)
    assert "Retry-After" not in api.client(key).get(job).headers


@pytest.mark.requirement("R18")
def test_long_lists_come_in_pages(api: Web) -> None:
    key = api.key("ada")
    mine = [submitted(api, key, storyboard(1)) for _ in range(5)]
    client = api.client(key)

    found, start = [], 0
    while start is not None:
        page = client.get(f"/v1/jobs?start={start}&limit=2").get_json()
        assert page["has_more"] is (page["next_start_index"] is not None)
        found += [job["links"]["self"] for job in page["jobs"]]
        start = page["next_start_index"]
    assert found == mine[::-1]
    assert client.get("/v1/jobs?start=100").get_json() == {"jobs": [], "has_more": False, "next_start_index": None}


@pytest.mark.requirement("R17", "R18")
def test_clips_come_in_pages_in_scene_order(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key, storyboard(5))
    page = api.client(key).get(f"{job}/clips?start=1&limit=3").get_json()
    assert [clip["index"] for clip in page["clips"]] == [1, 2, 3]
    assert (page["has_more"], page["next_start_index"]) == (True, 4)


def test_jobs_are_listed_by_state(api: Web) -> None:
    key = api.key("ada")
    over, waiting = submitted(api, key), submitted(api, key)
    put(api, over, JobState.FAILED)
    listed = api.client(key).get("/v1/jobs?state=queued").get_json()["jobs"]
    assert [job["links"]["self"] for job in listed] == [waiting]


@pytest.mark.requirement("R36")
def test_a_failed_clip_is_retried_alone_with_another_prompt(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    put(api, job, JobState.PARTIAL, State.FAILED, State.DONE)
    told = api.client(key).post(f"{job}/clips/0/retry", json={"prompt": "The lighthouse at dawn", "seed": 7})

    assert told.status_code == 202
    assert [clip["state"] for clip in told.get_json()["video_clips"]] == ["waiting", "done"]
    assert len(api.carrier.started) == 2


@pytest.mark.requirement("R36")
def test_a_retry_needs_no_body(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    put(api, job, JobState.FAILED, State.FAILED, State.FAILED)
    assert api.client(key).post(f"{job}/clips/1/retry").status_code == 202


@pytest.mark.requirement("R13")
def test_resuming_renders_what_is_missing_and_nothing_else(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key, storyboard(3))
    put(api, job, JobState.PARTIAL, State.DONE, State.CANCELLED, State.CANCELLED)
    told = api.client(key).post(f"{job}/resume")

    assert told.status_code == 202
    assert [clip["state"] for clip in told.get_json()["video_clips"]] == ["done", "waiting", "waiting"]


@pytest.mark.requirement("R68")
def test_resuming_leaves_what_was_flagged_and_says_so_when_nothing_else_is_missing(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key, storyboard(3))
    put(api, job, JobState.PARTIAL, State.DONE, State.FAILED, State.DONE)
    for action in ("/resume", "/retry-failed"):
        told = api.client(key).post(job + action)
        assert (told.status_code, "flagged" in told.get_json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("/cancel", JobState.COMPLETE),
        ("/resume", JobState.COMPLETE),
        ("/retry-failed", JobState.COMPLETE),
        ("/clips/0/retry", JobState.COMPLETE),
        ("/clips/0/retry", JobState.RUNNING),
    ],
)
def test_what_makes_no_sense_now_is_a_conflict(api: Web, action: str, state: JobState) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    put(api, job, state, State.DONE, State.DONE)
    told = api.client(key).post(job + action)
    assert (told.status_code, told.get_json()["code"]) == (409, "not_in_that_state")


def test_there_is_no_clip_beyond_the_last(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key)
    assert api.client(key).get(f"{job}/clips/2").status_code == 404


def test_cancelling_wakes_every_clip(api: Web) -> None:
    key = api.key("ada")
    job = submitted(api, key, storyboard(3))
    assert api.client(key).post(f"{job}/cancel").status_code == 202
    assert len(api.carrier.woken) == 3


def test_a_revoked_key_is_out(api: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    row, key = api.services.store.keys.create(owner="ada", name="laptop")
    assert api.client(key).get("/v1/jobs").status_code == 200
    api.services.store.keys.revoke(row.id)
    monkeypatch.setattr(api.app.extensions["dailies.callers"], "_known", {})  # the five seconds are over
    assert api.client(key).get("/v1/jobs").status_code == 401


def test_figures_count_what_postgres_holds(api: Web) -> None:
    key = api.key("ada")
    submitted(api, key, storyboard(3))
    text = api.client(key).get("/metrics").text
    assert 'dailies_jobs{state="queued"} 1.0' in text
    assert 'dailies_assets{state="waiting"} 3.0' in text
