"""A route for each path of old, and every way of writing an order that older clients have."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api import schemas
from pipeline.domain.catalogue import Catalogue
from pipeline.domain.errors import SettingsError
from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.rows import INPUTS_OF_MODE
from tests.web import KnownKeys, Web, settings, web

SHIPPED = Path(__file__).parents[2] / "pipeline" / "catalogue"
KEY = "a key"
PICTURE = "https://pictures.example/a.png"
FILM = "https://films.example/a.mp4"
FAL_PATHS = (
    *("veo3/text-to-video", "veo3/image-to-video", "veo3/text-to-video/fast", "veo3/image-to-video/fast"),
    *("veo3_1/text-to-video", "veo3_1/image-to-video", "veo3_1/text-to-video/fast", "veo3_1/image-to-video/fast"),
    *("veo3_1/reference-to-video", "veo3_1/first-last-frame-to-video", "veo3_1/first-last-frame-to-video/fast"),
    *("sora2/text-to-video", "sora2/image-to-video", "sora2/text-to-video/pro", "sora2/image-to-video/pro"),
    *("sora2/video-to-video/remix", "kling-o1/first-last-frame-to-video"),
    *("ltx2/text-to-video/pro", "ltx2/text-to-video/fast", "ltx2/image-to-video/pro", "ltx2/image-to-video/fast"),
)
REPLICATE_PATHS = (
    *("wan-2-5-t2v", "wan-2-5-i2v", "kling-t2v", "kling-i2v", "pixverse-v5-t2v", "pixverse-v5-i2v"),
    *("kling-lipsync", "wan-2-2-animate-replace", "wan-2-2-animate-animation", "seedance-t2v", "seedance-i2v"),
    *("seedance-pro-fast-t2v", "seedance-pro-fast-i2v"),
)
#: Every path that older clients use.
PATHS = [
    *(f"/api/replicate/{path}/submit" for path in REPLICATE_PATHS),
    *(f"/api/fal/{path}/submit" for path in FAL_PATHS),
    *("/api/runway/video", "/api/runway/character-performance", "/api/minimax/video"),
]
KEYS = {"fal_key": "fal", "runwayml_api_secret": "runway", "minimax_api_key": "minimax"}


@pytest.fixture(scope="module")
def api() -> Iterator[Web]:
    with web(settings(**KEYS), change=KnownKeys({KEY: "ada"}).know) as running:
        yield running


def priced(api: Web, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    """What an order is told without being stored."""
    told = api.client(KEY).post(f"{path}?dry_run=true", json=body)
    assert told.status_code == status, told.text
    found: dict[str, Any] = told.get_json()
    return found


def order_for(catalogue: Catalogue, path: str) -> dict[str, Any]:
    """The least that an order on this path has to say."""
    model, mode = catalogue.paths[path]
    needed = [INPUT_FIELDS[name][0] for name in INPUTS_OF_MODE[mode]]
    given = {field: [PICTURE] if field == "reference_image_urls" else PICTURE for field in needed}
    shapes = model.aspect_ratios(mode)
    return {"prompt": "A lighthouse", "duration": 2, **given, **({"aspect_ratio": shapes[0]} if shapes else {})}


@pytest.mark.requirement("R21")
@pytest.mark.parametrize("path", PATHS)
def test_every_path_of_old_orders_one_clip_of_its_row(api: Web, path: str) -> None:
    model, _ = api.services.catalogue.paths[path]
    if model.retired:
        assert priced(api, path, 410)["code"] == "model_retired"
        return
    told = priced(api, path, **order_for(api.services.catalogue, path))
    schemas.Priced.model_validate(told)
    assert told["model"] == model.key
    assert [scene["model"] for scene in told["scenes"]] == [model.key]


@pytest.mark.requirement("R21")
def test_there_is_no_path_of_old_that_is_not_in_the_table(api: Web) -> None:
    assert sorted(api.services.catalogue.paths) == sorted(PATHS)


@pytest.mark.requirement("R21")
@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/api/runway/video", {"promptText": "A", "promptImage": PICTURE, "ratio": "720:1280"}, "runway/gen4.5"),
        ("/api/runway/video", {"model": "gen4_turbo", "promptImage": PICTURE, "promptText": "A"}, "runway/gen4-turbo"),
        (
            "/api/runway/character-performance",
            {
                "model": "act_two",
                "character": {"type": "image", "uri": PICTURE},
                "reference": {"type": "video", "uri": FILM},
                "ratio": "1280:720",
            },
            "runway/act-two",
        ),
        (
            "/api/minimax/video",
            {"model": "MiniMax-Hailuo-2.3", "prompt": "A", "duration": 6, "resolution": "768P"},
            "minimax/hailuo-2.3",
        ),
        ("/api/minimax/video", {"prompt": "A", "first_frame_image": PICTURE, "duration": 6}, "minimax/hailuo-2.3"),
        ("/api/fal/veo3/text-to-video/submit", {"prompt": "A", "duration": "8s", "aspect_ratio": "9:16"}, "fal/veo-3"),
    ],
)
def test_clients_of_each_provider_are_understood(api: Web, path: str, body: dict[str, Any], model: str) -> None:
    assert priced(api, path, **body)["model"] == model


@pytest.mark.requirement("R21", "R42")
def test_a_path_asks_for_what_its_mode_can_not_do_without(api: Web) -> None:
    told = priced(api, "/api/replicate/seedance-i2v/submit", 422, prompt="A lighthouse")
    assert (told["code"], [error["field"] for error in told["errors"]]) == ("missing_input", ["image_url"])
    told = priced(api, "/api/replicate/kling-lipsync/submit", 422, video_url=FILM)
    assert [error["field"] for error in told["errors"]] == ["audio_url"]


@pytest.mark.requirement("R21", "R45")
@pytest.mark.parametrize("path", ["/api/replicate/kling-lipsync/submit", "/api/canvas/generate-video"])
@pytest.mark.parametrize("name", ["video", "audio"])
def test_a_link_into_a_private_net_is_refused_under_the_name_that_the_client_used(
    api: Web, path: str, name: str
) -> None:
    told = priced(api, path, 422, **{"prompt": "A", "video": FILM, "audio": FILM, name: "http://10.0.0.1/a"})
    assert [error["field"] for error in told["errors"]] == [name]


@pytest.mark.requirement("R21")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("seedance-i2v", {"promptText": "A lighthouse", "promptImage": PICTURE, "ratio": "9:16"}),
        ("seedance-i2v", {"prompt": "A lighthouse", "first_frame_image": PICTURE, "aspectRatio": "9:16"}),
        ("seedance-i2v", {"prompt": "A lighthouse", "image": PICTURE, "duration": "5s", "resolution": "720P"}),
        ("seedance-i2v", {"promptText": "A", "promptImage": [{"uri": PICTURE, "position": "first"}], "seed": None}),
        ("kling-i2v", {"prompt": "A lighthouse", "start_image": PICTURE, "duration": "5", "aspect_ratio": "auto"}),
        ("wan-2-5-t2v", {"prompt": "A lighthouse", "size": "720*1280", "negativePrompt": "rain"}),
        ("wan-2-2-animate-replace", {"video": FILM, "character": {"type": "image", "uri": PICTURE}}),
    ],
)
def test_orders_are_read_in_the_words_of_their_clients(api: Web, path: str, body: dict[str, Any]) -> None:
    assert priced(api, f"/api/replicate/{path}/submit", **body)["estimate_cents"] > 0


@pytest.mark.requirement("R21", "R42")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": "A lighthouse", "motion_strength": 3}, "motion_strength"),
        ({"prompt": "A lighthouse", "promptText": "Another"}, "promptText"),
        ({"promptText": "A lighthouse", "ratio": "5:4"}, "ratio"),
        ({"promptText": ""}, "promptText"),
        ({"prompt": "A lighthouse", "duration": "long"}, "duration"),
        ({"prompt": "A lighthouse", "duration": 60}, "duration"),
        ({"prompt": "A lighthouse", "promptImage": "not a link"}, "promptImage"),
        ({}, "prompt"),
        ({"prompt": "A lighthouse", "model": "veo-9"}, "model"),
    ],
)
def test_what_can_not_be_is_refused_by_the_name_that_the_client_used(
    api: Web, body: dict[str, Any], field: str
) -> None:
    told = priced(api, "/api/replicate/seedance-t2v/submit", 422, **body)
    assert [error["field"] for error in told["errors"]] == [field]


@pytest.mark.requirement("R21")
@pytest.mark.parametrize("name", ["veo-3.1", "replicate/veo-3.1", "google/veo-3.1"])
def test_an_order_may_name_another_model_of_the_provider_in_any_of_its_words(api: Web, name: str) -> None:
    told = priced(api, "/api/replicate/seedance-t2v/submit", prompt="A lighthouse", model=name)
    assert told["model"] == "replicate/veo-3.1"


def test_a_body_that_is_no_object_is_refused(api: Web) -> None:
    told = api.client(KEY).post("/api/replicate/seedance-t2v/submit", json=[])
    assert (told.status_code, told.get_json()["errors"][0]["field"]) == (422, "body")


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[Web]:
    """An API whose catalogue knows of an end, and whose operator took another model out."""
    text = (SHIPPED / "replicate.toml").read_text()
    ends = 'slug = "seedance-1-pro"\nsunset = 2026-12-24\nsuccessor = "replicate/seedance-1-pro-fast"\n'
    (tmp_path / "replicate.toml").write_text(text.replace('slug = "seedance-1-pro"\n', ends))
    told = settings(catalogue_dir=str(tmp_path), retired_models=("replicate/pixverse-v5",))
    with web(told, change=KnownKeys({KEY: "ada"}).know) as running:
        yield running


@pytest.mark.requirement("R21", "R42")
def test_a_model_that_is_to_go_says_when_and_what_to_take_then(changed: Web) -> None:
    body = {"prompt": "A lighthouse"}
    answer = changed.client(KEY).post("/api/replicate/seedance-t2v/submit?dry_run=true", json=body)
    assert answer.headers["Sunset"] == "Thu, 24 Dec 2026 00:00:00 GMT"
    assert answer.headers["Link"] == '</v1/models/replicate/seedance-1-pro-fast>; rel="successor-version"'
    told = answer.get_json()
    assert (told["sunset"], told["successor"]) == ("2026-12-24", "replicate/seedance-1-pro-fast")
    assert any("2026-12-24" in warning for warning in told["warnings"])
    assert "Sunset" not in changed.client(KEY).post("/api/replicate/kling-t2v/submit?dry_run=true", json=body).headers


@pytest.mark.usefixtures("one_day")
@pytest.mark.requirement("R21", "R42")
@pytest.mark.parametrize(("days", "words"), [(1, "is announced for"), (0, "was to end on"), (-60, "was to end on")])
def test_the_warning_is_louder_from_the_day_on_which_a_model_was_to_go(tmp_path: Path, days: int, words: str) -> None:
    text, day = (SHIPPED / "replicate.toml").read_text(), datetime.now(UTC).date() + timedelta(days=days)
    ends = f'slug = "seedance-1-pro"\nsunset = {day}\nsuccessor = "replicate/seedance-1-pro-fast"\n'
    (tmp_path / "replicate.toml").write_text(text.replace('slug = "seedance-1-pro"\n', ends))
    with web(settings(catalogue_dir=str(tmp_path)), change=KnownKeys({KEY: "ada"}).know) as running:
        answer = running.client(KEY).post("/api/replicate/seedance-t2v/submit?dry_run=true", json={"prompt": "A"})
    [told] = [each for each in answer.get_json()["warnings"] if str(day) in each]
    assert (answer.status_code, words in told, "seedance-1-pro-fast" in told) == (200, True, True)


@pytest.mark.requirement("R21", "R42")
@pytest.mark.parametrize("path", ["/api/replicate/pixverse-v5-t2v/submit", "/v1/estimate"])
def test_a_model_that_the_operator_took_out_is_gone(changed: Web, path: str) -> None:
    body = {"scenes": [{"description": "A"}], "model": "replicate/pixverse-v5"} if "v1" in path else {"prompt": "A"}
    answer = changed.client(KEY).post(path, json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (410, "model_retired")
    known = {row["model"] for row in changed.client(KEY).get("/v1/models").get_json()["models"]}
    assert "replicate/pixverse-v5" not in known


def test_a_model_that_is_gone_names_its_successor(tmp_path: Path) -> None:
    text = (SHIPPED / "replicate.toml").read_text()
    heir = 'slug = "veo-3"\nretired = 2026-09-24\nsuccessor = "replicate/veo-3.1"\n'
    (tmp_path / "replicate.toml").write_text(
        text.replace('slug = "veo-3"\n', heir + 'legacy_paths = { text = "/api/old" }\n')
    )
    with web(settings(catalogue_dir=str(tmp_path)), change=KnownKeys({KEY: "ada"}).know) as api:
        told = priced(api, "/api/old", 410)
    assert "take replicate/veo-3.1 instead" in told["detail"]
    assert told["errors"][0]["allowed"] == ["replicate/veo-3.1"]


def test_a_model_to_take_out_that_nobody_knows_stops_the_process() -> None:
    with (
        pytest.raises(SettingsError, match="RETIRED_MODELS: there is no model 'fal/sora-9'"),
        web(settings(retired_models=("fal/sora-9",))),
    ):
        pass
