"""The one place where the simulator reads its environment."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a simulator is started with; the README lists the variables."""

    host: str = "127.0.0.1"
    port: int = 0
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="simulator-")))
    tokens: frozenset[str] = frozenset()
    speed: float = 1.0
    render_seconds: float | None = None
    max_in_flight: int | None = None
    creates_per_minute: int = 600
    other_per_minute: int = 3000
    render_spread: float = 0
    render: str = "own"
    frame_height: int = 360
    webhook_secret: str | None = None
    data_seconds: float = 3600
    link_seconds: float = 3600
    fsync: bool = True
    ffmpeg: str | None = None

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError("SIMULATOR_SPEED must be above 0")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables that are set and not empty. Raises ValueError that names a variable without sense."""
        chosen = {}
        for variable, (field_name, convert) in VARIABLES.items():
            text = environment.get(variable)
            if text:
                try:
                    chosen[field_name] = convert(text)
                except ValueError as nonsense:
                    raise ValueError(f"{variable}={text}: {nonsense}") from None
        return cls(**chosen)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def _yes_or_no(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError("must be 0 or 1")
    return text == "1"


def _rendering(text: str) -> str:
    if text not in {"own", "shared"}:
        raise ValueError("must be own or shared")
    return text


VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "SIMULATOR_HOST": ("host", str),
    "SIMULATOR_PORT": ("port", int),
    "SIMULATOR_DIR": ("folder", Path),
    "SIMULATOR_TOKENS": ("tokens", _words),
    "SIMULATOR_SPEED": ("speed", float),
    "SIMULATOR_RENDER_SECONDS": ("render_seconds", float),
    "SIMULATOR_MAX_IN_FLIGHT": ("max_in_flight", int),
    "SIMULATOR_CREATES_PER_MINUTE": ("creates_per_minute", int),
    "SIMULATOR_OTHER_PER_MINUTE": ("other_per_minute", int),
    "SIMULATOR_RENDER_SPREAD": ("render_spread", float),
    "SIMULATOR_RENDER": ("render", _rendering),
    "SIMULATOR_FRAME_HEIGHT": ("frame_height", int),
    "SIMULATOR_WEBHOOK_SECRET": ("webhook_secret", str),
    "SIMULATOR_DATA_SECONDS": ("data_seconds", float),
    "SIMULATOR_LINK_SECONDS": ("link_seconds", float),
    "SIMULATOR_FSYNC": ("fsync", _yes_or_no),
    "FFMPEG_BIN": ("ffmpeg", str),
}
