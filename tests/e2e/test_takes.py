"""Takes in a real Chromium: side by side, chosen, made anew, and a film that follows."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from cli.stack.stack import Stack
from tests.pages import (
    FLAGGED,
    LONG_MS,
    OVERFLOW,
    PHONE,
    SLOW,
    card,
    opened,
    saved,
    shoot,
    sign_in,
    storyboard,
    without_end,
)


def sheet(page: Page, number: int) -> Any:
    """The sheet of a clip, opened from its card."""
    page.get_by_role("button", name=f"Details of clip {number}").click()
    return page.get_by_role("dialog", name=f"Clip {number}")


def film(page: Page) -> str:
    """Which film is shown, by what its picture holds."""
    shown = page.get_by_role("button", name="Play the film").locator("img").get_attribute("src")
    return (shown or "").split("?")[0].rpartition("_")[2]


@pytest.mark.requirement("R61", "R38")
def test_takes_stand_side_by_side_and_the_film_follows_the_one_that_is_chosen(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard("A lamp is lit.", "A ship turns.")))
        saved(page, [0, 1])
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        first_film = film(page)
        clip = sheet(page, 1)
        expect(clip.get_by_role("listitem", name="take 1")).to_contain_text("chosen")
        clip.get_by_label("Prompt").fill("The lamp goes out.")
        clip.get_by_label("Seed", exact=True).fill("77")
        clip.get_by_role("button", name="Make a take").click()
        second = clip.get_by_role("listitem", name="take 2")
        expect(second).to_contain_text("The lamp goes out.")
        expect(second).to_contain_text("seed 77")
        shoot(page, "take-rendering")
        expect(second).to_contain_text("chosen", timeout=LONG_MS)
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        picture = page.locator(".film .play img")
        expect(picture).not_to_have_attribute("src", re.compile(re.escape(first_film)), timeout=LONG_MS)
        without_end(page)
        for number in (1, 2):
            clip.get_by_role("button", name=f"Play take {number}").click()
        for video in clip.locator("video").all():
            expect(video).to_have_js_property("paused", value=False)
        shoot(page, "takes")
        clip.get_by_role("button", name="Choose take 1").click()
        expect(clip.get_by_role("listitem", name="take 1")).to_contain_text("chosen")
        expect(second).not_to_contain_text("chosen")
        expect(picture).to_have_attribute("src", re.compile(re.escape(first_film)), timeout=LONG_MS)
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        page.keyboard.press("Escape")
        expect(card(page, 0).get_by_role("button", name="Takes of clip 1")).to_have_text("2 takes")
        shoot(page, "takes-card")


@pytest.mark.requirement("R61")
def test_a_failed_take_stands_beside_the_good_one_which_stays(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser, color_scheme="dark") as page:
        sign_in(page, stack, key)
        address = submit(storyboard("A door.", "A stair."))
        page.goto(address)
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        clip = sheet(page, 2)
        clip.get_by_label("Prompt").fill(f"A fight. {FLAGGED}")
        clip.get_by_role("button", name="Make a take").click()
        expect(clip.get_by_role("listitem", name="take 2")).to_contain_text("the prompt was flagged", timeout=LONG_MS)
        expect(clip.get_by_role("listitem", name="take 1")).to_contain_text("chosen", timeout=LONG_MS)
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        shoot(page, "takes-dark")
    for scheme in ("light", "dark"):
        with opened(browser, PHONE, has_touch=True, is_mobile=True, color_scheme=scheme) as page:
            sign_in(page, stack, key)
            page.goto(address)
            saved(page, [0, 1])
            sheet(page, 2)
            expect(page.get_by_role("listitem", name="take 2")).to_be_visible()
            shoot(page, f"phone-takes-{scheme}")
            assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.requirement("R38", "R46")
def test_a_card_shows_the_keyframe_and_speaks_the_narration(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    scene = {"description": f"Dawn. {SLOW}", "duration": 5, "keyframe": "A tower", "narration": "It was dawn. " * 4}
    makers = {"image_model": "replicate/flux-schnell", "speech_model": "replicate/speech-2.8-hd"}
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard(scenes=[scene], **makers)))
        expect(card(page, 0)).to_contain_text("rendering", timeout=LONG_MS)
        expect(card(page, 0).locator("img.still")).to_be_visible(timeout=LONG_MS)
        shoot(page, "keyframe")
        saved(page, [0])
        spoken = card(page, 0).get_by_role("button", name="Narration")
        spoken.click()
        expect(spoken).to_have_attribute("aria-pressed", "true")
        expect(spoken).to_have_attribute("aria-pressed", "false", timeout=LONG_MS)
        expect(sheet(page, 1).get_by_alt_text("The picture it starts from")).to_be_visible()


@pytest.mark.requirement("R61", "R62", "R38")
def test_a_clip_that_was_made_from_an_older_take_is_brought_up_to_date_with_one_click(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    scenes = [
        {"description": "A lamp.", "duration": 5},
        {"description": "On.", "duration": 5, "starts_from": {"scene": 0}},
    ]
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard(scenes=scenes)))
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        first = sheet(page, 1)
        first.get_by_label("Prompt").fill("A brighter lamp.")
        first.get_by_role("button", name="Make a take").click()
        expect(first.get_by_role("listitem", name="take 2")).to_contain_text("chosen", timeout=LONG_MS)
        page.keyboard.press("Escape")
        expect(card(page, 1)).to_contain_text("from an older take of clip 1", timeout=LONG_MS)
        shoot(page, "stale")
        page.get_by_role("button", name="Bring 1 clip up to date").click()
        expect(card(page, 1)).not_to_contain_text("older take", timeout=LONG_MS)
        expect(card(page, 1)).to_contain_text("2 takes", timeout=LONG_MS)
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)
        expect(page.get_by_role("button", name="Bring 1 clip up to date")).to_have_count(0)
