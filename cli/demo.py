"""`make demo`: the whole way of a job on a bare machine, from a storyboard to playable files under var/."""

import json
import os
import re
from pathlib import Path
from typing import Any

from cli import screen
from cli.client import Client
from cli.results import results_folder, save
from cli.stack import endings
from cli.stack.server import ROOT
from cli.stack.stack import Stack
from cli.watch import watch

RENDER_SECONDS = "6"
TITLES = ("scene", "", "state", "seconds", "attempts", "file")
NUMBERS = frozenset({"scene", "seconds", "attempts"})
TROUBLE = re.compile(r"Traceback|\b(ERROR|Error)\b|CRITICAL|FATAL|\"level\": \"(error|critical)\"|, again in")
LINES_OF_TROUBLE = 6


def run_demo(storyboard: Path) -> int:
    """Render a storyboard with a local stack; 0 when it is complete. Raises StackError, Refused, Unreachable."""
    try:
        with endings.as_exceptions(), results_folder(ROOT / "var") as folder:
            return render(json.loads(storyboard.read_text()), folder)
    except KeyboardInterrupt:
        screen.line("\nInterrupted; nothing is left running.")
        return screen.LEFT


def render(body: dict[str, Any], folder: Path) -> int:
    """Have it rendered; when that goes wrong, show what the logs know."""
    logs = folder / "logs"
    try:
        is_complete = order(body, folder, logs)
    except Exception:
        tell_troubles(logs)
        raise
    if not is_complete:
        tell_troubles(logs)
    return 0 if is_complete else 1


def order(body: dict[str, Any], folder: Path, logs: Path) -> bool:
    """Start a stack, order the job, watch it to its end, save what it made; whether it is complete."""
    screen.line(f"{len(body['scenes'])} scenes, one film. Starting the local stack …")
    with Stack(more=pace(), announce=lambda words: screen.line(f"  {words}"), keep_logs=logs) as stack:
        client = Client(stack.addresses.api_url, stack.create_key())
        screen.line(f"  dashboard: {client.base_url}, with the key {client.api_key}\n")
        document = watch(client, client.submit(body)["id"])
        conclude(document, body, folder)
    return bool(document["state"] == "complete")


def pace() -> dict[str, str]:
    """How long the simulator renders, unless the caller said it."""
    return {} if os.environ.get("SIMULATOR_RENDER_SECONDS") else {"SIMULATOR_RENDER_SECONDS": RENDER_SECONDS}


def conclude(document: dict[str, Any], body: dict[str, Any], folder: Path) -> None:
    """Save the files, and say of each scene what became of it."""
    rows = []
    for each in save(document, body, folder):
        seconds = "" if each.seconds is None else f"{each.seconds:.1f}"
        file = os.path.relpath(each.file) if each.file else each.error
        rows.append((each.number, each.title, each.state, seconds, each.attempts, file))
    screen.line("")
    screen.table(TITLES, rows, numbers=NUMBERS)
    film = f"the film is {os.path.relpath(folder / 'film.mp4')}" if document["film"] else "there is no film"
    screen.line(f"\n{document['state']} after {document['total_seconds'] or 0:.1f} s: {film}")


def tell_troubles(logs: Path) -> None:
    """Where the logs are, and the lines of them that matter."""
    if not logs.exists():
        return
    screen.complain(f"\nThe logs are in {os.path.relpath(logs)}.")
    for log in sorted(logs.glob("*.log")):
        lines = [line for line in log.read_text(errors="replace").splitlines() if TROUBLE.search(line)]
        for line in lines[-LINES_OF_TROUBLE:]:
            screen.complain(f"  {log.stem}: {line}")
