"""The shipped catalogue, with what a case needs: how long a model usually takes, and wide windows."""

import re
from pathlib import Path

from cli.stack.server import ROOT

SHIPPED = ROOT / "pipeline" / "catalogue"
# Replicate's own 600 creates a minute would be what a case measures, and not its slots.
_WINDOWS = "windows = { create = { requests = 100000, seconds = 60 }, status = { requests = 100000, seconds = 60 } }"


def write(folder: Path, *, usual_seconds: float) -> Path:
    """A folder for CATALOGUE_DIR. Raises ValueError when the shipped file is not as it was any more."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (SHIPPED / "replicate.toml").read_text()
    text = _with(r"^windows = .*$", _WINDOWS, text)
    text = _with(r"^usual_seconds = 60$", f"usual_seconds = {usual_seconds:g}", text)
    (folder / "replicate.toml").write_text(text)
    return folder


def _with(pattern: str, line: str, text: str) -> str:
    changed, count = re.subn(pattern, line, text, count=1, flags=re.MULTILINE)
    if not count:
        raise ValueError(f"the shipped catalogue has no line {pattern} any more")
    return changed
