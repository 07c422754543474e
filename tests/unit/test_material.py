"""Which shot gets which file of what a job names, and none of them a customer's link."""

import json
import re
from dataclasses import replace

import pytest

from pipeline.domain.fit import INPUT_FIELDS
from pipeline.domain.material import SORTS, by_ours, material_of, without_links
from pipeline.domain.model import Model
from pipeline.domain.rows import INPUTS_OF_MODE, Mode
from pipeline.domain.shot import Source, as_kept
from tests.planned import SHIPPED, job, shot_of

A, B, C = (f"https://cdn.example/{name}" for name in "abc")


def test_every_input_that_a_model_can_take_is_brought_home_as_something() -> None:
    assert set(SORTS) == set(INPUT_FIELDS)


def test_a_file_is_one_however_often_it_is_named_as_the_same_thing() -> None:
    spec = job(
        {"image_url": B},
        {"reference_image_urls": [A, C, A]},
        {"image_url": B},
        {"video_url": B, "audio_url": C, "character_url": A},
        {"video_url": A, "audio_url": C},
        reference_images=[A],
    )
    found = [(*each.name, each.link, each.field) for each in material_of(spec)]
    assert found == [
        ("picture", 0, A, "reference_images.0"),
        ("picture", 1, B, "scenes.0.image_url"),
        ("picture", 2, C, "scenes.1.reference_image_urls.1"),
        ("footage", 0, B, "scenes.3.video_url"),
        ("sound", 0, C, "scenes.3.audio_url"),
        ("footage", 1, A, "scenes.4.video_url"),
    ]


def _source(kind: str, index: int) -> Source:
    return Source(kind=kind, index=index, part="file")


@pytest.mark.requirement("R45")
def test_a_shot_takes_our_files_and_keeps_no_link() -> None:
    spec = job({"reference_image_urls": [C]}, {"image_url": B}, reference_images=[A])
    first, second = (by_ours(shot_of(spec, index), material_of(spec)) for index in (0, 1))
    assert first.sources == {"references": (_source("picture", 1), _source("picture", 0))}
    assert second.sources == {"image": _source("picture", 2)}
    assert (first.reference_image_urls, first.image_url, second.image_url) == ((), None, None)


def _modes() -> list[tuple[Model, Mode]]:
    return [(row, mode) for row in SHIPPED.models.values() if row.orderable for mode in row.modes]


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(("row", "mode"), _modes(), ids=lambda each: getattr(each, "key", each))
def test_no_mode_of_any_model_leaves_a_shot_with_a_customers_link(row: Model, mode: Mode) -> None:
    given = {INPUT_FIELDS[name][0]: [A] if name == "references" else A for name in INPUTS_OF_MODE[mode]}
    ratios = row.aspect_ratios(mode)
    spec = job({**given, "duration": row.lengths(mode).longest}, model=row.key, aspect_ratio=(ratios or ("16:9",))[0])
    shot = by_ours(shot_of(spec), material_of(spec))
    assert not re.search("https?:", json.dumps(as_kept(shot)))
    assert set(shot.sources) == set(INPUTS_OF_MODE[mode])


def test_a_job_of_old_keeps_the_links_of_videos_that_we_have_not_and_none_of_a_picture() -> None:
    spec = job({"video_url": A, "audio_url": B}, model="replicate/kling-lip-sync")
    shot = by_ours(shot_of(spec), [each for each in material_of(spec) if each.kind == "sound"])
    assert (shot.video_url, shot.audio_url, set(shot.sources)) == (A, None, {"audio"})
    assert without_links(shot).video_url == A
    assert without_links(replace(shot, image_url=C)).image_url is None
