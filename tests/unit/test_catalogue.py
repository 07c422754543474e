"""The catalogue loads, or says everything that is wrong with it."""

import pytest

from pipeline.domain.catalogue import Catalogue, Model, load
from pipeline.domain.errors import CatalogueError

ACCOUNT = """
[account]
name = "acme"
provider = "acme"
key_variable = "ACME_KEY"
base_url = "https://api.acme.example"
max_in_flight = 2
blocked_default_seconds = 15
windows = { create = { requests = 10, seconds = 60 }, status = { requests = 50, seconds = 60 } }
settle = { list_lag_seconds = 30, absent_after_seconds = 90 }
[defaults]
time_limit_seconds = 120
hard_limit_seconds = 600
usual_seconds = 60
polling = { first_seconds = 5, factor = 1.5, max_seconds = 30 }
output_life_seconds = 3600
"""
ROW = """
[[models]]
slug = "SLUG"
title = "A model"
provider_model = "acme/model"
modes = ["text"]
aspect_ratio = { field = "aspect_ratio", values = ["16:9"] }
duration = { strategy = "discrete", seconds = [5, 10] }
resolution = { default = "720p", allowed = ["720p"] }
price = { verified = true, checked = 2026-01-01, lines = [{ cents = 7, per = "second" }] }
"""


def row(slug: str = "one", **lines: str) -> str:
    """A good row, with some lines written differently or added."""
    kept = [line for line in ROW.replace("SLUG", slug).splitlines() if line.split(" ")[0] not in lines]
    return "\n".join([*kept, *(f"{name} = {value}" for name, value in lines.items())]) + "\n"


def one(**lines: str) -> Model:
    return load({"acme.toml": ACCOUNT + row(**lines)}).model("acme/one")


def family(models: str) -> str:
    """A catalogue whose account counts some models for themselves."""
    return (
        ACCOUNT.replace("[account]", f"[account]\nfamilies = {{ slow = {{ requests = 5, seconds = 60, {models} }} }}")
        + row()
    )


def busy(sign: str) -> str:
    """A file whose account says "not now" so."""
    return ACCOUNT.replace("[defaults]", f"busy = [{sign}]\n[defaults]") + row()


def complaints(text: str) -> str:
    with pytest.raises(CatalogueError) as caught:
        load({"acme.toml": text})
    return "\n".join(caught.value.complaints)


@pytest.mark.requirement("R23")
@pytest.mark.parametrize(("told", "slots"), [("max_in_flight = 2\n", 2), ("", 3)])
def test_an_account_may_have_three_predictions_in_flight_unless_it_says_otherwise(told: str, slots: int) -> None:
    catalogue = load({"acme.toml": ACCOUNT.replace("max_in_flight = 2\n", told) + row()})
    assert catalogue.accounts["acme"].max_in_flight == slots


@pytest.mark.requirement("R43")
@pytest.mark.parametrize(("target", "asked"), [(4, 5.0), (5, 6.25), (7.9, 9.875), (8.1, 10), (10, 10), (0.4, 1)])
def test_a_continuous_model_is_asked_for_the_target_and_a_quarter_up_to_ten_seconds(
    target: float, asked: float
) -> None:
    model = one(duration='{ strategy = "continuous", seconds = { min = 1, max = 10.0, whole = false } }')
    assert model.asked_seconds(target, 1.25) == asked


@pytest.mark.parametrize(
    ("price", "asked", "cents"),
    [
        ('{ cents = 12.4, per = "second" }', 5, 62),
        ('{ cents = 12.4, per = "second" }', 10, 124),
        ('{ cents = 0.07, per = "second" }', 5, 1),
        ('{ cents = 28, per = "clip" }', 10, 28),
        ('{ cents = 28.01, per = "clip" }', 5, 29),
        ('{ cents = 28, per = "clip", seconds = 5 }, { cents = 56, per = "clip", seconds = 10 }', 10, 56),
    ],
)
def test_a_price_is_exact_and_rounded_up_to_the_cent(price: str, asked: int, cents: int) -> None:
    assert one(price=f"{{ verified = false, checked = 2026-01-01, lines = [{price}] }}").price_cents(asked) == cents


def keys(models: list[Model]) -> set[str]:
    return {model.slug for model in models}


def test_a_retired_model_is_not_found_but_still_known() -> None:
    catalogue = load({"acme.toml": ACCOUNT + row(retired="2026-07-15") + row("two")})
    assert keys(catalogue.find()) == {"two"}
    assert catalogue.model("acme/one").document()["retired"] == "2026-07-15"
    assert not catalogue.model("acme/one").orderable


def test_defaults_fill_what_a_row_leaves_out_and_nothing_more() -> None:
    model = one(time_limit_seconds="200")
    assert (model.time_limit_seconds, model.hard_limit_seconds) == (200, 600)


