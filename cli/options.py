"""Arguments, options and exit codes that several commands share."""

from typing import Annotated

import typer

FAILED, USAGE, REFUSED, UNREACHABLE = 1, 2, 3, 4

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
