"""Many workers on the same clips, copies of messages, deaths, a flaky provider and an emptied Redis, all at once."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import pytest

from pipeline.domain.asset import TERMINAL, State
from pipeline.providers.protocol import Provider
from pipeline.receive import webhook
from pipeline.render import step
from pipeline.start import start
from pipeline.sweep import sweep
from tests import servers
from tests.builders import Killed, World, world
from tests.integration.simulator_process import Mailbox, eventually

HANDS = 6
CLIPS = 10
PATIENCE_SECONDS = 100  # less than the limit of a test


class Perilous:
    """A provider whose every call may be its caller's last, before it is made or after."""

    def __init__(self, provider: Provider, dice: random.Random) -> None:
        self._provider = provider
        self._dice = dice

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._provider, name)

        def call(*given: Any, **named: Any) -> Any:
            self._perhaps_die()
            answer = method(*given, **named)
            self._perhaps_die()
            return answer

        return call

    def _perhaps_die(self) -> None:
        if self._dice.random() < 0.05:
            raise Killed


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.close()


@pytest.fixture
def here(database_url: str, valkey_url: str, s3: servers.ObjectStore, mailbox: Mailbox) -> Iterator[World]:
    """A world in which an order may count as absent after two seconds: far longer than one takes to arrive here."""
    settings = {"settle_absent_after_seconds": 2.0, "clip_max_attempts": 9, "public_url": mailbox.url}
    with (
        servers.simulator(SIMULATOR_RENDER_SECONDS="0.3", SIMULATOR_FRAME_HEIGHT="90") as simulator,
        world(database_url, valkey_url=valkey_url, s3=s3, simulator=simulator, **settings) as built,
    ):
        for fault in ("create=500-after", "create=drop-after", "create=500", "create=429 retry_after=1", "poll=500"):
            built.arm(f"{fault} share=0.1")
        for fault in ("output=truncated downloads=1", "webhook=never", "webhook=twice"):
            built.arm(f"{fault} share=0.3")
        yield built


@dataclass
class Turmoil:
    """What goes on at the same time until it is over."""

    here: World
    mailbox: Mailbox
    asset_ids: list[UUID]
    dice: random.Random
    over: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Step any clip at any time; die over it now and then."""
        perilous = cast("Provider", Perilous(self.here.services.providers["replicate"], self.dice))
        mortal = replace(self.here.services, providers={"replicate": perilous})
        while not self.over.wait(self.dice.random() / 50):
            asset_id = self.dice.choice(self.asset_ids)
            if self.dice.random() < 0.7:
                self.here.services.store.steps.wake([asset_id])
            try:
                step(mortal, asset_id)
            except Killed:
                self.here.hurry(asset_id)

    def deliver(self) -> None:
        """Hand webhooks on as they come."""
        given = 0
        while not self.over.wait(0.02):
            for letter in self.mailbox.letters[given:]:
                _, _, provider, attempt_id, mac = letter.path.split("/")
                address = {"provider": provider, "attempt_id": attempt_id, "mac": mac}
                told = webhook(self.here.services, **address, headers=letter.headers, body=letter.body.encode())
                assert told is not None
                given += 1

    def mend(self) -> None:
        """Sweep, and empty Redis now and then."""
        while not self.over.wait(0.3):
            if self.dice.random() < 0.1:
                self.here.services.redis.flushall()
            sweep(self.here.services)


@pytest.mark.requirement("R50", "R55", "R04")
def test_every_clip_is_made_and_paid_for_once(here: World, mailbox: Mailbox) -> None:
    job_id = here.job(CLIPS)
    endure(here, mailbox, job_id)
    audit(here, job_id)
    assert len(here.sold()) == CLIPS


@pytest.mark.requirement("R46", "R50", "R55", "R62")
def test_whatever_scenes_need_of_each_other_is_made_and_paid_for_once_too(here: World, mailbox: Mailbox) -> None:
    needy: list[dict[str, Any]] = [
        {"keyframe": "a tower", "narration": "It was dawn."},
        {"starts_from": {"scene": 0}, "narration": "It was noon."},
        {"starts_from": {"scene": 1}},
        {"starts_from": {"scene": 0, "frame": "keyframe"}},
    ]
    makers = {"image_model": "replicate/flux-schnell", "speech_model": "replicate/speech-2.8-hd"}
    job_id = here.order([{"description": f"scene {n}", "duration": 2, **s} for n, s in enumerate(needy)], **makers)
    endure(here, mailbox, job_id)
    audit(here, job_id)
    assert len(here.sold()) == 7
    started = here.query("select input from attempts join assets on assets.id = asset_id where kind = 'video'")
    assert sum("image" in row["input"] for row in started) == len(started)


def endure(here: World, mailbox: Mailbox, job_id: UUID) -> None:
    """Let the job be made by many hands, in turmoil, until all of it has ended."""
    start(here.services, job_id)
    dice = random.Random(20260301)  # noqa: S311 - repeatable dice, not secrets
    turmoil = Turmoil(here, mailbox, everything(here, job_id), dice)
    with ThreadPoolExecutor(HANDS + 2) as pool:
        chores = [*[turmoil.work] * HANDS, turmoil.deliver, turmoil.mend]
        hands = [pool.submit(chore) for chore in chores]
        try:
            # So many failures may open the breaker, and a worker may die with the next one's claim in its hands.
            eventually(
                lambda: ended(here, job_id) or any(hand.done() for hand in hands), patience_seconds=PATIENCE_SECONDS
            )
        finally:
            turmoil.over.set()
        for hand in hands:
            hand.result()


def everything(here: World, job_id: UUID) -> list[UUID]:
    """All assets of a job, whatever their kind."""
    found = here.query("select id from assets where job_id = :job order by group_index", job=job_id)
    return [UUID(str(row["id"])) for row in found]


def ended(here: World, job_id: UUID) -> bool:
    return all(here.state(asset_id) in TERMINAL for asset_id in everything(here, job_id))


def audit(here: World, job_id: UUID) -> None:
    """What we say against what the provider says."""
    asset_ids = everything(here, job_id)
    assert {here.state(asset_id) for asset_id in asset_ids} == {State.DONE}
    takes = [take for asset_id in asset_ids for take in here.takes(asset_id)]
    assert sorted(line["id"] for line in here.sold()) == sorted(t.prediction_id for t in takes if t.prediction_id)
    for asset_id in asset_ids:
        assert [kind for _, kind in here.ledger(asset_id)].count("commit") == 1
    assert here.stats()["max_in_flight_seen"] <= 5
    assert [event.seq for event in here.events(job_id)] == list(range(1, len(here.events(job_id)) + 1))