def test_two_files_make_one_catalogue() -> None:
    other = (ACCOUNT + row()).replace('"acme"', '"zenith"')
    catalogue = load({"acme.toml": ACCOUNT + row(), "zenith.toml": other})
    assert set(catalogue.models) == {"acme/one", "zenith/one"}
    assert catalogue.account_for(catalogue.model("zenith/one")).name == "zenith"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ({"hard_limit_seconds": "120"}, "hard_limit_seconds is not above"),
        ({"usual_seconds": "700"}, "usual_seconds is above"),
        ({"polling": "{ first_seconds = 40, factor = 1.5, max_seconds = 30 }"}, "polling.first_seconds is above"),
        ({"polling": "{ first_seconds = 5, factor = 0.5, max_seconds = 30 }"}, "polling.factor"),
        ({"resolution": '{ default = "4k", allowed = ["720p"] }'}, "'4k' is not allowed"),
        ({"modes": '["image"]'}, "mode image needs inputs.image"),
        ({"modes": '["lip_sync"]'}, "mode lip_sync needs inputs.audio"),
        ({"modes": '["dance"]'}, "modes.0"),
        ({"aspect_ratio": "{}"}, "no aspect ratio is allowed"),
        ({"aspect_ratio": '{ field = "size" }'}, "aspect_ratio.field needs"),
        ({"aspect_ratio": '{ from_image = ["16:9"] }'}, "from_image needs inputs.image"),
        ({"duration": '{ strategy = "discrete", seconds = [] }'}, "needs lengths above 0"),
        ({"duration": '{ strategy = "discrete", seconds = { min = 2, max = 12 } }'}, "need a list"),
        ({"duration": '{ strategy = "continuous", seconds = { min = 5, max = 2 } }'}, "make no range"),
        ({"duration": '{ strategy = "continuous", seconds = { min = 2, max = 7.5 } }'}, "make no range"),
        ({"duration": '{ strategy = "discrete", seconds = [5, 10], sent = ["a"] }'}, "one item for each"),
        ({"price": "{ verified = true, checked = 2026-01-01, lines = [] }"}, "price.lines"),
        (
            {"price": '{ verified = true, checked = 2026-01-01, lines = [{ cents = "free", per = "clip" }] }'},
            "lines.0.cents",
        ),
        (
            {"price": '{ verified = true, checked = 2026-01-01, lines = [{ cents = 1, per = "clip", seconds = 5 }] }'},
            "no price for 10 s at 720p",
        ),
        ({"legacy_paths": '{ image = "/api/x" }'}, "legacy_paths.image is no mode"),
        ({"only": '{ image = { aspect_ratios = ["16:9"] } }'}, "only.image is no mode"),
        ({"only": '{ text = { resolutions = ["4k"] } }'}, "only.text.resolutions: '4k' is not allowed"),
        ({"legacy_paths": '{ text = "/v1/jobs" }'}, "legacy path '/v1/jobs' does not begin with /api/"),
        ({"successor": '"acme/nobody"'}, "there is no successor acme/nobody"),
        (
            {
                "resolution": '{ default = "720p", allowed = ["720p", "1080p"] }',
                "price": "{ verified = true, checked = 2026-01-01, lines = ["
                '{ cents = 1, per = "clip", resolution = "720p" }] }',
            },
            "no length of mode text has a price at 1080p",
        ),
        ({"inputs": '{ references = { field = "refs" } }'}, "inputs.references needs mode references"),
        ({"shutter": "180"}, "shutter: Extra inputs are not permitted"),
        ({"slug": "Has Spaces"}, "Has Spaces.slug"),
    ],
)
def test_a_row_that_contradicts_itself_is_complained_about(lines: dict[str, str], complaint: str) -> None:
    assert complaint in complaints(ACCOUNT + row(**lines))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("models = [", "not TOML"),
        (row(), "account"),
        (ACCOUNT, "at least one"),
        (ACCOUNT + row() + row(), "the model 'acme/one' stands 2 times"),
        (ACCOUNT + row() + "[colour]\n", "no section 'colour'"),
        (ACCOUNT.replace("max_in_flight = 2", "max_in_flight = 0") + row(), "account.max_in_flight"),
        (ACCOUNT.replace("status =", "gossip =") + row(), "account.windows.gossip"),
        (busy("{ status = 200 }"), "every success would be busy"),
        (busy('{ status = 429, field = "code" }'), "a field needs values or words"),
        (busy("{ status = 200, values = [1002] }"), "a field needs values or words"),
        (busy('{ status = 429, calls = "some" }'), "account.busy.0.calls"),
        (busy("{ status = 1002 }"), "account.busy.0.status"),
        (busy(""), "account.busy"),
        (family("models = []"), "account.families.slow.models"),
        (family('models = ["one", "two"]'), "families.slow: there is no model two"),
        ("defaults = 3\n" + row(), "[defaults] is a table"),
        ("models = [3]\n" + ACCOUNT, "[[models]] are tables"),
    ],
)
def test_a_file_that_makes_no_catalogue_is_complained_about(text: str, complaint: str) -> None:
    assert complaint in complaints(text)


def test_the_same_provider_account_or_path_twice_is_complained_about() -> None:
    twice = ACCOUNT + row(legacy_paths='{ text = "/api/x" }') + row("two", legacy_paths='{ text = "/api/x" }')
    with pytest.raises(CatalogueError, match=r"the legacy path '/api/x' stands 2 times"):
        load({"a.toml": twice})
    with pytest.raises(CatalogueError, match=r"the provider 'acme' stands 2 times"):
        load({"a.toml": ACCOUNT + row(), "b.toml": ACCOUNT + row("two")})


def test_all_complaints_are_listed_at_once() -> None:
    said = complaints(ACCOUNT + row(hard_limit_seconds="1") + row("two", modes='["image"]') + row("three", shutter="1"))
    assert "acme/one: hard_limit_seconds" in said
    assert "acme/two: mode image" in said
    assert "acme.toml: three.shutter" in said


def test_no_files_make_an_empty_catalogue() -> None:
    assert load({}) == Catalogue({}, {})
