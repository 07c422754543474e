"""The official Replicate SDK, unchanged, works against the simulator."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.pagination import paginate

from tests.integration.simulator_process import MODEL, SimulatorProcess

pytestmark = pytest.mark.requirement("R59")

SVD = "stability-ai/stable-video-diffusion:3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    settings = {"SIMULATOR_RENDER_SECONDS": "0.3", "SIMULATOR_FRAME_HEIGHT": "120", "SIMULATOR_TOKENS": "r8_sdk"}
    with SimulatorProcess(tmp_path_factory.mktemp("simulator") / "data", settings, token="r8_sdk") as running:
        yield running


@pytest.fixture
def sdk(provider: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    client = Client(api_token="r8_sdk", base_url=provider.url)
    yield client
    client._client.close()


def is_a_clip(url: object) -> bool:
    return requests.get(str(url), timeout=10).content[4:8] == b"ftyp"


def test_run_gives_the_clip(sdk: Client) -> None:
    assert is_a_clip(sdk.run(MODEL, input={"prompt": "a lighthouse", "duration": 2}))


def test_run_by_version_gives_the_clip_and_finds_the_version(sdk: Client) -> None:
    assert is_a_clip(sdk.run(SVD, input={"input_image": "https://example.com/a.png"}))


def test_run_polls_on_when_the_wait_was_too_short(sdk: Client) -> None:
    given = {"prompt": "a lighthouse [[sim: seconds=4]]", "duration": 2}
    assert is_a_clip(sdk.run(MODEL, input=given, wait=1))


def test_run_raises_the_models_own_error(sdk: Client) -> None:
    with pytest.raises(ModelError, match="flagged as sensitive"):
        sdk.run(MODEL, input={"prompt": "a lighthouse [[sim: fail=moderated]]"})


def test_a_prediction_is_created_watched_and_waited_for(sdk: Client) -> None:
    prediction = sdk.predictions.create(model=MODEL, input={"prompt": "a [[sim: seconds=1]]", "duration": 2})
    assert prediction.progress is None
    assert prediction.output is None
    prediction.wait()
    assert prediction.status == "succeeded"
    assert prediction.progress is not None
    assert prediction.progress.percentage == 1
    assert is_a_clip(prediction.output)
    assert sdk.predictions.get(prediction.id).metrics == prediction.metrics


def test_a_prediction_is_cancelled(sdk: Client) -> None:
    prediction = sdk.models.predictions.create(MODEL, input={"prompt": "a [[sim: stall]]"})
    prediction.cancel()
    assert prediction.status == "canceled"


def test_the_list_is_walked_by_its_own_links(sdk: Client, provider: SimulatorProcess) -> None:
    provider.control("reset", "POST")
    for _ in range(101):
        provider.create(fault="stall")
    pages = list(paginate(sdk.predictions.list))
    assert [len(page) for page in pages] == [100, 1]
    assert sdk.predictions.list(pages[1].previous).results[0].id == pages[0].results[0].id


def test_files_are_uploaded_read_listed_and_deleted(sdk: Client, tmp_path: Path) -> None:
    path = tmp_path / "keyframe.png"
    path.write_bytes(b"\x89PNG keyframe")
    uploaded = sdk.files.create(path, metadata={"scene": 3})
    assert (uploaded.name, uploaded.content_type, uploaded.size) == ("keyframe.png", "image/png", 13)
    assert uploaded.metadata == {"scene": 3}
    assert sdk.files.get(uploaded.id) == uploaded
    assert [file.id for file in sdk.files.list()] == [uploaded.id]
    assert sdk.files.delete(uploaded.id) is True
    assert sdk.files.list() == []


def test_a_file_among_the_inputs_is_uploaded_first(sdk: Client) -> None:
    picture = io.BytesIO(b"\x89PNG keyframe")
    picture.name = "keyframe.png"
    prediction = sdk.models.predictions.create(MODEL, input={"prompt": "a lighthouse", "image": picture})
    assert prediction.input
    assert sdk.files.get(prediction.input["image"].rpartition("/")[2]).name == "keyframe.png"


def test_refusals_arrive_as_the_sdks_own_error(sdk: Client, provider: SimulatorProcess) -> None:
    with pytest.raises(ReplicateError) as refused:
        sdk.predictions.create(model=MODEL, input={"prompt": "a", "duration": 99})
    assert (refused.value.status, refused.value.title) == (422, "Input validation failed")
    assert "input.duration" in (refused.value.detail or "")
    for fault, status in (("create=402", 402), ("create=429 retry_after=1", 429), ("create=500", 500)):
        with pytest.raises(ReplicateError) as refused:
            sdk.predictions.create(model=MODEL, input={"prompt": f"a [[sim: {fault}]]"})
        assert refused.value.status == status
    stranger = Client(api_token="r8_wrong", base_url=provider.url)
    with pytest.raises(ReplicateError) as refused:
        stranger.accounts.current()
    assert refused.value.status == 401
    stranger._client.close()


def test_the_sdk_gets_over_throttled_polls_by_itself(sdk: Client) -> None:
    prompt = "a lighthouse [[sim: poll=429 requests=2 retry_after=1]]"
    prediction = sdk.predictions.create(model=MODEL, input={"prompt": prompt, "duration": 2})
    prediction.wait()
    assert prediction.status == "succeeded"


def test_account_models_hardware_and_webhook_secret_are_read(sdk: Client) -> None:
    assert sdk.accounts.current().type == "user"
    model = sdk.models.get(MODEL)
    assert model.latest_version
    assert "prompt" in model.latest_version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    assert sdk.hardware.list()
    assert sdk.webhooks.default.secret().key.startswith("whsec_")
