"""The dashboard in a browser, as tests open, read and photograph it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from cli.stack.stack import Stack

LONG_MS = 60_000  # for what a job has to do first; nothing is measured with it
# What a page shows comes from workers and an API that share a machine with all the rest.
expect.set_options(timeout=LONG_MS)

SCREENSHOTS = Path(__file__).parents[1] / "var" / "screenshots"
DESKTOP, PHONE, SMALL_PHONE = (1280, 860), (390, 844), (320, 568)

FLAGGED = "[[sim: fail=moderated]]"
SLOW = "[[sim: seconds=8]]"
ENDLESS = "[[sim: seconds=600]]"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def storyboard(*scenes: str, **more: Any) -> dict[str, Any]:
    shots = [{"description": scene, "duration": 5} for scene in scenes]
    return {"title": "Harbour", "model": "replicate/seedance-1-pro", "min_clips": 1, "scenes": shots, **more}


@contextmanager
def opened(browser: Browser, size: tuple[int, int] = DESKTOP, **more: Any) -> Iterator[Page]:
    """A page of its own; a script error or a breach of the content policy is a failure of the test."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-GB", **more)
    page = context.new_page()
    page.set_default_timeout(LONG_MS)
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # The browser logs every refused request by itself; what the page made of it is what the tests look at.
        if message.type == "error" and not message.text.startswith(("Failed to load resource", "WebSocket")):
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    yield page
    context.close()
    assert errors == []


def sign_in(page: Page, stack: Stack, key: str) -> None:
    page.goto(stack.addresses.api_url)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def order(stack: Stack, key: str, body: dict[str, Any]) -> str:
    """Order a job as a program would; the address of its page."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(f"{stack.addresses.api_url}/v1/jobs", json=body, headers=headers, timeout=30)
    assert answer.status_code == requests.codes.accepted, answer.text
    return stack.addresses.api_url + str(answer.json()["links"]["page"])


def without_end(page: Page) -> None:
    """Let every clip play on and on, so that none is over before it is looked at."""
    page.evaluate("() => document.addEventListener('play', (event) => { event.target.loop = true; }, true)")


def shoot(page: Page, name: str) -> None:
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def card(page: Page, index: int) -> Any:
    return page.locator(f".bin [data-clip='{index}']")


def saved(page: Page, indexes: Sequence[int]) -> None:
    for index in indexes:
        expect(card(page, index)).to_contain_text("saved", timeout=LONG_MS)
