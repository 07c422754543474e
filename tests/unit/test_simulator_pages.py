"""The simulator's list is cut into pages that miss nothing and repeat nothing, in both directions."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from simulator.predictions import Order
from simulator.replicate.pages import PAGE_LENGTH, Page
from tests.unit.test_simulator_ledger import BORN, ORDER

ORDERS = [
    replace(ORDER, id=str(number), number=number, created_at=BORN + timedelta(seconds=number))
    for number in range(1, 1001, 2)
]


def moment(number: int) -> str:
    return (BORN + timedelta(seconds=number)).isoformat()


def walk(orders: list[Order], page: Page, which: str) -> list[Page]:
    """That page and all that follow it in one direction."""
    pages = [page]
    while link := pages[-1].link("/v1/predictions", which):
        pages.append(Page.of(dict(parse_qsl(urlsplit(link).query)), orders))
    return pages


@given(count=st.integers(0, 500), after=st.integers(-1, 1001), before=st.integers(-1, 1001))
def test_every_order_between_two_times_is_on_one_page(count: int, after: int, before: int) -> None:
    orders = ORDERS[:count]
    wanted = [order.number for order in reversed(orders) if after <= order.number < before]
    filters = {"created_after": moment(after), "created_before": moment(before)}
    pages = walk(orders, Page.of(filters, orders), "next")
    assert [order.number for page in pages for order in page.items] == wanted
    assert all(len(page.items) == PAGE_LENGTH for page, _ in pairwise(pages))
    back = walk(orders, pages[-1], "previous")
    assert {order.number for page in back for order in page.items} == set(wanted)


def test_a_cursor_holds_its_place_while_new_orders_come_in() -> None:
    first = Page.of({}, ORDERS[:150])
    link = first.link("/", "next") or ""
    second = Page.of(dict(parse_qsl(urlsplit(link).query)), ORDERS)
    assert [order.number for order in second.items] == [order.number for order in ORDERS[49::-1]]
