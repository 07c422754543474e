"""Writes docs/providers.md: what each provider can do, from the catalogue, and the test that showed it just now.

``python -m tests.providers_page`` runs the contract tests and those with official clients, and says what came of them.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.integration.test_provider_contract import CASES, CATALOGUE, Case

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "providers.md"
CONTRACT = "tests/integration/test_provider_contract.py"
#: The official clients that run unchanged against the simulator, each with the file of its tests.
CLIENTS = {
    "replicate": ("replicate", "tests/integration/test_simulator_sdk.py"),
    "fal": ("fal-client", "tests/integration/test_fal_sdk.py"),
    "runway": ("runwayml", "tests/integration/test_runway_sdk.py"),
}


def _cancel(case: Case) -> str:
    return "" if case.cancels else "it can't be asked to stop"


def _webhook(case: Case) -> str:
    return "" if case.reports else "it calls nobody"


def _signature(case: Case) -> str:
    return _webhook(case) or ("" if case.signed else "it signs nothing: a webhook is a reason to look")


def _settle(case: Case) -> str:
    words = {
        "at once": "",
        "when finished": "it lists what has ended",
        "absence": "its list shows no inputs: it proves that an order did not arrive, and only a webhook that it did",
        "never": "only a webhook can tell, or a person",
    }
    return words[case.finds]


def _nothing(_case: Case) -> str:
    return ""


#: What is asked of a provider: what it lacks (empty: nothing), and the test that shows it.
ASKED: Mapping[str, tuple[Callable[[Case], str], str]] = {
    "submit, once": (_nothing, "test_an_order_is_sold_once_under_the_id_we_know_and_becomes_a_playable_file"),
    "status": (_nothing, "test_a_provider_in_trouble_is_silent_and_nothing_is_given_up"),
    "cancel": (_cancel, "test_a_prediction_is_stopped_where_the_provider_can_stop_it"),
    "webhook": (_webhook, "test_a_genuine_webhook_is_believed_or_a_reason_to_look"),
    "signature": (_signature, "test_a_forged_webhook_is_refused_where_webhooks_are_signed"),
    "settle": (_settle, "test_an_order_whose_answer_was_lost_is_unknown_and_never_sent_again"),
    "limits": (_nothing, "test_not_now_is_busy_and_costs_nothing"),
    "no credit": (_nothing, "test_an_account_without_credit_is_told_so_and_charged_nothing"),
    "bad input": (_nothing, "test_an_input_that_the_model_does_not_take_is_refused_and_costs_nothing"),
    "moderation": (_nothing, "test_a_failure_says_whether_another_attempt_can_cure_it"),
    "simulator, whole way": (_nothing, "test_a_clip_goes_the_whole_way_and_both_ledgers_agree"),
}
INTRODUCTION = """# Providers

Made by `make providers` from the catalogue and a run of the tests that it names; do not edit. Every provider is held to
the same contract (`{contract}`), over HTTP against its own dialect of the simulator. "yes" is a test that
passed; where a provider lacks something the cell says what follows, and the same test shows that.

We fetch what a customer names by a link, check and store it, and hand on our own presigned link, the same for all
(`tests/integration/test_pictures.py`, `tests/integration/test_material.py`). Runway alone gets a file uploaded where it
could not fetch such a link, since it asks with HEAD first (`tests/unit/test_runway_uploads.py`).
"""


def main() -> int:
    """Run the tests and write the page; the tests' own exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [CONTRACT, *(file for _, file in CLIENTS.values())]
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *files]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        PAGE.write_text(page(outcomes(report)))
    return code


def outcomes(report: Path) -> dict[str, list[str]]:
    """By test (``file::name[parameters]``, without the folder): ``passed``, ``skipped`` or ``failed``."""
    found: dict[str, list[str]] = {}
    for each in ET.parse(report).iter("testcase"):  # noqa: S314 -- pytest wrote it just now
        told = next((child.tag for child in each if child.tag in {"failure", "error", "skipped"}), "passed")
        file = each.attrib["classname"].rpartition(".")[2]
        found.setdefault(f"{file}::{each.attrib['name']}", []).append(told)
    return found


def page(ran: Mapping[str, list[str]]) -> str:
    """The page for these outcomes."""
    cases = {case.name: case for case in CASES}
    rows = [
        _row(asked, [_cell(case, lacks, test, ran) for case in cases.values()], f"`{test}`")
        for asked, (lacks, test) in ASKED.items()
    ]
    clients = [_client(case.provider, ran) for case in cases.values()]
    rows.append(_row("official client", clients, "the tests of each client"))
    head = [_row("", list(cases), "shown by"), _row("---", ["---"] * len(cases), "---")]
    return "\n".join([INTRODUCTION.format(contract=CONTRACT), *head, *rows, "", *facts(), ""])


def facts() -> list[str]:
    """What the catalogue says of each provider."""
    lines = ["## Limits and models, from the catalogue", ""]
    lines += [
        _row("", ["clips", "pictures", "voices", "words"], "in flight", "orders", "webhooks", "prices confirmed"),
        _row("---", ["---"] * 4, *["---"] * 4),
    ]
    for name, account in sorted(CATALOGUE.accounts.items()):
        models = [model for model in CATALOGUE.models.values() if model.provider == name]
        kinds = Counter(model.kind for model in models)
        windows = {"": account.windows["create"], **account.families}
        lines.append(
            _row(
                name,
                [str(kinds[kind]) for kind in ("video", "image", "audio", "text")],
                str(account.max_in_flight),
                ", ".join(f"{whose} {each.requests} in {each.seconds:g} s".strip() for whose, each in windows.items()),
                "yes" if account.reports else "no",
                f"{sum(model.price.verified for model in models)} of {len(models)}",
            )
        )
    return lines


def _cell(case: Case, lacks: Callable[[Case], str], test: str, ran: Mapping[str, list[str]]) -> str:
    told = {each for name, all_ in ran.items() for each in all_ if f"::{test}[" in name and case.name in _words(name)}
    if told & {"failure", "error"}:
        return "**failed**"
    if not told:
        return "**no test**"
    return lacks(case) or ("yes" if "passed" in told else "**not run**")


def _words(name: str) -> list[str]:
    return name.partition("[")[2].rstrip("]").split("-")


def _client(provider: str, ran: Mapping[str, list[str]]) -> str:
    if provider not in CLIENTS:
        return "there is none that can be had"
    client, file = CLIENTS[provider]
    told = [each for name, all_ in ran.items() for each in all_ if name.startswith(f"{Path(file).stem}::")]
    return f"`{client}`: {told.count('passed')} of {len(told)}"


def _row(first: str, cells: list[str], *more: str) -> str:
    return f"| {' | '.join([first, *cells, *more])} |"


if __name__ == "__main__":
    sys.exit(main())
