"""Reads the commands of docker-compose.yml, so that the local stack runs what the containers run.

A small subset of the format, enough for our own file: ``command`` is a list, ``${NAME}`` and ``${NAME:-default}`` come
from the environment of the process (``$$`` is a dollar), and our own key ``x-local`` says what the local stack does
with a service: ``process`` (keep it running), ``once`` (run it to its end first) or ``server`` (an embedded server).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from cli.stack.server import ROOT

FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


class Local(StrEnum):
    """What the local stack does with a service."""

    PROCESS = "process"
    ONCE = "once"
    SERVER = "server"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of the file."""

    name: str
    local: Local
    command: tuple[str, ...]

    def command_in(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """The command with its variables filled in."""
        return tuple(interpolate(word, environment) for word in self.command)


def read(file: Path = FILE) -> dict[str, Service]:
    """The services by name, in the order of the file."""
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return {
        name: Service(name=name, local=Local(body["x-local"]), command=tuple(body.get("command", ())))
        for name, body in document["services"].items()
    }


def interpolate(word: str, environment: Mapping[str, str]) -> str:
    """Fill in the variables of one word; an unset or empty variable takes its default, or nothing."""

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        return "$" if name is None else environment.get(name) or match["default"] or ""

    return VARIABLE.sub(value, word)
