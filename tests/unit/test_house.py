"""The house rules that a machine can hold."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from statistics import median

import prometheus_client
import pytest

from pipeline import metrics
from pipeline.domain.catalogue import load
from pipeline.domain.events import EventType
from pipeline.services import catalogue_texts
from pipeline.settings import ProviderSettings, Settings

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "cli", "pipeline", "simulator", "worker")
LONGEST_FUNCTION, MEDIAN_FUNCTION, LONGEST_FILE = 50, 10, 320
SLEEPERS = ("worker", "pipeline")


def sources() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "versions" not in path.parts)


def functions() -> Iterator[tuple[str, int]]:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                yield f"{path.relative_to(ROOT)}:{node.name}", node.end_lineno - node.lineno + 1


def test_functions_are_short() -> None:
    lengths = dict(functions())
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert median(lengths.values()) <= MEDIAN_FUNCTION


def test_files_are_short() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE} == {}


@pytest.mark.requirement("R05")
def test_nobody_sleeps_inside_a_worker() -> None:
    sleepers = [path for path in sources() if path.relative_to(ROOT).parts[0] in SLEEPERS]
    assert [str(path) for path in sleepers if re.search(r"\bsleep\(", path.read_text())] == []


def test_no_file_is_named_for_nothing() -> None:
    nameless = {"utils.py", "helpers.py", "common.py", "constants.py", "manager.py"}
    assert [str(path) for path in sources() if path.name in nameless] == []


def test_every_file_says_why_it_exists() -> None:
    silent = [str(path.relative_to(ROOT)) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    settings = {each.name.upper() for each in fields(Settings)} - {"ENVIRONMENT"}
    for account in load(catalogue_texts("")).accounts.values():
        more = {f"{account.provider}_{each.name}".upper() for each in fields(ProviderSettings) if each.name != "key"}
        settings |= more | {account.key_variable}
    documented = set(re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    only_compose = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert settings - documented == set()
    assert documented - settings - only_compose == set()


def test_every_event_is_documented() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    assert {f"`{event}`" for event in EventType if f"| `{event}` |" not in page} == set()


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    kinds = (prometheus_client.Counter, prometheus_client.Histogram)
    declared = {next(iter(each.describe())).name for each in vars(metrics).values() if isinstance(each, kinds)}
    assert {name for name in declared if f"| `{name}` |" not in page} == set()


def test_the_longest_countdown_is_well_under_the_brokers_patience() -> None:
    from pipeline.render import _MAX_COUNTDOWN

    assert 2 * _MAX_COUNTDOWN.total_seconds() < Settings().broker_visibility_timeout_seconds


def test_the_simulator_and_the_product_share_no_code() -> None:
    pattern = re.compile(r"^\s*(from|import) (pipeline|api|worker|cli)\b", re.MULTILINE)
    assert [str(path) for path in (ROOT / "simulator").rglob("*.py") if pattern.search(path.read_text())] == []


def test_no_file_names_a_machine_path_or_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = re.compile("/wo" + "rk/|pypi" + r"\.org|registry\.npm" + "js")
    texts = (path for name in listed if (path := ROOT / name).suffix not in {".ttf", ".png"} and path.is_file())
    assert [str(path) for path in texts if words.search(path.read_text(errors="ignore"))] == []
