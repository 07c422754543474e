"""`make demo`: the whole way of a job on a bare machine, from a storyboard to playable files under var/."""

import json
import os
import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.client import Client
from cli.results import Saved, results_folder, save
from cli.stack import endings
from cli.stack.server import ROOT
from cli.stack.stack import Stack
from cli.watch import watch
from pipeline.domain.errors import DailiesError

RENDER_SECONDS = "6"
INTERRUPTED = 130  # what a shell says of Ctrl-C
TROUBLE = re.compile(r"traceback|error|critical|exit code", re.IGNORECASE)
LINES_OF_TROUBLE = 6


def run_demo(storyboard: Path) -> int:
    """Render a storyboard with a local stack; 0 only when the job is complete."""
    console = Console(highlight=False)
    try:
        with endings.as_exceptions(), results_folder(ROOT / "var") as folder:
            return render(console, json.loads(storyboard.read_text()), folder)
    except DailiesError as error:
        console.print("The demo failed.", style="bold red")
        console.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running.")
        return INTERRUPTED


def render(console: Console, body: dict[str, Any], folder: Path) -> int:
    """Start a stack, order the job, watch it to its end, save what it made."""
    logs = folder / "logs"
    done = False
    console.print(f"[bold]Dailies[/]: {len(body['scenes'])} scenes, one film. Starting the local stack …")
    try:
        with Stack(
            more=pace(), announce=lambda words: console.print(f"  {words}", style="dim"), keep_logs=logs
        ) as stack:
            client = Client(stack.addresses.api_url, stack.create_key())
            console.print(f"  dashboard: {stack.addresses.api_url}, key {client.api_key}", style="dim", soft_wrap=True)
            document = watch(client, client.submit(body)["id"])
            done = document["state"] == "complete"
            saved = save(document, body, folder)
            console.print(table(saved), summary(document, folder))
            return 0 if done else 1
    finally:
        if not done:
            tell_troubles(console, logs)


def pace() -> dict[str, str]:
    """How long the simulator renders, unless the caller said it."""
    return {} if os.environ.get("SIMULATOR_RENDER_SECONDS") else {"SIMULATOR_RENDER_SECONDS": RENDER_SECONDS}


def table(saved: list[Saved]) -> Table:
    """The clips in the order of the scenes."""
    shown = Table(title="Clips", title_justify="left")
    for heading in ("scene", "state", "seconds", "attempts", "file"):
        shown.add_column(heading, justify="right" if heading in {"seconds", "attempts"} else "left")
    for each in saved:
        seconds = "" if each.seconds is None else f"{each.seconds:.1f}"
        file = os.path.relpath(each.file) if each.file else each.error
        shown.add_row(f"{each.number} {each.title}", each.state, seconds, str(each.attempts), file)
    return shown


def summary(document: dict[str, Any], folder: Path) -> str:
    """How the job ended, and where its film is."""
    film = f"film: {os.path.relpath(folder / 'film.mp4')}" if document["film"] else "no film"
    return f"{document['state']} after {document['total_seconds'] or 0:.1f} s of rendering; {film}"


def tell_troubles(console: Console, logs: Path) -> None:
    """Where the logs are, and the lines of them that matter."""
    if not logs.exists():
        return
    console.print(f"\nThe logs are in {os.path.relpath(logs)}.", style="bold")
    for log in sorted(logs.glob("*.log")):
        lines = [line for line in log.read_text(errors="replace").splitlines() if TROUBLE.search(line)]
        for line in lines[-LINES_OF_TROUBLE:]:
            console.print(f"  {log.stem}: {line}", markup=False, soft_wrap=True)
