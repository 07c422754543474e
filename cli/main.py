"""`dailies`: what a person types. Every command is registered here, and every error ends here as a sentence."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import keys, orders, screen
from cli.accounts import accounts
from cli.client import Refused, Unreachable
from cli.doctor import doctor
from cli.options import FAILED, REFUSED, UNREACHABLE, USAGE
from pipeline.domain.errors import DailiesError, SettingsError, Unavailable

_LIGHTHOUSE = Path(__file__).parents[1] / "examples" / "lighthouse.json"

app = typer.Typer(
    name="dailies",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A storyboard goes in, clips come out.",
    epilog=(
        "DAILIES_URL is the server (http://127.0.0.1:8080 unless set), DAILIES_API_KEY the key. "
        "Exit codes: 0 done, 1 the job failed, 2 usage, 3 refused by the server, 4 unreachable."
    ),
)

for command in (orders.submit, orders.watch, orders.jobs, orders.job, orders.retry, orders.resume, orders.cancel):
    app.command(rich_help_panel="Jobs")(command)
app.command(rich_help_panel="Jobs")(orders.models)
app.add_typer(keys.app, name="keys", rich_help_panel="Operate")
app.command(rich_help_panel="Operate")(accounts)
app.command(rich_help_panel="Operate")(keys.migrate)
app.command(rich_help_panel="Operate")(doctor)


@app.command(rich_help_panel="Try it here")
def demo(
    storyboard: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A storyboard in JSON.", show_default=False)
    ] = _LIGHTHOUSE,
) -> None:
    """Render a storyboard with a local stack and a pretend provider."""
    from cli.demo import run_demo

    raise typer.Exit(run_demo(storyboard))


@app.command(rich_help_panel="Try it here")
def up() -> None:
    """Start the whole stack on this machine and keep it up until Ctrl-C."""
    from cli.up import run_up

    raise typer.Exit(run_up())


def main() -> None:
    """Run the command that was typed; the exit codes are those of the help."""
    try:
        app(prog_name="dailies")
    except Refused as refusal:
        screen.refused(refusal)
        sys.exit(REFUSED)
    except (Unreachable, Unavailable) as error:
        screen.complain(str(error))
        sys.exit(UNREACHABLE)
    except DailiesError as error:
        screen.complain(str(error))
        sys.exit(USAGE if isinstance(error, SettingsError) else FAILED)
    except KeyboardInterrupt:
        sys.exit(screen.LEFT)
