"""The storyboard that everybody tries first can be ordered as it stands."""

import json

from pipeline.domain.catalogue import load
from pipeline.domain.order import plan
from pipeline.domain.spec import parse_job
from pipeline.services import catalogue_texts
from tests.processes import ROOT


def test_the_lighthouse_is_five_scenes_that_the_catalogue_can_make() -> None:
    spec = parse_job(json.loads((ROOT / "examples" / "lighthouse.json").read_text()))
    planned = plan(spec, load(catalogue_texts("")), duration_buffer=1.25)
    assert [(shot.model, shot.target_seconds) for shot in planned.shots] == [("replicate/seedance-1-pro", 5)] * 5
    assert spec.consistency_context is not None
    assert 0 < planned.estimate_cents < 1000
