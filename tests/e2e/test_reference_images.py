"""Reference images through the API, real workers and their one chord: described, and handed on as links of ours."""

import json
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
import requests

from cli.stack.stack import Stack
from tests.picture_server import Pictures
from tests.processes import eventually


@pytest.mark.requirement("R45", "R31", "R02")
def test_reference_images_are_described_before_every_scene_and_travel_as_our_links(
    stack: Stack, tmp_path: Path
) -> None:
    key = stack.create_key(owner="references", name="references")
    headers = {"Authorization": f"Bearer {key}"}
    source = ["-f", "lavfi", "-i", "testsrc2=s=320x320", "-frames:v", "1", str(tmp_path / "a.png")]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source], check=True)
    api = f"{stack.addresses.api_url}/v1/jobs"
    with Pictures.running() as web:
        keeper = web.put("keeper.png", (tmp_path / "a.png").read_bytes())
        scenes = [{"description": "Dawn by the keeper"}, {"description": "Dusk by the keeper", "image_url": keeper}]
        body = {
            "model": "replicate/seedance-1-lite",
            "reference_images": [keeper],
            "scenes": [{**each, "duration": 2} for each in scenes],
        }
        ordered = requests.post(api, json=body, headers=headers, timeout=10)
        assert ordered.status_code == 202, ordered.text

        def job() -> dict[str, Any]:
            found = requests.get(f"{api}/{ordered.json()['id']}", headers=headers, timeout=10)
            return dict(found.json())

        eventually(lambda: job()["finished_at"] is not None, patience_seconds=90)
        told = job()
        assert (told["state"], told["warnings"]) == ("complete", [])
        assert web.asked == ["/keeper.png"]
    context = told["consistency_context"]
    assert context.startswith("CHARACTER APPEARANCE: ")
    ledger = requests.get(f"{stack.addresses.simulator_url}/_sim/ledger", timeout=10).json()
    sold = [order["input"] for order in ledger if told["id"] in json.dumps(order["input"])]
    clips = [given for given in sold if "duration" in given]
    assert {given["prompt"] for given in clips} == {f"{context}\n\nSCENE: {scene['description']}" for scene in scenes}
    assert (len(sold), len(clips)) == (3, 2)
    assert keeper not in json.dumps(ledger)
