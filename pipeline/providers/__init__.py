"""The providers, one adapter each behind one Protocol; a new one is a file here and a line in ``PROVIDERS``."""

from collections.abc import Mapping

from pipeline.providers.bfl import Bfl
from pipeline.providers.fal import Fal
from pipeline.providers.hypereal import Hypereal
from pipeline.providers.kling import Kling
from pipeline.providers.minimax import MiniMax
from pipeline.providers.protocol import Provider
from pipeline.providers.replicate import Replicate
from pipeline.providers.runway import Runway

PROVIDERS: Mapping[str, type[Provider]] = {
    "bfl": Bfl,
    "fal": Fal,
    "hypereal": Hypereal,
    "kling": Kling,
    "minimax": MiniMax,
    "replicate": Replicate,
    "runway": Runway,
}
