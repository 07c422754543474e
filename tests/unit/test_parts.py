"""What a scene has made beside its clip, and what it takes from an earlier one: planned and priced, or refused."""

from typing import Any

import pytest

from pipeline.domain.catalogue import Catalogue, load
from pipeline.domain.errors import MissingInput, OverBudget, Refusal, UnknownModel, UnsupportedAspectRatio
from pipeline.domain.needs import IfFailed
from pipeline.domain.order import Plan, compose_input, plan
from pipeline.domain.shot import Source
from pipeline.domain.spec import parse_job
from pipeline.services import catalogue_texts

SHIPPED = load(catalogue_texts(""))
PICTURE = "https://pictures.example/a.png"
MAKERS = {"image_model": "replicate/flux-schnell", "speech_model": "replicate/speech-2.8-hd"}
FROM_FIRST: dict[str, Any] = {"starts_from": {"scene": 0}}


def planned(*scenes: dict[str, Any], **job: Any) -> Plan:
    spelled = [{"description": "A lighthouse"} | scene for scene in scenes]
    body = {"model": "replicate/seedance-1-pro", "scenes": spelled, **MAKERS, **job}
    wanted = {name: value for name, value in body.items() if value is not None}
    return plan(parse_job(wanted), SHIPPED, duration_buffer=1.25)


