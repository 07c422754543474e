"""The dashboard in a real Chromium, against the whole local stack: what a person sees and does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from cli.stack.stack import Stack
from tests.pages import (
    ENDLESS,
    FLAGGED,
    LONG_MS,
    OVERFLOW,
    PHONE,
    SLOW,
    SMALL_PHONE,
    card,
    opened,
    saved,
    shoot,
    sign_in,
    storyboard,
    without_end,
)

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "api" / "dashboard"
SCRIPT_BYTES = 150_000

# Writes down every value of every clip's progress bar, so that one that falls can't hide between two looks.
RECORD_BARS = """() => {
  window.bars = {};
  const note = () => document.querySelectorAll("[data-clip] [role=progressbar]").forEach((bar) => {
    const seen = (window.bars[bar.closest("[data-clip]").dataset.clip] ??= []);
    const value = Number(bar.getAttribute("aria-valuenow"));
    if (seen.at(-1) !== value) seen.push(value);
  });
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, attributes: true});
  note();
}"""


def seconds_played(page: Page) -> float:
    return float(page.locator(".bin video").evaluate("video => video.currentTime"))


@pytest.mark.requirement("R32", "R33", "R38")
def test_one_click_turns_the_sample_into_five_clips_and_a_film(browser: Browser, stack: Stack) -> None:
    with opened(browser) as page:
        sign_in(page, stack, stack.create_key(owner="somebody new"))
        expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
        shoot(page, "empty")
        page.get_by_role("button", name="Make “The lighthouse”").click()
        expect(page.locator(".bin [data-clip]")).to_have_count(5)
        page.evaluate(RECORD_BARS)
        shoot(page, "running")
        saved(page, range(5))
        expect(page.locator(".bin .line .icon-done")).to_have_count(5)
        expect(page.get_by_role("button", name="Play the film")).to_be_visible(timeout=LONG_MS)
        expect(page).to_have_title("✓ The lighthouse")
        expect(page.locator(".bin img")).to_have_count(5)
        bars: dict[str, list[int]] = page.evaluate("() => window.bars")
        shoot(page, "complete")
    assert len(bars) == 5
    assert all(seen == sorted(seen) and seen[-1] == 100 for seen in bars.values()), bars


@pytest.mark.requirement("R38")
def test_a_clip_plays_in_place_and_only_one_at_a_time(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard("Gulls over a pier.", "A net is mended.")))
        saved(page, [0, 1])
        without_end(page)
        page.keyboard.press("j")
        page.keyboard.press("Space")
        expect(page.locator(".bin video")).to_have_js_property("paused", value=False)
        before = seconds_played(page)
        page.locator(".bin video").evaluate("video => new Promise(go => video.addEventListener('timeupdate', go))")
        assert seconds_played(page) > before
        shoot(page, "playing")
        page.get_by_role("button", name="Play clip 2").click()
        expect(card(page, 0).locator("video")).to_have_js_property("paused", value=True)
        expect(card(page, 1).locator("video")).to_have_js_property("paused", value=False)


@pytest.mark.requirement("R36", "R38")
def test_a_failed_clip_says_why_and_is_retried_with_another_prompt(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser, color_scheme="dark") as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard("Rain on a tin roof.", f"A fight. {FLAGGED}", "The rain stops.")))
        expect(card(page, 1)).to_contain_text("failed: the prompt was flagged. Edit and retry", timeout=LONG_MS)
        saved(page, [0, 2])
        expect(page).to_have_title("! 2/3 · Harbour", timeout=LONG_MS)
        shoot(page, "failed-dark")
        expect(page.get_by_role("button", name=re.compile("Resume"))).to_have_count(0)
        card(page, 1).focus()
        page.keyboard.press("r")
        expect(page.get_by_role("dialog", name="Clip 2")).to_contain_text("Take 1")
        shoot(page, "retry-dark")
        page.get_by_label("Prompt").fill("Two friends laugh.")
        page.get_by_role("button", name="Retry", exact=True).click()
        saved(page, [1])
        expect(page).to_have_title("✓ Harbour", timeout=LONG_MS)


@pytest.mark.requirement("R34", "R38")
def test_a_page_that_is_loaded_midway_catches_up(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard("A bell buoy.", "Fog comes in. [[sim: seconds=20]]", f"A horn answers. {SLOW}")))
        expect(card(page, 1)).to_contain_text("rendering", timeout=LONG_MS)
        page.reload()
        expect(card(page, 1)).to_contain_text("rendering")
        saved(page, [0, 1, 2])
        page.get_by_role("link", name="Timeline").click()
        expect(page.locator(".span.rendering:not(.swatch)")).to_have_count(3)
        page.keyboard.press("j")
        expect(page.locator(".told")).to_contain_text(
            re.compile(r"Clip 1 · take 1 · (rendering|saving the file) \d+\.\d s · replicate")
        )
        shoot(page, "timeline")


@pytest.mark.requirement("R34", "R38")
def test_a_page_whose_server_went_away_says_so_and_catches_up(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        # Both have to render on until the page has noticed, and the API may take its time to stop.
        page.goto(submit(storyboard("Ebb. [[sim: seconds=25]]", "Flood. [[sim: seconds=25]]")))
        # Until somebody looks again, a busy provider's first word stands.
        there = re.compile("rendering|own queue")
        expect(card(page, 1)).to_contain_text(there, timeout=LONG_MS)
        stack.stop("api")
        try:
            expect(page.get_by_text("Live updates are away")).to_be_visible()
            expect(card(page, 1)).to_contain_text(there)
            shoot(page, "offline")
        finally:
            stack.start("api")
        saved(page, [0, 1])
        expect(page.get_by_text("Live updates are away")).to_be_hidden()


@pytest.mark.requirement("R60")
def test_a_clip_that_waits_says_for_what(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard(*[f"Wave {number}. {ENDLESS}" for number in range(7)])))
        expect(page.get_by_text(re.compile("first in line at replicate · (about [0-9]+ s|any moment)"))).to_have_count(
            1
        )
        expect(page.get_by_text("second in line at replicate · about")).to_have_count(1)
        shoot(page, "waiting")
        page.get_by_role("button", name="Cancel the job").click()
        question = page.get_by_role("dialog", name="Cancel this job?")
        expect(question).to_contain_text("5 predictions are running and may be charged.")
        expect(question).to_contain_text("2 waiting clips will not be made.")
        question.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".state-line")).to_contain_text("cancelled", timeout=LONG_MS)
        expect(page.get_by_role("button", name="Resume 7 clips")).to_be_visible()


@pytest.mark.requirement("R51", "R60")
def test_the_accounts_show_who_holds_their_slots(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, stack.create_key(owner="the other room"))
        waves = [f"Wave {number}. {ENDLESS}" for number in range(7)]
        theirs = submit(storyboard(*waves)).replace("/jobs/", "/v1/jobs/")
        page.get_by_role("link", name="Accounts").click()
        account = page.locator(".account", has=page.get_by_role("heading", name="replicate", exact=True))
        expect(account).to_contain_text("5 of 5 slots in use · 0 yours")
        expect(account.locator(".dot.others")).to_have_count(5)
        expect(account).to_contain_text("2 · 0 yours")
        shoot(page, "accounts")
        requests.post(f"{theirs}/cancel", headers={"Authorization": f"Bearer {key}"}, timeout=30).raise_for_status()
        expect(account).to_contain_text("0 of 5 slots in use", timeout=LONG_MS)
        expect(account.locator(".dot.free")).to_have_count(5)
        page.get_by_role("link", name="Jobs", exact=True).click()
        expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()


@pytest.mark.requirement("R60")
@pytest.mark.parametrize(
    ("waiting", "since", "said"),
    [
        ({"reason": "slot", "place": 3, "about_seconds": 38.2}, 0, "third in line at replicate · about 40 s"),
        ({"reason": "slot", "place": 3, "about_seconds": 38.2}, 30, "third in line at replicate · about 9 s"),
        ({"reason": "slot", "place": 14, "about_seconds": 200}, 0, "14th in line at replicate · about 3 min"),
        ({"reason": "slot", "place": None, "about_seconds": 0}, 9, "waiting for a slot at replicate · any moment"),
        ({"reason": "blocked", "place": 1, "about_seconds": 12}, 0.5, "replicate asks us to wait · 12 s"),
        (
            {"reason": "learned_limit", "place": 2, "about_seconds": None},
            0,
            "second in line, replicate takes fewer now",
        ),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_wait_is_said_in_a_customers_words(
    browser: Browser, stack: Stack, waiting: dict[str, Any], since: float, said: str
) -> None:
    words = """async ([waiting, since]) =>
      (await import("/dashboard/words.js")).waitingWords({ account: "replicate", ...waiting }, since)"""
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        assert page.evaluate(words, [waiting, since]) == said


@pytest.mark.requirement("R38")
def test_the_keyboard_leads_through_a_job(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard("A kite.", "A dog.", "A kite again.")))
        expect(page.locator(".bin [data-clip]")).to_have_count(3)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("Next and previous clip")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(card(page, 1)).to_be_focused()
        page.keyboard.press("k")
        expect(card(page, 0)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Clip 1")).to_contain_text("A kite.")
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type("kite")
        expect(page.locator(".bin [data-clip]:visible")).to_have_count(2)


@pytest.mark.requirement("R42")
def test_a_new_job_is_priced_and_every_complaint_stands_at_its_field(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        page.get_by_label("Model").select_option(label="Seedance 1 Pro")
        page.get_by_label("Title").fill("<img src=x onerror=alert(1)>")
        page.get_by_role("textbox", name="Scene 1").fill("A boat leaves.")
        expect(page.locator(".figure")).to_have_text("about $0.75")
        page.get_by_label("Seconds").fill("400")
        expect(page.locator(".scene").get_by_role("alert")).to_contain_text("at most 12 s")
        shoot(page, "complaint")
        page.get_by_label("Seconds").fill("5")
        page.get_by_role("button", name="Add a scene").click()
        expect(page.get_by_role("textbox", name="Scene 2")).to_be_focused()
        page.keyboard.type("It comes home.")
        page.get_by_role("button", name="Move scene 2 up").click()
        page.get_by_role("button", name="Make the clips").click()
        expect(page.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
        expect(card(page, 0)).to_contain_text("It comes home.")


@pytest.mark.requirement("R38")
def test_a_phone_never_scrolls_sideways(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    address = submit(storyboard("A " + "very" * 60 + " long word.", f"No. {FLAGGED}", title="Harbour" * 20))
    home = stack.addresses.api_url
    pages = {
        "list": f"{home}/",
        "accounts": f"{home}/accounts",
        "new": f"{home}/jobs/new",
        "job": address,
        "timeline": f"{address}#timeline",
    }
    for size in (PHONE, SMALL_PHONE):
        with opened(browser, size, has_touch=True, is_mobile=True) as page:
            sign_in(page, stack, key)
            expect(page.locator(".rows .row").first).to_be_visible()
            for name, there in pages.items():
                page.goto(there)
                expect(page.locator(".page-head")).to_be_visible()
                shoot(page, f"phone-{size[0]}-{name}")
                assert page.evaluate(OVERFLOW) <= 0, name


def test_a_wrong_key_is_refused_with_a_word_on_where_keys_come_from(browser: Browser, stack: Stack) -> None:
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        page.get_by_label("API key").fill("dailies_guessed")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("dailies keys create")


@pytest.mark.requirement("R32")
def test_between_two_reports_progress_moves_on_as_an_estimate_and_never_back(browser: Browser, stack: Stack) -> None:
    glide = """async () => {
      const { still, report, shown } = await import("/dashboard/glide.js");
      const percents = [];
      let estimated = false;
      let glide = still(0, 0);
      for (let second = 0; second < 300; second += 1) {
        if (second % 40 === 39) glide = report(glide, second / 10, 60, second * 1000);
        const now = shown(glide, 60, second * 1000);
        estimated ||= now.estimated;
        percents.push(now.percent);
      }
      return { percents, estimated };
    }"""
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        told = page.evaluate(glide)
    assert told["percents"] == sorted(told["percents"])
    assert told["estimated"]
    assert 80 < told["percents"][-1] <= 95  # only a report may say that a clip is nearly done


def test_the_scripts_are_small_and_name_no_other_origin() -> None:
    scripts = sorted(DASHBOARD.rglob("*.js"))
    assert sum(script.stat().st_size for script in scripts) < SCRIPT_BYTES
    for script in scripts:
        text = script.read_text()
        assert "sourceMappingURL" not in text, script
        assert "innerHTML" not in text or script.parent.name == "vendor", script
    page = (DASHBOARD / "index.html").read_text()
    assert "://" not in page
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)
