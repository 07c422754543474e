"""What a model can do is measured, priced and written down in the words of its provider."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.catalogue import Catalogue, load
from pipeline.domain.errors import OverBudget, Refusal, UnsupportedDuration
from pipeline.domain.order import Plan, as_long_as, compose_input, plan
from pipeline.domain.parts import description_of, prompt_of
from pipeline.domain.spec import parse_job

FOLDER = Path(__file__).parents[2] / "pipeline" / "catalogue"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.toml")}
SHIPPED = load(TEXTS)
PICTURE = "https://pictures.example/a.png"
OTHER_PICTURE = "https://pictures.example/b.png"
FILM = "https://films.example/a.mp4"
VOICE = "https://voices.example/a.mp3"


def planned(*scenes: dict[str, Any], catalogue: Catalogue = SHIPPED, **job: Any) -> Plan:
    """The plan of a job on Seedance, or on the model that is given."""
    spelled = [{"description": "A lighthouse"} | scene for scene in scenes or [{}]]
    body = {"model": "replicate/seedance-1-pro", "scenes": spelled} | job
    return plan(parse_job(body), catalogue, duration_buffer=1.25)


def on(slug: str, *scenes: dict[str, Any], **job: Any) -> Plan:
    return planned(*scenes, model=f"replicate/{slug}", **job)


def sent(slug: str, scene: dict[str, Any] | None = None, seed: int | None = None, **job: Any) -> dict[str, Any]:
    made = on(slug, scene or {}, **job)
    return compose_input(SHIPPED.model(f"replicate/{slug}"), made.shots[0], seed=seed)


@pytest.mark.requirement("R31")
def test_each_prompt_is_the_context_a_blank_line_and_the_scene() -> None:
    shots = planned({"description": "Dawn"}, {"description": "Dusk"}, consistency_context="A keeper in yellow").shots
    assert [shot.prompt for shot in shots] == ["A keeper in yellow\n\nSCENE: Dawn", "A keeper in yellow\n\nSCENE: Dusk"]


@pytest.mark.requirement("R31")
@pytest.mark.parametrize("context", [None, "", " \n "])
def test_without_a_context_a_prompt_is_just_the_scene(context: str | None) -> None:
    assert planned(consistency_context=context).shots[0].prompt == "SCENE: A lighthouse"


@pytest.mark.requirement("R17", "R57")
def test_shots_keep_scene_order_and_the_estimate_is_their_sum() -> None:
    made = planned({"duration": 5}, {"duration": 3, "model": "replicate/kling-v2.5-turbo-pro"}, {"duration": 8.5})
    assert [(shot.index, shot.model.partition("/")[2], shot.asked_seconds) for shot in made.shots] == [
        (0, "seedance-1-pro", 6),
        (1, "kling-v2.5-turbo-pro", 5),
        (2, "seedance-1-pro", 11),
    ]
    assert [shot.estimate_cents for shot in made.shots] == [75, 35, 137]  # 74.4, 35 and 136.4, rounded up
    assert made.estimate_cents == 75 + 35 + 137
    assert made.shots[1].target_seconds == 3


@pytest.mark.requirement("R57")
def test_a_resolution_has_its_own_price() -> None:
    made = planned({"resolution": "480p"}, {"resolution": "720p"}, {})
    assert [shot.estimate_cents for shot in made.shots] == [15, 33, 75]


@pytest.mark.requirement("R57")
def test_a_job_above_its_budget_is_refused_with_the_budget_that_would_do() -> None:
    assert planned(budget_cents=75).estimate_cents == 75
    with pytest.raises(OverBudget, match="75 cents") as caught:
        planned(budget_cents=74)
    assert caught.value.errors[0].allowed == {"min": 75}


def test_a_plan_says_beforehand_what_is_only_estimated_and_what_is_not_sent() -> None:
    warnings = on("stable-video-diffusion", {"image_url": PICTURE, "duration": 2}).warnings
    assert any("takes no prompt" in warning for warning in warnings)
    assert any("not confirmed by replicate" in warning for warning in warnings)
    assert any("shape of the image" in warning for warning in on("hailuo-2.3", {"image_url": PICTURE}).warnings)
    assert not any("shape of the image" in warning for warning in on("hailuo-2.3").warnings)
    animated = on("wan-2.2-animate-replace", {"video_url": FILM, "character_url": PICTURE})
    assert any("as long as the video" in warning for warning in animated.warnings)


@pytest.mark.requirement("R66")
@pytest.mark.parametrize(
    ("slug", "measured", "asked", "cents"),
    [
        ("wan-2.2-animate-replace", 12.25, 12.25, 98),
        ("wan-2.2-animate-replace", 0.4, 1, 8),  # the least that the row has a price for
        ("wan-2.2-animate-replace", 30.4, 30, 240),
        ("wan-2.2-animate-replace", 30.6, None, None),
        ("seedance-1-pro", 30.6, 5, 62),
    ],
)
def test_a_clip_that_is_as_long_as_its_video_is_paid_by_what_that_measures(
    slug: str, measured: float, asked: float | None, cents: int | None
) -> None:
    given = {"video_url": FILM, "character_url": PICTURE} if slug.startswith("wan") else {}
    model, [shot] = SHIPPED.model(f"replicate/{slug}"), on(slug, {"duration": 4, **given}).shots
    if asked is None:
        with pytest.raises(UnsupportedDuration, match=r"30\.6 s long, and replicate/wan-2\.2-animate-replace takes"):
            as_long_as(shot, model, measured)
        return
    found = as_long_as(shot, model, measured)
    assert (found.asked_seconds, found.estimate_cents) == (asked, cents)


@pytest.mark.requirement("R40")
@pytest.mark.parametrize(
    ("slug", "scene", "job", "wanted"),
    [
        (
            "seedance-1-pro",
            {"duration": 8, "image_url": PICTURE},
            {"aspect_ratio": "9:16"},
            {"prompt": "SCENE: A lighthouse", "duration": 10, "resolution": "1080p", "fps": 24, "image": PICTURE},
        ),
        (
            "wan-2.5-t2v",
            {"negative_prompt": "rain"},
            {"aspect_ratio": "9:16"},
            {"prompt": "SCENE: A lighthouse", "duration": 5, "size": "720*1280", "negative_prompt": "rain"},
        ),
        (
            "wan-2.5-i2v",
            {"image_url": PICTURE},
            {"aspect_ratio": "1:1"},
            {"prompt": "SCENE: A lighthouse", "duration": 5, "resolution": "720p", "image": PICTURE},
        ),
        (
            "kling-v2.1",
            {"image_url": PICTURE, "duration": 6},
            {},
            {"prompt": "SCENE: A lighthouse", "duration": 10, "mode": "pro", "start_image": PICTURE},
        ),
        (
            "kling-v2.5-turbo-pro",
            {},
            {"aspect_ratio": "1:1"},
            {"prompt": "SCENE: A lighthouse", "duration": 5, "aspect_ratio": "1:1"},
        ),
        (
            "hailuo-2.3",
            {"image_url": PICTURE},
            {},
            {"prompt": "SCENE: A lighthouse", "duration": 6, "resolution": "768p", "first_frame_image": PICTURE},
        ),
        (
            "veo-3.1",
            {"reference_image_urls": [PICTURE, PICTURE]},
            {},
            {
                "prompt": "SCENE: A lighthouse",
                "duration": 8,
                "aspect_ratio": "16:9",
                "resolution": "1080p",
                "generate_audio": True,
                "reference_images": [PICTURE, PICTURE],
            },
        ),
        (
            "stable-video-diffusion",
            {"image_url": PICTURE, "duration": 3},
            {},
            {
                "input_image": PICTURE,
                "video_length": "25_frames_with_svd_xt",
                "sizing_strategy": "crop_to_16_9",
                "frames_per_second": 6,
                "motion_bucket_id": 127,
            },
        ),
        (
            "seedance-1-pro",
            {"image_url": PICTURE, "last_frame_url": OTHER_PICTURE, "resolution": "480p"},
            {},
            {
                "prompt": "SCENE: A lighthouse",
                "duration": 6,
                "resolution": "480p",
                "fps": 24,
                "image": PICTURE,
                "last_frame_image": OTHER_PICTURE,
            },
        ),
        (
            "kling-lip-sync",
            {"video_url": FILM, "audio_url": VOICE},
            {"aspect_ratio": "9:16"},
            {"video_url": FILM, "audio_file": VOICE},
        ),
        (
            "wan-2.2-animate-replace",
            {"video_url": FILM, "character_url": PICTURE, "resolution": "480"},
            {},
            {"video": FILM, "character_image": PICTURE, "resolution": "480", "frames_per_second": 24},
        ),
        ("cogvideox-5b", {}, {"aspect_ratio": "3:2"}, {"prompt": "SCENE: A lighthouse", "steps": 50}),
    ],
)
def test_the_input_is_written_in_the_words_of_each_model(
    slug: str, scene: dict[str, Any], job: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert sent(slug, scene, **job) == wanted


@pytest.mark.requirement("R61")
@pytest.mark.parametrize(("slug", "field"), [("seedance-1-pro", {"seed": 0}), ("kling-v2.5-turbo-pro", {})])
def test_the_seed_of_an_attempt_is_sent_where_the_model_takes_one(slug: str, field: dict[str, int]) -> None:
    with_seed, without = sent(slug, seed=0), sent(slug)
    assert with_seed == without | field
    assert "seed" not in without


SCENES = st.fixed_dictionaries(
    {"description": st.text(max_size=20)},
    optional={
        "duration": st.floats(0.01, 20),
        "model": st.sampled_from([*SHIPPED.models, "replicate/nothing"]),
        "image_url": st.just(PICTURE),
        "last_frame_url": st.just(PICTURE),
        "reference_image_urls": st.lists(st.just(PICTURE), max_size=5),
        "video_url": st.just(FILM),
        "audio_url": st.just(VOICE),
        "character_url": st.just(PICTURE),
        "resolution": st.sampled_from(["", "480p", "720p", "1080p", "768p"]),
        "seed": st.integers(0, 2**31 - 1),
        "negative_prompt": st.text(max_size=5),
        "starts_from": st.none() | st.integers(),
    },
)


def ordered(body: dict[str, Any], buffer: float) -> Plan | Refusal:
    try:
        return plan(parse_job(body), SHIPPED, duration_buffer=buffer)
    except Refusal as refusal:
        return refusal


@settings(deadline=None, max_examples=60)
@given(
    st.lists(SCENES, min_size=1, max_size=4),
    st.sampled_from(["16:9", "9:16", "1:1", "3:2", "2:1"]),
    st.floats(1, 3),
)
def test_any_order_is_a_priced_plan_that_can_be_sent_or_a_refusal(
    scenes: list[dict[str, Any]], ratio: str, buffer: float
) -> None:
    outcome = ordered({"scenes": scenes, "aspect_ratio": ratio, "model": "replicate/seedance-1-pro"}, buffer)
    if isinstance(outcome, Refusal):
        assert outcome.errors
        return
    assert [shot.index for shot in outcome.shots] == list(range(len(scenes)))
    assert outcome.estimate_cents == sum(shot.estimate_cents for shot in outcome.shots) > 0
    for shot in outcome.shots:
        assert shot.asked_seconds >= shot.target_seconds
        assert json.dumps(compose_input(SHIPPED.model(shot.model), shot, seed=shot.seed), allow_nan=False)


@pytest.mark.requirement("R61")
@pytest.mark.parametrize("context", [None, "CHARACTER: a keeper.\n\nLIGHT: dusk."])
@pytest.mark.parametrize("description", ["A lamp.", "ONE SCENE: two men\n\nand a boat.", ""])
def test_what_a_take_was_asked_for_can_be_read_from_its_prompt(context: str | None, description: str) -> None:
    assert description_of(prompt_of(context, description)) == description
