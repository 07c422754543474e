"""`make up`: the local stack, staying up until it is interrupted."""

import signal

from cli import screen
from cli.stack import endings
from cli.stack.stack import Stack


def run_up() -> int:
    """Start the stack, say how to reach it, and stay until Ctrl-C or SIGTERM. Raises StackError."""
    screen.line("Starting the local stack …")
    try:
        with endings.as_exceptions(), Stack(announce=lambda words: screen.line(f"  {words}")) as stack:
            introduce(stack, stack.create_key())
            while True:
                signal.pause()
    except KeyboardInterrupt:
        screen.line("Stopped; nothing is left.")
        return 0


def introduce(stack: Stack, key: str) -> None:
    """Where everything is, and what opens it."""
    user, _, password = stack.environment["FLOWER_BASIC_AUTH"].partition(":")
    screen.line("\nDailies is up; Ctrl-C stops it and removes everything that it made.\n")
    screen.line(f"  dashboard  {stack.addresses.api_url}")
    screen.line(f"  API key    {key}")
    screen.line(f"  Flower     {stack.addresses.flower_url}  (user {user}, password {password})")
    screen.line(f"  logs       {stack.log_folder}\n")
    screen.line("In another terminal, the film of the lighthouse:\n")
    screen.line(f"  export DAILIES_URL={stack.addresses.api_url} DAILIES_API_KEY={key}")
    screen.line("  bin/dailies submit examples/lighthouse.json --watch\n")
