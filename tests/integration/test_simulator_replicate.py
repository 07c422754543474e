"""The simulator speaks Replicate over HTTP: orders, documents, lists, refusals, limits."""

import http.client
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.simulator_process import MODEL, QUICK, SimulatorProcess, duration_seconds, eventually, fetched

pytest_plugins = ["tests.integration.simulator_fixture"]
pytestmark = pytest.mark.requirement("R59")


# ── the way of a prediction ──────────────────────────────────────────────────────────────────────────────────────


def test_a_create_is_answered_at_once_with_the_providers_document(provider: SimulatorProcess) -> None:
    answer = provider.create(fault="seconds=60")
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["ratelimit-remaining"], answer.headers["ratelimit-reset"]) == ("599", "1")
    made = answer.json()
    assert re.fullmatch(r"[a-z0-9]{26}", made["id"])
    assert made["status"] == "starting"
    assert (made["model"], made["version"], made["source"]) == (MODEL, "hidden", "api")
    assert made["input"] == {"prompt": "a lighthouse", "duration": 2}
    assert (made["output"], made["error"], made["logs"], made["metrics"]) == (None, None, "", {})
    assert (made["started_at"], made["completed_at"], made["data_removed"]) == (None, None, False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", made["created_at"])
    assert made["urls"]["get"] == f"{provider.url}/v1/predictions/{made['id']}"


def test_progress_moves_while_it_renders(provider: SimulatorProcess) -> None:
    made = provider.create(fault="seconds=2").json()
    assert eventually(lambda: provider.get(made["id"])["status"] == "processing")
    early = eventually(lambda: provider.get(made["id"])["logs"])
    eventually(lambda: len(provider.get(made["id"])["logs"]) > len(early))
    ended = provider.ended(made["id"])
    assert ended["logs"].startswith(early)
    assert "100%|██████████| 25/25" in ended["logs"]
    assert ended["metrics"]["total_time"] >= 2


def test_a_language_model_answers_in_pieces_of_text_and_makes_no_file(provider: SimulatorProcess) -> None:
    given = {"prompt": "Say: VISUAL STYLE", "images": ["https://s3.test/a.jpg"]}
    asked = provider.call("POST", "/v1/models/google/gemini-2.5-flash/predictions", json={"input": given}).json()
    made = provider.ended(asked["id"])
    assert made["status"] == "succeeded"
    assert "".join(made["output"]).startswith("VISUAL STYLE: visual style as in 1 pictures")
    assert all(len(piece) <= 12 for piece in made["output"])


def test_the_result_is_a_real_clip_as_ordered_that_says_whose_it_is(provider: SimulatorProcess, tmp_path: Path) -> None:
    prompt = "It's 100% {wild}: %{pts} \\ [a];b,'c'\n\nSCENE: \"Ünïcode\" — the sea"
    made = provider.finished(prompt, input={"duration": 3, "aspect_ratio": "9:16"})
    assert made["status"] == "succeeded"
    assert isinstance(made["output"], str)
    described = fetched(made["output"], tmp_path)
    assert "Video: h264" in described
    assert "yuv420p" in described
    assert "68x120" in described
    assert duration_seconds(described) == pytest.approx(3, abs=0.05)
    marker = json.loads(re.findall(r"comment\s*: (\{.*\})", described)[0])
    assert marker["prediction"] == made["id"]
    assert marker["number"] == 1


def test_the_file_is_served_whole_or_in_parts(provider: SimulatorProcess) -> None:
    url = provider.finished()["output"]
    whole = requests.get(url, timeout=10)
    assert whole.headers["content-type"] == "video/mp4"
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.content[4:8] == b"ftyp"
    assert whole.content.index(b"moov") < whole.content.index(b"mdat"), "+faststart"
    part = requests.get(url, headers={"Range": "bytes=4-7"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole.content)}"


def test_a_link_with_another_signature_or_none_opens_nothing(provider: SimulatorProcess) -> None:
    url = provider.finished()["output"]
    assert requests.get(url[:-1] + "!", timeout=10).status_code == 403
    assert requests.get(url.partition("?")[0], timeout=10).status_code == 403


def test_an_image_model_gives_a_list_of_pictures(provider: SimulatorProcess, tmp_path: Path) -> None:
    given = {"prompt": "a lighthouse", "num_outputs": 2, "output_format": "png", "aspect_ratio": "1:1"}
    path = "/v1/models/black-forest-labs/flux-schnell/predictions"
    made = provider.ended(provider.call("POST", path, json={"input": given}).json()["id"])
    assert len(made["output"]) == 2
    assert "Video: png" in fetched(made["output"][1], tmp_path)


def test_a_speech_model_gives_a_sound(provider: SimulatorProcess, tmp_path: Path) -> None:
    path = "/v1/models/minimax/speech-2.8-hd/predictions"
    text = "The keeper climbs the stair, and the storm climbs with him."
    made = provider.ended(provider.call("POST", path, json={"input": {"text": text}}).json()["id"])
    described = fetched(made["output"], tmp_path)
    assert "Audio: mp3" in described
    assert duration_seconds(described) == pytest.approx(len(text) / 15, abs=0.3)


def test_a_prediction_can_be_cancelled_and_stays_so(provider: SimulatorProcess) -> None:
    made = provider.create(fault="seconds=60").json()
    answer = provider.call("POST", f"/v1/predictions/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["output"]) == (200, "canceled", None)
    assert provider.control("stats")["in_flight"] == 0
    done = provider.finished()
    assert provider.call("POST", f"/v1/predictions/{done['id']}/cancel").json()["status"] == "succeeded"


def test_a_deadline_cancels_what_still_runs(provider: SimulatorProcess) -> None:
    answer = provider.create(fault="stall", headers={"Cancel-After": "5s"})
    assert answer.json()["deadline"] > answer.json()["created_at"]
    assert provider.ended(answer.json()["id"])["status"] == "canceled"


def test_prefer_wait_holds_the_answer_until_the_end_or_the_time_is_up(provider: SimulatorProcess) -> None:
    waited = provider.create(headers={"Prefer": "wait"})
    assert (waited.status_code, waited.json()["status"]) == (201, "succeeded")
    assert waited.headers["preference-applied"] == "wait=60"
    in_vain = provider.create(fault="seconds=60", headers={"Prefer": "wait=1"})
    assert (in_vain.status_code, in_vain.json()["status"]) == (201, "starting")


def test_the_list_is_newest_first_in_pages_with_filters(provider: SimulatorProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: provider.create(f"scene {number}", fault="seconds=600"), range(101)))
    older, newer = (provider.create(prompt, fault="seconds=600").json() for prompt in ("older", "newer"))
    first = provider.call("GET", "/v1/predictions").json()
    second = provider.call("GET", first["next"]).json()
    assert (len(first["results"]), len(second["results"])) == (100, 3)
    assert (first["previous"], second["next"]) == (None, None)
    assert [item["id"] for item in first["results"][:2]] == [newer["id"], older["id"]]
    assert len({item["id"] for item in first["results"] + second["results"]}) == 103
    back = provider.call("GET", second["previous"]).json()["results"]
    assert [item["id"] for item in back] == [item["id"] for item in first["results"]]
    between = {"created_after": older["created_at"], "created_before": newer["created_at"]}
    found = provider.call("GET", "/v1/predictions", params=between).json()["results"]
    assert [item["id"] for item in found] == [older["id"]]
    assert provider.call("GET", "/v1/predictions", params={"source": "web"}).json()["results"] == []
    assert provider.call("GET", "/v1/predictions", params={"created_after": "soon"}).status_code == 422


def test_data_and_links_go_after_their_time(tmp_path: Path) -> None:
    settings = QUICK | {"SIMULATOR_DATA_SECONDS": "0.5", "SIMULATOR_LINK_SECONDS": "1"}
    with SimulatorProcess(tmp_path / "data", settings) as process:
        made = process.create().json()
        eventually(lambda: process.get(made["id"])["data_removed"])
        gone = process.get(made["id"])
        assert (gone["status"], gone["input"], gone["output"], gone["logs"]) == ("succeeded", {}, None, "")


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_good_token_nothing_opens(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "data", QUICK | {"SIMULATOR_TOKENS": "one,two"}) as process:
        assert process.call("GET", "/v1/account", token="one").status_code == 200
        refused = process.call("GET", "/v1/account", token="three")
        assert (refused.status_code, refused.json()["title"]) == (401, "Unauthenticated")
        assert requests.get(f"{process.url}/v1/account", timeout=10).status_code == 401


def test_another_accounts_prediction_is_not_found(provider: SimulatorProcess) -> None:
    made = provider.create().json()
    for method, path in (("GET", ""), ("POST", "/cancel")):
        answer = provider.call(method, f"/v1/predictions/{made['id']}{path}", token="somebody else")
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert provider.call("GET", "/v1/predictions", token="somebody else").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "field", "kind"),
    [
        ({"input": {}}, "input", "required"),
        ({"input": {"prompt": "a", "duration": 99}}, "input.duration", "number_lte"),
        ({"input": {"prompt": "a", "colour": "red"}}, "input", "additional_property_not_allowed"),
        ({"input": {"prompt": "a"}, "colour": "red"}, "(root)", "additional_property_not_allowed"),
        ({"input": {"prompt": "a"}, "version": "hidden"}, "(root)", "additional_property_not_allowed"),
        ({}, "(root)", "required"),
        ({"input": []}, "input", "invalid_type"),
        ({"input": {"prompt": "a"}, "webhook": "http://example.com/hook"}, "webhook", "format"),
        ({"input": {"prompt": "a"}, "webhook_events_filter": ["end"]}, "webhook_events_filter", "enum"),
        ({"input": {"prompt": "[[sim: nonsense]]"}}, "X-Sim-Fault", "fault"),
    ],
)
def test_a_bad_body_is_refused_with_the_field_and_nothing_is_sold(
    provider: SimulatorProcess, body: dict[str, Any], field: str, kind: str
) -> None:
    answer = provider.call("POST", f"/v1/models/{MODEL}/predictions", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["title"] == "Input validation failed"
    assert [(item["field"], item["type"]) for item in problem["invalid_fields"]] == [(field, kind)]
    assert problem["detail"].startswith(f"- {field}: ")
    assert provider.control("ledger") == []


def test_what_is_no_json_unknown_or_too_large_is_refused(provider: SimulatorProcess) -> None:
    path = f"/v1/models/{MODEL}/predictions"
    assert provider.call("POST", path, data="{").status_code == 400
    assert provider.call("POST", path, json=[1]).status_code == 400
    assert provider.call("POST", "/v1/models/nobody/nothing/predictions", json={"input": {}}).status_code == 404
    assert provider.call("GET", "/v1/nothing").json()["status"] == 404
    connection = http.client.HTTPConnection(provider.url.removeprefix("http://"), timeout=10)
    headers = {"Content-Length": "200000000", "Authorization": "Bearer any"}
    connection.request("POST", path, headers=headers)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_community_model_is_ordered_by_version_only(provider: SimulatorProcess) -> None:
    version = "3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438"
    given = {"input": {"input_image": "https://example.com/a.png"}}
    by_name = provider.call("POST", "/v1/models/stability-ai/stable-video-diffusion/predictions", json=given)
    assert by_name.status_code == 404
    made = provider.call("POST", "/v1/predictions", json={"version": version, **given})
    assert (made.status_code, made.json()["version"]) == (201, version)
    unknown = provider.call("POST", "/v1/predictions", json={"version": "0" * 64, **given})
    assert (unknown.status_code, unknown.json()["title"]) == (422, "Invalid version or not permitted")


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_too_many_creates_are_throttled_with_the_time_to_wait(provider: SimulatorProcess) -> None:
    provider.control("limits", "POST", creates_per_minute=6, creates_burst=1)
    assert provider.create().status_code == 201
    refused = provider.create()
    assert refused.status_code == 429
    assert refused.json()["retry_after"] == int(refused.headers["Retry-After"]) == 10
    assert refused.json()["detail"] == "Request was throttled. Your rate limit resets in ~10s."
    assert provider.create(token="somebody else").status_code == 201
    assert provider.call("GET", "/v1/account").status_code == 200
    stats = provider.control("stats")
    assert (stats["creates"], stats["accepted"], stats["rate_limited"]) == (3, 2, 1)


def test_the_hidden_limit_holds_per_account_and_however_many_ask_at_once(provider: SimulatorProcess) -> None:
    provider.control("limits", "POST", max_in_flight=3, busy_retry_after_seconds=7)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: provider.create(fault="seconds=60"), range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 7
    assert {answer.headers.get("Retry-After") for answer in answers} == {None, "7"}
    assert len(provider.control("ledger")) == 3
    assert provider.control("stats")["max_in_flight_seen"] == 3
    made = next(answer.json() for answer in answers if answer.ok)
    provider.call("POST", f"/v1/predictions/{made['id']}/cancel")
    assert provider.create(fault="seconds=60").status_code == 201
