"""The command line against the real thing: the API, workers and simulator of the local stack."""

import json
import subprocess

import pytest

from cli.stack.stack import Stack
from tests.processes import ROOT

LIGHTHOUSE = str(ROOT / "examples" / "lighthouse.json")


@pytest.fixture(scope="module")
def environment(stack: Stack) -> dict[str, str]:
    return {**stack.environment, "DAILIES_API_KEY": stack.create_key(owner="cli", name="cli")}


def dailies(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "bin" / "dailies"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.requirement("R32", "R33", "R34")
def test_a_storyboard_is_ordered_and_watched_to_its_film(environment: dict[str, str]) -> None:
    ended = dailies(environment, "submit", LIGHTHOUSE, "--watch", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    numbers = [each["seq"] for each in told if "seq" in each]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert sum(each["type"] == "video_complete" for each in told) == 5
    last = told[-1]["snapshot"]
    assert (last["state"], {clip["status"] for clip in last["video_clips"]}) == ("complete", {"complete"})
    assert last["film"]["url"].startswith("http")
    shown = dailies(environment, "job", last["id"])
    assert "complete · 5 of 5 clips" in shown.stdout
    again = dailies(environment, "resume", last["id"])
    assert (again.returncode, "not_in_that_state" in again.stderr) == (3, True)


def test_a_storyboard_that_no_model_can_make_is_refused_field_by_field(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("storyboards") / "long.json"
    scene = {"description": "A lighthouse", "duration": 500}
    file.write_text(json.dumps({"model": "replicate/seedance-1-pro", "scenes": [scene]}))
    refused = dailies(environment, "submit", str(file), "--dry-run")
    assert refused.returncode == 3
    assert "Refused (unsupported_duration)" in refused.stderr
    assert "scenes.0.duration" in refused.stderr


def test_the_doctor_is_content_with_a_stack_that_runs(environment: dict[str, str]) -> None:
    found = dailies(environment, "doctor", "--json")
    assert found.returncode == 0
    verdicts = {each["part"]: each["verdict"] for each in json.loads(found.stdout)["findings"]}
    assert set(verdicts.values()) == {"good"}
    assert {"server", "key", "settings", "database", "redis", "storage", "ffmpeg", "provider"} <= set(verdicts)
