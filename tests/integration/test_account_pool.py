"""Two accounts of one provider: they share the work, and whatever was begun with one is ended with it (R64)."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import pytest

from pipeline import accounts, steer
from pipeline.domain.answers import Reason, Refused
from pipeline.domain.asset import State
from pipeline.domain.errors import Unavailable
from pipeline.providers.protocol import Provider
from pipeline.start import start
from tests import servers
from tests.builders import Line, World, world
from tests.told import operator_says

pytestmark = pytest.mark.requirement("R64")
MAIN, STUDIO = "replicate", "replicate-studio"
TOKENS = {"replicate_api_token": "r8_main", "replicate_accounts": {"studio": "r8_studio"}}


@pytest.fixture(scope="module")
def running() -> Iterator[servers.Simulator]:
    more = {"SIMULATOR_TOKENS": "r8_main,r8_studio", "SIMULATOR_MAX_IN_FLIGHT": "2"}
    with servers.simulator(SIMULATOR_RENDER_SECONDS="0.2", SIMULATOR_FRAME_HEIGHT="90", **more) as simulator:
        yield simulator


@dataclass(frozen=True)
class Studio:
    """A world with two accounts, each on a line of its own."""

    world: World
    lines: dict[str, Line]

    def clips(self, count: int, prompt: str = "a lighthouse") -> list[UUID]:
        """Order a job of so many clips, whose round has begun."""
        job_id = self.world.job(count, prompt)
        start(self.world.services, job_id)
        return self.world.ids(job_id)

    def step(self, asset_ids: list[UUID]) -> list[State]:
        """Step each of them once; what they are then."""
        for asset_id in asset_ids:
            self.world.step(asset_id)
        return [self.world.state(asset_id) for asset_id in asset_ids]

    def calls(self, name: str) -> dict[str, int]:
        """How often each account was asked to do this."""
        return {account: line.calls.count(name) for account, line in self.lines.items()}

    def bought(self) -> set[frozenset[str]]:
        """The predictions that belong together, as our attempts tell it."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for row in self.world.query("select account, prediction_id from attempts"):
            found[row["account"]].add(row["prediction_id"])
        return {frozenset(group) for group in found.values()}

    def sold(self) -> set[frozenset[str]]:
        """The predictions that belong together, as the provider tells it."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for line in self.world.sold():
            found[line["account"]].add(line["id"])
        return {frozenset(group) for group in found.values()}

    def without(self, account: str) -> World:
        """The same world after the operator took an account away."""
        services = self.world.services
        providers = {name: each for name, each in services.providers.items() if name != account}
        return replace(self.world, services=replace(operator_says(services, accounts={}), providers=providers))


@pytest.fixture
def studio(database_url: str, valkey_url: str, s3: servers.ObjectStore, running: servers.Simulator) -> Iterator[Studio]:
    settings: dict[str, Any] = {**TOKENS, "replicate_max_in_flight": 2}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **settings) as built:
        adapters = accounts.adapters(built.services.provider_settings, built.services.catalogue)
        lines = {name: Line(adapter) for name, adapter in adapters.items()}
        services = replace(built.services, providers=cast("dict[str, Provider]", lines))
        yield Studio(replace(built, services=services), lines)


@pytest.mark.requirement("R04")
def test_a_jobs_predictions_are_spread_over_both_accounts_each_within_its_own_limit(studio: Studio) -> None:
    asset_ids = studio.clips(6, "[[sim: stall]]")
    assert studio.step(asset_ids) == [State.RENDERING] * 4 + [State.WAITING] * 2
    assert Counter(studio.world.row(each)["account"] for each in asset_ids[:4]) == {MAIN: 2, STUDIO: 2}
    assert {studio.world.row(each)["waiting"]["reason"] for each in asset_ids[4:]} == {Reason.SLOT}
    told = studio.world.stats()
    assert [each["max_in_flight_seen"] for each in told["by_account"].values()] == [2, 2]
    assert told["rate_limited"] == 0


def test_every_prediction_is_asked_for_with_the_account_that_made_it_and_paid_from_it(studio: Studio) -> None:
    asset_ids = studio.clips(4)
    for asset_id in asset_ids:
        studio.world.step(asset_id)
    assert {studio.world.until(asset_id)["state"] for asset_id in asset_ids} == {State.DONE}
    assert studio.bought() == studio.sold()
    spent = studio.world.query(
        "select account, count(*) from spend join attempts on attempts.id = attempt_id where kind = 'commit' group by 1"
    )
    assert {row["account"]: row["count"] for row in spent} == {MAIN: 2, STUDIO: 2}


@pytest.mark.requirement("R56")
def test_every_prediction_is_cancelled_with_the_account_that_made_it(studio: Studio) -> None:
    asset_ids = studio.clips(4, "[[sim: stall]]")
    studio.step(asset_ids)
    steer.cancel(studio.world.services, studio.world.owner_id, studio.world.row(asset_ids[0])["job_id"])
    for asset_id in asset_ids:
        studio.world.until(asset_id)
    assert {studio.world.state(asset_id) for asset_id in asset_ids} == {State.CANCELLED}
    assert studio.calls("cancel") == {MAIN: 2, STUDIO: 2}
    assert studio.world.stats()["in_flight"] == 0


@pytest.mark.requirement("R50")
def test_an_order_whose_answer_was_lost_is_looked_for_where_it_was_sent(studio: Studio) -> None:
    asset_ids = studio.clips(4, "[[sim: create=drop-after stall]]")
    studio.step(asset_ids)
    for asset_id in asset_ids:
        studio.world.until(asset_id, State.RENDERING)
    assert studio.calls("find") == {MAIN: 2, STUDIO: 2}
    assert studio.bought() == studio.sold()


@pytest.mark.requirement("R10")
def test_a_429_pauses_one_account_and_the_other_goes_on(studio: Studio) -> None:
    refused, *others = asset_ids = studio.clips(6, "[[sim: stall]]")
    studio.world.arm("create=429 retry_after=30 times=1")
    studio.world.step(refused)
    paused = studio.world.services.line("replicate")
    assert paused
    assert sorted(each.blocked_seconds > 0 for each in paused.accounts.values()) == [False, True]
    studio.step(others)
    rendering = [each for each in asset_ids if studio.world.state(each) is State.RENDERING]
    [account] = {studio.world.row(each)["account"] for each in rendering}
    assert len(rendering) == 2
    assert paused.accounts[account].blocked_seconds == 0


@pytest.mark.requirement("R55")
def test_what_was_begun_with_an_account_that_was_taken_away_waits_until_it_is_back(studio: Studio) -> None:
    asset_ids = studio.clips(4)
    studio.step(asset_ids)
    orphan = next(each for each in asset_ids if studio.world.row(each)["account"] == STUDIO)
    with pytest.raises(Unavailable, match="replicate-studio is not configured here"):
        studio.without(STUDIO).step(orphan)
    assert studio.world.state(orphan) is State.RENDERING
    assert studio.world.until(orphan)["state"] == State.DONE
    assert len(studio.world.sold()) == 4


def broke(studio: Studio, *accounts: str, code: str = "no_credit") -> None:
    """The next order of each of these accounts is refused, since nobody has paid, or the key is wrong."""
    for account in accounts:
        studio.lines[account].instead["submit"] = lambda *_: Refused(code=code, message="402")


@pytest.mark.requirement("R58")
@pytest.mark.parametrize("code", ["no_credit", "not_authorised"])
def test_what_one_account_cannot_pay_for_is_bought_with_the_next_before_it_goes_elsewhere(
    studio: Studio, code: str
) -> None:
    broke(studio, MAIN, code=code)
    asset_ids = studio.clips(3)
    rows = [studio.world.until(asset_id) for asset_id in asset_ids]
    assert {(row["state"], row["account"], row["provider"]) for row in rows} == {(State.DONE, STUDIO, "replicate")}
    assert studio.calls("submit") == {MAIN: 1, STUDIO: 3}, "it is passed over for a while, once it has said so"
    assert studio.world.ledger(asset_ids[0]) == [(1, "reserve"), (1, "release"), (2, "reserve"), (2, "commit")]
    assert rows[0]["tries"] == 1


@pytest.mark.requirement("R58")
def test_when_no_account_can_pay_every_clip_hears_it_at_once(studio: Studio) -> None:
    asset_ids = studio.clips(2)
    for asset_id in asset_ids:
        broke(studio, MAIN, STUDIO)
        row = studio.world.until(asset_id)
        assert (row["state"], row["failure"]["code"]) == (State.FAILED, "no_credit")
    assert sum(studio.calls("submit").values()) == 3, "who was passed over is not asked again for the second clip"


@pytest.mark.requirement("R58")
def test_an_account_that_was_paid_for_meanwhile_is_used_again(studio: Studio) -> None:
    broke(studio, MAIN)
    [asset_id] = studio.clips(1)
    assert studio.world.until(asset_id)["account"] == STUDIO
    passed_over = f"dailies:limit:{{replicate}}:unpaid:{MAIN}"
    assert 0 < studio.world.services.redis.pttl(passed_over) <= 60_000
    studio.world.services.redis.delete(passed_over)
    assert studio.step(studio.clips(4, "[[sim: stall]]")) == [State.RENDERING] * 4


@pytest.mark.requirement("R58")
@pytest.mark.parametrize(("refusals", "provider"), [(1, "replicate"), (2, "fal")])
def test_a_clip_goes_to_another_provider_only_when_no_account_of_its_own_can_pay(
    database_url: str,
    valkey_url: str,
    s3: servers.ObjectStore,
    running: servers.Simulator,
    refusals: int,
    provider: str,
) -> None:
    fal = {"fal_key": "r8_main", "fal_base_url": f"{running.url}/fal"}
    with world(database_url, valkey_url=valkey_url, s3=s3, simulator=running, **TOKENS, **fal) as here:
        here.arm(f"create=402 times={refusals}", model="google/veo-3-fast")
        scene = {"description": "a lighthouse", "duration": 4}
        [clip] = here.render(here.order([scene], allow_fallback=True, model="replicate/veo-3-fast"))
        assert (clip.state, clip.provider) == (State.DONE, provider)
