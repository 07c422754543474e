"""The command that tells how accounts stand, and how it is said."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from cli import environment, screen, words
from cli.options import Json

_LESSONS = 10
_WHY = {"accepted": "the provider took more", "refused": "the provider said: not now"}
Document = Mapping[str, Any]


def accounts(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this account, with all about it.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the providers' accounts: limits, slots, line, pauses and what you spent."""
    client = environment.client()
    if name is None:
        rows = client.accounts()
        screen.document({"accounts": rows}) if as_json else _table(rows)
        return
    document = client.account(name)
    screen.document(document) if as_json else _whole(document)


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        screen.complain("No account has a key on this server.")
        return
    shown = (
        (each["name"], _slots(each), _line(each), words.money(each["spend"]["today_cents"]), _now(each))
        for each in rows
    )
    screen.table(("ACCOUNT", "SLOTS", "IN LINE", "TODAY", "NOW"), shown, numbers=frozenset({"TODAY"}))


def _whole(document: Document) -> None:
    screen.line(f"{document['name']} · {_now(document)}")
    for title, told in _facts(document):
        screen.line(f"{title:<9}{told}")
    lessons = document["limits"]["learned"][:_LESSONS]
    if lessons:
        screen.line("")
        rows = ((_date(each["at"]), each["slots"], each["in_flight"], _why(each)) for each in lessons)
        screen.table(("LEARNED", "AT ONCE", "IN FLIGHT", "WHY"), rows, numbers=frozenset({"AT ONCE", "IN FLIGHT"}))
    if holders := (document["slots"] or {}).get("holders"):
        screen.line("")
        slots = ((each["job_id"], each["model"], words.clock(each["held_seconds"])) for each in holders)
        screen.table(("JOB", "MODEL", "SINCE"), slots, numbers=frozenset({"SINCE"}))


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    limits, spend = document["limits"], document["spend"]
    told = limits["set"]
    yield "Slots", _slots(document)
    yield "Limit", f"{told['slots']} to begin with, at least {told['floor']}, at most {told['ceiling']}"
    yield "In line", _line(document)
    for each in limits["windows"]:
        used = "?" if each["used"] is None else each["used"]
        yield "Requests", f"{used} of {each['requests']} in {each['seconds']:g} s ({each['name']})"
    yield "Spent", f"{words.money(spend['today_cents'])} today, {words.money(spend['total_cents'])} in all"


def _slots(document: Document) -> str:
    slots = document["slots"]
    if slots is None:
        return "not known"
    yours = f", {slots['yours']} yours" if slots["others"] else ""
    return f"{slots['in_use']} of {document['limits']['slots']} in use{yours}"


def _line(document: Document) -> str:
    line = document["line"]
    if line is None:
        return "not known"
    return f"{line['length']}, {line['yours']} yours" if line["length"] > line["yours"] else str(line["length"])


def _now(document: Document) -> str:
    """What holds the account back, if anything does."""
    if document["slots"] is None:
        return "the limiter is down; nothing is bought meanwhile"
    told = [f"{each['model']} is failing" for each in document["breakers"]]
    if left := document["blocked_seconds"]:
        told.insert(0, words.waiting({"reason": "blocked", "account": document["name"]}, left))
    return ", ".join(told) or "ready"


def _why(lesson: Document) -> str:
    return _WHY.get(lesson["why"], str(lesson["why"]))


def _date(text: Any) -> str:
    at = words.moment(text)
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""
