"""States, reasons and spans are said in a customer's words."""

import pytest

from cli import words
from pipeline.domain.answers import Reason


@pytest.mark.parametrize(
    ("waiting", "left_seconds", "said"),
    [
        ({"reason": "slot", "place": 3, "account": "replicate"}, 38.0, "third in line at replicate · about 40 s"),
        ({"reason": "slot", "place": 21, "account": "replicate"}, None, "21st in line at replicate"),
        ({"reason": "slot", "place": 112, "account": "replicate"}, None, "112th in line at replicate"),
        ({"reason": "slot", "place": None, "account": "replicate"}, None, "waiting for a slot at replicate"),
        ({"reason": "blocked", "account": "replicate"}, -3.0, "replicate asks us to wait · any moment"),
        ({"reason": "blocked", "account": "replicate", "place": 1}, 11.4, "replicate asks us to wait · 12 s"),
        (
            {"reason": "learned_limit", "account": "replicate", "place": 14},
            100.0,
            "14th in line, replicate takes fewer now · about 2 min",
        ),
        ({"reason": "learned_limit", "account": "replicate"}, None, "replicate takes fewer now"),
        ({"reason": "a reason of tomorrow"}, None, "waiting"),
        ({"reason": "rate"}, 2.1, "keeping to the provider's pace · about 3 s"),
    ],
)
def test_a_wait_tells_its_reason_and_its_length(
    waiting: dict[str, object], left_seconds: float | None, said: str
) -> None:
    assert words.waiting(waiting, left_seconds) == said


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    assert words.waiting({"reason": reason}) != "waiting"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "any moment"), (12.2, "about 13 s"), (89, "about 90 s"), (200, "about 3 min"), (7300, "about 2 h")],
)
def test_a_span_is_as_rough_as_it_is_long(seconds: float, said: str) -> None:
    assert words.about(seconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(-1, "0:00"), (7.9, "0:07"), (750, "12:30"), (3723, "1:02:03")])
def test_a_clock_runs_from_seconds_to_hours(seconds: float, said: str) -> None:
    assert words.clock(seconds) == said


def test_somebody_elses_text_is_one_line_that_no_terminal_obeys() -> None:
    assert words.one_line("one\n\ttwo \x1b]0;title\x07 \u202ethree\u2028") == "one two ]0;title three"


def test_an_attempt_is_counted_from_the_second_on() -> None:
    assert words.doing("rendering", "rendering", 1) == "rendering"
    assert words.doing("rendering", None, 2) == "rendering · attempt 2"
    assert words.doing("processing", "uncertain", 0) == "checking whether the order arrived"
    assert words.doing("rendering", "cancelling", 0) == "cancelling"
