"""The official Runway SDK, unchanged, works against the simulator."""

import io
from collections.abc import Iterator

import pytest
import requests
import runwayml
from runwayml import RunwayML, TaskFailedError
from runwayml.lib import polling
from runwayml.types.task_retrieve_response import Failed, Running, Succeeded, Throttled

from simulator.limits import account_of
from tests.integration.simulator_process import SimulatorProcess, eventually

pytestmark = pytest.mark.requirement("R59")

KEY = "key_of_the_sdk"
PICTURE = "https://pictures.example/keyframe.png"
WHOLE_LIFE_SECONDS = 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    settings = {"SIMULATOR_RENDER_SECONDS": "0.3", "SIMULATOR_FRAME_HEIGHT": "90", "SIMULATOR_TOKENS": KEY}
    with SimulatorProcess(tmp_path_factory.mktemp("simulator") / "data", settings, token=KEY) as process:
        yield process


@pytest.fixture
def provider(running: SimulatorProcess) -> SimulatorProcess:
    running.control("reset", "POST")
    return running


@pytest.fixture
def sdk(provider: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunwayML]:
    monkeypatch.setattr(polling, "POLL_TIME", 0.05)
    monkeypatch.setattr(polling, "POLL_JITTER", 0.0)
    with RunwayML(api_key=KEY, base_url=f"{provider.url}/runway", max_retries=0) as client:
        yield client


def ordered(sdk: RunwayML, prompt: str = "a lighthouse") -> polling.NewTaskCreatedResponse:
    return sdk.image_to_video.create(
        model="gen4_turbo", prompt_image=PICTURE, prompt_text=prompt, ratio="1280:720", duration=2
    )


def is_a_clip(url: str) -> bool:
    return requests.get(url, timeout=10).content[4:8] == b"ftyp"


def test_a_task_is_created_and_waited_for(sdk: RunwayML) -> None:
    done = ordered(sdk).wait_for_task_output(timeout=WHOLE_LIFE_SECONDS)
    assert isinstance(done, Succeeded)
    assert is_a_clip(done.output[0])
    assert done.cost.credits == 10


def test_each_look_brings_a_fresh_link(sdk: RunwayML) -> None:
    done = ordered(sdk).wait_for_task_output(timeout=WHOLE_LIFE_SECONDS)
    again = sdk.tasks.retrieve(done.id)
    assert isinstance(done, Succeeded)
    assert isinstance(again, Succeeded)
    assert done.output != again.output
    assert is_a_clip(again.output[0])


def test_progress_is_a_share_of_one(sdk: RunwayML) -> None:
    task = ordered(sdk, "slowly [[sim: seconds=2]]")
    seen = eventually(lambda: _running(sdk, task.id))
    assert seen
    assert 0 <= seen.progress < 1
    assert seen.estimated_cost.credits == 10


def _running(sdk: RunwayML, task_id: str) -> Running | None:
    seen = sdk.tasks.retrieve(task_id)
    return seen if isinstance(seen, Running) else None


@pytest.mark.requirement("R24")
def test_what_is_more_than_the_tier_renders_at_once_is_throttled_and_comes_in_its_turn(sdk: RunwayML) -> None:
    tasks = [ordered(sdk, f"scene {number} [[sim: stall]]") for number in range(2)]
    third = ordered(sdk, "scene 3")
    assert isinstance(sdk.tasks.retrieve(third.id), Throttled)
    sdk.tasks.delete(tasks[0].id)
    assert isinstance(third.wait_for_task_output(timeout=WHOLE_LIFE_SECONDS), Succeeded)


def test_the_tier_is_changed_by_the_control_port(sdk: RunwayML, provider: SimulatorProcess) -> None:
    provider.control("limits", "POST", account=account_of(KEY, "runway"), max_in_flight=5)
    tasks = [ordered(sdk, f"scene {number} [[sim: stall]]") for number in range(5)]
    assert not any(isinstance(sdk.tasks.retrieve(task.id), Throttled) for task in tasks)
    tier = sdk.organization.retrieve().tier.models
    assert tier
    assert tier["gen4.5"].max_concurrent_generations == 5


def test_a_failure_arrives_as_the_sdks_own_error_with_its_code(sdk: RunwayML) -> None:
    with pytest.raises(TaskFailedError) as failed:
        ordered(sdk, "[[sim: fail=SAFETY.OUTPUT.VIDEO]]").wait_for_task_output(timeout=WHOLE_LIFE_SECONDS)
    details = failed.value.task_details
    assert isinstance(details, Failed)
    assert (details.failure_code, details.cost.credits) == ("SAFETY.OUTPUT.VIDEO", 10)


@pytest.mark.parametrize("prompt", ["never ends [[sim: stall]]", "soon over"], ids=["alive", "finished"])
def test_a_deleted_task_is_found_no_more(sdk: RunwayML, prompt: str) -> None:
    task = ordered(sdk, prompt)
    if "stall" not in prompt:
        task.wait_for_task_output(timeout=WHOLE_LIFE_SECONDS)
    sdk.tasks.delete(task.id)
    with pytest.raises(runwayml.NotFoundError):
        sdk.tasks.retrieve(task.id)


