"""The providers that the simulator speaks as. A new one is a folder with a ``dialect.py``, and a line here.

Each dialect has ``install(app, parts)``, which adds its routes, and ``announce(parts, prediction, event)``, which tells
the customer's webhook of ``start``, ``output``, ``logs`` or ``completed`` in the provider's words. Replicate stands at
the root of the simulator, every other one under ``/NAME``.
"""

from collections.abc import Mapping
from typing import Protocol

from flask import Flask

from simulator.bfl import dialect as bfl
from simulator.fal import dialect as fal
from simulator.hypereal import dialect as hypereal
from simulator.kling import dialect as kling
from simulator.minimax import dialect as minimax
from simulator.parts import Parts
from simulator.predictions import Prediction
from simulator.replicate import dialect as replicate
from simulator.runway import dialect as runway


class Dialect(Protocol):
    """What a dialect's module has."""

    def install(self, app: Flask, parts: Parts) -> None: ...

    def announce(self, parts: Parts, prediction: Prediction, event: str) -> None: ...


DIALECTS: Mapping[str, Dialect] = {
    "bfl": bfl,
    "fal": fal,
    "hypereal": hypereal,
    "kling": kling,
    "minimax": minimax,
    "replicate": replicate,
    "runway": runway,
}
