"""A storyboard whose scenes need each other, through the API, real workers and their one chord."""

from typing import Any

import pytest
import requests

from cli.stack.stack import Stack
from tests.processes import eventually


@pytest.mark.requirement("R46", "R62", "R02")
def test_keyframe_narration_and_a_chain_of_three_scenes_are_made_and_the_job_closes(stack: Stack) -> None:
    key = stack.create_key(owner="chains", name="chains")
    headers = {"Authorization": f"Bearer {key}"}
    scenes: list[dict[str, Any]] = [
        {"description": "Dawn", "keyframe": "A tower at dawn", "narration": "It was dawn."},
        {"description": "Noon", "starts_from": {"scene": 0}},
        {"description": "Dusk", "starts_from": {"scene": 1}, "narration": "And then it was dusk."},
    ]
    makers = {"image_model": "replicate/flux-schnell", "speech_model": "replicate/speech-2.8-hd"}
    body = {"model": "replicate/seedance-1-pro-fast", "scenes": [{**each, "duration": 2} for each in scenes], **makers}
    api = f"{stack.addresses.api_url}/v1/jobs"
    ordered = requests.post(api, json=body, headers=headers, timeout=10)
    assert ordered.status_code == 202, ordered.text

    def job() -> dict[str, Any]:
        found = requests.get(f"{api}/{ordered.json()['id']}", headers=headers, timeout=10)
        return dict(found.json())

    eventually(lambda: job()["finished_at"] is not None, patience_seconds=90)
    told = job()
    assert (told["state"], [clip["status"] for clip in told["video_clips"]]) == ("complete", ["complete"] * 3)
    first, second, third = told["video_clips"]
    assert [part["kind"] for part in first["parts"]] == ["image", "audio"]
    for url, kind in (
        (first["keyframe_url"], "image/jpeg"),
        (first["narration_url"], "audio/mpeg"),
        (third["narration_url"], "audio/mpeg"),
    ):
        assert requests.get(url, timeout=10).headers["Content-Type"] == kind
    assert (second["keyframe_url"], second["narration_url"], second["parts"]) == (None, None, [])
    assert first["finished_at"] < second["finished_at"] < third["finished_at"]
