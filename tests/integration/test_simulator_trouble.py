"""What goes wrong in the simulator goes wrong as ordered: creates, polls, files; and it survives being killed."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.integration.simulator_process import QUICK, Mailbox, SimulatorProcess, duration_seconds, eventually, fetched

pytest_plugins = ["tests.integration.simulator_fixture"]
pytestmark = pytest.mark.requirement("R59")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("fail=moderated", "flagged as sensitive"),
        ("fail=E1000", "E1000"),
        ("fail=oom", "E1001"),
        ('fail="hm, no"', "hm"),
    ],
)
def test_a_prediction_fails_with_the_ordered_error(provider: SimulatorProcess, fault: str, words: str) -> None:
    made = provider.finished(f"a lighthouse [[sim: {fault}]]")
    assert (made["status"], made["output"]) == ("failed", None)
    assert words in made["error"]


def test_a_prediction_can_be_aborted_before_it_starts(provider: SimulatorProcess) -> None:
    made = provider.finished(fault="aborted")
    assert (made["status"], made["started_at"]) == ("aborted", None)


@pytest.mark.parametrize("status", [402, 422, 429, 500, 503])
def test_a_create_refused_on_demand_sells_nothing(provider: SimulatorProcess, status: int) -> None:
    assert provider.create(fault=f"create={status}").status_code == status
    assert provider.control("ledger") == []


def test_a_429_on_demand_tells_what_it_is_told(provider: SimulatorProcess) -> None:
    told = provider.create(fault="create=429 retry_after=42")
    assert (told.headers["Retry-After"], told.json()["retry_after"]) == ("42", 42)
    assert "Retry-After" not in provider.create(fault="create=429").headers


def test_a_500_after_accepting_leaves_a_paid_order(provider: SimulatorProcess) -> None:
    assert provider.create(fault="create=500-after").status_code == 500
    [order] = provider.control("ledger")
    assert provider.call("GET", "/v1/predictions").json()["results"][0]["id"] == order["id"]
    assert provider.ended(order["id"])["status"] == "succeeded"


@pytest.mark.parametrize(("fault", "sold"), [("create=drop", 0), ("create=drop-after", 1), ("create=hang hang=0.1", 0)])
def test_a_connection_drops_before_or_after_accepting(provider: SimulatorProcess, fault: str, sold: int) -> None:
    with pytest.raises(requests.ConnectionError):
        provider.create(fault=fault)
    assert len(provider.control("ledger")) == sold


def test_a_create_can_hang_after_accepting(provider: SimulatorProcess) -> None:
    with pytest.raises(requests.Timeout):
        provider.create(fault="create=hang-after hang=3", timeout=0.5)
    assert len(provider.control("ledger")) == 1


def test_polls_can_fail_so_many_times(provider: SimulatorProcess) -> None:
    made = provider.create("a [[sim: poll=500 requests=2]]").json()
    statuses = [provider.call("GET", f"/v1/predictions/{made['id']}").status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    limited = provider.create("a [[sim: poll=429 retry_after=3]]").json()
    answer = provider.call("GET", f"/v1/predictions/{limited['id']}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    silent = provider.create("a [[sim: poll=timeout hang=3]]").json()
    with pytest.raises(requests.Timeout):
        provider.call("GET", f"/v1/predictions/{silent['id']}", timeout=0.5)


def test_a_provider_that_is_down_answers_nothing_and_sells_nothing(provider: SimulatorProcess) -> None:
    provider.control("faults", "POST", fault="down=503")
    paths = ("/v1/predictions", "/v1/models/bytedance/seedance-1-pro-fast", "/v1/account")
    assert {provider.call("GET", path).status_code for path in paths} == {503}
    assert provider.create("a lighthouse").status_code == 503
    assert provider.control("ledger") == []
    provider.control("faults", "DELETE")
    assert provider.create("a lighthouse").status_code == 201


def test_an_armed_fault_strikes_the_next_requests_only(provider: SimulatorProcess) -> None:
    provider.control("faults", "POST", fault="list=503 times=1")
    provider.control("faults", "POST", fault="fail=oom times=1", prompt="ship")
    assert [provider.call("GET", "/v1/predictions").status_code for _ in range(2)] == [503, 200]
    assert provider.finished("a lighthouse")["status"] == "succeeded"
    assert provider.finished("a ship")["status"] == "failed"
    assert provider.finished("a ship")["status"] == "succeeded"
    provider.control("faults", "POST", fault="stall")
    assert len(provider.control("faults")) == 3
    assert provider.control("faults", "DELETE") == []


def test_a_prompt_whose_fault_strikes_once_succeeds_the_second_time(provider: SimulatorProcess) -> None:
    prompt = "a lighthouse [[sim: fail=E1000 times=1]]"
    assert [provider.finished(prompt)["status"] for _ in range(2)] == ["failed", "succeeded"]


def test_an_output_can_be_a_page_nothing_or_half(provider: SimulatorProcess) -> None:
    page = requests.get(provider.finished(fault="output=html")["output"], timeout=10)
    assert page.headers["content-type"].startswith("text/html")
    assert requests.get(provider.finished(fault="output=empty")["output"], timeout=10).content == b""
    truncated = provider.finished(fault="output=truncated downloads=1")["output"]
    half, whole = (requests.get(truncated, timeout=10).content for _ in range(2))
    assert half == whole[: len(whole) // 2]
    cut = provider.finished(fault="output=cut downloads=1")["output"]
    with pytest.raises(requests.RequestException):
        requests.get(cut, timeout=10)
    assert requests.get(cut, timeout=10).content[4:8] == b"ftyp"


def test_an_output_can_have_another_length_or_be_gone_at_once(provider: SimulatorProcess, tmp_path: Path) -> None:
    longer = fetched(provider.finished(fault="output=wrong-duration")["output"], tmp_path)
    assert duration_seconds(longer) > 4.1
    assert requests.get(provider.finished(fault="output=expired")["output"], timeout=10).status_code == 403


def test_two_hundred_predictions_in_flight_cost_no_thread_each(provider: SimulatorProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: provider.create(fault="stall"), range(200)))
    assert {answer.status_code for answer in answers} == {201}
    assert provider.control("stats")["in_flight"] == 200
    status = Path(f"/proc/{provider.pid}/status").read_text()
    assert int(re.findall(r"Threads:\s+(\d+)", status)[0]) < 50


def test_a_killed_simulator_goes_on_where_time_has_brought_it(tmp_path: Path, mailbox: Mailbox) -> None:
    with SimulatorProcess(tmp_path / "data", dict(QUICK)) as process:
        done = process.finished("done")
        hook = {"webhook": f"{mailbox.url}/after", "webhook_events_filter": ["completed"]}
        flying = process.create("flying", fault="seconds=2", **hook).json()
        with pytest.raises(requests.ConnectionError):
            process.create("lost", fault="create=drop-after stall")
        cancelled = process.create("cancelled", fault="stall").json()
        process.call("POST", f"/v1/predictions/{cancelled['id']}/cancel")
        ledger = process.control("ledger")
        eventually(lambda: process.get(flying["id"])["status"] == "processing")
        process.kill()
        assert [order["input"]["prompt"] for order in ledger] == ["done", "flying", "lost", "cancelled"]

        process.start()
        moving = dict.fromkeys(("status", "started_at", "completed_at"))
        assert [order | moving for order in process.control("ledger")] == [order | moving for order in ledger]
        assert process.get(cancelled["id"])["status"] == "canceled"
        assert process.control("stats")["in_flight"] >= 1
        again = process.get(done["id"])
        assert (again["status"], again["created_at"]) == ("succeeded", done["created_at"])
        assert requests.get(again["output"], timeout=10).content[4:8] == b"ftyp"
        assert process.ended(flying["id"])["status"] == "succeeded"
        assert len(mailbox.wait_for(1, "/after")) == 1


def test_a_webhook_that_could_not_be_delivered_before_a_crash_is_delivered_after_it(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    with SimulatorProcess(tmp_path / "data", dict(QUICK)) as process:
        mailbox.answers[:] = [500]
        process.finished(webhook=f"{mailbox.url}/crash", webhook_events_filter=["completed"])
        mailbox.wait_for(1, "/crash")
        process.kill()
        process.start()
        assert len(mailbox.wait_for(2, "/crash")) >= 2


def test_it_renders_in_a_folder_with_a_difficult_name(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "o'dd: [x], %d; é\\", dict(QUICK)) as process:
        assert process.finished()["status"] == "succeeded"
