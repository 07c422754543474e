"""The form of a new job and what it orders: pictures, keyframes, narrations, and scenes that go on from each other."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from cli.stack.stack import Stack
from tests.pages import LONG_MS, OVERFLOW, PHONE, SMALL_PHONE, card, opened, saved, shoot, sign_in, storyboard

TO_AND_FRO = """async (body) => {
  const { bodyOf, draftOf } = await import("/dashboard/storyboard.js");
  return bodyOf(draftOf(body));
}"""
AFTER_A_MOVE = """async (body) => {
  const { bodyOf, draftOf } = await import("/dashboard/storyboard.js");
  const draft = draftOf(body);
  return bodyOf({ ...draft, scenes: [draft.scenes[1], draft.scenes[0], draft.scenes[2]] });
}"""
AFTER_EVENTS = """async ([part, events]) => {
  const { unknown, withEvent, withSnapshot } = await import("/dashboard/job.js");
  const { clipLine, partBriefly, partWords } = await import("/dashboard/words.js");
  const waiting = { reason: "dependency" };
  const clip = { index: 0, status: "queued", state: "waiting", progress: 0, parts: [part], waiting };
  let page = withSnapshot(unknown(), { state: "running", video_clips: [clip] }, 1, 0);
  const said = [];
  for (const event of events) {
    page = withEvent(page, "asset_progress", { index: 0, asset_id: "k", kind: "image", error: null, ...event }, 0);
    said.push([partBriefly(page.clips[0].parts[0]), partWords(page.clips[0].parts[0]), clipLine(page.clips[0], {})]);
  }
  return said;
}"""

LOADED_MIDWAY = """async () => {
  const { progressOf, unknown, withSnapshot } = await import("/dashboard/job.js");
  const updated_at = new Date(30000).toISOString();
  const clip = { index: 0, status: "rendering", state: "rendering", progress: 10, updated_at };
  const page = withSnapshot(unknown(() => 60), { state: "running", video_clips: [clip] }, 1, 60000);
  return progressOf(page.clips[0], page.usualSeconds, 60000);
}"""

CHOSEN_AT_ONCE = """
new MutationObserver((_, observer) => {
  const wanted = [...document.querySelectorAll("option")].find((each) => each.textContent === "Seedance 1 Pro");
  if (!wanted) return;
  observer.disconnect();
  wanted.closest("select").value = wanted.value;
  wanted.closest("select").dispatchEvent(new Event("change", { bubbles: true }));
}).observe(document, { childList: true, subtree: true });
"""


def new_job(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.addresses.api_url}/jobs/new")
    page.get_by_label("Model").select_option(label="Seedance 1 Pro")


def ordered(page: Page, key: str) -> dict[str, Any]:
    """The document of the job whose page is shown."""
    address = page.url.replace("/jobs/", "/v1/jobs/")
    return dict(requests.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=30).json())


def test_a_model_that_is_chosen_as_soon_as_it_is_shown_stays_chosen(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.add_init_script(CHOSEN_AT_ONCE)
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        page.get_by_role("textbox", name="Scene 1").fill("A boat leaves.")
        expect(page.locator(".figure")).to_have_text("about $0.75")
        expect(page.get_by_label("Model").locator("option:checked")).to_have_text("Seedance 1 Pro")


@pytest.mark.requirement("R38", "R46", "R62")
def test_a_keyframe_a_narration_and_a_scene_that_goes_on_are_ordered_in_the_form(
    browser: Browser, stack: Stack, key: str
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        new_job(page, stack)
        page.get_by_role("textbox", name="Scene 1").fill("A boat leaves. [[sim: seconds=4]]")
        more = page.get_by_text("Picture, keyframe, narration")
        more.click()
        page.get_by_label("Starts from a keyframe").fill("A boat at a pier [[sim: seconds=8]]")
        page.get_by_label("Keyframes made by").select_option(label="FLUX.1 schnell")
        page.get_by_label("Narration", exact=True).fill("It left at dawn.")
        page.get_by_role("button", name="Add a scene").click()
        page.get_by_role("textbox", name="Scene 2").fill("It comes home.")
        more.nth(1).click()
        page.get_by_label("Goes on from").select_option(label="The last picture of scene 1")
        expect(page.locator(".figure")).to_contain_text("about $")
        shoot(page, "new-keyframe")
        page.get_by_role("button", name="Make the clips").click()
        first = card(page, 0)
        expect(first).to_contain_text("waiting for its keyframe")
        expect(first).to_contain_text("Keyframe · rendering")
        shoot(page, "parts")
        expect(first.locator("img.still")).to_be_visible(timeout=LONG_MS)
        expect(first).not_to_contain_text("Keyframe")
        saved(page, [0, 1])
        page.get_by_role("button", name="Details of clip 1").click()
        made = page.get_by_role("dialog", name="Clip 1").locator(".parts")
        expect(made).to_contain_text("flux-schnell · saved")
        expect(made.get_by_role("button", name="Narration")).to_be_visible()
        document = ordered(page, key)
    assert [part["kind"] for part in document["video_clips"][0]["parts"]] == ["image", "audio"]


@pytest.mark.requirement("R45", "R42")
def test_a_reference_image_that_nobody_can_fetch_is_complained_about_at_its_field(
    browser: Browser, stack: Stack, key: str
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        new_job(page, stack)
        page.get_by_role("textbox", name="Scene 1").fill("A boat leaves.")
        images = page.get_by_label("Reference images")
        images.fill("https://example.com/keeper.png\nboat.png")
        field = page.locator(".field", has=images)
        expect(field.get_by_role("alert")).to_contain_text("an http or https link is needed")
        expect(page.locator(".price")).to_contain_text("1 field needs a change")
        images.fill("https://example.com/keeper.png\nhttps://example.com/boat.png")
        expect(field.get_by_role("alert")).to_have_count(0)
        page.get_by_role("button", name="JSON").click()
        body = json.loads(page.get_by_label("Storyboard as JSON").input_value())
    assert body["reference_images"] == ["https://example.com/keeper.png", "https://example.com/boat.png"]


@pytest.mark.requirement("R42")
def test_a_complaint_about_a_part_of_a_scene_opens_the_part(browser: Browser, stack: Stack, key: str) -> None:
    scene = {"description": "A boat.", "duration": 5, "image_url": "boat.png"}
    with opened(browser) as page:
        sign_in(page, stack, key)
        new_job(page, stack)
        page.get_by_role("button", name="JSON").click()
        page.get_by_label("Storyboard as JSON").fill(json.dumps(storyboard(scenes=[scene])))
        page.get_by_role("button", name="Form").click()
        field = page.locator(".field", has=page.get_by_label("Starts from a picture"))
        expect(field.get_by_role("alert")).to_contain_text("an http or https link is needed")
        page.get_by_label("Starts from a picture").fill("")
        expect(page.get_by_label("Starts from a picture")).to_be_visible()
        expect(page.locator(".figure")).to_have_text("about $0.75")


@pytest.mark.requirement("R42")
def test_a_storyboard_goes_through_the_form_unchanged(browser: Browser, stack: Stack) -> None:
    scenes: list[dict[str, Any]] = [
        {
            "description": "A boat.",
            "duration": 5,
            "keyframe": "A boat at a pier",
            "seed": 0,
            "metadata": {"shot": "1A"},
        },
        {"description": "A gull.", "duration": 4, "narration": "A gull!"},
        {"description": "Home.", "duration": 5, "starts_from": {"scene": 0, "if_failed": "skip"}},
    ]
    more = {"image_model": "replicate/flux-schnell", "speech_model": "replicate/speech-2.8-hd", "budget_cents": 900}
    body = storyboard(scenes=scenes, aspect_ratio="16:9", reference_images=["https://a.test/1.png"], **more)
    body |= {"allow_fallback": True}
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        assert page.evaluate(TO_AND_FRO, body) == body
        moved = page.evaluate(AFTER_A_MOVE, body)
    assert [scene["description"] for scene in moved["scenes"]] == ["A gull.", "A boat.", "Home."]
    assert moved["scenes"][2]["starts_from"] == {"scene": 1, "if_failed": "skip"}


@pytest.mark.requirement("R46", "R60")
def test_what_is_made_beside_a_clip_is_told_as_it_goes(browser: Browser, stack: Stack) -> None:
    part: dict[str, Any] = {"asset_id": "k", "kind": "image", "status": "queued", "state": "waiting", "error": None}
    part["waiting"] = {"reason": "slot", "place": 2, "account": "bfl", "about_seconds": None}
    events = [{"status": "processing"}, {"status": "rendering"}, {"status": "processing"}, {"status": "complete"}]
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        said = page.evaluate(AFTER_EVENTS, [part, [{"asset_id": "another", "status": "complete"}, *events]])
    assert said == [
        ["waiting", "second in line at bfl", "waiting for its keyframe"],
        ["starting", "sending the order", "waiting for its keyframe"],
        ["rendering", "rendering", "waiting for its keyframe"],
        ["saving", "saving the file", "waiting for its keyframe"],
        ["complete", "saved", "waiting for what it is made from"],
    ]


@pytest.mark.requirement("R60", "R62")
@pytest.mark.parametrize(
    ("clip", "said"),
    [
        ({"index": 2, "dependency": 0}, "waiting for clip 1"),
        ({"index": 2, "dependency": None}, "waiting for what it is made from"),
        ({"index": 2, "dependency": 2}, "waiting for what it is made from"),
    ],
)
def test_a_clip_that_goes_on_from_another_names_it(
    browser: Browser, stack: Stack, clip: dict[str, Any], said: str
) -> None:
    line = """async (clip) => (await import("/dashboard/words.js")).clipLine(clip, null)"""
    waits = {"status": "queued", "state": "waiting", "waiting": {"reason": "dependency"}}
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        assert page.evaluate(line, clip | waits) == said


@pytest.mark.requirement("R46", "R60")
def test_a_part_that_failed_says_why_and_does_not_ask_for_what_nobody_can_do(browser: Browser, stack: Stack) -> None:
    part = {"asset_id": "k", "kind": "audio", "status": "rendering", "state": "rendering", "waiting": None}
    failed = {"status": "failed", "error": {"code": "moderated", "message": "flagged"}}
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        ((brief, words, _),) = page.evaluate(AFTER_EVENTS, [part, [failed]])
    assert (brief, words) == ("failed", "failed: the prompt was flagged")


@pytest.mark.requirement("R38")
@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "the keyframe of scene 0 was needed first, and failed",
            "the keyframe of scene 1 was needed first, and failed",
        ),
        ("scenes.2.image_url: the link is dead (HTTP 404)", "scene 3: the link is dead (HTTP 404)"),
        ("scenes.0.reference_image_urls.1: too small", "scene 1: too small"),
        ("replicate is away", "replicate is away"),
    ],
)
def test_a_failure_names_the_scene_as_the_page_numbers_it(
    browser: Browser, stack: Stack, message: str, said: str
) -> None:
    words = """async (message) =>
      (await import("/dashboard/words.js")).failedWords({ code: "dependency_failed", message })"""
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        assert page.evaluate(words, message) == said


@pytest.mark.requirement("R32")
def test_a_page_that_is_loaded_midway_does_not_begin_at_the_last_report(browser: Browser, stack: Stack) -> None:
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        shown = page.evaluate(LOADED_MIDWAY)
    assert shown["estimated"]
    assert 10 < shown["percent"] < 95


@pytest.mark.requirement("R38", "R21")
def test_a_job_without_a_title_is_called_by_its_first_scene(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    words = "A heron takes off over a still lake while the mist is rising and a bell rings somewhere."
    address = submit(storyboard(words, title=""))
    called = "A heron takes off over a still lake while the mist is rising…"
    with opened(browser) as page:
        sign_in(page, stack, key)
        expect(page.locator(".row").first).to_contain_text(called)
        page.goto(address)
        expect(page.get_by_role("heading", name=called)).to_be_visible()


@pytest.mark.requirement("R38")
def test_the_form_and_the_parts_of_a_clip_fit_a_phone(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    scene = {"description": "Dawn.", "duration": 5, "keyframe": "A tower [[sim: seconds=8]]", "narration": "Dawn."}
    makers = {"image_model": "replicate/flux-schnell", "speech_model": "replicate/speech-2.8-hd"}
    address = submit(storyboard(scenes=[scene], **makers))
    for size in (PHONE, SMALL_PHONE):
        with opened(browser, size, has_touch=True, is_mobile=True) as page:
            sign_in(page, stack, key)
            page.goto(address)
            page.get_by_role("button", name="Details of clip 1").click()
            expect(page.get_by_role("dialog", name="Clip 1").locator(".parts")).to_contain_text("flux-schnell")
            shoot(page, f"phone-{size[0]}-parts")
            assert page.evaluate(OVERFLOW) <= 0
            new_job(page, stack)
            page.get_by_text("Picture, keyframe, narration").click()
            page.get_by_label("Starts from a keyframe").fill("A tower at dawn")
            expect(page.get_by_label("Keyframes made by")).to_be_visible()
            shoot(page, f"phone-{size[0]}-form")
            assert page.evaluate(OVERFLOW) <= 0
            heading = page.get_by_role("heading", name="New job").bounding_box()
            assert heading is not None
            assert heading["height"] < 40
