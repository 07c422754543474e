"""Who makes a clip when that is left to us: a table of what is asked, how providers stand, and who is taken."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.catalogue import load
from pipeline.domain.choice import Choice, Like, Search, Standing, Why, choose
from pipeline.domain.spec import parse_job

ACCOUNT = """
[account]
name = "{0}"
provider = "{0}"
key_variable = "{1}_KEY"
base_url = "https://{0}.example"
blocked_default_seconds = 15
windows = {{ status = {{ requests = 10, seconds = 1 }} }}
[defaults]
time_limit_seconds = 120
hard_limit_seconds = 600
usual_seconds = 60
polling = {{ first_seconds = 5, factor = 1.5, max_seconds = 30 }}
output_life_seconds = 3600
resolution = {{ default = "720p", allowed = ["720p"] }}
"""
ROW = """
[[models]]
slug = "{slug}"
title = "{slug}"
provider_model = "{slug}"
modes = {modes}
aspect_ratio = {{ field = "aspect_ratio", values = {ratios} }}
duration = {{ strategy = "continuous", seconds = {{ min = 2, max = {longest} }} }}
inputs = {{ image = {{ field = "image" }} }}
price = {{ verified = true, checked = 2026-01-01, lines = [{{ cents = {cents}, per = "second" }}] }}
{more}
"""


def row(slug: str, cents: int, *, more: str = "", modes: str = '["text", "image"]', **other: Any) -> str:
    figures = {"longest": 10, "ratios": '["16:9", "9:16"]', **other}
    return ROW.format(slug=slug, cents=cents, more=more, modes=modes, **figures)


CATALOGUE = load(
    {
        "acme.toml": ACCOUNT.format("acme", "ACME")
        + row("cheap", 5)
        + row("wide", 8, ratios='["16:9", "21:9"]')
        + row("pictured", 3, modes='["image"]')
        + row("secondhand", 4, more="verified = false")
        + row("gone", 1, more="retired = 2026-01-01")
        + row("leaving", 4, more="sunset = 2026-12-24")
        + row("left", 1, more="sunset = 2026-11-21")
        + row("twin", 10),
        "zenith.toml": ACCOUNT.format("zenith", "ZENITH")
        + row("long", 9, longest=20)
        + row("quick", 5, more="usual_seconds = 20")
        + row("twin", 20),
    }
)
WELL = {"acme": Standing(), "zenith": Standing()}
PICTURE = "https://pictures.example/a.png"


def chosen(scene: dict[str, Any] | None = None, standings: dict[str, Standing] | None = None, **job: Any) -> Choice:
    search = {name: job.pop(name) for name in ("wanted", "most_cents", "like") if name in job}
    spec = parse_job({"scenes": [{"description": "A lighthouse", **(scene or {})}], **job})
    wanted = Search(spec=spec, duration_buffer=1.0, today=date(2026, 11, 21), **search)
    return choose(wanted, CATALOGUE, WELL if standings is None else standings)


def taken(choice: Choice) -> str | None:
    return choice.picked.model.key if choice.picked else None


def why(choice: Choice, model: str) -> Why:
    return next(each.why for each in choice.passed_over if each.model == model)


FULL = Standing(slots=2, free=0, waiting=7)
FAILING = Standing(failing=frozenset({"acme/cheap", "acme/wide", "acme/twin"}))


@pytest.mark.requirement("R22")
@pytest.mark.parametrize(
    ("scene", "job", "standings", "model"),
    [
        ({}, {}, WELL, "zenith/quick"),  # as cheap as acme/cheap, and quicker
        ({}, {"aspect_ratio": "21:9"}, WELL, "acme/wide"),
        ({"image_url": PICTURE}, {}, WELL, "acme/pictured"),
        ({"duration": 15}, {}, WELL, "zenith/long"),
        ({}, {}, {"acme": Standing()}, "acme/cheap"),
        ({}, {}, {"acme": Standing(), "zenith": Standing(configured=False)}, "acme/cheap"),
        ({}, {}, {**WELL, "zenith": Standing(failing=frozenset({"zenith/quick"}))}, "acme/cheap"),
        ({}, {}, {**WELL, "zenith": Standing(blocked_seconds=300)}, "acme/cheap"),
        ({}, {}, {**WELL, "zenith": FULL}, "acme/cheap"),
        ({}, {}, {"acme": FAILING}, "acme/leaving"),  # what is not sure of itself goes before what fails
        ({"duration": 15}, {}, {**WELL, "zenith": FULL}, "zenith/long"),  # late is better than never
        ({"duration": 25}, {}, WELL, None),
        ({}, {}, {}, None),
        ({}, {"most_cents": 20}, {"acme": Standing()}, "acme/leaving"),
        ({}, {"most_cents": 1}, WELL, None),
        ({}, {"wanted": lambda model: model.slug == "left"}, WELL, None),
        ({}, {"wanted": lambda model: model.slug == "leaving"}, WELL, "acme/leaving"),
        ({}, {"wanted": lambda model: model.provider == "acme"}, WELL, "acme/cheap"),
    ],
)
def test_whoever_can_make_it_soonest_and_cheapest_is_taken(
    scene: dict[str, Any], job: dict[str, Any], standings: dict[str, Standing], model: str | None
) -> None:
    assert taken(chosen(scene, standings, **job)) == model


@pytest.mark.requirement("R22")
@pytest.mark.parametrize(
    ("scene", "job", "standings", "model", "reason"),
    [
        ({}, {}, WELL, "acme/wide", Why.DEARER),
        ({}, {}, WELL, "acme/cheap", Why.SLOWER),
        ({}, {}, WELL, "acme/secondhand", Why.UNSURE),
        ({}, {}, WELL, "acme/leaving", Why.UNSURE),
        ({}, {}, WELL, "acme/left", Why.WITHDRAWN),
        ({"duration": 15}, {}, WELL, "acme/left", Why.WITHDRAWN),
        ({}, {}, WELL, "acme/pictured", Why.UNFIT),
        ({"duration": 15}, {}, WELL, "acme/cheap", Why.UNFIT),
        ({}, {}, {"acme": Standing()}, "zenith/quick", Why.NOT_CONFIGURED),
        ({}, {}, {**WELL, "acme": FAILING}, "acme/cheap", Why.FAILING),
        ({}, {}, {**WELL, "acme": FULL}, "acme/cheap", Why.LATER),
        ({}, {"most_cents": 30}, WELL, "acme/wide", Why.OVER_BUDGET),
        ({}, {"wanted": lambda model: model.provider == "acme"}, WELL, "zenith/quick", Why.NOT_ASKED_FOR),
    ],
)
def test_every_other_model_is_told_what_it_lost_by(
    scene: dict[str, Any], job: dict[str, Any], standings: dict[str, Standing], model: str, reason: Why
) -> None:
    assert why(chosen(scene, standings, **job), model) is reason


def like(key: str, cents: int) -> Like:
    return Like(model=CATALOGUE.model(key), estimate_cents=cents)


@pytest.mark.requirement("R58")
@pytest.mark.parametrize(
    ("standing_for", "model"),
    [
        (like("zenith/long", 42), "acme/wide"),  # 40 cents is nearer to 42 than 25 or 50 are
        (like("zenith/quick", 25), "acme/cheap"),
        (like("zenith/twin", 90), "acme/twin"),  # the same model elsewhere, whatever it costs
    ],
)
def test_whoever_stands_in_is_the_same_model_elsewhere_or_the_nearest_in_price(standing_for: Like, model: str) -> None:
    choice = chosen(standings={"acme": Standing()}, like=standing_for)
    assert taken(choice) == model


def test_a_withdrawn_model_is_no_candidate_at_all() -> None:
    choice = chosen()
    assert "acme/gone" not in {each.model for each in choice.passed_over} | {taken(choice)}


def test_the_reason_says_what_it_costs_and_when_it_starts() -> None:
    assert chosen().reason == "zenith/quick is the first choice of 8 that can make this: 25 cents, can start at once"
    assert "the only one" in chosen({"duration": 15}).reason
    late = chosen({"duration": 15}, {**WELL, "zenith": FULL})
    assert "starts in about 240 s" in late.reason


STANDINGS = st.builds(
    Standing,
    configured=st.booleans(),
    slots=st.integers(0, 5),
    free=st.integers(0, 5),
    waiting=st.integers(0, 50),
    blocked_seconds=st.floats(0, 600),
    failing=st.frozensets(st.sampled_from(sorted(CATALOGUE.models))),
)


@pytest.mark.requirement("R22")
@given(st.dictionaries(st.sampled_from(["acme", "zenith"]), STANDINGS), st.sampled_from([2, 8, 15]))
def test_the_choice_depends_on_nothing_but_what_goes_in_and_speaks_of_every_candidate(
    standings: dict[str, Standing], seconds: float
) -> None:
    choice = chosen({"duration": seconds}, standings)
    assert choice == chosen({"duration": seconds}, dict(reversed(standings.items())))
    told = [each.model for each in choice.passed_over] + ([taken(choice)] if choice.picked else [])
    assert sorted(map(str, told)) == sorted(set(CATALOGUE.models) - {"acme/gone"})
    if choice.picked:
        assert standings[choice.picked.model.provider].configured
