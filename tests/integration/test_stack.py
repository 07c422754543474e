"""The embedded servers, for real: they answer, come back where they were, and no two stacks ever meet."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis
import requests

from cli.stack.processes import StackError
from cli.stack.stack import Stack
from tests.processes import ROOT, eventually, gone, listening

OWNER = """
import signal, sys, time
from cli.stack.stack import Stack
with Stack(services=("redis", "postgres", "s3")) as stack:
    print(stack.log_folder.parent, flush=True)
    time.sleep(600)
"""
SERVERS = ("redis", "postgres", "s3")


@pytest.fixture(scope="module")
def servers() -> Iterator[Stack]:
    with Stack(services=SERVERS) as stack:
        yield stack


def ask_postgres(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()
        return cursor.fetchall() if cursor.description else []


def test_every_server_listens_on_loopback_only(servers: Stack) -> None:
    assert set().union(*(listening(psutil.Process(servers.pid(name))) for name in servers.names)) == {"127.0.0.1"}


def test_valkey_wants_its_password(servers: Stack) -> None:
    url = servers.environment["REDIS_URL"]
    with redis.Redis.from_url(url.replace(url[9:15], "wrong!")) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_postgres_wants_its_password(servers: Stack) -> None:
    url = servers.environment["DATABASE_URL"]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask_postgres(url.replace("dailies:", "dailies:wrong"), "select 1")


def test_s3_lets_nobody_read_without_a_signature(servers: Stack) -> None:
    bucket = servers.environment["S3_ENDPOINT_URL"] + "/" + servers.environment["S3_BUCKET_CLIPS"]
    assert requests.get(bucket, timeout=5).status_code == 403


@pytest.mark.requirement("R55")
def test_valkey_comes_back_at_its_address_with_its_data_after_a_restart(servers: Stack) -> None:
    with redis.Redis.from_url(servers.environment["REDIS_URL"]) as client:
        client.set("parked", "yes")
        servers.restart("redis")
        assert client.get("parked") == b"yes"


@pytest.mark.requirement("R55")
def test_valkey_can_lose_everything(servers: Stack) -> None:
    with redis.Redis.from_url(servers.environment["REDIS_URL"]) as client:
        client.set("parked", "yes")
        servers.restart("redis", keep_data=False)
        assert client.get("parked") is None


@pytest.mark.requirement("R55")
def test_postgres_keeps_what_was_committed_just_before_it_was_killed(servers: Stack) -> None:
    url = servers.environment["DATABASE_URL"]
    ask_postgres(url, "create table kept (word text)")
    ask_postgres(url, "insert into kept values ('yes')")
    servers.kill("postgres")
    servers.start("postgres")
    assert ask_postgres(url, "select word from kept") == [("yes",)]


def test_a_port_stays_ours_while_its_server_is_down(servers: Stack) -> None:
    port = int(servers.environment["S3_ENDPOINT_URL"].rpartition(":")[2])
    servers.stop("s3")
    with socket.socket() as stranger, pytest.raises(OSError, match="Address already in use"):
        stranger.bind(("127.0.0.1", port))
    servers.start("s3")


def test_two_stacks_share_nothing(servers: Stack) -> None:
    with Stack(services=("redis",)) as other:
        assert other.environment["REDIS_URL"] != servers.environment["REDIS_URL"]
        assert other.log_folder != servers.log_folder
        assert not set(other.addresses.__dict__.values()) & set(servers.addresses.__dict__.values())


@pytest.mark.parametrize("variable", ["REDIS_URL", "DATABASE_URL", "S3_ENDPOINT_URL"])
def test_a_server_of_yours_is_used_instead(variable: str) -> None:
    lines: list[str] = []
    wanted = {"REDIS_URL": "redis", "DATABASE_URL": "postgres", "S3_ENDPOINT_URL": "s3"}[variable]
    with Stack(services=(wanted,), more={variable: "scheme://yours"}, announce=lines.append) as stack:
        assert stack.names == []
        assert stack.environment[variable] == "scheme://yours"
    assert lines == [f"{wanted}: yours, from {variable}"]


def test_an_empty_variable_counts_as_unset() -> None:
    with Stack(services=("redis",), more={"REDIS_URL": ""}) as stack:
        assert stack.names == ["redis"]


def test_a_key_of_a_provider_of_yours_means_no_simulator() -> None:
    with Stack(services=("simulator",), more={"REPLICATE_API_TOKEN": "r8_yours"}) as stack:
        assert stack.names == []
        assert stack.environment["REPLICATE_API_TOKEN"] == "r8_yours"
        assert "REPLICATE_BASE_URL" not in stack.environment
        assert "PUBLIC_URL" not in stack.environment, "a real provider can't call loopback"
        assert "SETTLE_ABSENT_AFTER_SECONDS" not in stack.environment, "a real list lags"


def test_doubt_about_an_order_at_the_simulator_lasts_seconds() -> None:
    with Stack(services=("simulator",)) as stack:
        assert 0 < float(stack.environment["SETTLE_ABSENT_AFTER_SECONDS"]) < 60


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_its_owner_however_that_ends(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER]
    # Another stack that starts on this machine clears away what a killed one has left where it can see it.
    out_of_sight = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=out_of_sight, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        assert running.stdout
        folder = running.stdout.readline().strip()
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
    assert len(family) > len(SERVERS)
    eventually(lambda: all(gone(each) for each in family))
    assert Path(folder).exists() == (number == signal.SIGKILL)


def test_nothing_is_left_after_a_start_that_failed() -> None:
    stack = Stack(services=("redis", "simulator"), more={"SIMULATOR_SPEED": "not a number"})
    with pytest.raises(StackError, match="simulator stopped with exit code"):
        stack.__enter__()
    assert [stack.pid(name) for name in stack.names] == [None, None]
    assert not stack.log_folder.exists()
