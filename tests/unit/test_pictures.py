"""Which shots get a job's reference images, and what is said of them."""

from typing import Any

import pytest

from pipeline.domain.fit import mode_of
from pipeline.domain.pictures import (
    Describer,
    after_words,
    description,
    referring,
    wants_context,
    warnings,
    with_references,
)
from pipeline.domain.shot import Shot, Source
from tests.planned import SHIPPED, job, shot_of

LITE = SHIPPED.model("replicate/seedance-1-lite")  # takes four reference images
FAST = SHIPPED.model("replicate/seedance-1-pro-fast")  # takes none
DESCRIBER = Describer(model=SHIPPED.model("replicate/gemini-2.5-flash"), prompt="Say what you see")
A, B, C, D, E, F = (f"https://cdn.example/{name}.jpg" for name in "abcdef")


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    ("scene", "given", "sent"),
    [
        ({}, [A, B], [A, B]),
        ({"reference_image_urls": [C]}, [A, B], [C, A, B]),
        ({"reference_image_urls": [B]}, [A, B], [B, A]),
        ({"reference_image_urls": [C]}, [A, B, D, E, F], [C, A, B, D]),
        ({"reference_image_urls": [C]}, [], [C]),
        ({"image_url": C}, [A, B], []),
    ],
)
def test_a_scene_gets_its_own_references_and_then_the_jobs_up_to_what_the_model_takes(
    scene: dict[str, Any], given: list[str], sent: list[str]
) -> None:
    spec = referring(job(scene, reference_images=given), 0, LITE)
    assert list(spec.scenes[0].reference_image_urls) == sent
    assert mode_of(spec.scenes[0]) == ("references" if sent else "image")


@pytest.mark.requirement("R45", "R46")
def test_a_keyframe_gets_the_jobs_references_where_its_model_takes_some() -> None:
    drawn = [model for model in SHIPPED.models.values() if model.kind == "image"]
    for model in drawn:
        plain = Shot(**{**vars(shot_of(job())), "kind": "image", "model": model.key})
        shot = with_references(job(reference_images=[A, B, C, D, E, F]), plain, model)
        most = model.inputs.references.max if model.inputs.references else 0
        assert list(shot.reference_image_urls) == [A, B, C, D, E, F][:most]
        assert shot.mode == ("references" if most else "text")
    assert {bool(model.inputs.references) for model in drawn} == {True, False}


def test_a_model_without_references_is_asked_as_if_there_were_none() -> None:
    spec = job(model=FAST.key, reference_images=[A])
    assert referring(spec, 0, FAST) == spec


def test_a_shape_that_the_model_makes_only_without_references_is_kept() -> None:
    veo = SHIPPED.model("replicate/veo-3.1")
    spec = job({"duration": 8}, model=veo.key, reference_images=[A], aspect_ratio="9:16")
    assert referring(spec, 0, veo).scenes[0].reference_image_urls == ()
    wide = job({"duration": 8}, model=veo.key, reference_images=[A], aspect_ratio="16:9")
    assert referring(wide, 0, veo).scenes[0].reference_image_urls == (A,)


def test_clips_and_keyframes_come_after_the_context_and_a_narration_is_spoken_without_it() -> None:
    words = {"context": Source(kind="context", index=0, part="words")}
    found = [
        after_words(Shot(**{**vars(shot_of(job())), "kind": kind})).sources for kind in ("video", "image", "audio")
    ]
    assert found == [words, words, {}]


@pytest.mark.requirement("R45")
def test_the_vision_model_is_asked_about_all_reference_images_of_the_job() -> None:
    asked = description(job(reference_images=[A, B]), DESCRIBER)
    assert (asked.kind, asked.prompt, asked.reference_image_urls) == ("context", "Say what you see", (A, B))
    assert asked.estimate_cents == 1


@pytest.mark.requirement("R31")
def test_a_context_that_the_customer_gives_is_not_added_to() -> None:
    assert wants_context(job(reference_images=[A]))
    assert not wants_context(job(reference_images=[A], consistency_context="A keeper in yellow"))
    assert not wants_context(job())


@pytest.mark.requirement("R45")
def test_what_does_not_get_to_a_model_is_said_beforehand() -> None:
    spec = job({"reference_image_urls": [F]}, {"model": FAST.key}, reference_images=[A, B, C, D, E])
    shots = [shot_of(spec, 0), shot_of(spec, 1)]
    told = list(warnings(spec, shots, [LITE, FAST], described=False))
    assert len(told) == 3
    assert "CONTEXT_MODEL" in told[0]
    assert told[1].startswith("replicate/seedance-1-lite takes at most 4 reference images")
    assert "up to 2 of reference_images are not sent" in told[1]
    assert told[2] == "replicate/seedance-1-pro-fast takes no reference images; only words about them get to it"
    assert list(warnings(job(), [shot_of(job())], [LITE], described=False)) == []
