"""Scenes planned against the catalogue that ships, for tests of what a shot is asked for with."""

from pathlib import Path
from typing import Any

from pipeline.domain.catalogue import load
from pipeline.domain.order import plan_clip
from pipeline.domain.shot import Shot
from pipeline.domain.spec import JobSpec, parse_job

_FOLDER = Path(__file__).parents[1] / "pipeline" / "catalogue"
SHIPPED = load({path.name: path.read_text(encoding="utf-8") for path in _FOLDER.glob("*.toml")})


def job(*scenes: dict[str, Any], model: str = "replicate/seedance-1-lite", **more: Any) -> JobSpec:
    """A job of these scenes, each of which says only what is not usual."""
    spelt = [{"description": "A lighthouse", "duration": 5} | scene for scene in scenes or [{}]]
    return parse_job({"model": model, "scenes": spelt, **more})


def shot_of(spec: JobSpec, index: int = 0) -> Shot:
    """A scene's clip as it will be asked for."""
    shot, problems = plan_clip(spec, index, SHIPPED, duration_buffer=1.0)
    assert shot is not None, problems
    return shot