def refused(*scenes: dict[str, Any], **job: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        planned(*scenes, **job)
    return caught.value


def fields(refusal: Refusal) -> list[str]:
    return [error.field for error in refusal.errors]


@pytest.mark.requirement("R46", "R57")
def test_keyframes_and_narrations_are_planned_and_priced_beside_their_clips() -> None:
    made = planned({"keyframe": "A tower", "narration": "It was night. " * 40}, {})
    assert [shot.name for shot in made.shots] == [("video", 0), ("video", 1)]
    assert [(shot.name, shot.estimate_cents) for shot in made.parts] == [(("image", 0), 1), (("audio", 0), 6)]
    assert made.estimate_cents == sum(shot.estimate_cents for shot in made.shots) + 7
    assert made.shots[0].mode == "image"
    assert dict(made.shots[0].sources) == {"image": Source(kind="image", index=0, part="file")}
    assert made.shots[1].sources == {}


@pytest.mark.requirement("R46", "R31")
def test_a_keyframe_gets_the_context_and_the_shape_and_a_narration_only_its_own_words() -> None:
    made = planned(
        {"keyframe": "A tower", "narration": "Once.", "seed": 7}, consistency_context="Ada", voice="Deep_Man"
    )
    picture, words = made.parts
    sent = compose_input(SHIPPED.model(picture.model), picture, seed=picture.seed)
    assert (sent["prompt"], sent["aspect_ratio"], sent["seed"]) == ("Ada\n\nSCENE: A tower", "16:9", 7)
    spoken = compose_input(SHIPPED.model(words.model), words, seed=None)
    assert spoken == {"text": "Once.", "voice_id": "Deep_Man", "audio_format": "mp3"}


def test_a_narration_is_spoken_by_the_models_own_voice_where_nobody_chose_one() -> None:
    [words] = planned({"narration": "Once."}).parts
    assert compose_input(SHIPPED.model(words.model), words, seed=None)["voice_id"] == "Wise_Woman"


@pytest.mark.requirement("R57")
def test_the_budget_is_for_all_that_a_job_makes() -> None:
    cents = planned({"duration": 5}).estimate_cents
    assert planned({"duration": 5}, budget_cents=cents).estimate_cents == cents
    with pytest.raises(OverBudget):
        planned({"duration": 5, "keyframe": "A tower"}, budget_cents=cents)


@pytest.mark.requirement("R62")
@pytest.mark.parametrize(
    ("start", "source", "policy"),
    [
        ({"scene": 0}, Source(kind="video", index=0, part="last_frame"), IfFailed.FAIL),
        ({"scene": 0, "frame": "keyframe"}, Source(kind="image", index=0, part="file"), IfFailed.FAIL),
        ({"scene": 0, "if_failed": "skip"}, Source(kind="video", index=0, part="last_frame"), IfFailed.SKIP),
        (
            {"scene": 0, "if_failed": "independent"},
            Source(kind="video", index=0, part="last_frame"),
            IfFailed.INDEPENDENT,
        ),
    ],
)
def test_a_scene_takes_what_it_starts_from_of_an_earlier_one(
    start: dict[str, Any], source: Source, policy: IfFailed
) -> None:
    later = planned({"keyframe": "A tower"}, {"starts_from": start}).shots[1]
    assert (dict(later.sources), later.if_needed_fails, later.mode) == ({"image": source}, policy, "image")


@pytest.mark.requirement("R42", "R62")
@pytest.mark.parametrize(
    ("scenes", "field"),
    [
        ([{"starts_from": {"scene": 0}}], "scenes.0.starts_from.scene"),
        ([{"starts_from": {"scene": 1}}, {}], "scenes.0.starts_from.scene"),
        ([{}, {"starts_from": {"scene": 1}}], "scenes.1.starts_from.scene"),
        ([{}, {"starts_from": {"scene": -1}}], "scenes.1.starts_from.scene"),
        ([{}, {"starts_from": {"scene": 0, "frame": "first"}}], "scenes.1.starts_from.frame"),
        ([{}, {"starts_from": {"scene": 0, "frame": "keyframe"}}], "scenes.1.starts_from.frame"),
        ([{}, {"starts_from": {"scene": 0, "if_failed": "cry"}}], "scenes.1.starts_from.if_failed"),
        ([{}, {"starts_from": {"scene": 0, "shot": 1}}], "scenes.1.starts_from.shot"),
        ([{}, {"starts_from": 0}], "scenes.1.starts_from"),
        ([{}, FROM_FIRST | {"image_url": PICTURE}], "scenes.1.starts_from"),
        ([{}, FROM_FIRST | {"keyframe": "A tower"}], "scenes.1.starts_from"),
        ([{"keyframe": "A tower", "image_url": PICTURE}], "scenes.0.keyframe"),
        ([{"keyframe": " "}], "scenes.0.keyframe"),
        ([{"narration": ""}], "scenes.0.narration"),
    ],
)
def test_what_no_scene_can_start_from_is_refused_by_field(scenes: list[dict[str, Any]], field: str) -> None:
    assert fields(refused(*scenes)) == [field]


@pytest.mark.requirement("R42", "R62")
def test_a_model_that_takes_no_picture_or_nothing_else_is_refused_for_a_scene_that_starts_from_one() -> None:
    assert fields(refused({"model": "replicate/wan-2.5-t2v", "keyframe": "A tower"})) == ["scenes.0.keyframe"]
    alone = {"starts_from": {"scene": 0, "if_failed": "independent"}, "model": "replicate/wan-2.5-i2v"}
    assert fields(refused({}, alone)) == ["scenes.1.starts_from.if_failed"]
    assert planned({}, alone | {"starts_from": {"scene": 0}}).shots[1].mode == "image"


@pytest.mark.requirement("R42", "R46")
@pytest.mark.parametrize(
    ("job", "kind", "field"),
    [
        ({"image_model": None}, MissingInput, "image_model"),
        ({"image_model": "replicate/no-such"}, UnknownModel, "image_model"),
        ({"image_model": "replicate/seedance-1-pro"}, Refusal, "image_model"),
        ({"speech_model": "replicate/flux-schnell"}, Refusal, "speech_model"),
        ({"speech_model": None}, MissingInput, "speech_model"),
        ({"aspect_ratio": "9:21", "image_model": "fal/flux-dev"}, UnsupportedAspectRatio, "aspect_ratio"),
    ],
)
def test_a_maker_that_cannot_do_it_is_refused_once_for_all_scenes(
    job: dict[str, Any], kind: type[Refusal], field: str
) -> None:
    refusal = refused(*[{"keyframe": "A tower", "narration": "Once."}] * 3, **job)
    assert (isinstance(refusal, kind), fields(refusal)) == (True, [field])


@pytest.mark.requirement("R42", "R46")
def test_words_that_are_too_long_for_their_maker_are_refused_with_the_context_before_them() -> None:
    short = {key: SHIPPED.model(key).model_copy(update={"prompt_max": 30}) for key in MAKERS.values()}
    tight = Catalogue({**SHIPPED.models, **short}, SHIPPED.accounts)
    scene = {"description": "A lighthouse", "keyframe": "A tower", "narration": "It was a dark and stormy night."}
    body = {"model": "replicate/seedance-1-pro", "scenes": [scene], **MAKERS}
    for context, wrong in (("", {"narration"}), ("The keeper wears yellow", {"narration", "keyframe"})):
        with pytest.raises(Refusal) as caught:
            plan(parse_job({**body, "consistency_context": context}), tight, duration_buffer=1.25)
        assert sorted(fields(caught.value)) == sorted(f"scenes.0.{field}" for field in wrong)


@pytest.mark.requirement("R42", "R46")
def test_a_model_whose_voice_cannot_be_chosen_refuses_one() -> None:
    mute = SHIPPED.model(MAKERS["speech_model"]).model_copy(update={"voice": None})
    catalogue = Catalogue({**SHIPPED.models, mute.key: mute}, SHIPPED.accounts)
    body = {"model": "replicate/seedance-1-pro", "scenes": [{"description": "A", "narration": "Once."}], **MAKERS}
    assert plan(parse_job(body), catalogue, duration_buffer=1.25).parts[0].voice is None
    with pytest.raises(Refusal) as caught:
        plan(parse_job({**body, "voice": "Leslie"}), catalogue, duration_buffer=1.25)
    assert fields(caught.value) == ["voice"]
