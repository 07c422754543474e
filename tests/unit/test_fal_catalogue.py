"""fal's rows: what is ordered where, in whose words, and until when."""

from datetime import date
from itertools import product
from typing import Any

import pytest

from pipeline.domain.catalogue import load
from pipeline.domain.order import compose_input, plan
from pipeline.domain.spec import parse_job
from pipeline.services import catalogue_texts

SHIPPED = load(catalogue_texts(""))
ROWS = {row.slug: row for row in SHIPPED.models.values() if row.provider == "fal"}
LINK = "https://pictures.example/a.png"


def sent(slug: str, duration: float = 5, **scene: Any) -> tuple[str, dict[str, Any]]:
    """Where a scene is ordered, and what is sent."""
    given = {"description": "a lighthouse", "duration": duration, **scene}
    [shot] = plan(parse_job({"model": f"fal/{slug}", "scenes": [given]}), SHIPPED, duration_buffer=1.25).shots
    return ROWS[slug].endpoint(shot.mode), compose_input(ROWS[slug], shot, seed=7)


@pytest.mark.requirement("R21")
def test_every_path_that_clients_of_fal_use_belongs_to_a_row() -> None:
    ways, speeds = ("text-to-video", "image-to-video"), ("", "/fast")
    paths = {f"{model}/{way}{speed}" for model, way, speed in product(("veo3", "veo3_1"), ways, speeds)}
    paths |= {"veo3_1/reference-to-video"} | {f"veo3_1/first-last-frame-to-video{speed}" for speed in speeds}
    paths |= {f"sora2/{way}{grade}" for way, grade in product(ways, ("", "/pro"))} | {"sora2/video-to-video/remix"}
    paths |= {f"ltx2/{way}/{grade}" for way, grade in product(ways, ("pro", "fast"))}
    paths |= {"kling-o1/first-last-frame-to-video"}
    found = [path for row in ROWS.values() for path in row.legacy_paths.values()]
    assert sorted(found) == sorted(f"/api/fal/{path}/submit" for path in paths)


@pytest.mark.requirement("R40")
@pytest.mark.parametrize(
    ("slug", "scene", "endpoint", "given"),
    [
        ("veo-3.1", {}, "fal-ai/veo3.1", {"duration": "6s", "generate_audio": True, "resolution": "1080p"}),
        ("veo-3.1-fast", {"image_url": LINK}, "fal-ai/veo3.1/fast/image-to-video", {"image_url": LINK}),
        (
            "veo-3.1-references",
            {"reference_image_urls": [LINK]},
            "fal-ai/veo3.1/reference-to-video",
            {"image_urls": [LINK], "duration": "8s"},
        ),
        (
            "veo-3.1-first-last-frame",
            {"image_url": LINK, "last_frame_url": LINK},
            "fal-ai/veo3.1/first-last-frame-to-video",
            {"first_frame_url": LINK, "last_frame_url": LINK},
        ),
        ("ltx-2-pro", {}, "fal-ai/ltx-2/text-to-video", {"duration": 6, "fps": 25}),
        ("kling-v2.5-turbo-pro", {}, "fal-ai/kling-video/v2.5-turbo/pro/text-to-video", {"duration": "5"}),
        (
            "kling-o1",
            {"image_url": LINK, "last_frame_url": LINK},
            "fal-ai/kling-video/o1/image-to-video",
            {"start_image_url": LINK, "end_image_url": LINK, "duration": "5"},
        ),
        ("seedance-1-pro", {}, "fal-ai/bytedance/seedance/v1/pro/text-to-video", {"duration": "6", "seed": 7}),
    ],
)
def test_a_scene_is_ordered_at_its_modes_endpoint_in_its_models_words(
    slug: str, scene: dict[str, Any], endpoint: str, given: dict[str, Any]
) -> None:
    place, said = sent(slug, **scene)
    assert place == endpoint
    assert {name: said.get(name) for name in given} == given
    assert {name: type(said[name]) for name in given} == {name: type(value) for name, value in given.items()}


@pytest.mark.requirement("R41")
@pytest.mark.parametrize(
    ("slug", "ratios"),
    [
        ("veo-3.1", {"16:9", "9:16"}),
        ("kling-v2.5-turbo-pro", {"16:9", "9:16", "1:1", "4:3", "3:4"}),
        ("hailuo-2.3-standard", {"16:9", "9:16", "1:1"}),
        ("wan-2.5", {"16:9", "1:1", "9:16"}),
    ],
)
def test_the_shapes_of_the_named_models_are_those_they_have_elsewhere(slug: str, ratios: set[str]) -> None:
    assert set(ROWS[slug].aspect_ratios()) == ratios


def test_what_is_withdrawn_says_when_and_what_to_take_instead() -> None:
    soras = [row for slug, row in ROWS.items() if slug.startswith("sora")]
    assert len(soras) == 3
    for row in soras:
        assert row.sunset == date(2026, 9, 30)
        assert SHIPPED.model(row.successor or "").sunset is None


@pytest.mark.requirement("R40")
def test_what_was_seen_at_second_hand_only_says_so_with_its_day() -> None:
    assert {slug for slug, row in ROWS.items() if not row.verified} == {
        *("sora-2", "sora-2-pro", "sora-2-remix", "ltx-2-pro", "ltx-2-fast", "kling-o1", "veo-3.1-references")
    }
    assert all(row.checked for row in ROWS.values() if not row.verified)
    assert not any(row.price.verified for row in ROWS.values())


def test_the_account_takes_what_a_grown_one_renders_and_nothing_proves_absence() -> None:
    account = SHIPPED.accounts["fal"]
    assert (account.max_in_flight, account.settle, account.lists, account.reports) == (40, None, False, True)
    assert account.key_variable == "FAL_KEY"
