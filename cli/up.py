"""`make up`: the local stack, staying up until it is interrupted."""

import signal

from rich.console import Console

from cli.stack import endings
from cli.stack.processes import StackError
from cli.stack.stack import Stack


def run_up() -> int:
    """Start the stack, say how to reach it, and stay until Ctrl-C or SIGTERM."""
    console = Console(highlight=False)
    try:
        with endings.as_exceptions(), Stack(announce=lambda words: console.print(f"  {words}", style="dim")) as stack:
            introduce(console, stack)
            while True:
                signal.pause()
    except StackError as error:
        console.print("The local stack could not be started.", style="red")
        console.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left.")
        return 0


def introduce(console: Console, stack: Stack) -> None:
    """Where everything is, and what opens it."""
    user, _, password = stack.environment["FLOWER_BASIC_AUTH"].partition(":")
    lines = {
        "dashboard": stack.addresses.api_url,
        "API key": stack.create_key(),
        "Flower": f"{stack.addresses.flower_url}  (user {user}, password {password})",
        "logs": str(stack.log_folder),
    }
    console.print("\n[bold]Dailies is up.[/] Ctrl-C stops it and removes everything it made.\n")
    for name, value in lines.items():
        console.print(f"  {name:10} {value}", markup=False, soft_wrap=True)
    console.print("\n  bin/dailies submit examples/lighthouse.json --watch\n  with", end=" ")
    console.print(
        f"DAILIES_URL={stack.addresses.api_url} DAILIES_API_KEY=(the key above)\n", markup=False, soft_wrap=True
    )
