"""The commands that speak to a server: order, watch, read and steer jobs, and see what can be ordered."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import uuid4

import typer

from cli import environment, reports, screen
from cli.client import Client, Unreachable
from cli.options import FAILED, JobId, Json
from cli.watch import watch as follow
from cli.watch import watch_as_json

_ENDED_BADLY = frozenset({"failed", "cancelled"})


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A storyboard in JSON; - reads standard input.")],
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay until the job is over.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and price it; order nothing.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="With the same key the same storyboard is ordered once.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Order a storyboard."""
    body, client = _storyboard(file), environment.client()
    if dry_run:
        priced = client.dry_run(body)
        screen.document(priced) if as_json else reports.price(priced)
        return
    accepted = _submit(client, body, idempotency_key or str(uuid4()))
    if as_json and watch:
        screen.record({"type": "accepted", **accepted})
    elif as_json:
        screen.document(accepted)
    else:
        reports.accepted(accepted)
    if watch:
        _watch(client, accepted["id"], as_json=as_json)
    elif not as_json:
        screen.line(f"Watch it with: dailies watch {accepted['id']}")


def watch(job_id: JobId, *, as_json: Json = False) -> None:
    """Watch a job until it is over: live bars in a terminal, lines elsewhere, with --json one event a line."""
    _watch(environment.client(), job_id, as_json=as_json)


def jobs(
    *,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    start: Annotated[int, typer.Option(min=0, help="How many to leave out.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    as_json: Json = False,
) -> None:
    """List your jobs, newest first."""
    page = environment.client().jobs(state=state, start=start, limit=limit)
    screen.document(page) if as_json else reports.jobs(page)


def job(job_id: JobId, *, as_json: Json = False) -> None:
    """Show a job with its clips."""
    _show(environment.client().job(job_id), as_json=as_json)


def retry(
    job_id: JobId,
    index: Annotated[int, typer.Argument(metavar="INDEX", min=0, help="Which clip, counted from 0 as in the API.")],
    *,
    prompt: Annotated[str | None, typer.Option(help="Another description.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model, as provider/slug.")] = None,
    as_json: Json = False,
) -> None:
    """Render one failed clip anew."""
    _show(environment.client().retry(job_id, index, prompt=prompt, seed=seed, model=model), as_json=as_json)


def resume(job_id: JobId, *, as_json: Json = False) -> None:
    """Render what a job has no clip for yet, and nothing else."""
    _show(environment.client().resume(job_id), as_json=as_json)


def cancel(job_id: JobId, *, as_json: Json = False) -> None:
    """Stop a job and its predictions."""
    _show(environment.client().cancel(job_id), as_json=as_json)


def models(
    *,
    provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None,
    mode: Annotated[str | None, typer.Option(help="For example text or image.")] = None,
    aspect_ratio: Annotated[str | None, typer.Option(help="For example 9:16.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    as_json: Json = False,
) -> None:
    """List what can be ordered."""
    rows = environment.client().models(provider=provider, mode=mode, aspect_ratio=aspect_ratio, duration=duration)
    screen.document({"models": rows}) if as_json else reports.models(rows)


def _storyboard(file: Path) -> Any:
    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return json.loads(text.decode("utf-8-sig"), parse_constant=_no_constant)
    except OSError as error:
        raise typer.BadParameter(f"{name} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{name} is not JSON: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _submit(client: Client, body: Any, idempotency_key: str) -> dict[str, Any]:
    try:
        return client.submit(body, idempotency_key)
    except Unreachable as error:
        again = f"To be sure that nothing is ordered twice, submit again with --idempotency-key {idempotency_key}"
        raise Unreachable(f"{error}\n{again}") from error


def _watch(client: Client, job_id: str, *, as_json: bool) -> None:
    try:
        document = watch_as_json(client, job_id) if as_json else follow(client, job_id)
    except KeyboardInterrupt:
        if screen.out().is_terminal and not as_json:
            screen.complain(f"The job goes on. Come back with: dailies watch {job_id}")
        raise
    if not as_json:
        reports.ending(document, client.base_url)
    if document.get("state") in _ENDED_BADLY:
        raise typer.Exit(FAILED)


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    screen.document(document) if as_json else reports.job(document)
