"""Everything a dialect can lean on, put together once."""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from simulator.engine import Engine
from simulator.faults import FaultBook
from simulator.limits import Gate
from simulator.outputs import Links
from simulator.render import Renderer
from simulator.scheduler import Scheduler
from simulator.settings import Settings
from simulator.stats import Stats
from simulator.uploads import Uploads
from simulator.webhooks import Courier


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What signs webhooks and links; kept in the data folder, so that it outlives the process."""

    webhook: str
    links: str

    @classmethod
    def of(cls, folder: Path, webhook: str | None) -> "Secrets":
        """Read the folder's own, or make them up now; a given webhook secret wins."""
        path = folder / "secrets.json"
        if path.exists():
            kept = cls(**json.loads(path.read_text(encoding="utf-8")))
        else:
            kept = cls(
                webhook="whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(), links=secrets.token_hex(32)
            )
            path.write_text(json.dumps(vars(kept)), encoding="utf-8")
        return cls(webhook=webhook or kept.webhook, links=kept.links)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The running parts of one simulator."""

    settings: Settings
    secrets: Secrets
    scheduler: Scheduler
    engine: Engine
    renderer: Renderer
    gate: Gate
    faults: FaultBook
    stats: Stats
    courier: Courier
    links: Links
    uploads: Uploads
