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


def after(option: str, name: str) -> str:
    """What a service's command says after an option, when nobody has set anything."""
    command = compose.read()[name].command_in({})
    return command[command.index(option) + 1]


def test_the_stack_is_the_one_that_was_agreed() -> None:
    assert set(SERVICES) == {
        *("api", "worker-io", "worker-fetch", "worker-media", "beat", "flower", "migrate"),
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
def test_each_provider_has_a_queue_and_so_have_control_fetching_and_media_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = (ROOT / "pipeline" / "catalogue" / "replicate.toml").read_text()
    for provider in ("replicate", "acme"):
        renamed = shipped.replace('"replicate"', f'"{provider}"').replace("/api/replicate/", f"/api/{provider}/")
        (tmp_path / f"{provider}.toml").write_text(renamed)
    for name in ("DATABASE_URL", "REDIS_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "redis://nowhere")
    monkeypatch.setenv("SECRET_KEY", "k" * 32)
    monkeypatch.setenv("CATALOGUE_DIR", str(tmp_path))
    settings = runpy.run_path(str(ROOT / "celeryconfig.py"))
    assert {queue.name for queue in settings["task_queues"]} == {
        *("control", "media", "fetch"),
        *("render.replicate", "render.acme"),
    }
    assert settings["task_create_missing_queues"] is False


@pytest.mark.requirement("R03")
def test_orders_fetching_and_media_work_never_share_a_pool_and_together_they_are_everything() -> None:
    own = {"worker-fetch": "threads", "worker-media": "prefork"}
    assert {name: after("--pool", name) for name in own} == own
    assert after("--pool", "worker-io") == "threads"
    assert set(after("--exclude-queues", "worker-io").split(",")) == {after("--queues", name) for name in own}


@pytest.mark.requirement("R03")
@pytest.mark.parametrize(("name", "variable"), [("io", "RENDER"), ("fetch", "FETCH"), ("media", "MEDIA")])
def test_each_pool_has_a_size_of_its_own_that_an_operator_may_set(name: str, variable: str) -> None:
    command = compose.read()[f"worker-{name}"].command_in({f"{variable}_CONCURRENCY": "77"})
    assert command[command.index("--concurrency") + 1] == "77"


@pytest.mark.requirement("R07")
def test_workers_tell_flower_what_they_do() -> None:
    for name in ("worker-io", "worker-fetch", "worker-media"):
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
