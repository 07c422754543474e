"""What the others have in common: a simulator of their own, a token, and clips that are known by their number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.arena import Before, Case, Provider, gathered
from bench.measures import Run
from cli.stack.stack import Stack

#: When each clip, by its number, was known to be finished. Whatever failed or was given up is not there.
Known = Mapping[int, datetime]


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a customer of the provider has: an address, a token, and no idea of what the limit is."""

    base_url: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A contender that is a function of the stack, the access to the provider and the case."""

    name: str
    render: Callable[[Stack, Access, Case], Known]
    services: tuple[str, ...] = ()

    def run(self, case: Case) -> Run:
        """Render the case with a simulator of its own."""
        with Stack(services=self.services, more=case.simulator) as stack:
            provider = Provider.start(stack)
            before = Before.of(provider)
            access = Access(base_url=provider.url, token=stack.environment["REPLICATE_API_TOKEN"])
            known = self.render(stack, access, case)
            sold = {each["id"]: each for each in provider.ledger()}
            run = gathered(provider, case, {}, before=before)
            last = {each.clip: each.id for each in run.made if sold[each.id]["status"] == "succeeded"}
            return gathered(provider, case, {last[clip]: at for clip, at in known.items()}, before=before)


def prompt(clip: int) -> str:
    """What is asked for."""
    return f"shot {clip}"


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)
