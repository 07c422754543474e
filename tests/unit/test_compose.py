"""docker-compose.yml and the local stack are one thing: what runs in containers is what runs on a bare machine."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack import compose
from cli.stack.compose import Local, interpolate
from cli.stack.stack import PULSE, SERVERS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
OURS = {name for name, body in SERVICES.items() if body["x-local"] != Local.SERVER}


def consumed() -> set[str]:
    """The queues that some worker's command consumes."""
    commands = [service.command for service in compose.read().values() if "--queues" in service.command]
    return {queue for command in commands for queue in command[command.index("--queues") + 1].split(",")}


def test_the_stack_is_the_one_that_was_agreed() -> None:
    assert set(SERVICES) == {
        *("api", "worker-io", "worker-media", "beat", "flower", "migrate"),
        *("redis", "postgres", "s3", "simulator"),
    }


def test_every_server_has_its_embedded_counterpart() -> None:
    assert {name for name, body in SERVICES.items() if body["x-local"] == Local.SERVER} == set(SERVERS)


def test_every_process_of_ours_has_a_command_that_the_local_stack_runs() -> None:
    for name in OURS:
        assert compose.read()[name].command == tuple(SERVICES[name]["command"])
        assert all(isinstance(word, str) for word in SERVICES[name]["command"])


def test_what_listens_is_waited_for() -> None:
    assert set(PULSE) < OURS


@pytest.mark.requirement("R03")
def test_every_queue_is_consumed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "redis://nowhere")
    monkeypatch.setenv("SECRET_KEY", "k" * 32)
    settings = runpy.run_path(str(ROOT / "celeryconfig.py"))
    queues = {route["queue"] for route in settings["task_routes"].values()} | {settings["task_default_queue"]}
    assert consumed() == queues


@pytest.mark.requirement("R03")
def test_network_and_media_work_never_share_a_pool() -> None:
    pools = {
        service.command[service.command.index("--queues") + 1]: service.command[service.command.index("--pool") + 1]
        for service in compose.read().values()
        if "--queues" in service.command
    }
    assert pools == {"render,control": "threads", "media": "prefork"}


@pytest.mark.requirement("R07")
def test_workers_tell_flower_what_they_do() -> None:
    for name in ("worker-io", "worker-media"):
        assert "--task-events" in SERVICES[name]["command"]


def test_only_the_api_is_reachable_from_elsewhere() -> None:
    published = {name: [str(port) for port in body.get("ports", [])] for name, body in SERVICES.items()}
    open_to_all = {name for name, ports in published.items() if any(not p.startswith("127.0.0.1:") for p in ports)}
    assert open_to_all == {"api"}
    assert not published["redis"]
    assert not published["postgres"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_is_root_or_can_become_it(name: str) -> None:
    body = SERVICES[name]
    assert body["user"] not in {"root", "0", "0:0"}
    assert body["cap_drop"] == ["ALL"]
    assert body["security_opt"] == ["no-new-privileges:true"]
    assert body["read_only"] is True


def test_no_secret_stands_in_a_command_line_or_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY", "S3_SECRET_ACCESS_KEY", "FLOWER_BASIC_AUTH"):
        assert f"${{{name}:?" in text
        for body in SERVICES.values():
            assert f"${{{name}" not in " ".join(body.get("command", []))


def test_every_setting_that_containers_get_is_one_that_is_read() -> None:
    from dataclasses import fields

    from pipeline.settings import Settings

    assert {name.lower() for name in DOCUMENT["x-settings"]} <= {each.name for each in fields(Settings)}


def test_the_image_runs_as_the_user_of_the_compose_file() -> None:
    users = [line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("USER")]
    assert set(users) == {SERVICES[name]["user"] for name in OURS}


@pytest.mark.parametrize(
    ("word", "environment", "filled"),
    [
        ("${API_BIND:-0.0.0.0:8080}", {}, "0.0.0.0:8080"),
        ("${API_BIND:-0.0.0.0:8080}", {"API_BIND": "127.0.0.1:1"}, "127.0.0.1:1"),
        ("${API_BIND:-0.0.0.0:8080}", {"API_BIND": ""}, "0.0.0.0:8080"),
        ("--at=${A}-${B:-b}", {"A": "a"}, "--at=a-b"),
        ("${UNSET}", {}, ""),
        ("$$HOME", {"HOME": "no"}, "$HOME"),
        ("io@%h", {}, "io@%h"),
    ],
)
def test_the_subset_of_the_format_means_what_it_means_to_compose(
    word: str, environment: dict[str, str], filled: str
) -> None:
    assert interpolate(word, environment) == filled
