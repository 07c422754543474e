"""Faults on demand: the little language that orders them, and the book that says whose turn it is.

The same words come in a request header, in a prompt (``[[sim: seconds=6 fail=moderated]]``) or through the
control port; the README lists them.
"""

import hashlib
import random
import re
import shlex
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulator.limits import RetryForm

DIRECTIVE = re.compile(r"\[\[\s*sim:(.*?)\]\]", re.DOTALL)

REQUEST_TROUBLES = ("500", "502", "503", "429", "timeout", "drop")
CHOICES = {
    "create": (
        *("402", "422", "429", "500", "503", "drop", "hang"),
        *("500-after", "503-after", "drop-after", "hang-after"),
    ),
    "poll": REQUEST_TROUBLES,
    "list": REQUEST_TROUBLES,
    "cancel": REQUEST_TROUBLES,
    "down": ("500", "502", "503"),
    "retry_form": tuple(RetryForm),
    "webhook": ("never", "twice", "forged", "late"),
    "output": ("truncated", "cut", "html", "empty", "wrong-duration", "expired"),
}
ORDER_PARTS = ("seconds", "fail", "stall", "aborted", "create", "webhook", "output", "early")
REQUEST_PARTS = ("poll", "list", "cancel", "down")

FAILURES = {
    "moderated": "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
    "unknown": "Prediction failed: unknown error, please retry (code: E1000)",
    "E1000": "Prediction failed: unknown error, please retry (code: E1000)",
    "oom": "Prediction failed: the model ran out of memory (code: E1001)",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is to go wrong. The default is: nothing."""

    seconds: float | None = None  #: rendering takes this long
    fail: str | None = None  #: the prediction ends as failed, with this error
    stall: bool = False  #: the prediction never ends
    aborted: bool = False  #: the prediction ends as aborted, before it starts
    create: str | None = None
    poll: str | None = None
    list: str | None = None
    cancel: str | None = None
    down: str | None = None  #: every request of the provider's API is answered so
    requests: int = 1  #: how many polls or cancels of this prediction are troubled
    early: int = 0  #: how many looks at the live prediction say wrongly that it failed, where the provider does so
    webhook: str | None = None
    late: float = 5  #: seconds that a late webhook is late
    output: str | None = None
    downloads: int | None = None  #: how many downloads are troubled; None: all
    hang: float = 60  #: seconds that a hanging answer hangs
    retry_after: float | None = None  #: what a 429 tells
    retry_form: str = RetryForm.SECONDS  #: and how
    times: int | None = None  #: how often the whole applies; None: always
    share: float = 1  #: the probability that it applies
    seed: int = 0

    @property
    def about_orders(self) -> bool:
        """Whether it strikes when a prediction is made (else when something is asked about one)."""
        return any(getattr(self, part) for part in ORDER_PARTS) or not any(
            getattr(self, part) for part in REQUEST_PARTS
        )

    def over(self, other: "Fault") -> "Fault":
        """Both at once; where both say something, this one holds."""
        return replace(other, **self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Only what is said."""
        return {name: value for name, value in vars(self).items() if value != getattr(Fault, name)}


NOTHING = Fault()


def _converter(name: str) -> Callable[[str], Any]:
    if name in CHOICES:
        return str
    return {"requests": int, "downloads": int, "times": int, "seed": int, "early": int, "fail": str}.get(name, float)


def parse_fault(text: str) -> Fault:
    """Read words like ``seconds=6 fail=moderated stall``. Raises ValueError that says which word is wrong."""
    if not text:
        return NOTHING
    said: dict[str, Any] = {}
    for word in shlex.split(text):
        name, _, value = word.partition("=")
        if name not in Fault.__dataclass_fields__:
            raise ValueError(f"the simulator knows no fault {name!r}")
        if name in CHOICES and value not in CHOICES[name]:
            raise ValueError(f"{name}={value!r} is not one of {', '.join(CHOICES[name])}")
        said[name] = True if name in {"stall", "aborted"} else _converter(name)(value)
    if "fail" in said:
        said["fail"] = FAILURES.get(said["fail"], said["fail"])
    return Fault(**said)


def split_prompt(prompt: str) -> tuple[str, Fault]:
    """Take the directives out of a prompt: what remains to be drawn, and the fault they ask for."""
    fault = NOTHING
    for words in DIRECTIVE.findall(prompt):
        fault = parse_fault(words).over(fault)
    return DIRECTIVE.sub("", prompt).strip(), fault


@dataclass(frozen=True, kw_only=True)
class Armed:
    """A fault of the control port, and which orders or requests it is meant for."""

    key: str
    fault: Fault
    model: str | None = None
    prompt: str | None = None  #: a part of the prompt

    def meant_for(self, model: str, prompt: str) -> bool:
        return self.model in {None, model} and (self.prompt is None or self.prompt in prompt)


class FaultBook:
    """Remembers which faults are armed and how often each was used; thread safe."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._offered: Counter[str] = Counter()
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    def arm(self, fault: Fault, *, model: str | None = None, prompt: str | None = None) -> Armed:
        """Make a fault wait for what comes."""
        with self._lock:
            key = f"armed {len(self._armed)} {fault}"
            armed = Armed(key=key, fault=fault, model=model, prompt=prompt)
            self._armed.append(armed)
        return armed

    def clear(self) -> None:
        """Disarm everything and forget every count."""
        with self._lock:
            self._armed.clear()
            self._offered.clear()
            self._used.clear()

    def armed(self) -> list[dict[str, Any]]:
        """What is armed, and how often each was used."""
        with self._lock:
            return [
                {"fault": item.fault.as_dict(), "model": item.model, "prompt": item.prompt}
                | {"used": self._used[item.key]}
                for item in self._armed
            ]

    def for_order(self, *, header: str, prompt: str, model: str) -> Fault:
        """The fault of an order that just came in. Raises ValueError for words that mean nothing."""
        asked = parse_fault(header)
        written = split_prompt(prompt)[1]
        with self._lock:
            fault = NOTHING
            for item in self._armed:
                if item.fault.about_orders and item.meant_for(model, prompt) and self._turn(item.key, item.fault):
                    fault = item.fault.over(fault)
            if written != NOTHING and self._turn(f"prompt {_digest(prompt)}", written):
                fault = written.over(fault)
            if asked != NOTHING and self._turn(f"header {header}", replace(asked, times=None)):
                fault = asked.over(fault)
        return fault

    def for_request(self, part: str, owned: Mapping[str, Fault], *, header: str = "") -> tuple[str, Fault] | None:
        """The trouble of a request: ``part`` is one of REQUEST_PARTS, ``owned`` the prediction's own fault by id."""
        asked = parse_fault(header)
        if getattr(asked, part):
            return str(getattr(asked, part)), asked
        with self._lock:
            for prediction_id, fault in owned.items():
                once_more = replace(fault, times=fault.requests, share=1)
                if getattr(fault, part) and self._turn(f"{part} {prediction_id}", once_more):
                    return str(getattr(fault, part)), fault
            for item in self._armed:
                fault = item.fault
                if not fault.about_orders and getattr(fault, part) and self._turn(item.key, fault):
                    return str(getattr(fault, part)), fault
        return None

    def for_look(self, prediction_id: str, fault: Fault) -> bool:
        """Whether this look at a live prediction says wrongly that it failed."""
        with self._lock:
            return bool(fault.early) and self._turn(f"look {prediction_id}", replace(fault, times=fault.early, share=1))

    def for_download(self, prediction_id: str, fault: Fault) -> str | None:
        """The trouble of a download of this prediction's output."""
        if fault.output is None:
            return None
        with self._lock:
            turn = self._turn(f"download {prediction_id}", replace(fault, times=fault.downloads, share=1))
        return fault.output if turn else None

    def _turn(self, key: str, fault: Fault) -> bool:
        """Whether the fault strikes this time, by its count and its dice (the same dice for the same seed)."""
        self._offered[key] += 1
        dice = random.Random(f"{fault.seed} {key} {self._offered[key]}")  # noqa: S311  # repeatable, not secret
        if fault.times is not None and self._used[key] >= fault.times:
            return False
        if dice.random() >= fault.share:
            return False
        self._used[key] += 1
        return True


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()
