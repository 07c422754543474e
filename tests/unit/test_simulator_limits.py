"""The simulated limits count per account and refill with time."""

from typing import Any

import pytest

from simulator.limits import Gate, Limits


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_full_bucket_empties_and_refills() -> None:
    clock = Clock()
    gate = Gate(Limits(creates_per_minute=6), clock)
    assert [gate.take("a", "create").remaining for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    refused = gate.take("a", "create")
    assert (refused.allowed, refused.reset_seconds) == (False, 10)
    clock.now = 10
    assert gate.take("a", "create").allowed
    assert not gate.take("a", "create").allowed


def test_a_first_create_reports_what_is_left_as_the_provider_does() -> None:
    verdict = Gate(Limits(), Clock()).take("a", "create")
    assert (verdict.remaining, verdict.reset_seconds) == (599, 1)


def test_accounts_and_kinds_of_request_have_their_own_buckets() -> None:
    gate = Gate(Limits(creates_per_minute=60, creates_burst=1, other_per_minute=60, other_burst=1), Clock())
    assert gate.take("a", "create").allowed
    assert not gate.take("a", "create").allowed
    assert gate.take("a", "other").allowed
    assert gate.take("b", "create").allowed


def test_limits_change_live_and_go_back() -> None:
    gate = Gate(Limits(max_in_flight=2), Clock())
    gate.change(max_in_flight=None, creates_burst=1)
    assert gate.limits == Limits(max_in_flight=None, creates_burst=1)
    gate.reset()
    assert gate.limits == Limits(max_in_flight=2)


def test_an_accounts_own_limits_win_over_everybodys_until_the_reset() -> None:
    gate = Gate(Limits(max_in_flight=9), Clock())
    gate.change("a", max_in_flight=2)
    gate.change("a", creates_per_minute=60)
    gate.change(max_in_flight=5, other_per_minute=7)
    assert gate.limits_of("a") == Limits(max_in_flight=2, creates_per_minute=60, other_per_minute=7)
    assert gate.limits_of("b") == Limits(max_in_flight=5, other_per_minute=7)
    gate.reset()
    assert gate.limits_of("a") == Limits(max_in_flight=9)


def test_a_new_hidden_limit_gives_nobody_requests_back() -> None:
    gate = Gate(Limits(creates_per_minute=60, creates_burst=1), Clock())
    assert gate.take("a", "create").allowed
    gate.change(max_in_flight=2)
    assert not gate.take("a", "create").allowed
    gate.change(creates_burst=1)
    assert gate.take("a", "create").allowed


@pytest.mark.parametrize(
    "change",
    [{"speed": 3}, {"creates_per_minute": None}, {"max_in_flight": "3"}, {"busy_retry_after_form": "weeks"}],
)
@pytest.mark.parametrize("account", [None, "a"])
def test_what_is_no_limit_is_refused(change: dict[str, Any], account: str | None) -> None:
    gate = Gate(Limits())
    with pytest.raises(TypeError):
        gate.change(account, **change)
    assert gate.limits_of("a") == Limits()
