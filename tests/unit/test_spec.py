"""Any JSON is either a job or a refusal that names each field, its value and what is allowed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import FieldError, Refusal, TooManyScenes, ValidationFailed
from pipeline.domain.spec import JobSpec, SceneSpec, parse_job

Body = dict[str, Any]


def body(scene: Body | None = None, **job: Any) -> Body:
    return {"scenes": [{"description": "A lighthouse"} | (scene or {})]} | job


def scenes(count: int) -> list[Body]:
    return [{"description": f"Shot {number}"} for number in range(count)]


def refusals(of: Any) -> dict[str, FieldError]:
    with pytest.raises(ValidationFailed) as caught:
        parse_job(of)
    json.dumps([error.__dict__ for error in caught.value.errors], allow_nan=False, ensure_ascii=False).encode()
    return {error.field: error for error in caught.value.errors}


def test_a_job_of_one_described_scene_is_enough() -> None:
    spec = parse_job(body())
    assert spec == JobSpec(scenes=(SceneSpec(description="A lighthouse"),))
    assert (spec.aspect_ratio, spec.priority, spec.min_clips, spec.title) == ("16:9", "normal", 1, "")
    assert (spec.model, spec.budget_cents, spec.metadata, spec.scenes[0].duration) == (None, None, {}, 5)


def test_the_whole_body_of_the_contract_is_read() -> None:
    spec = parse_job(
        {
            "title": "The lighthouse",
            "model": "replicate/seedance-1-pro",
            "aspect_ratio": "16:9",
            "consistency_context": "CHARACTER APPEARANCE: a keeper",
            "reference_images": [],
            "min_clips": 1,
            "priority": "interactive",
            "allow_fallback": False,
            "budget_cents": 900,
            "webhook_url": None,
            "metadata": {"customer": "42", "tags": ["a", 1, None, {"deep": 1.5}]},
            "scenes": [
                {
                    "description": "…",
                    "duration": 5,
                    "model": None,
                    "image_url": None,
                    "reference_image_urls": ["https://pictures.example/a.png?size=2&b=%20"],
                    "narration": None,
                    "seed": 0,
                    "negative_prompt": None,
                    "starts_from": None,
                    "metadata": {},
                }
            ],
        }
    )
    assert spec.scenes[0].reference_image_urls == ("https://pictures.example/a.png?size=2&b=%20",)
    assert spec.metadata["tags"] == ["a", 1, None, {"deep": 1.5}]
    assert json.loads(spec.model_dump_json())["scenes"][0]["seed"] == 0


@pytest.mark.requirement("R37")
@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 3), (4, 3), (200, 3)])
def test_three_clips_count_as_a_job_or_all_of_fewer(count: int, needed: int) -> None:
    assert parse_job({"scenes": scenes(count)}).min_clips == needed


def test_words_are_stored_without_white_space_around_them_and_in_one_form() -> None:
    spec = parse_job(body({"description": " \n Cafe\u0301\t", "negative_prompt": " rain "}, title=" x "))
    assert (spec.scenes[0].description, spec.scenes[0].negative_prompt, spec.title) == ("Café", "rain", "x")


def test_a_description_is_measured_after_its_white_space_is_gone() -> None:
    assert len(parse_job(body({"description": " " * 9000 + "x" * 4000 + "\n"})).scenes[0].description) == 4000


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("description", "", {"min_length": 1}),
        ("description", " \u2003\n", {"min_length": 1}),
        ("description", "x" * 10_000, {"max_length": 4000}),
        ("description", 5, "text"),
        ("description", "a\0b", "text without NUL"),
        ("description", "\ud800", "text that can be encoded"),
        ("duration", 0, {"above": 0}),
        ("duration", -3, {"above": 0}),
        ("duration", float("nan"), "a finite number"),
        ("duration", float("inf"), "a finite number"),
        ("duration", "5", "a number"),
        ("duration", True, "a number"),
        ("duration", None, "a number"),
        pytest.param("duration", 10**400, "a number", id="endless duration"),
        ("seed", -1, {"min": 0}),
        ("seed", 2**31, {"max": 2**31 - 1}),
        pytest.param("seed", 10**400, {"max": 2**31 - 1}, id="endless seed"),
        ("seed", 1.0, "a whole number"),
        ("seed", "7", "a whole number"),
        ("model", "m" * 201, {"max_length": 200}),
        ("image_url", "ftp://pictures.example/a.png", "an http:// or https:// link"),
        ("image_url", "data:image/png;base64,AAAA", "an http:// or https:// link"),
        ("image_url", "https://", "an http:// or https:// link"),
        ("image_url", "https://a b/", "an http:// or https:// link"),
        ("image_url", "https://a.example/\nb", "an http:// or https:// link"),
        ("image_url", "http://[", "an http:// or https:// link"),
        ("image_url", "https://a.example:99999/", "an http:// or https:// link"),
        ("image_url", "https://a.example/" + "x" * 2048, {"max_length": 2048}),
        ("reference_image_urls", ["https://a.example/"] * 11, {"max_length": 10}),
        ("reference_image_urls", "https://a.example/", "a list"),
        ("metadata", [], "an object"),
    ],
)
def test_a_scene_with_a_bad_field_is_refused_by_name(field: str, value: Any, allowed: Any) -> None:
    errors = refusals(body({field: value}))
    assert list(errors) == [f"scenes.0.{field}"]
    assert errors[f"scenes.0.{field}"].allowed == allowed
    assert errors[f"scenes.0.{field}"].message


@pytest.mark.requirement("R42")
@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("title", "x" * 201, {"max_length": 200}),
        ("title", 3, "text"),
        ("aspect_ratio", 1.78, "text"),
        ("aspect_ratio", "\udfff", "text that can be encoded"),
        ("webhook_url", "https://a.example/\ud800", "text that can be encoded"),
        ("min_clips", 0, {"min": 1}),
        ("min_clips", 2, {"min": 1, "max": 1}),
        ("priority", "urgent", ["interactive", "normal", "batch"]),
        ("budget_cents", 0, {"min": 1}),
        ("budget_cents", 100_000_001, {"max": 100_000_000}),
        ("budget_cents", 9.5, "a whole number"),
        ("allow_fallback", "no", "true or false"),
        ("allow_fallback", 0, "true or false"),
        ("webhook_url", "javascript:alert(1)", "an http:// or https:// link"),
        ("reference_images", ["https://a.example/"] * 11, {"max_length": 10}),
        ("scenes", [], {"min_length": 1}),
        ("scenes", {"0": {"description": "x"}}, "a list"),
        ("scenes", "abc", "a list"),
        ("colour", "red", sorted(JobSpec.model_fields)),
    ],
)
def test_a_job_with_a_bad_field_is_refused_by_name(field: str, value: Any, allowed: Any) -> None:
    errors = refusals(body(**{field: value}))
    assert list(errors) == [field]
    assert errors[field].allowed == allowed


def test_a_field_that_is_no_field_of_a_scene_is_refused_with_those_that_are() -> None:
    errors = refusals(body({"durations": 5}))
    assert errors["scenes.0.durations"].allowed == sorted(SceneSpec.model_fields)
    assert errors["scenes.0.durations"].value == 5


def test_a_missing_description_is_refused_as_required() -> None:
    assert refusals({"scenes": [{}]})["scenes.0.description"].allowed == "required"


@pytest.mark.parametrize("not_an_object", [None, True, 3, 2.5, "text", [], [body()]])
def test_a_body_that_is_no_object_is_refused(not_an_object: Any) -> None:
    assert refusals(not_an_object)["body"].allowed == "an object"


def test_every_bad_field_is_named_at_once() -> None:
    bad = {"scenes": [{"description": "good"}, {"description": "", "duration": 0}, {"seed": -1}], "priority": "x"}
    assert set(refusals(bad)) == {
        "scenes.1.description",
        "scenes.1.duration",
        "scenes.2.description",
        "scenes.2.seed",
        "priority",
    }


def test_a_thousand_bad_fields_make_a_short_answer_that_counts_them() -> None:
    with pytest.raises(ValidationFailed, match="and 999 more") as caught:
        parse_job(body() | {f"no_such_{number}": 1 for number in range(1000)})
    assert len(caught.value.errors) == 50


def test_a_long_value_is_named_shortened() -> None:
    named = refusals(body(priority="x" * 5000))["priority"].value
    assert len(named) == 200
    assert named.endswith("…")


def test_two_hundred_scenes_are_a_job_and_one_more_is_refused_with_the_limit() -> None:
    assert len(parse_job({"scenes": scenes(200)}).scenes) == 200
    with pytest.raises(TooManyScenes, match="at most 200") as caught:
        parse_job({"scenes": scenes(201)})
    assert (caught.value.errors[0].value, caught.value.errors[0].allowed) == (201, {"max": 200})


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.requirement("R65")
@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "x" * 4090},
        {"a": "é" * 2045},
        {"a": float("nan")},
        {"a": [float("-inf")]},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": ["b\0"]},
        {"a\0": {}},
        {"a": 10**5000},
        {"a": nested(2000)},
    ],
)
def test_metadata_that_can_not_be_stored_is_refused_as_one_field(metadata: Body) -> None:
    assert set(refusals(body(metadata=metadata))) <= {"metadata", "body"}


@pytest.mark.requirement("R65")
def test_metadata_up_to_four_kilobytes_passes_as_it_is() -> None:
    metadata = {"a": "x" * 4000, "not a NUL": "\\u0000"}
    assert parse_job(body(metadata=metadata)).metadata == metadata


def test_a_job_can_not_be_changed_after_it_was_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(parse_job(body()), "title", "other")  # noqa: B010 - mypy knows that it can't be written


TEXT = st.text(st.characters() | st.sampled_from("\0\ud800\u2028\u0301"), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LIKE_A_SCENE = st.dictionaries(st.sampled_from(sorted(SceneSpec.model_fields)), JSON) | st.fixed_dictionaries(
    {"description": TEXT}, optional={"duration": st.floats(), "metadata": JSON, "seed": st.integers()}
)
LIKE_A_JOB = st.fixed_dictionaries(
    {"scenes": st.lists(LIKE_A_SCENE, max_size=3)},
    optional={name: JSON for name in JobSpec.model_fields if name != "scenes"},
)


def read(anything: Any) -> JobSpec | Refusal:
    try:
        return parse_job(anything)
    except Refusal as refusal:
        return refusal


@settings(deadline=None, max_examples=60)
@given(JSON | LIKE_A_JOB)
def test_any_json_is_a_job_or_a_refusal_that_can_be_written_down(anything: Any) -> None:
    outcome = read(anything)
    if isinstance(outcome, JobSpec):
        assert parse_job(json.loads(outcome.model_dump_json())) == outcome
        return
    said = [[error.field, error.value, error.allowed, error.message] for error in outcome.errors]
    assert said
    assert json.dumps([*said, outcome.detail], allow_nan=False, ensure_ascii=False).encode()
