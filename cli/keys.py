"""`dailies keys` and `dailies migrate`: what an operator does at the database itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli import screen
from cli.options import REFUSED, Json
from pipeline import settings
from pipeline.domain.errors import SettingsError

if TYPE_CHECKING:
    from pipeline.database.keys import KeyRow, Keys

_BUDGET = "What the jobs that it orders may spend in a day (UTC), in US cents. 0: any."

_NO_KEY = "There is no living key with that id; `dailies keys list` shows them."

app = typer.Typer(no_args_is_help=True, help="Look after API keys, at the database itself (needs DATABASE_URL).")


@app.command()
def create(
    *,
    owner: Annotated[str, typer.Option(help="Whose jobs it opens; made when new.")],
    name: Annotated[str, typer.Option(help="What it is for.")],
    day_budget_cents: Annotated[int, typer.Option(min=0, help=_BUDGET)] = 0,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown this once."""
    if not owner.strip() or not name.strip():
        raise typer.BadParameter("an owner and a name have at least one letter")
    with _keys() as keys:
        row, key = keys.create(owner=owner.strip(), name=name.strip(), day_budget_cents=day_budget_cents)
    if as_json:
        screen.document({**asdict(row), "key": key})
    else:
        screen.line(key)
        screen.complain("Keep it now: it is not shown again. It goes into DAILIES_API_KEY.")


@app.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """Every key, newest first; never the keys themselves."""
    with _keys() as keys:
        rows = keys.list()
    if as_json:
        screen.document({"keys": [asdict(row) for row in rows]})
        return
    shown = ((row.id, row.owner, str(row.weight), row.name, *_about(row)) for row in rows)
    titles = ("ID", "OWNER", "WEIGHT", "NAME", "KEY", "CENTS A DAY", "MADE", "")
    screen.table(titles, shown, numbers=frozenset({"WEIGHT", "CENTS A DAY"}))


@app.command()
def weight(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose share it is, from `dailies keys list`.")],
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=100, help="1 is everybody's; 3: three times that.")],
    *,
    as_json: Json = False,
) -> None:
    """Set how large an owner's share of the slots is, while others wait too."""
    with _keys() as keys:
        known = keys.weigh(owner.strip(), number)
    if as_json:
        screen.document({"owner": owner, "weight": number, "set": known})
    elif known:
        screen.line(f"{owner} weighs {number}, for every clip that gets in line from now on.")
    else:
        screen.complain("There is no owner of that name; `dailies keys list` shows them.")
    if not known:
        raise typer.Exit(REFUSED)


@app.command()
def budget(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, from `dailies keys list`.")],
    cents: Annotated[int, typer.Argument(metavar="CENTS", min=0, help=_BUDGET)],
    *,
    as_json: Json = False,
) -> None:
    """Set what a key may spend in a day; clips that wait for its money are looked at again."""
    with _keys() as keys:
        known = keys.limit(key_id, cents)
    if as_json:
        screen.document({"id": key_id, "day_budget_cents": cents, "set": known})
    elif known:
        screen.line(f"It may spend {cents} cents a day." if cents else "It may spend any amount.")
    else:
        screen.complain(_NO_KEY)
    if not known:
        raise typer.Exit(REFUSED)


@app.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, from `dailies keys list`.")],
    *,
    as_json: Json = False,
) -> None:
    """End a key at once."""
    with _keys() as keys:
        revoked = keys.revoke(key_id)
    if as_json:
        screen.document({"id": key_id, "revoked": revoked})
    elif revoked:
        screen.line("Revoked: it opens nothing any more.")
    else:
        screen.complain(_NO_KEY)
    if not revoked:
        raise typer.Exit(REFUSED)


def migrate(*, as_json: Json = False) -> None:
    """Bring the database of DATABASE_URL up to the newest tables, and make missing buckets."""
    from pipeline.database.migrate import upgrade

    with database_url() as url:
        upgrade(url)
    has_buckets = _make_buckets()
    if as_json:
        screen.document({"migrated": True, "buckets": has_buckets})
        return
    screen.line("The database is up to date.")
    screen.line("The buckets are there." if has_buckets else "The buckets were left alone: not every setting is here.")


def _make_buckets() -> bool:
    from pipeline.services import build

    try:
        parts = build(settings.read(), carrier=None)  # type: ignore[arg-type]  # nothing is carried here
    except SettingsError:
        return False
    try:
        parts.storage.ensure_buckets()
    finally:
        parts.close()
    return True


@contextmanager
def database_url() -> Iterator[str]:
    """The database's address; what SQLAlchemy says of it becomes a sentence. Raises SettingsError, Unavailable."""
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, ProgrammingError

    try:
        yield settings.database_url()
    except (ArgumentError, NoSuchModuleError) as error:
        message = "DATABASE_URL has to look like postgresql+psycopg2://user:password@host:5432/database"
        raise SettingsError(message) from error
    except ProgrammingError as error:
        raise SettingsError("this database does not have our tables; run `dailies migrate` first") from error


@contextmanager
def _keys() -> "Iterator[Keys]":
    from pipeline.database.engine import connect
    from pipeline.database.keys import Keys

    with database_url() as url:
        engine = connect(url, pool_size=1)
        try:
            yield Keys(engine)
        finally:
            engine.dispose()


def _about(row: "KeyRow") -> tuple[str, ...]:
    budget = str(row.day_budget_cents) if row.day_budget_cents else ""
    return f"{row.prefix}…", budget, f"{row.created_at:%Y-%m-%d}", _life(row)


def _life(row: "KeyRow") -> str:
    return "revoked" if row.revoked_at else ""
