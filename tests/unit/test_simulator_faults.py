"""Faults are ordered in a little language, and strike exactly as often as ordered."""

import pytest

from simulator.faults import FAILURES, NOTHING, Fault, FaultBook, parse_fault, split_prompt


def struck(book: FaultBook, prompt: str = "a", *, orders: int = 10, header: str = "", model: str = "m") -> list[Fault]:
    """The faults of so many orders in a row."""
    return [book.for_order(header=header, prompt=prompt, model=model) for _ in range(orders)]


def test_words_become_a_fault() -> None:
    fault = parse_fault("seconds=6 fail=moderated webhook=late late=2 times=3")
    assert fault == Fault(seconds=6, fail=FAILURES["moderated"], webhook="late", late=2, times=3)
    assert parse_fault('fail="Any text at all" stall') == Fault(fail="Any text at all", stall=True)
    assert parse_fault("") == NOTHING


@pytest.mark.parametrize("words", ["nonsense", "create=418", "seconds=soon", 'fail="open', "poll=never", "times=1.5"])
def test_words_that_mean_nothing_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_fault(words)


def test_a_directive_is_taken_out_of_the_prompt() -> None:
    shown, fault = split_prompt("A lighthouse [[sim: seconds=6]] at night [[sim:stall]]")
    assert shown == "A lighthouse  at night"
    assert fault == Fault(seconds=6, stall=True)


def test_an_order_without_a_word_has_no_fault() -> None:
    assert struck(FaultBook(), orders=1) == [NOTHING]


def test_a_prompt_can_limit_its_fault_to_the_first_orders() -> None:
    book = FaultBook()
    prompt = "A lighthouse [[sim: fail=oom times=2]]"
    assert [bool(fault.fail) for fault in struck(book, prompt, orders=4)] == [True, True, False, False]
    other = struck(book, "A ship [[sim: fail=oom times=2]]", orders=1)
    assert other[0].fail, "another prompt counts for itself"


def test_an_armed_fault_strikes_so_many_orders_and_only_those_it_is_meant_for() -> None:
    book = FaultBook()
    book.arm(Fault(stall=True, times=2), model="m", prompt="ship")
    assert struck(book, "a lighthouse", orders=1) == [NOTHING]
    assert struck(book, "a ship", orders=1, model="other") == [NOTHING]
    assert [fault.stall for fault in struck(book, "a ship", orders=3)] == [True, True, False]
    assert book.armed()[0]["used"] == 2


def test_a_share_strikes_about_as_often_as_it_says_and_always_the_same_ones() -> None:
    runs = []
    for _ in range(2):
        book = FaultBook()
        book.arm(Fault(stall=True, share=0.3, seed=7))
        runs.append([fault.stall for fault in struck(book, orders=300)])
    assert runs[0] == runs[1]
    assert 60 < sum(runs[0]) < 120


def test_the_header_wins_over_the_prompt_and_the_prompt_over_what_is_armed() -> None:
    book = FaultBook()
    book.arm(Fault(seconds=1, fail="armed", output="html"))
    fault = book.for_order(header="seconds=3", prompt="[[sim: seconds=2 fail=prompt]]", model="m")
    assert (fault.seconds, fault.fail, fault.output) == (3, "prompt", "html")


def test_polls_of_a_prediction_are_troubled_as_often_as_its_fault_says() -> None:
    book = FaultBook()
    owned = {"p": Fault(poll="500", requests=2)}
    answers = [book.for_request("poll", owned) for _ in range(3)]
    assert [bool(answer) for answer in answers] == [True, True, False]
    assert book.for_request("cancel", owned) is None
    assert book.for_request("poll", {"q": Fault(poll="500")}) is not None


def test_an_armed_poll_fault_strikes_requests_and_is_not_used_up_by_orders() -> None:
    book = FaultBook()
    book.arm(parse_fault("poll=429 times=1 retry_after=9"))
    assert struck(book, orders=3) == [NOTHING] * 3
    word, fault = book.for_request("poll", {"p": NOTHING}) or ("", NOTHING)
    assert (word, fault.retry_after) == ("429", 9)
    assert book.for_request("poll", {"p": NOTHING}) is None


def test_downloads_are_troubled_as_often_as_the_fault_says() -> None:
    book = FaultBook()
    limited, endless = Fault(output="cut", downloads=1), Fault(output="html")
    assert [book.for_download("p", limited) for _ in range(2)] == ["cut", None]
    assert [book.for_download("q", endless) for _ in range(2)] == ["html", "html"]
    assert book.for_download("r", NOTHING) is None


def test_a_cleared_book_forgets_everything() -> None:
    book = FaultBook()
    book.arm(Fault(stall=True))
    book.clear()
    assert struck(book, orders=1) == [NOTHING]
    assert book.armed() == []
