"""What happens at the desk of a dialect: who may come in, what goes wrong on demand, and the sale itself.

A dialect reads bodies and words answers; whatever is the same for all of them is here.
"""

import json
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from flask import Response, g, request

from simulator.faults import Fault, split_prompt
from simulator.limits import account_of
from simulator.misbehave import dropped
from simulator.outputs import Links
from simulator.parts import Parts
from simulator.predictions import Media, Order, Phase, Prediction
from simulator.render import file_names
from simulator.schema import Model
from simulator.stats import Why
from simulator.webhooks import Delivery

EXTENSIONS = {"video": "mp4", "image": "jpg", "audio": "mp3"}


class Words(Protocol):
    """How a provider says no; each is raised."""

    def throttled(self, why: Why, retry_after_seconds: float | None) -> Exception: ...

    def no_credit(self) -> Exception: ...

    def invalid(self, message: str) -> Exception: ...

    def broken(self, status: int) -> Exception: ...


@dataclass(frozen=True, kw_only=True)
class Sale:
    """An order that was read and found right. ``given`` is flat; ``body`` is what stands in the ledger.

    ``at_once``: whoever orders more than so many waits in the provider's own queue, instead of being refused.
    """

    id: str
    model: Model
    given: Mapping[str, Any]
    body: Mapping[str, Any]
    prompt: str
    base_url: str
    webhook: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    at_once: int | None = None
    price_cents: float | None = None  #: None: what the model's row says
    media: Media | None = None  #: None: what the fields of the input say


class Desk:
    """One dialect's desk."""

    def __init__(self, parts: Parts, words: Words, *, dialect: str) -> None:
        self._parts = parts
        self._words = words
        self._dialect = dialect

    def knows(self, token: str) -> bool:
        """Whether a token opens an account."""
        return bool(token) and (not self._parts.settings.tokens or token in self._parts.settings.tokens)

    def enter(self, token: str, counted: str, *, limits_of: str | None = None) -> None:
        """Let an account's request in. Raises what the dialect's words say: throttled, or broken on demand.

        ``limits_of`` names the dialect's limits that hold, where it has more than one set of them.
        """
        g.account, g.counted = account_of(token, self._dialect), counted
        g.limited = account_of(token, limits_of or self._dialect)
        self._parts.stats.count(counted, g.account)
        verdict = self._parts.gate.take(g.limited, "create" if counted == "creates" else "other")
        if not verdict.allowed:
            self._parts.stats.refuse(g.account, counted, Why.RATE)
            raise self._words.throttled(Why.RATE, None)
        if trouble := self._parts.faults.for_request("down", {}):
            raise self._words.broken(int(trouble[0]))

    def own(self, prediction_id: str) -> Prediction | None:
        """The prediction, if it is this account's and was sold in this dialect."""
        found: Prediction | None = self._parts.engine.get(g.account, prediction_id)
        return found

    def trouble(self, part: str, prediction: Prediction | None) -> Response | None:
        """What goes wrong with this request on demand."""
        owned = {prediction.id: prediction.order.fault} if prediction else {}
        try:
            trouble = self._parts.faults.for_request(part, owned, header=_fault_header())
        except ValueError as unreadable:
            raise self._words.invalid(str(unreadable)) from None
        return self._misbehave(*trouble) if trouble else None

    def sell(self, sale: Sale, shown: Callable[[Prediction], Response]) -> Response:
        """Sell a prediction and show it, unless a limit or a fault forbids. Raises what the dialect's words say."""
        try:
            fault = self._parts.faults.for_order(header=_fault_header(), prompt=sale.prompt, model=sale.model.name)
        except ValueError as unreadable:
            raise self._words.invalid(str(unreadable)) from None
        if refusal := self._before_accepting(fault):
            return refusal
        limit = None if sale.at_once else self._parts.gate.limits_of(g.limited).max_in_flight
        prediction = self._parts.engine.accept(g.account, limit, lambda number: self._order(number, sale, fault))
        if prediction is None:
            self._parts.stats.refuse(g.account, g.counted, Why.IN_FLIGHT)
            raise self._words.throttled(Why.IN_FLIGHT, None)
        self._parts.stats.count("accepted", g.account)
        return self._after_accepting(fault) or shown(prediction)

    def _before_accepting(self, fault: Fault) -> Response | None:
        match fault.create:
            case None | "500-after" | "503-after" | "drop-after" | "hang-after":
                return None
            case "402":
                self._parts.stats.count("refused", g.account)
                raise self._words.no_credit()
            case "422":
                self._parts.stats.count("refused", g.account)
                raise self._words.invalid("Refused on demand")
            case word:
                return self._misbehave("timeout" if word == "hang" else word, fault)

    def _after_accepting(self, fault: Fault) -> Response | None:
        if fault.create == "hang-after":
            time.sleep(fault.hang)
        elif fault.create in {"500-after", "503-after", "drop-after"}:
            return self._misbehave(fault.create.removesuffix("-after"), fault)
        return None

    def _misbehave(self, word: str, fault: Fault) -> Response:
        if word == "429":
            self._parts.stats.refuse(g.account, g.counted, Why.FAULT)
            raise self._words.throttled(Why.FAULT, fault.retry_after)
        if word in {"drop", "timeout"}:
            return dropped(fault.hang if word == "timeout" else 0)
        raise self._words.broken(int(word))

    def _order(self, number: int, sale: Sale, fault: Fault) -> Order:
        caption = split_prompt(sale.prompt)[0].rsplit("\n\n", 1)[-1] or sale.model.name
        return Order(
            id=sale.id,
            number=number,
            account=g.account,
            model=sale.model.name,
            version="",
            input=sale.body,
            price_cents=sale.model.price_cents(sale.given) if sale.price_cents is None else sale.price_cents,
            created_at=datetime.now(UTC),
            render_seconds=self._render_seconds(sale.model, caption, fault),
            media=sale.media or _media(sale),
            at_once=sale.at_once,
            caption=caption,
            base_url=sale.base_url,
            dialect=self._dialect,
            extra=sale.extra,
            webhook=sale.webhook,
            webhook_events=("start", "completed"),
            fault=fault,
        )

    def _render_seconds(self, model: Model, caption: str, fault: Fault) -> float:
        settings = self._parts.settings
        if fault.seconds is not None:
            return fault.seconds / settings.speed
        usual = model.seconds if settings.render_seconds is None else settings.render_seconds
        dice = random.Random(caption)  # noqa: S311  # the same scene always takes the same time
        return usual * math.exp(settings.render_spread * dice.gauss(0, 1)) / settings.speed


