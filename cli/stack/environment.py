"""The environment of the application's processes: the caller's own, completed with what the stack knows."""

import base64
import os
import secrets
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.stack.server import ROOT

SETTLE_ABSENT_AFTER_SECONDS = "20"  # the simulator lists a prediction at once; nobody wants to wait for minutes
LOOPBACK = "127.0.0.1,localhost"
#: Where in the simulator a provider is, when not under its own name.
PLACES = {"replicate": ""}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the processes with a port listen."""

    api: int
    flower: int
    simulator: int

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self.flower}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator}"


def given(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that say something; an empty one counts as unset."""
    return {name: value for name, value in environment.items() if value}


def base(more: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, such that our commands are found and loopback is never sent through a proxy."""
    environment = given({**os.environ, **more})
    no_proxy = ",".join(filter(None, [environment.get("NO_PROXY") or environment.get("no_proxy"), LOOPBACK]))
    path = (str(Path(sys.executable).parent), str(ROOT / "bin"), environment.get("PATH", os.defpath))
    return {
        **environment,
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def complete(known: Mapping[str, str], addresses: Addresses, folder: Path) -> dict[str, str]:
    """What the stack decides, for everything that the caller did not."""
    return {
        "SECRET_KEY": secrets.token_hex(32),
        **provider(known, addresses, folder),
        **known,
        "API_BIND": f"127.0.0.1:{addresses.api}",
        "BEAT_SCHEDULE": str(folder / "beat-schedule"),
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_PORT": str(addresses.flower),
        "FLOWER_BASIC_AUTH": f"dailies:{secrets.token_hex(8)}",
        "DAILIES_URL": addresses.api_url,
    }


def accounts(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The account of each provider in the catalogue, as its file has it."""
    folder = Path(environment.get("CATALOGUE_DIR") or ROOT / "pipeline" / "catalogue")
    return [tomllib.loads(file.read_text())["account"] for file in sorted(folder.glob("*.toml"))]


def has_provider(environment: Mapping[str, str]) -> bool:
    """Whether the caller brought a key of a provider: then nothing is simulated."""
    rows = accounts(environment)
    return any(
        environment.get(row["key_variable"]) or environment.get(f"{_prefix(row['provider'])}_ACCOUNTS") for row in rows
    )


def _prefix(provider: str) -> str:
    return provider.upper().replace("-", "_")


def provider(known: Mapping[str, str], addresses: Addresses, folder: Path) -> dict[str, str]:
    """The simulator's settings and the provider's that lead to it; nothing where the caller has a real provider.

    A real provider can't reach a loopback address: without a PUBLIC_URL of the caller's it gets no webhook to call.
    """
    if has_provider(known):
        return {}
    webhook_secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    rows = accounts(known)
    keys = {row["provider"]: secrets.token_hex(16) for row in rows}
    return {
        "SETTLE_ABSENT_AFTER_SECONDS": SETTLE_ABSENT_AFTER_SECONDS,
        "PUBLIC_URL": addresses.api_url,
        **{row["key_variable"]: keys[row["provider"]] for row in rows},
        **{f"{_prefix(name)}_BASE_URL": f"{addresses.simulator_url}{PLACES.get(name, f'/{name}')}" for name in keys},
        **{f"{_prefix(row['provider'])}_WEBHOOK_SECRET": webhook_secret for row in rows if row.get("shared_secret")},
        "SIMULATOR_HOST": "127.0.0.1",
        "SIMULATOR_PORT": str(addresses.simulator),
        "SIMULATOR_DIR": str(folder / "simulator"),
        "SIMULATOR_TOKENS": ",".join(keys.values()),
        "SIMULATOR_WEBHOOK_SECRET": webhook_secret,
    }
