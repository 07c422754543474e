"""The embedded S3: ministack with signatures and expiry checked, in its own environment because it pins botocore."""

import secrets
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.stack.ports import Port
from cli.stack.processes import NotReadyError, Program, StackError
from cli.stack.server import ROOT, Server, bare_environment

BUCKETS = {"S3_BUCKET_CLIPS": "dailies-clips", "S3_BUCKET_THUMBNAILS": "dailies-thumbnails"}
REGION = "us-east-1"
PATIENCE = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=2,
    read_timeout=5,
    retries={"max_attempts": 0},
)


def s3(folder: Path, port: Port) -> Server:
    """An S3 on a loopback port with one key pair, its files in ``folder``."""
    python = ROOT / ".venv-s3" / "bin" / "python"
    if not python.exists():
        raise StackError("The embedded S3 is not set up: run `make setup`, or set S3_ENDPOINT_URL and the keys.")
    url = f"http://127.0.0.1:{port.number}"
    settings = {
        "S3_ENDPOINT_URL": url,
        "S3_PUBLIC_ENDPOINT_URL": url,
        "S3_ACCESS_KEY_ID": f"AKIA{secrets.token_hex(8).upper()}",
        "S3_SECRET_ACCESS_KEY": secrets.token_hex(20),
        "S3_REGION": REGION,
        **BUCKETS,
    }
    program = Program(
        name="s3",
        command=(str(python), "-m", "ministack"),
        environment=environment(folder, port, settings),
        folder=folder,
        ready=lambda: make_buckets(settings),
    )
    return Server(program=program, data=folder / "data", origin="ministack", settings=settings)


def environment(folder: Path, port: Port, settings: dict[str, str]) -> dict[str, str]:
    """Without these it listens on all interfaces, with 91 services, and lets everybody read."""
    return bare_environment(
        AUTH="true",
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port.number),
        SERVICES="s3",
        SFTP_ENABLED="0",
        S3_PERSIST="1",
        S3_DATA_DIR=str(folder / "data"),
        AWS_ACCESS_KEY_ID=settings["S3_ACCESS_KEY_ID"],
        AWS_SECRET_ACCESS_KEY=settings["S3_SECRET_ACCESS_KEY"],
        HOME=str(folder),
        TMPDIR=str(folder),
        DOCKER_HOST="unix:///nowhere",  # at its start it would stop containers of other people's making
        LOG_LEVEL="WARNING",
    )


def make_buckets(settings: dict[str, str]) -> None:
    """Make the buckets, as often as you like."""
    client = boto3.client(
        "s3",
        endpoint_url=settings["S3_ENDPOINT_URL"],
        aws_access_key_id=settings["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["S3_SECRET_ACCESS_KEY"],
        region_name=settings["S3_REGION"],
        config=PATIENCE,
    )
    try:
        for name in BUCKETS:
            client.create_bucket(Bucket=settings[name])
    except (BotoCoreError, ClientError) as error:
        raise NotReadyError(str(error)) from error
    finally:
        client.close()