def links_of(prediction: Prediction, links: Links) -> list[str]:
    """The absolute links to the files of a prediction, once they are there."""
    if prediction.phase is not Phase.SUCCEEDED or prediction.data_removed:
        return []
    return [links.url(prediction.order.base_url, prediction, name) for name in file_names(prediction.order)]


def tell(
    parts: Parts,
    prediction: Prediction,
    body: Mapping[str, Any],
    *,
    headers: Callable[[int, bytes], Mapping[str, str]] | None = None,
) -> None:
    """Call the customer's webhook, as often and as late as the order's fault says; ``headers`` None: signed."""
    order, fault, last = prediction.order, prediction.order.fault, prediction.phase.ended
    if order.webhook is None or fault.webhook == "never":
        return
    delivery = Delivery(
        url=order.webhook,
        message_id=f"msg_{order.id}_{prediction.phase}",
        body=json.dumps(body).encode(),
        persistent=last,
        forged=fault.webhook == "forged",
        settled=(lambda: parts.engine.webhook_done(order.id)) if last else (lambda: None),
        headers=headers,
    )
    for _ in range(2 if fault.webhook == "twice" else 1):
        parts.courier.send(delivery, fault.late if fault.webhook == "late" else 0)


def root_url() -> str:
    """The address under which the simulator was reached."""
    return request.host_url.rstrip("/")


def _fault_header() -> str:
    return request.headers.get("X-Sim-Fault", "")


def _media(sale: Sale) -> Media:
    whole = sale.model.with_defaults(sale.given)
    extension = str(whole.get("output_format") or EXTENSIONS[sale.model.kind]).replace("jpeg", "jpg")
    width, _, height = str(whole.get("aspect_ratio") or sale.model.ratio).partition(":")
    return Media(
        kind=sale.model.kind,
        extension=extension,
        count=int(whole.get("n", 1)),
        ratio=float(width) / float(height),
        seconds=sale.model.result_seconds(sale.given),
    )
