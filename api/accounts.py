"""The accounts over HTTP: what may be asked of each provider, who holds it, and what it cost."""

from flask import Response, jsonify
from pydantic import BaseModel, Field

from api import documented
from api.auth import Policy, allow, caller
from api.context import services
from pipeline import standing

accounts = documented.blueprint(
    "accounts", __name__, url_prefix="/v1/accounts", about="What may be asked of each provider, and who holds it."
)


class AccountPath(BaseModel):
    """Which account."""

    name: str = Field(max_length=100)


class SetLimit(BaseModel):
    """How many predictions at once, as the operator and the catalogue say: to begin with, at least, at most."""

    slots: int
    floor: int
    ceiling: int


class Window(BaseModel):
    """At most so many requests in so many seconds; `used` is null while Redis is away."""

    name: str
    requests: int
    seconds: float
    used: int | None


class Lesson(BaseModel):
    """How many predictions at once were found to be right, how many there were just then, and what taught it."""

    slots: int
    in_flight: int
    why: str
    at: str


class Limits(BaseModel):
    """What an account may do. `slots` is what holds now, null while Redis is away; `learned` is newest first."""

    slots: int | None
    set: SetLimit
    windows: list[Window]
    learned: list[Lesson]


class Holder(BaseModel):
    """A slot that one of your clips holds."""

    job_id: str
    clip_id: str
    model: str
    held_seconds: float


class Slots(BaseModel):
    """The slots of an account; those of other owners are counted, and no more is told of them."""

    in_use: int
    free: int
    yours: int
    others: int
    holders: list[Holder]


class Line(BaseModel):
    """How many clips wait for the provider, and how many of them are yours; its accounts share the line."""

    length: int
    yours: int


class Breaker(BaseModel):
    """A model that failed too often: orders for it are held back, until a call that costs nothing is answered."""

    model: str
    open_seconds: float
    openings: int
    failures: int


class Spend(BaseModel):
    """What you paid at an account, in US cents; the day begins at midnight UTC."""

    today_cents: int
    total_cents: int


class Account(BaseModel):
    """How an account stands. What Redis knows is null while it is away; `blocked_seconds` is 0 without a pause."""

    name: str
    provider: str
    limits: Limits
    slots: Slots | None
    line: Line | None
    blocked_seconds: float | None
    blocked_until: str | None
    breakers: list[Breaker]
    spend: Spend


class Accounts(BaseModel):
    """Every account that has a key here."""

    accounts: list[Account]


@accounts.get("", responses={200: Accounts})
@allow(Policy.KEY)
def list_accounts() -> Response:
    """How every account stands."""
    return jsonify({"accounts": standing.accounts(services(), caller().owner_id)})


@accounts.get("/<name>", responses={200: Account})
@allow(Policy.KEY)
def read_account(path: AccountPath) -> Response:
    """How one account stands."""
    return jsonify(standing.account(services(), caller().owner_id, path.name))
