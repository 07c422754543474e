"""What the catalogue says of Hypereal: one job at a time, looks that keep their distance, orders the dialect takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import simulator.hypereal
from pipeline.domain.catalogue import load
from pipeline.domain.model import Model
from pipeline.domain.order import compose_input
from pipeline.domain.rows import Mode
from pipeline.domain.shot import Shot
from pipeline.services import catalogue_texts
from simulator.schema import Models, check_input

CATALOGUE = load(catalogue_texts(""))
ROWS = [model for model in CATALOGUE.models.values() if model.provider == "hypereal"]
TAKEN = Models.read(Path(simulator.hypereal.__file__).with_name("models.toml"))
PICTURE = "https://pictures.example/keyframe.png"
GIVEN: dict[Mode, dict[str, Any]] = {
    "text": {},
    "image": {"image_url": PICTURE},
    "first_last_frame": {"image_url": PICTURE, "last_frame_url": PICTURE},
    "references": {"reference_image_urls": (PICTURE,)},
}


def shots(model: Model) -> Iterator[tuple[Mode, Shot]]:
    """A shot in every mode, shape and resolution."""
    for mode in model.modes:
        for shape in model.aspect_ratios(mode):
            for resolution in model.resolution.allowed:
                asked = model.duration.longest
                values: dict[str, Any] = {
                    "index": 0,
                    "model": model.key,
                    "prompt": "SCENE: a lighthouse",
                    "target_seconds": asked,
                    "asked_seconds": asked,
                    "aspect_ratio": shape,
                    "seed": None,
                    "negative_prompt": "rain" if model.negative_prompt_field else None,
                    "image_url": None,
                    "reference_image_urls": (),
                    "estimate_cents": 1,
                    "mode": mode,
                    "resolution": resolution,
                }
                yield mode, Shot(**values | GIVEN[mode])


@pytest.mark.requirement("R40")
@pytest.mark.parametrize("model", ROWS, ids=lambda row: row.slug)
def test_whatever_a_scene_can_ask_for_is_an_input_that_the_dialect_takes(model: Model) -> None:
    for mode, shot in shots(model):
        taken = TAKEN.by_name[model.endpoint(mode).rpartition("/")[2]]
        assert taken.kind == model.kind
        assert check_input(taken, compose_input(model, shot, seed=7)) == []


@pytest.mark.requirement("R40")
def test_nothing_that_was_seen_at_second_hand_is_called_certain() -> None:
    assert {(row.verified, row.price.verified) for row in ROWS} == {(False, False)}


@pytest.mark.requirement("R11")
def test_the_account_takes_one_at_a_time_and_is_asked_as_its_users_ask_it() -> None:
    account = CATALOGUE.accounts["hypereal"]
    assert (account.max_in_flight, account.blocked_default_seconds, account.reports) == (1, 15, False)
    assert (account.windows["status"].requests, account.windows["status"].seconds) == (1, 1)
    polling = {(each.polling.first_seconds, each.polling.min_seconds, each.polling.max_seconds) for each in ROWS}
    assert polling == {(8, 8, 8)}
    assert account.settle is None


@pytest.mark.requirement("R57")
@pytest.mark.parametrize(
    ("slug", "seconds", "cents"),
    [
        ("kling-3-std", 5, 42),
        ("kling-3-pro", 5, 57),
        ("kling-2.5", 5, 35),
        ("seedance-2", 5, 100),
        ("seedance-2-fast", 5, 53),
        ("veo-3.1", 8, 72),
        ("hailuo-02", 6, 10),
    ],
)
def test_a_credit_is_a_cent(slug: str, seconds: int, cents: int) -> None:
    assert CATALOGUE.model(f"hypereal/{slug}").price_cents(seconds) == cents
