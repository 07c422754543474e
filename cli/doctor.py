"""`dailies doctor`: looks at each setting and each part, and says what to do about what is wrong."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.text import Text

from cli import environment, screen, words
from cli.client import Client, Refused, Unreachable
from cli.options import FAILED, Json
from pipeline.domain.errors import DailiesError

if TYPE_CHECKING:
    from pipeline.services import Services
    from pipeline.settings import Settings

Verdict = Literal["good", "note", "bad"]
_MARKS: dict[Verdict, tuple[str, str]] = {"good": ("good", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}
_FFMPEG_SECONDS = 10
_SAFE_POLICY = "noeviction"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found out about one part."""

    part: str
    verdict: Verdict
    words: str


def doctor(*, as_json: Json = False) -> None:
    """Check each setting and part, and say what to do."""
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            mark, style = _MARKS[finding.verdict]
            said = words.one_line(finding.words)
            screen.out().print(Text.assemble((mark, style), f"  {finding.part:<13}{said}"))
    if as_json:
        screen.document({"findings": [asdict(each) for each in findings]})
    if any(each.verdict == "bad" for each in findings):
        raise typer.Exit(FAILED)


def examine() -> Iterator[Finding]:
    """Everything that can be looked at from here: the server as a customer sees it, then its parts."""
    yield from _server()
    yield from _operator()


def _server() -> Iterator[Finding]:
    client = Client(environment.url(), environment.key())
    try:
        ready = client.ready()
    except Unreachable as error:
        yield _note("server", f"{error}. Start one with `make up`, or set DAILIES_URL")
        return
    away = [name for name, answers in (ready.get("parts") or {}).items() if not answers]
    if away:
        yield _bad("server", f"{client.base_url} answers, but not its {', '.join(away)}: look there, and at its log")
    else:
        yield _good("server", f"{client.base_url} answers, and its parts do")
    yield _key(client)


def _key(client: Client) -> Finding:
    if not client.api_key:
        return _note("key", "DAILIES_API_KEY is not set; make a key with `dailies keys create --owner … --name …`")
    try:
        client.jobs(limit=1)
    except Refused as refusal:
        return _bad("key", f"the server refuses DAILIES_API_KEY ({refusal.code}); make a new one")
    except Unreachable as error:
        return _bad("key", str(error))
    return _good("key", "the server knows DAILIES_API_KEY")


def _operator() -> Iterator[Finding]:
    from pipeline import settings

    known = {each.name.upper() for each in fields(settings.Settings)}
    if not any(os.environ.get(name, "").strip() for name in known):
        yield _note("settings", "none of a server's settings is set here; .env.example has them, a customer needs none")
        return
    try:
        read = settings.read()
        parts = _parts(read)
    except DailiesError as error:
        yield from (_bad("settings", f"{each}; see .env.example") for each in str(error).split("; "))
        return
    yield _good("settings", "everything needed is set")
    try:
        yield from _checked(parts)
        yield from _wishes(read, parts)
    finally:
        parts.close()


def _parts(read: "Settings") -> "Services":
    from pipeline.services import build

    return build(read, carrier=None)  # type: ignore[arg-type]  # nothing is carried here


def _checked(parts: "Services") -> Iterator[Finding]:
    from redis.exceptions import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    checks: tuple[tuple[str, Callable[[Services], Finding], str], ...] = (
        ("database", _database, "is DATABASE_URL right, and does Postgres run?"),
        ("redis", _redis, "is REDIS_URL right, and does Redis run?"),
        ("storage", _storage, "are the S3 settings right? `dailies migrate` makes missing buckets"),
        ("ffmpeg", _ffmpeg, "set FFMPEG_BIN to a program that runs, or leave it empty"),
    )
    for part, check, advice in checks:
        try:
            yield check(parts)
        except (DailiesError, RedisError, SQLAlchemyError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            yield _bad(part, f"{str(error).rstrip('.') or type(error).__name__}; {advice}")


def _database(parts: "Services") -> Finding:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from pipeline.database.engine import transaction
    from pipeline.database.migrate import config

    with transaction(parts.store.engine) as connection:
        here = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory.from_config(config()).get_current_head()
    if here != newest:
        return _bad("database", f"its tables are at {here or 'nothing'}, not at {newest}: run `dailies migrate`")
    return _good("database", "Postgres answers, its tables are the newest")


def _redis(parts: "Services") -> Finding:
    told: dict[str, Any] = parts.redis.info("memory")
    policy = told.get("maxmemory_policy", _SAFE_POLICY)
    if policy != _SAFE_POLICY:
        return _bad("redis", f"maxmemory-policy is {policy}: messages may be thrown away; set it to {_SAFE_POLICY}")
    return _good("redis", "Redis answers, and throws nothing away")


def _storage(parts: "Services") -> Finding:
    parts.storage.ping()
    return _good("storage", "S3 answers, the bucket for clips is there")


def _ffmpeg(parts: "Services") -> Finding:
    import imageio_ffmpeg

    program = parts.settings.ffmpeg_bin or imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-version"], check=True, capture_output=True, timeout=_FFMPEG_SECONDS)
    return _good("ffmpeg", f"{program} runs")


def _wishes(read: "Settings", parts: "Services") -> Iterator[Finding]:
    for provider in parts.catalogue.accounts:
        yield from (_good("provider", f"{account} has a key") for account in parts.accounts(provider))
        if not parts.accounts(provider):
            variable = f"{provider.upper()}_API_TOKEN"
            yield _note("provider", f"{provider} has no key: set {variable}, or nothing can be ordered there")
    hidden = [each for each in parts.catalogue.accounts if parts.accounts(each) and parts.store_is_hidden_from(each)]
    if hidden:
        yield _note("storage", f"{', '.join(hidden)} can't fetch files from it: set S3_PUBLIC_ENDPOINT_URL")
    if not read.public_url:
        yield _note("webhooks", "PUBLIC_URL is not set: providers can't call back, so every prediction is polled")


def _good(part: str, said: str) -> Finding:
    return Finding(part=part, verdict="good", words=said)


def _note(part: str, said: str) -> Finding:
    return Finding(part=part, verdict="note", words=said)


def _bad(part: str, said: str) -> Finding:
    return Finding(part=part, verdict="bad", words=said)