def test_a_file_is_uploaded_and_used(sdk: RunwayML) -> None:
    picture = io.BytesIO(b"\x89PNG keyframe")
    uri = sdk.uploads.create_ephemeral(file=("keyframe.png", picture)).uri
    assert uri.startswith("runway://")
    task = sdk.image_to_video.create(
        model="veo3.1", prompt_image=[{"uri": uri, "position": "first"}], ratio="1280:720", duration=4, audio=False
    )
    assert isinstance(task.wait_for_task_output(timeout=WHOLE_LIFE_SECONDS), Succeeded)
    with pytest.raises(runwayml.BadRequestError, match="No such upload"):
        sdk.image_to_video.create(model="veo3.1", prompt_image=f"{uri}0", ratio="1280:720")


def test_every_endpoint_of_the_catalogue_takes_what_the_sdk_sends(sdk: RunwayML) -> None:
    tasks = [
        sdk.text_to_video.create(model="gen4.5", prompt_text="a lighthouse", ratio="720:1280", duration=2),
        sdk.video_to_video.create(model="aleph2", video_uri="https://videos.example/a.mp4", prompt_text="snow"),
        sdk.character_performance.create(
            model="act_two",
            character={"type": "image", "uri": PICTURE},
            reference={"type": "video", "uri": "https://videos.example/a.mp4"},
        ),
        sdk.text_to_image.create(
            model="gen4_image", prompt_text="@ada", ratio="1280:720", reference_images=[{"uri": PICTURE, "tag": "ada"}]
        ),
        sdk.text_to_speech.create(
            model="eleven_multilingual_v2",
            prompt_text="Once upon a time",
            voice={"type": "runway-preset", "preset_id": "Leslie"},
        ),
    ]
    for task in tasks:
        assert isinstance(task.wait_for_task_output(timeout=WHOLE_LIFE_SECONDS), Succeeded)
    used = sdk.organization.retrieve()
    assert used.credit_balance < 100_000
    assert used.usage.models
    assert used.usage.models["gen4.5"].daily_generations == 1


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("http://pictures.example/a.png", "HTTPS"),
        ("https://192.0.2.1/a.png", "domain name"),
        ("https://[2001:db8::1]/a.png", "domain name"),
        ("ftp://pictures.example/a.png", "HTTPS"),
        (f"https://pictures.example/{'a' * 2048}", "2048"),
    ],
)
def test_a_link_that_would_not_be_fetched_is_refused(sdk: RunwayML, link: str, complaint: str) -> None:
    with pytest.raises(runwayml.BadRequestError, match=complaint):
        sdk.image_to_video.create(model="gen4_turbo", prompt_image=link, ratio="1280:720")


def test_plain_http_on_this_machine_is_a_link_too_as_long_as_it_answers_head(
    sdk: RunwayML, provider: SimulatorProcess
) -> None:
    finished = ordered(sdk).wait_for_task_output(timeout=WHOLE_LIFE_SECONDS)
    assert isinstance(finished, Succeeded)
    sdk.image_to_video.create(model="gen4_turbo", prompt_image=finished.output[0], ratio="1280:720")
    for link in ("http://127.0.0.1:9/a.png", f"{provider.url}/_sim/reset"):
        with pytest.raises(runwayml.BadRequestError, match="HEAD"):
            sdk.image_to_video.create(model="gen4_turbo", prompt_image=link, ratio="1280:720")


def test_refusals_arrive_as_the_sdks_own_errors(sdk: RunwayML, provider: SimulatorProcess) -> None:
    kinds = {
        "create=402": (runwayml.BadRequestError, "enough credits"),
        "create=422": (runwayml.BadRequestError, "Validation of body failed"),
        "create=429 retry_after=1": (runwayml.RateLimitError, "slow down"),
        "create=503": (runwayml.InternalServerError, "on demand"),
        "create=drop": (runwayml.APIConnectionError, "Connection error"),
    }
    for fault, (kind, words) in kinds.items():
        with pytest.raises(kind, match=words):
            ordered(sdk, f"a lighthouse [[sim: {fault}]]")
    with pytest.raises(runwayml.BadRequestError, match="duration"):
        sdk.text_to_video.create(model="gen4.5", prompt_text="a", ratio="1280:720", duration=99)
    assert provider.control("stats")["accepted"] == 0


def test_a_day_that_is_over_is_refused_like_too_many_requests(sdk: RunwayML, provider: SimulatorProcess) -> None:
    provider.control("limits", "POST", account=account_of(KEY, "runway"), creates_per_day=1)
    ordered(sdk)
    with pytest.raises(runwayml.RateLimitError, match="daily task limit"):
        ordered(sdk)


def test_strangers_and_other_versions_are_turned_away(provider: SimulatorProcess) -> None:
    with (
        RunwayML(api_key="somebody", base_url=f"{provider.url}/runway", max_retries=0) as stranger,
        pytest.raises(runwayml.AuthenticationError),
    ):
        stranger.organization.retrieve()
    answer = provider.call("GET", "/runway/v1/organization")
    assert (answer.status_code, "X-Runway-Version" in answer.json()["error"]) == (400, True)


def test_the_sdk_sends_an_order_again_that_was_taken_already_which_is_why_it_is_not_on_our_paying_path(
    provider: SimulatorProcess,
) -> None:
    with RunwayML(api_key=KEY, base_url=f"{provider.url}/runway") as usual:
        ordered(usual, "a lighthouse [[sim: create=500-after times=1]]")
    assert provider.control("stats")["accepted"] == 2
