"""fal's official SDK, unchanged, works against the simulator; only its addresses are set, which it has as constants."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import fal_client
import httpx
import pytest
import requests
from fal_client.client import FalClientHTTPError

from tests.integration.simulator_process import SimulatorProcess

pytestmark = pytest.mark.requirement("R59")

KEY = "fal_sdk_key"
MODEL = "fal-ai/bytedance/seedance/v1/pro/fast/text-to-video"
PICTURE = "fal-ai/flux/schnell"
GIVEN = {"prompt": "a lighthouse", "duration": "2"}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    settings = {"SIMULATOR_RENDER_SECONDS": "0.3", "SIMULATOR_FRAME_HEIGHT": "120", "SIMULATOR_TOKENS": KEY}
    with SimulatorProcess(tmp_path_factory.mktemp("simulator") / "data", settings, token=KEY) as running:
        yield running


@pytest.fixture
def sdk(provider: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[fal_client.SyncClient]:
    provider.control("reset", "POST")
    addresses = {"QUEUE_URL_FORMAT": "/fal/", "RUN_URL_FORMAT": "/fal/_run/", "REST_URL": "/fal/_rest"}
    for name, path in {**addresses, "CDN_URL": "/fal/_cdn"}.items():
        monkeypatch.setattr(fal_client.client, name, provider.url + path)
    client = fal_client.SyncClient(key=KEY)
    uploading = closed_at_the_end(client, monkeypatch)
    yield client
    for each in (client._client, *uploading):
        each.close()


def closed_at_the_end(client: fal_client.SyncClient, monkeypatch: pytest.MonkeyPatch) -> list[httpx.Client]:
    """The lines that it uploads on, which it leaves open."""
    opened: list[httpx.Client] = []
    make = client._get_cdn_client

    def kept(_: object) -> httpx.Client:
        opened.append(make())
        return opened[-1]

    monkeypatch.setattr(fal_client.SyncClient, "_get_cdn_client", kept)
    return opened


def is_a_clip(url: object) -> bool:
    return requests.get(str(url), timeout=10).content[4:8] == b"ftyp"


def faulty(fault: str) -> dict[str, str]:
    return {**GIVEN, "prompt": f"a lighthouse [[sim: {fault}]]"}


def test_subscribe_waits_in_the_queue_and_gives_the_clip(sdk: fal_client.SyncClient) -> None:
    seen: list[fal_client.Status] = []
    result = sdk.subscribe(MODEL, faulty("seconds=4"), with_logs=True, on_queue_update=seen.append)
    assert is_a_clip(result["video"]["url"])
    assert result["video"]["content_type"] == "video/mp4"
    assert isinstance(seen[-1], fal_client.Completed)
    assert seen[-1].metrics["inference_time"] > 0
    assert any(isinstance(status, fal_client.InProgress) and status.logs for status in seen)


def test_run_answers_on_one_line(sdk: fal_client.SyncClient) -> None:
    assert is_a_clip(sdk.run(MODEL, GIVEN)["video"]["url"])


def test_pictures_come_as_a_list(sdk: fal_client.SyncClient) -> None:
    result = sdk.subscribe(PICTURE, {"prompt": "a lighthouse", "num_images": 2, "image_size": "square"})
    assert len(result["images"]) == 2
    assert requests.get(result["images"][0]["url"], timeout=10).content[:3] == b"\xff\xd8\xff"


def test_a_request_is_submitted_watched_and_fetched_by_its_id(sdk: fal_client.SyncClient) -> None:
    handle = sdk.submit(MODEL, faulty("seconds=4"))
    assert isinstance(sdk.status(MODEL, handle.request_id), fal_client.Queued | fal_client.InProgress)
    assert handle.get() == sdk.result(MODEL, handle.request_id)
    assert handle.status() == fal_client.Completed(logs=None, metrics=handle.status().metrics)  # type: ignore[attr-defined]


def test_the_third_of_an_account_waits_and_knows_its_place(sdk: fal_client.SyncClient) -> None:
    handles = [sdk.submit(MODEL, faulty("stall")) for _ in range(4)]
    found = [handle.status() for handle in handles]
    assert found[2:] == [fal_client.Queued(position=0), fal_client.Queued(position=1)]


def test_a_request_is_cancelled_and_a_late_cancel_is_an_error(sdk: fal_client.SyncClient) -> None:
    handle = sdk.submit(MODEL, faulty("stall"))
    handle.cancel()
    status = handle.status()
    assert isinstance(status, fal_client.Completed)
    assert status.error_type == "client_cancelled"
    with pytest.raises(FalClientHTTPError) as late:
        handle.cancel()
    assert late.value.status_code == 400
    with pytest.raises(FalClientHTTPError) as unknown:
        sdk.cancel(MODEL, "00000000-0000-0000-0000-000000000000")
    assert unknown.value.status_code == 404


def test_a_failed_run_is_completed_and_its_result_raises_the_models_error(sdk: fal_client.SyncClient) -> None:
    handle = sdk.submit(MODEL, faulty("fail=moderated"))
    with pytest.raises(FalClientHTTPError) as refused:
        handle.get()
    assert refused.value.status_code == 422
    assert refused.value.response_headers["x-fal-retryable"] == "false"
    status = handle.status()
    assert isinstance(status, fal_client.Completed)
    assert status.error_type == "content_policy_violation"


@pytest.mark.parametrize(("fault", "status"), [("create=402", 403), ("create=422", 422), ("create=500", 500)])
def test_refusals_arrive_as_the_sdks_own_error(sdk: fal_client.SyncClient, fault: str, status: int) -> None:
    with pytest.raises(FalClientHTTPError) as refused:
        sdk.submit(MODEL, faulty(fault))
    assert refused.value.status_code == status
    assert ("User is locked" in str(refused.value)) is (status == 403)


@pytest.mark.usefixtures("sdk")
def test_a_bad_input_a_strange_model_and_a_wrong_key_are_refused() -> None:
    for model, given, key, status in (
        (MODEL, {**GIVEN, "duration": "99"}, KEY, 422),
        (MODEL, {**GIVEN, "no_such_input": 1}, KEY, 422),
        ("fal-ai/no-such-model", GIVEN, KEY, 404),
        (MODEL, GIVEN, "fal_wrong", 401),
    ):
        client = fal_client.SyncClient(key=key)
        with pytest.raises(FalClientHTTPError) as refused:
            client.submit(model, given)
        assert refused.value.status_code == status
        client._client.close()


def test_the_sdk_sends_a_lost_order_again_which_is_why_it_is_not_on_our_path(
    sdk: fal_client.SyncClient, provider: SimulatorProcess
) -> None:
    sdk.submit(MODEL, faulty("stall create=drop-after times=1"))
    assert len(provider.control("ledger")) == 2, "bought twice"


@pytest.mark.parametrize("repository", ["fal_v3", "fal"])
def test_files_are_uploaded_and_can_be_read_back(
    sdk: fal_client.SyncClient, tmp_path: Path, repository: Literal["fal_v3", "fal"]
) -> None:
    path = tmp_path / "keyframe.png"
    path.write_bytes(b"\x89PNG keyframe")
    url = sdk.upload_file(path, repository=repository, fallback_repository=[])
    read = requests.get(url, timeout=10)
    assert (read.content, read.headers["content-type"]) == (b"\x89PNG keyframe", "image/png")


@pytest.mark.usefixtures("sdk")
def test_the_async_client_works_as_well() -> None:
    async def clip() -> str:
        client = fal_client.AsyncClient(key=KEY)
        result = await client.subscribe(MODEL, GIVEN)
        await (await client._client).aclose()
        return str(result["video"]["url"])

    # In a thread of its own: a browser's driver, if one was started, has its loop in this one.
    with ThreadPoolExecutor(1) as thread:
        assert is_a_clip(thread.submit(lambda: asyncio.run(clip())).result())
