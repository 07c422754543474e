"""The rows that we ship hold together, and a front end finds what it asks for."""

import json
from itertools import product
from pathlib import Path

import pytest

from pipeline.domain.catalogue import Model, load
from pipeline.domain.errors import UnknownModel
from pipeline.domain.order import compose_input
from pipeline.domain.shot import Shot

FOLDER = Path(__file__).parents[2] / "pipeline" / "catalogue"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.toml")}
SHIPPED = load(TEXTS)
ROWS = [pytest.param(model, id=model.key) for model in SHIPPED.models.values()]
REPLICATE = load({"replicate.toml": TEXTS["replicate.toml"]})
CLIPS_OF_REPLICATE = [pytest.param(each, id=each.key) for each in REPLICATE.models.values() if each.kind == "video"]
#: Whoever takes longer than two minutes, besides every Veo.
SLOW = {"replicate/cogvideox-5b", "hypereal/sora-2"}


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("model", ROWS)
def test_every_shipped_row_has_a_price_and_limits_that_make_sense(model: Model) -> None:
    for resolution in model.resolution.allowed:
        lengths = model.lengths(resolution=resolution).allowed
        for seconds in lengths if isinstance(lengths, list) else lengths.values():
            assert model.price_cents(seconds, resolution, characters=100) > 0
    assert model.hard_limit_seconds > model.time_limit_seconds
    assert 0 < model.polling.first_seconds <= model.polling.max_seconds
    assert model.usual_seconds <= model.hard_limit_seconds
    assert SHIPPED.account_for(model).provider == model.provider


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("model", ROWS)
def test_every_shipped_row_can_be_shown_as_json(model: Model) -> None:
    document = json.loads(json.dumps(model.document(), allow_nan=False))
    assert document["model"] == model.key == f"{model.provider}/{model.slug}"
    assert document["price"]["checked"].startswith("2026-")
    assert set(document["by_mode"]) == set(model.modes)


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("model", CLIPS_OF_REPLICATE)
def test_replicate_is_asked_after_5_s_and_then_up_to_every_30_s(model: Model) -> None:
    assert (model.polling.first_seconds, model.polling.max_seconds) == (5, 30)


@pytest.mark.requirement("R39")
@pytest.mark.parametrize("model", ROWS)
def test_veo_has_ten_minutes_and_the_others_two(model: Model) -> None:
    slow = model.slug.startswith("veo") or model.key in SLOW
    assert model.time_limit_seconds == (600 if slow else 120)


@pytest.mark.requirement("R41")
@pytest.mark.parametrize(
    ("slug", "ratios"),
    [
        ("kling-v2.1", {"16:9"}),
        ("kling-v2.5-turbo-pro", {"16:9", "9:16", "1:1", "4:3", "3:4"}),
        ("hailuo-2.3", {"16:9", "9:16", "1:1"}),
        ("wan-2.5-i2v", {"16:9", "1:1", "9:16"}),
        ("veo-3.1", {"16:9", "9:16"}),
    ],
)
def test_the_shapes_of_the_named_models(slug: str, ratios: set[str]) -> None:
    model = SHIPPED.model(f"replicate/{slug}")
    assert set(model.aspect_ratios()) == set(model.aspect_ratios("image")) == ratios
    assert model.document()["aspect_ratios"] == list(model.aspect_ratios())


@pytest.mark.requirement("R43")
@pytest.mark.parametrize(
    ("slug", "target", "asked"),
    [
        ("kling-v2.1", 0.5, 5),
        ("kling-v2.1", 5, 5),
        ("kling-v2.1", 5.01, 10),
        ("kling-v2.5-turbo-pro", 4, 5),
        ("kling-v2.5-turbo-pro", 10, 10),
        ("hailuo-2.3", 6, 6),
        ("hailuo-2.3", 6.5, 10),
        ("veo-3.1", 1, 4),
        ("veo-3.1", 4, 6),  # 5.0 is as near to 4 as to 6
        ("veo-3.1", 5, 6),
        ("veo-3.1", 6, 8),
        ("veo-3.1", 8, 8),
        ("seedance-1-pro", 0.1, 2),
        ("seedance-1-pro", 5, 6),
        ("seedance-1-pro", 5.6, 7),
        ("seedance-1-pro", 11.5, 12),
        ("seedance-1-pro", 12, 12),
    ],
)
def test_the_length_that_is_asked_for(slug: str, target: float, asked: float) -> None:
    given = SHIPPED.model(f"replicate/{slug}").asked_seconds(target, 1.25)
    assert given == asked
    assert isinstance(given, int)


