"""The life of predictions, the same for every dialect: accepted, started, rendered, ended, forgotten."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from simulator.ledger import JsonLines
from simulator.predictions import Order, Phase, Prediction
from simulator.render import Renderer
from simulator.scheduler import Scheduler

PROGRESS_EVENT_SECONDS = 0.5
BROKEN_RENDERER = "Prediction failed: the simulator could not render (code: E1000)"
WEBHOOK_MEMORY = timedelta(minutes=2)

Listener = Callable[[Prediction, str], None]


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Engine:
    """Holds every prediction in memory, and enough on disk to be killed at any time."""

    def __init__(
        self,
        *,
        folder: Path,
        scheduler: Scheduler,
        renderer: Renderer,
        data_seconds: float,
        listener: Listener,
        durable: bool,
    ) -> None:
        self._ledger = JsonLines(folder / "ledger.jsonl")
        self._journal = JsonLines(folder / "journal.jsonl")
        self._scheduler = scheduler
        self._renderer = renderer
        self._data_seconds = data_seconds
        self._listener = listener
        self._durable = durable
        self._predictions: dict[str, Prediction] = {}
        self._orders: defaultdict[str, list[Order]] = defaultdict(list)
        self._in_flight: Counter[str] = Counter()
        self._rendering: Counter[str] = Counter()
        self._most_in_flight: Counter[str] = Counter()
        self._accepting = threading.Lock()
        self._state = threading.RLock()
        self._ended = threading.Condition(self._state)

    def load(self) -> None:
        """Take up the predictions on disk where time has brought them."""
        for line in self._ledger:
            self._add(Prediction(order=Order.from_json(line)))
        for line in self._journal:
            if line["id"] in self._predictions:
                self._predictions[line["id"]] = self._predictions[line["id"]].replay(line)
        for prediction in list(self._predictions.values()):
            self._take_up(prediction)

    def close(self) -> None:
        self._ledger.close()
        self._journal.close()

    def accept(self, account: str, max_in_flight: int | None, make: Callable[[int], Order]) -> Prediction | None:
        """Sell a prediction: in the ledger when this returns. None when the account has too many in flight.

        ``make`` gets the order's number. It is called once there is room, so that the times of the ledger alone tell
        how many were in flight together.
        """
        with self._accepting:
            if self.full(account, max_in_flight):
                return None
            prediction = Prediction(order=make(len(self._predictions) + 1))
            self._ledger.append(prediction.order.as_json(), sync=self._durable)
            with self._state:
                self._add(prediction)
                if self._must_queue(prediction.order):
                    prediction = self._change(prediction.id, phase=Phase.QUEUED) or prediction
                self._count_in(prediction)
        self._plan(prediction)
        return prediction

    def full(self, account: str, max_in_flight: int | None) -> bool:
        """Whether the account has as many predictions in flight as it may."""
        return max_in_flight is not None and self._in_flight[account] >= max_in_flight

    def get(self, account: str, prediction_id: str) -> Prediction | None:
        """The prediction, if it is this account's."""
        prediction = self._predictions.get(prediction_id)
        return prediction if prediction and prediction.order.account == account else None

    def find(self, prediction_id: str) -> Prediction | None:
        """The prediction, whoever it belongs to."""
        return self._predictions.get(prediction_id)

    def oldest_first(self, after: int = 0) -> list[Prediction]:
        """The predictions of all accounts, from the one whose number is above ``after``."""
        with self._state:
            return list(islice(self._predictions.values(), after, None))

    def orders(self, account: str) -> Sequence[Order]:
        """What an account has ordered, oldest first."""
        return self._orders[account]

    def in_flight(self) -> dict[str, int]:
        """How many predictions of each account have not ended."""
        with self._state:
            return {account: count for account, count in self._in_flight.items() if count}

    def most_in_flight(self) -> dict[str, int]:
        """The most predictions of each account that were ever in flight together."""
        return dict(self._most_in_flight)

    def cancel(self, prediction_id: str) -> None:
        """End it as canceled, unless it has ended already."""
        self._end(prediction_id, Phase.CANCELED)

    def wait(self, prediction_id: str, seconds: float) -> bool:
        """Wait until it has ended, at most so long; whether it has."""
        with self._ended:
            return self._ended.wait_for(lambda: self._predictions[prediction_id].phase.ended, timeout=seconds)

    def webhook_done(self, prediction_id: str) -> None:
        """Note that the terminal webhook was delivered, or given up."""
        self._change(prediction_id, webhook_done=True)

    def reset(self) -> None:
        """Forget every order, on disk too."""
        with self._accepting, self._state:
            self._predictions.clear()
            self._orders.clear()
            self._in_flight.clear()
            self._rendering.clear()
            self._most_in_flight.clear()
            self._ledger.clear()
            self._journal.clear()
            self._renderer.clear()

    def _take_up(self, prediction: Prediction) -> None:
        order = prediction.order
        if not prediction.phase.ended:
            self._count_in(prediction)
            self._plan(prediction)
            if prediction.phase is Phase.PROCESSING:
                self._render(order)
                self._tell_progress(order.id)
            return
        self._plan_removal(prediction)
        if order.webhook and not prediction.webhook_done and now() - self._completed(prediction) < WEBHOOK_MEMORY:
            self._listener(prediction, "completed")

    def _plan(self, prediction: Prediction) -> None:
        order = prediction.order
        if prediction.phase is Phase.QUEUED:
            return
        if prediction.phase is Phase.STARTING:
            self._at(prediction.starts_at, lambda: self._start(order.id))
        if not order.fault.stall:
            self._at(prediction.ends_at, lambda: self._finish(order.id))
        if order.deadline:
            self._at(order.deadline, lambda: self._pass_deadline(order.id))

    def _at(self, moment: datetime, callback: Callable[[], object]) -> None:
        self._scheduler.after((moment - now()).total_seconds(), callback)

    def _add(self, prediction: Prediction) -> None:
        self._predictions[prediction.id] = prediction
        self._orders[prediction.order.account].append(prediction.order)

    def _must_queue(self, order: Order) -> bool:
        return order.at_once is not None and self._rendering[order.account] >= order.at_once

    def _count_in(self, prediction: Prediction) -> None:
        account = prediction.order.account
        self._in_flight[account] += 1
        self._rendering[account] += prediction.phase is not Phase.QUEUED
        self._most_in_flight[account] = max(self._most_in_flight[account], self._in_flight[account])

    def _change(self, prediction_id: str, **changes: Any) -> Prediction | None:
        with self._state:
            known = self._predictions.get(prediction_id)
            if known is None:
                return None
            self._predictions[prediction_id], line = known.change(**changes)
            self._journal.append(line)
            return self._predictions[prediction_id]

    def _start(self, prediction_id: str) -> None:
        with self._state:
            prediction = self._predictions.get(prediction_id)
            if prediction is None or prediction.phase is not Phase.STARTING:
                return
            if prediction.order.fault.aborted:
                self._end(prediction_id, Phase.ABORTED)
                return
            prediction = self._change(prediction_id, phase=Phase.PROCESSING, started_at=now())
        if prediction:
            self._listener(prediction, "start")
            self._render(prediction.order)
            self._scheduler.after(PROGRESS_EVENT_SECONDS, lambda: self._tell_progress(prediction_id))

    def _render(self, order: Order) -> None:
        if not (order.fault.fail or order.fault.stall):
            self._renderer.submit(order, lambda whole: self._rendered(order.id, whole=whole))

    def _rendered(self, prediction_id: str, *, whole: bool) -> None:
        prediction = self._predictions.get(prediction_id)
        if not whole:
            self._end(prediction_id, Phase.FAILED, BROKEN_RENDERER)
        elif prediction and now() >= prediction.ends_at:
            self._finish(prediction_id)

    def _tell_progress(self, prediction_id: str) -> None:
        prediction = self._predictions.get(prediction_id)
        if prediction and prediction.phase is Phase.PROCESSING and "logs" in prediction.order.webhook_events:
            self._listener(prediction, "logs")
            self._scheduler.after(PROGRESS_EVENT_SECONDS, lambda: self._tell_progress(prediction_id))

    def _finish(self, prediction_id: str) -> None:
        """End it, for its time has come; if its files are not there yet, the renderer will."""
        with self._state:
            prediction = self._predictions.get(prediction_id)
            if prediction is None or prediction.phase is not Phase.PROCESSING:
                return
            order = prediction.order
            if order.fault.fail:
                self._end(prediction_id, Phase.FAILED, order.fault.fail)
            elif self._renderer.ready(order):
                self._end(prediction_id, Phase.SUCCEEDED)

    def _pass_deadline(self, prediction_id: str) -> None:
        prediction = self._predictions.get(prediction_id)
        if prediction:
            starting = prediction.phase is Phase.STARTING
            self._end(prediction_id, Phase.ABORTED if starting else Phase.CANCELED)

    def _end(self, prediction_id: str, phase: Phase, error: str | None = None) -> None:
        with self._ended:
            known = self._predictions.get(prediction_id)
            if known is None or known.phase.ended:
                return
            prediction = self._change(prediction_id, phase=phase, error=error, completed_at=now())
            self._in_flight[known.order.account] -= 1
            self._rendering[known.order.account] -= known.phase is not Phase.QUEUED
            self._ended.notify_all()
            following = self._next_of(known.order)
        if following:
            self._plan(following)
        if prediction:
            self._plan_removal(prediction)
            if phase is Phase.SUCCEEDED:
                self._listener(prediction, "output")
            self._listener(prediction, "completed")

    def _next_of(self, ended: Order) -> Prediction | None:
        """Whoever of its account has been queued longest leaves the queue, if there is room now."""
        if ended.at_once is None or self._must_queue(ended):
            return None
        mine = (self._predictions[order.id] for order in self._orders[ended.account])
        queued = next((each for each in mine if each.phase is Phase.QUEUED), None)
        if queued is None:
            return None
        self._rendering[ended.account] += 1
        return self._change(queued.id, phase=Phase.STARTING, begun_at=now())

    def _completed(self, prediction: Prediction) -> datetime:
        return prediction.completed_at or prediction.order.created_at

    def _plan_removal(self, prediction: Prediction) -> None:
        if not prediction.data_removed:
            moment = self._completed(prediction) + timedelta(seconds=self._data_seconds)
            self._at(moment, lambda: self._remove_data(prediction.order))

    def _remove_data(self, order: Order) -> None:
        if self._change(order.id, data_removed=True):
            self._renderer.remove(order)
