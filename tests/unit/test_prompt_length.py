"""A prompt that the model would refuse as too long is refused by us, before anything is stored or paid for."""

from typing import Any

import pytest

from pipeline.domain.catalogue import load
from pipeline.domain.errors import ValidationFailed
from pipeline.domain.order import plan
from pipeline.domain.spec import parse_job
from pipeline.services import catalogue_texts

CATALOGUE = load(catalogue_texts(""))
LONGEST = 1000
SCENE = len("SCENE: ")


def planned(scene: dict[str, Any], **more: Any) -> int:
    body = {"model": "runway/gen4.5", "scenes": [{"duration": 2, **scene}], **more}
    found = plan(parse_job(body), CATALOGUE, duration_buffer=1.0)
    return len(found.shots) + len(found.parts)


@pytest.mark.requirement("R42")
def test_a_prompt_as_long_as_the_model_takes_is_taken_and_one_longer_is_refused() -> None:
    assert planned({"description": "x" * (LONGEST - SCENE)}) == 1
    with pytest.raises(ValidationFailed, match=r"scenes\.0\.description.*takes prompts of 1000") as refused:
        planned({"description": "x" * (LONGEST - SCENE + 1)})
    assert [error.allowed for error in refused.value.errors] == [{"max_length": LONGEST}]


@pytest.mark.requirement("R42")
def test_the_context_counts_too_and_so_does_each_half_of_a_character() -> None:
    context = "y" * 500
    assert planned({"description": "x" * (LONGEST - SCENE - 502)}, consistency_context=context) == 1
    with pytest.raises(ValidationFailed):
        planned({"description": "x" * (LONGEST - SCENE - 501)}, consistency_context=context)
    assert planned({"description": "🗼" * ((LONGEST - SCENE) // 2)}) == 1
    with pytest.raises(ValidationFailed):
        planned({"description": "🗼" * (LONGEST // 2)})


@pytest.mark.requirement("R42", "R46")
@pytest.mark.parametrize("field", ["keyframe", "narration"])
def test_words_for_a_keyframe_or_a_voice_are_measured_for_the_model_that_makes_it(field: str) -> None:
    makers = {"image_model": "runway/gen4-image", "speech_model": "runway/eleven-multilingual-v2"}
    assert planned({"description": "a", field: "x" * 900}, **makers) == 2
    with pytest.raises(ValidationFailed, match=f"scenes.0.{field}"):
        planned({"description": "a", field: "x" * 1001}, **makers)


@pytest.mark.requirement("R42")
def test_where_no_limit_is_known_a_long_prompt_is_taken() -> None:
    assert planned({"description": "x" * 4000}, model="runway/kling-v2.5-turbo-pro") == 1
