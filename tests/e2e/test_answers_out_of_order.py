"""The dashboard when answers are late, lost or out of order, and when somebody goes on meanwhile."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, WebSocketRoute, expect

from cli.stack.stack import Stack
from tests.pages import FLAGGED, LONG_MS, SLOW, card, opened, order, sign_in, storyboard

SOCKET = re.compile(r"/socket\.io/")
MOST_ROWS = 200  # in one answer
JOBS = re.compile(r"/v1/jobs\?start=0&")
# For the page to make something of an answer.
FRAMES = "() => new Promise((go) => requestAnimationFrame(() => setTimeout(go, 100)))"
# A tab that is left gets no more frames, not even one that it was promised.
LEFT_BEFORE_A_FRAME = """() => {
  window.requestAnimationFrame = () => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    return 0;
  };
}"""
OLDER = """async () => {
  const { unknown, withSnapshot } = await import("/dashboard/job.js");
  const told = (state) => ({ state, video_clips: [{ index: 0, status: state, state, progress: 0 }] });
  const page = withSnapshot(unknown(), told("complete"), 12, 0);
  return [[told("running"), 10], [told("failed"), null]].map(([document, seq]) => {
    const { job, seq: now } = withSnapshot(page, document, seq, 0);
    return [job.state, now];
  });
}"""

# An order's answer comes after another was sent, whose own answer is then lost: the keys that were sent.
LOST_AFTER_ANOTHER = """async () => {
  const { submitOnce } = await import("/dashboard/storyboard.js");
  const keys = [], answers = [];
  window.fetch = (_, { headers }) => {
    keys.push(headers["Idempotency-Key"]);
    return new Promise((come, lost) => answers.push({ come, lost }));
  };
  const first = submitOnce({ title: "one" });
  const second = submitOnce({ title: "another" });
  answers[0].come(new Response("{}", { status: 202 }));
  await first;
  answers[1].lost(new Error());
  await second.catch(() => {});
  submitOnce({ title: "another" });
  return keys;
}"""


class FirstRequest:
    """Holds back the first order sent to an address."""

    def __init__(self, page: Page, address: re.Pattern[str]) -> None:
        self.held: Route | None = None
        self.address = address
        page.route(address, self._take)

    def _take(self, route: Route) -> None:
        if self.held or route.request.method != "POST":
            route.continue_()
        else:
            self.held = route

    def send(self, page: Page) -> None:
        assert self.held is not None
        with page.expect_response(self.address) as answer:
            self.held.continue_()
        answer.value.finished()
        page.evaluate(FRAMES)


class FirstAnswer:
    """Holds back the first answer from an address, as the server gave it, and lets all others pass."""

    def __init__(self, page: Page, address: re.Pattern[str]) -> None:
        self.asked = self.answered = 0
        self.held: tuple[Route, APIResponse] | None = None
        page.route(address, self._take)

    def _take(self, route: Route) -> None:
        self.asked += 1
        if self.asked == 1:
            self.held = (route, route.fetch())
        else:
            route.fulfill(response=route.fetch())
            self.answered += 1

    def arrive_last(self, page: Page) -> None:
        page.evaluate(FRAMES)
        while self.held is None or self.answered < self.asked - 1:
            page.evaluate(FRAMES)
        route, response = self.held
        route.fulfill(response=response)
        page.evaluate(FRAMES)


def lost_at_first(page: Page, address: str) -> None:
    page.route(address, lambda route: route.abort(), times=1)


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


@pytest.mark.requirement("R34")
def test_a_snapshot_that_was_overtaken_changes_nothing(browser: Browser, stack: Stack) -> None:
    with opened(browser) as page:
        page.goto(stack.addresses.api_url)
        assert page.evaluate(OLDER) == [["complete", 12], ["failed", 12]]


@pytest.mark.requirement("R38")
def test_a_picture_that_came_while_its_clip_was_read_stays(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    late: list[Callable[[], None]] = []
    reading: list[Route] = []

    def without_picture(route: Route) -> None:
        if reading:
            route.continue_()
            return
        reading.append(route)
        for deliver in late:
            deliver()

    def hold_pictures(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def told(message: str | bytes) -> None:
            if not reading and (late or "thumbnail_ready" in str(message)):
                late.append(lambda: socket.send(message))
            else:
                socket.send(message)

        server.on_message(told)

    with opened(browser) as page:
        page.route_web_socket(SOCKET, hold_pictures)
        page.route(re.compile("/clips/0$"), without_picture)
        sign_in(page, stack, key)
        page.goto(submit(storyboard("A bell buoy.", "Fog comes in. [[sim: seconds=25]]")))
        expect(card(page, 0).locator("img")).to_be_visible(timeout=LONG_MS)
        document = reading[0].fetch().json()
        reading[0].fulfill(json=document | {"thumbnail_url": None})
        expect(card(page, 0)).to_contain_text("$")
        expect(card(page, 0).locator("img")).to_be_visible()


def test_the_title_goes_on_in_a_tab_that_was_left_between_news_and_drawing(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard(f"Ebb. {SLOW}")))
        expect(page).to_have_title("0/1 · Harbour")
        page.evaluate(LEFT_BEFORE_A_FRAME)
        expect(page).to_have_title("✓ Harbour", timeout=25_000)


@pytest.mark.requirement("R36")
def test_a_retry_that_is_answered_late_leaves_another_clips_sheet_open(
    browser: Browser, stack: Stack, key: str, submit: Callable[[dict[str, Any]], str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(submit(storyboard(f"A fight. {FLAGGED}", f"A duel. {FLAGGED}")))
        page.get_by_role("button", name="Edit and retry clip 2").wait_for()
        retry = FirstRequest(page, re.compile("/clips/0/retry$"))
        page.get_by_role("button", name="Edit and retry clip 1").click()
        page.get_by_label("Prompt").fill("Two friends laugh.")
        page.get_by_role("button", name="Retry", exact=True).click()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Edit and retry clip 2").click()
        page.get_by_label("Prompt").fill("Two friends dance.")
        retry.send(page)
        expect(card(page, 0)).not_to_contain_text("failed")
        expect(page.get_by_role("dialog", name="Clip 2").get_by_label("Prompt")).to_have_value("Two friends dance.")


@pytest.mark.requirement("R42")
def test_a_job_that_is_accepted_late_takes_nobody_from_the_next_one(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        page.get_by_label("Model").select_option(label="Seedance 1 Pro")
        page.get_by_role("textbox", name="Scene 1").fill("A boat leaves.")
        expect(page.locator(".figure")).to_contain_text("$")
        first = FirstRequest(page, re.compile("/v1/jobs$"))
        page.get_by_role("button", name="Make the clips").click()
        page.get_by_role("link", name="Dailies, all jobs").click()
        page.get_by_role("link", name="New job").click()
        page.get_by_role("textbox", name="Scene 1").fill("It comes home.")
        first.send(page)
        expect(page.get_by_role("textbox", name="Scene 1")).to_have_value("It comes home.")


@pytest.mark.requirement("R38")
def test_show_more_pressed_twice_shows_each_job_once(browser: Browser, stack: Stack) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    key = stack.create_key(owner="the impatient")
    order(stack, key, storyboard("Ebb."))
    order(stack, key, storyboard("Flood."))
    with opened(browser) as page:
        sign_in(page, stack, key)
        expect(page.locator(".row-state")).to_have_text(["complete", "complete"], timeout=LONG_MS)
        page.route(JOBS, lambda route: route.continue_(url=re.sub("limit=.*", "limit=1", route.request.url)))
        page.reload()
        expect(page.locator(".row")).to_have_count(1)
        page.route(re.compile(r"/v1/jobs\?start=1&"), hold)
        page.get_by_role("button", name="Show more").dblclick()
        page.evaluate(FRAMES)
        assert len(held) == 2
        for route in held:
            route.continue_()
        expect(page.get_by_role("button", name="Show more")).to_have_count(0)
        page.evaluate(FRAMES)
        expect(page.locator(".row")).to_have_count(2)


@pytest.mark.requirement("R38")
def test_a_list_that_was_read_before_its_job_ended_and_comes_later_changes_nothing(
    browser: Browser, stack: Stack
) -> None:
    key = stack.create_key(owner="a long wire")
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/accounts")
        order(stack, key, storyboard(f"Ebb. {SLOW}"))
        first = FirstAnswer(page, JOBS)
        page.goto(stack.addresses.api_url)
        expect(page.locator(".row-state")).to_have_text("complete", timeout=LONG_MS)
        first.arrive_last(page)
        expect(page.locator(".row-state")).to_have_text("complete")


@pytest.mark.requirement("R38")
def test_a_list_that_is_longer_than_an_answer_still_begins_with_the_newest_job(browser: Browser, stack: Stack) -> None:
    key = stack.create_key(owner="the tireless")
    order(stack, key, storyboard("Ebb."))

    def lengthen(route: Route) -> None:
        told = route.fetch().json()
        rows = [{**told["jobs"][0], "id": f"{number}"} for number in range(MOST_ROWS + 1)]
        route.fulfill(json={**told, "jobs": rows})

    with opened(browser) as page:
        sign_in(page, stack, key)
        expect(page.locator(".row-state")).to_have_text("complete", timeout=LONG_MS)
        page.route(JOBS, lengthen)
        page.reload()
        expect(page.locator(".row")).to_have_count(MOST_ROWS + 1)
        page.unroute(JOBS)
        order(stack, key, storyboard("Flood.", title="The newest"))
        expect(page.locator(".row").first).to_contain_text("The newest")


@pytest.mark.requirement("R38")
def test_a_row_keeps_its_pictures_when_an_older_answer_comes_late(browser: Browser, stack: Stack) -> None:
    key = stack.create_key(owner="a slow projector")
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/accounts")
        order(stack, key, storyboard(f"Ebb. {SLOW}"))
        first = FirstAnswer(page, re.compile(r"/clips\?limit="))
        page.goto(stack.addresses.api_url)
        expect(page.locator(".row-state")).to_have_text("complete", timeout=LONG_MS)
        expect(page.locator(".strip img")).to_have_count(1)
        first.arrive_last(page)
        expect(page.locator(".strip img")).to_have_count(1)


@pytest.mark.requirement("R42")
def test_models_that_could_not_be_read_are_asked_for_again(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        lost_at_first(page, "**/v1/models")
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        expect(page.get_by_label("Model").locator("option:checked")).to_have_count(1, timeout=15_000)


def test_who_could_not_be_signed_out_is_told(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.route("**/session", lambda route: route.abort())
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("alert")).to_contain_text("can't be reached")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_sample_that_could_not_be_read_is_complained_about(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        lost_at_first(page, "**/lighthouse.json")
        page.get_by_role("button", name="Fill in the sample").click()
        expect(page.get_by_role("alert")).to_contain_text("can't be reached")


def test_a_length_with_a_fraction_can_be_typed(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        page.get_by_label("Model").select_option(label="Seedance 1 Pro")
        page.get_by_label("Seconds").press("Control+a")
        page.keyboard.type("4.5")
        expect(page.get_by_label("Seconds")).to_have_value("4.5")


def test_json_with_a_slip_is_still_there_after_a_look_at_the_form(browser: Browser, stack: Stack, key: str) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        page.goto(f"{stack.addresses.api_url}/jobs/new")
        page.get_by_role("button", name="JSON").click()
        page.get_by_label("Storyboard as JSON").fill('{"title": "Harbour",}')
        page.get_by_role("button", name="Form").click()
        page.get_by_role("button", name="JSON").click()
        expect(page.get_by_label("Storyboard as JSON")).to_have_value('{"title": "Harbour",}')


@pytest.mark.requirement("R23")
def test_an_order_whose_answer_was_lost_is_sent_with_its_key_again_whatever_came_meanwhile(
    browser: Browser, stack: Stack, key: str
) -> None:
    with opened(browser) as page:
        sign_in(page, stack, key)
        one, another, again = page.evaluate(LOST_AFTER_ANOTHER)
        assert one != another == again
