"""Who in a line gets a slot when: the fair order played forward over the times at which slots come free.

The rules are those of the scripts in ``pipeline/limits``, on what is known now: whoever enters later, fails early or
renders longer than usual moves the others.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from pipeline.domain.answers import Reason
from pipeline.domain.line import AccountView, Forecast, Holding, Share, View, Waiter

Usual = Callable[[str], float]

# What is left of a prediction that should have ended: a tenth of its age, so one that is far too late is no promise.
_OVERDUE_SHARE = 0.1
# Scores as line.lua writes them: slots held for the weight first, then what was passed and how much is left.
_HELD_COUNTS = 1e10
_HANDICAP = 1.5
_MUCH = 16
_NEARLY_THERE = 2
_DIGITS = 6
_NOTHING = Share(held=0, passed=0.0, weight=1)


def forecast(view: View, usual: Usual) -> dict[UUID, Forecast]:
    """Everyone's place in line (1 is next), and about how long until they get a slot.

    ``usual`` tells for how many seconds a prediction of a model holds its slot.
    """
    line, slots = _Line(view), _Slots(view, usual)
    lowered = [each.slots < each.set_slots for each in view.accounts.values()]
    held_by = Reason.LEARNED_LIMIT if lowered and all(lowered) else Reason.SLOT
    found: dict[UUID, Forecast] = {}
    for place in range(1, len(view.waiting) + 1):
        free = slots.next_free(line)
        waiter = line.next()
        seconds, reason = (round(free.seconds, 1), free.closed_by) if free else (None, None)
        found[waiter.asset_id] = Forecast(place=place, about_seconds=seconds, reason=reason or held_by)
        if free:
            slots.take(free.seconds, waiter)
    return found


def closed(account: AccountView) -> tuple[float, Reason | None]:
    """For how long an account takes no order, however many slots are free, and why."""
    pauses = [(account.blocked_seconds, Reason.BLOCKED)]
    pauses += [
        (seconds, Reason.DAILY_LIMIT if name == "daily" else Reason.RATE) for name, seconds in account.full.items()
    ]
    seconds, reason = max(pauses)
    return seconds, reason if seconds else None


class _Contender:
    """Somebody of whom others wait; ``name`` decides among equals, and ``left`` is how many still wait."""

    __slots__ = ("entry", "held", "left", "name", "passed", "weight")

    def __init__(self, name: str, share: Share) -> None:
        self.name = name
        self.held, self.passed, self.weight = share.held, share.passed, max(share.weight, 1)
        self.left, self.entry = 0, -1


_C = TypeVar("_C", bound=_Contender)


class _Contest(Generic[_C]):
    """Whose turn it is among contenders; an entry whose contender has a newer one is skipped."""

    def __init__(self, all_slots: int) -> None:
        self.size = 0  #: how many contend
        self._all_slots = all_slots
        self._heap: list[tuple[float, str, int, _C]] = []
        self._entries = count()

    def enter(self, contender: _C, left: int) -> None:
        """Stand where the score says, while anything is left."""
        contender.entry = next(self._entries)
        self.size += (left > 0) - (contender.left > 0)
        contender.left = left
        if left:
            handicap = _HANDICAP * (min(left, _MUCH) - 1) / _MUCH
            counts = contender.weight * (_NEARLY_THERE if contender.held + left <= self._all_slots else 1)
            score = contender.held * _HELD_COUNTS / counts + contender.passed + handicap / contender.weight
            heappush(self._heap, (round(score, _DIGITS), contender.name, contender.entry, contender))

    def first(self) -> _C:
        """Whose turn it is; it is out until it enters again."""
        while True:
            _, _, entry, contender = heappop(self._heap)
            if contender.entry == entry:
                return contender


class _Job(_Contender):
    """A job; its scenes, the last one first."""

    __slots__ = ("scenes",)

    def __init__(self, name: str, share: Share) -> None:
        super().__init__(name, share)
        self.scenes: list[Waiter] = []


class _Owner(_Contender):
    """An owner, in whom jobs contend."""

    __slots__ = ("jobs",)

    def __init__(self, name: str, share: Share, all_slots: int) -> None:
        super().__init__(name, share)
        self.jobs = _Contest[_Job](all_slots)


class _Line:
    """Who waits: owners, in them jobs, in them scenes."""

    def __init__(self, view: View) -> None:
        self._owners: dict[UUID, _Owner] = {}
        self._jobs: dict[UUID, _Job] = {}
        self._all_slots = sum(account.set_slots for account in view.accounts.values())
        self._contest = _Contest[_Owner](self._all_slots)
        for waiter in sorted(view.waiting, key=lambda each: (each.index, str(each.asset_id)), reverse=True):
            self._line_up(waiter, view)
        for job in self._jobs.values():
            self._owners[job.scenes[0].owner_id].jobs.enter(job, len(job.scenes))
        for job in self._jobs.values():
            self._enter(self._owners[job.scenes[0].owner_id], job.left)

    def next(self) -> Waiter:
        """Whose turn it is; they hold a slot from now on."""
        owner = self._contest.first()
        job = owner.jobs.first()
        waiter = job.scenes.pop()
        for each in (owner, job):
            each.held += 1
            each.passed = round(each.passed + 1 / each.weight, _DIGITS)
        owner.jobs.enter(job, len(job.scenes))
        self._enter(owner, job.left)
        return waiter

    def left(self, leaver: Waiter | Holding) -> None:
        """A slot was given back: that owner and that job are nearer to their turn."""
        owner, job = self._owners.get(leaver.owner_id), self._jobs.get(leaver.job_id)
        if owner is None:
            return
        if job:
            job.held -= 1
            owner.jobs.enter(job, job.left)
        owner.held -= 1
        self._enter(owner, job.left if job else 0)

    def _enter(self, owner: _Owner, left: int) -> None:
        """As in the scripts, only who has a single job can have little left: what is left of the one that moved."""
        jobs = owner.jobs.size
        self._contest.enter(owner, left if jobs == 1 and left else jobs * _MUCH)

    def _line_up(self, waiter: Waiter, view: View) -> None:
        if waiter.owner_id not in self._owners:
            share = view.owners.get(waiter.owner_id, _NOTHING)
            self._owners[waiter.owner_id] = _Owner(str(waiter.owner_id), share, self._all_slots)
        if (job := self._jobs.get(waiter.job_id)) is None:
            # Among equal jobs of an owner the older one goes first.
            name = f"{waiter.job_came_ms:014d}.{waiter.job_id}"
            job = self._jobs[waiter.job_id] = _Job(name, view.jobs.get(waiter.job_id, _NOTHING))
        job.scenes.append(waiter)


class _Event(NamedTuple):
    """At this time a slot is given back by its leaver, or can be given to somebody, or both.

    ``closed_by`` is why a slot that was free before could not be given.
    """

    seconds: float
    number: int
    leaver: Waiter | Holding | None
    opens: bool
    closed_by: Reason | None


class _Slots:
    """When slots are given back, and when they can be given again."""

    def __init__(self, view: View, usual: Usual) -> None:
        models = {each.model for each in view.waiting} | {each.model for each in view.holding}
        self._usual = {model: usual(model) for model in models}
        self._numbers = count()
        self._heap: list[_Event] = []
        for account in view.accounts.values():
            self._fill(account, [each for each in view.holding if each.account == account.account])

    def next_free(self, line: _Line) -> _Event | None:
        """The next slot that can be given; whoever gave one back before is struck off. None: there will be none."""
        while self._heap:
            event = heappop(self._heap)
            if event.leaver:
                line.left(event.leaver)
            if event.opens:
                return event
        return None

    def take(self, seconds: float, waiter: Waiter) -> None:
        """The slot is held for as long as is usual."""
        self._add(seconds + self._usual[waiter.model], waiter)

    def _fill(self, account: AccountView, holding: list[Holding]) -> None:
        closed_seconds, why = closed(account)
        for _ in range(account.slots - max(account.in_flight, len(holding))):
            self._add(closed_seconds, None, closed_by=why)
        # A limit that was lowered below what is in flight takes the first slots that come back.
        surplus = max(len(holding) - account.slots, 0)
        for index, holder in enumerate(sorted(holding, key=self._left)):
            left, opens = self._left(holder), index >= surplus
            self._add(left, holder, opens=opens and left >= closed_seconds)
            if opens and left < closed_seconds:
                self._add(closed_seconds, None, closed_by=why)

    def _left(self, holding: Holding) -> float:
        """For how long the slot is still held."""
        usual = self._usual[holding.model]
        return max(usual - holding.held_seconds, _OVERDUE_SHARE * max(usual, holding.held_seconds))

    def _add(
        self,
        seconds: float,
        leaver: Waiter | Holding | None,
        *,
        opens: bool = True,
        closed_by: Reason | None = None,
    ) -> None:
        heappush(self._heap, _Event(seconds, next(self._numbers), leaver, opens, closed_by))