@pytest.mark.requirement("R43")
@pytest.mark.parametrize("model", ROWS)
def test_what_is_asked_for_always_serves_the_target_and_is_always_allowed(model: Model) -> None:
    for target, buffer in product((0.3, 1, 2.2, 3.999, 4, 6, 7.5, 9.9, 12), (1.0, 1.25, 3.0)):
        if target > model.duration.longest:
            continue
        asked = model.asked_seconds(target, buffer)
        lengths = model.duration.allowed
        assert asked >= target
        assert asked in lengths if isinstance(lengths, list) else lengths["min"] <= asked <= lengths["max"]


@pytest.mark.requirement("R21")
def test_every_path_that_clients_of_replicate_use_belongs_to_a_row() -> None:
    names = [
        *(
            "wan-2-5-t2v",
            "wan-2-5-i2v",
            "kling-t2v",
            "kling-i2v",
            "kling-lipsync",
            "pixverse-v5-t2v",
            "pixverse-v5-i2v",
        ),
        *("seedance-t2v", "seedance-i2v", "seedance-pro-fast-t2v", "seedance-pro-fast-i2v"),
        *("wan-2-2-animate-replace", "wan-2-2-animate-animation"),
    ]
    paths = {path for model in REPLICATE.models.values() for path in model.legacy_paths.values()}
    assert paths == {f"/api/replicate/{name}/submit" for name in names}


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("model", ROWS)
def test_the_input_of_a_longest_clip_holds_only_names_from_its_row(model: Model) -> None:
    longest = model.duration.longest
    shot = Shot(
        index=0,
        model=model.key,
        prompt="SCENE: a lighthouse",
        target_seconds=longest,
        asked_seconds=longest,
        aspect_ratio=(model.aspect_ratios() or ("16:9",))[0],
        seed=None,
        negative_prompt="rain",
        image_url="https://pictures.example/a.png",
        reference_image_urls=("https://pictures.example/b.png",),
        estimate_cents=1,
    )
    sent = compose_input(model, shot, seed=7)
    written = model.model_dump_json()
    assert all(f'"{name}"' in written for name in sent)
    assert "" not in sent
    assert None not in sent.values()
    assert sent.get(model.seed_field or "") == (7 if model.seed_field else None)


def test_an_account_keeps_the_limits_of_its_file() -> None:
    account = SHIPPED.account_for(SHIPPED.model("replicate/seedance-1-pro"))
    assert (account.name, account.max_in_flight, account.blocked_default_seconds) == ("replicate", 5, 15)
    assert {name: (window.requests, window.seconds) for name, window in account.windows.items()} == {
        "create": (600, 60),
        "status": (3000, 60),
    }


@pytest.mark.requirement("R42")
@pytest.mark.parametrize("asked", ["replicate/seedance-1-pr", "seedance-1-pro", "fal/Seedance-1-Pro", "SEEDANCE-1-PRO"])
def test_an_unknown_model_is_refused_with_the_names_that_come_close(asked: str) -> None:
    with pytest.raises(UnknownModel, match="replicate/seedance-1-pro") as caught:
        REPLICATE.model(asked)
    assert "replicate/seedance-1-pro" in caught.value.errors[0].allowed


def test_a_model_like_no_other_is_refused_with_the_place_to_look() -> None:
    with pytest.raises(UnknownModel, match="GET /v1/models"):
        REPLICATE.model("§" * 10_000)


def keys(models: list[Model]) -> set[str]:
    return {model.slug for model in models}


@pytest.mark.requirement("R42")
def test_a_front_end_finds_what_can_do_all_it_needs_in_one_mode() -> None:
    assert len(REPLICATE.find()) == len(REPLICATE.models)
    assert REPLICATE.find(provider="fal") == []
    assert {model.provider for model in SHIPPED.find(provider="fal")} == {"fal"}
    assert keys(REPLICATE.find(mode="references", kind="video")) == {"veo-3.1", "seedance-1-lite"}
    assert keys(REPLICATE.find(mode="references", aspect_ratio="9:16")) == {"seedance-1-lite"}
    assert "hailuo-2.3" in keys(REPLICATE.find(aspect_ratio="9:16"))
    assert "hailuo-2.3" not in keys(REPLICATE.find(mode="text", aspect_ratio="9:16"))
    assert keys(REPLICATE.find(mode="text", duration=12)) == {
        "seedance-1-pro",
        "seedance-1-pro-fast",
        "seedance-1-lite",
    }
    assert REPLICATE.find(duration=31) == REPLICATE.find(duration=0) == REPLICATE.find(mode="no such") == []
