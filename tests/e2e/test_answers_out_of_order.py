"""The dashboard when answers are late, lost or out of order, and when somebody goes on meanwhile."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from cli.stack.stack import Stack
from tests.pages import SLOW, card, opened, sign_in, storyboard

SOCKET = re.compile(r"/socket\.io/")


@pytest.mark.requirement("R34")
def test_a_page_that_was_not_let_in_by_the_socket_asks_again(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    refused: list[str] = []

    def refuse_once(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def heard(message: str | bytes) -> None:
            asked = re.match(r'42/jobs,(\d+)\["subscribe",', str(message))
            if asked and not refused:
                refused.append(str(message))
                socket.send(f'43/jobs,{asked[1]}[{{"error":"unavailable"}}]')
            else:
                server.send(message)

        socket.on_message(heard)

    with opened(browser) as page:
        page.route_web_socket(SOCKET, refuse_once)
        sign_in(page, stack, key)
        page.goto(submit(storyboard(f"Ebb. {SLOW}")))
        expect(card(page, 0)).to_be_visible()
        expect(card(page, 0)).to_contain_text("saved", timeout=25_000)
        assert refused
