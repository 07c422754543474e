"""The one HTTP client of all providers, and the one table that says what an HTTP answer means for money."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import requests
import tenacity

from pipeline.domain.answers import OF_THE_ACCOUNT, Busy, Reason, Refused, Silent, Unknown
from pipeline.domain.rows import BusySign, at
from pipeline.providers.protocol import Credentials
from pipeline.providers.wire import Failed, Limits, call

KIB = 1024
MAX_JSON_BYTES = 256 * KIB
MAX_LIST_BYTES = 4 * KIB * KIB
MAX_TEXT = 500
MAX_DIGITS = 20
MIN_SECRET = 16
MAX_WAIT_SECONDS = 900.0
TRIES = 3
#: Where providers put a sentence for people.
SENTENCES = ("detail", "title", "error", "error.message", "message", "base_resp.status_msg")

ASKING = Limits()
PAYING = Limits(read_seconds=30.0, total_seconds=90.0)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer, its body cut at the limit (``whole`` says so); ``busy`` when it bears a sign of "not now"."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True
    busy: BusySign | None = None

    def document(self) -> dict[str, Any] | None:
        """The body as a JSON object of finite numbers; None when it is anything else."""
        return parsed(self.body) if self.whole else None

    def says(self) -> str:
        """The reason in the body, for people: short, one line, harmless in a database."""
        document = self.document() or {}
        said = (at(document, path) for path in SENTENCES)
        return next((text(each) for each in said if isinstance(each, str) and each), f"HTTP {self.status}")


class Verdict(StrEnum):
    """What a status means; the members from REJECTED on are the codes of ``Refused``."""

    READ = "read"
    SILENT = "silent"
    UNKNOWN = "unknown"
    REJECTED = "rejected_input"
    NO_CREDIT = "no_credit"
    NOT_AUTHORISED = "not_authorised"
    LOST = "lost"


#: status range → (after a paying POST, after a call that costs nothing); the first row that fits wins. Whether an
#: answer says "not now" is tested before, by the account's own signs.
#: A prediction that is being rendered is never given up because the account may not ask just now.
VERDICTS: tuple[tuple[range, Verdict, Verdict], ...] = (
    (range(200, 300), Verdict.READ, Verdict.READ),
    (range(401, 402), Verdict.NOT_AUTHORISED, Verdict.SILENT),
    (range(402, 403), Verdict.NO_CREDIT, Verdict.SILENT),
    (range(403, 404), Verdict.NOT_AUTHORISED, Verdict.SILENT),
    (range(404, 405), Verdict.REJECTED, Verdict.LOST),
    (range(408, 410), Verdict.UNKNOWN, Verdict.SILENT),
    (range(410, 411), Verdict.REJECTED, Verdict.LOST),
    (range(400, 500), Verdict.REJECTED, Verdict.SILENT),
    (range(1000), Verdict.UNKNOWN, Verdict.SILENT),
)

_TRANSIENT = frozenset({502, 503, 504})
_WAIT = re.compile(
    r"\b(?:resets?|retry|try again|wait|available)\b[^.\d]{0,40}?(\d{1,6}(?:\.\d{1,3})?) ?(ms|s|m)(?:ec\w*|in\w*)?\b",
    re.IGNORECASE,
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
#: What opens a presigned link, and what nobody else knows of the address of a webhook.
_KEY_OF_LINK = re.compile(r"(https?://[^\s?\"'<>]*?(?:/webhooks/|\?))[^\s\"'<>)]+")


class Client:
    """The calls of one account: absolute addresses, its authorisation, nothing from the environment."""

    def __init__(self, credentials: Credentials, headers: Mapping[str, str]) -> None:
        self.base_url = credentials.base_url.rstrip("/")
        self._signs = credentials.busy
        # A short token is a simulator's, and might be a word of the answer.
        self._secret = credentials.token.encode() if len(credentials.token) >= MIN_SECRET else None
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": "dailies",
            **headers,
        }

    def pay(
        self, path: str, document: Mapping[str, Any], headers: Mapping[str, str], *, limits: Limits | None = None
    ) -> Reply | Failed:
        """POST exactly once; whoever calls must treat every ``Failed(sent=True)`` as possibly paid."""
        body = json.dumps(document, allow_nan=False).encode()
        headers = {**self._headers, "Content-Type": "application/json", **headers}
        reply = self._call("POST", self.base_url + path, limits or PAYING, headers, body)
        return _marked(reply, [sign for sign in self._signs if sign.calls != "free"])

    def ask(
        self,
        method: str,
        url: str,
        limits: Limits = ASKING,
        *,
        document: Mapping[str, Any] | None = None,
        tries: int = TRIES,
    ) -> Reply | Failed:
        """Make a call that costs nothing; in transit it may fail three times, waiting at most 1 s in all (R16).

        ``tries`` is less where the provider wants more time between two calls than that.
        """
        body = None if document is None else json.dumps(document, allow_nan=False).encode()
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        reply = _patiently(lambda: self._call(method, url, limits, headers, body), tries)
        return _marked(reply, [sign for sign in self._signs if sign.calls != "orders"])

    def _call(
        self, method: str, url: str, limits: Limits, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply | Failed:
        return call(method, url, limits, headers, body=body, consume=lambda response: self._read(response, limits))

    def _read(self, response: requests.Response, limits: Limits) -> Reply:
        body = bytearray()
        for chunk in response.iter_content(64 * KIB):
            body += chunk
            if len(body) > limits.max_bytes:
                break
        whole = len(body) <= limits.max_bytes
        clean = bytes(body).replace(self._secret, b"[token]") if self._secret else bytes(body)
        return Reply(status=response.status_code, headers=response.headers, body=clean, whole=whole)


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What in a provider's answers means this refusal, whatever the status table says; a row of its own table."""

    code: str  #: of ``Refused``
    says: BusySign
    retryable: bool = False


def paying_answer(reply: Reply | Failed, signs: Iterable[Sign] = ()) -> Refused | Busy | Silent | Unknown | None:
    """What a paying POST's answer means; None when it is a 2xx whose body decides."""
    if isinstance(reply, Failed):
        return (Unknown if reply.sent else Silent)(message=reply.message, outage=reply.outage)
    # What the adapter knows for a refusal is more than a sign of the account's, such as any 429.
    if refused := _signed(reply, signs):
        return refused
    if reply.busy:
        return _busy(reply)
    verdict = next(paying for statuses, paying, _ in VERDICTS if reply.status in statuses)
    return _answer(verdict, reply)


def free_answer(reply: Reply | Failed, signs: Iterable[Sign] = ()) -> Refused | Busy | Silent | None:
    """What the answer of any other call means; None when it is a 2xx whose body decides."""
    if isinstance(reply, Failed):
        return Silent(message=reply.message, outage=reply.outage)
    if refused := _signed(reply, signs):
        # What the account has bought already goes on.
        return Silent(message=refused.message) if refused.code in OF_THE_ACCOUNT else refused
    if reply.busy:
        return _busy(reply)
    verdict = next(free for statuses, _, free in VERDICTS if reply.status in statuses)
    answer = _answer(verdict, reply)
    return Silent(message=answer.message, outage=answer.outage) if isinstance(answer, Unknown) else answer


def _signed(reply: Reply, signs: Iterable[Sign]) -> Refused | None:
    """The refusal of the first sign that an answer bears."""
    document = reply.document() or {}
    sign = next((each for each in signs if each.says.fits(reply.status, document)), None)
    if sign is None:
        return None
    raw = {"http_status": reply.status, "error": reply.says()}
    return Refused(code=sign.code, message=reply.says(), retryable=sign.retryable, raw=raw)


def _marked(reply: Reply | Failed, signs: Iterable[BusySign]) -> Reply | Failed:
    """The same reply with the first sign of "not now" that it bears."""
    if isinstance(reply, Failed):
        return reply
    wanted = [sign for sign in signs if sign.status in {None, reply.status}]
    document = (reply.document() or {}) if any(sign.field for sign in wanted) else {}
    return replace(reply, busy=next((sign for sign in wanted if sign.fits(reply.status, document)), None))


def _busy(reply: Reply) -> Busy:
    told = told_wait(reply, now=datetime.now(UTC))
    if reply.busy is None:
        return Busy(reason=Reason.BLOCKED, wait_seconds=told)
    return Busy(reason=Reason(reply.busy.reason), wait_seconds=told or reply.busy.wait_seconds)


def _answer(verdict: Verdict, reply: Reply) -> Refused | Silent | Unknown | None:
    outage = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    match verdict:
        case Verdict.READ:
            return None
        case Verdict.SILENT:
            return Silent(message=f"HTTP {reply.status}: {reply.says()}", outage=outage)
        case Verdict.UNKNOWN:
            return Unknown(message=f"HTTP {reply.status}: {reply.says()}", outage=outage)
        case code:
            raw = {"http_status": reply.status, "error": reply.says()}
            return Refused(code=code.value, message=reply.says(), retryable=code is Verdict.LOST, raw=raw)


def told_wait(reply: Reply, *, now: datetime) -> float | None:
    """How long a busy answer asks us to stay away, by a header, a field of the body or its sentence; None: not told."""
    header = reply.headers.get("Retry-After", "")
    field = reply.busy.wait_field if reply.busy else "retry_after"
    candidates = (
        _seconds(reply.headers.get("Retry-After-Ms"), unit=0.001),
        _seconds(header),
        _seconds_until(header, now),
        _seconds(at(reply.document() or {}, field)),
        _seconds_in(reply.says()),
    )
    return next((min(max(told, 0.0), MAX_WAIT_SECONDS) for told in candidates if told is not None), None)


def _seconds_in(sentence: str) -> float | None:
    found = _WAIT.search(sentence)
    return _seconds(found[1], unit=_UNITS[found[2].lower()]) if found else None


def _seconds(value: Any, unit: float = 1.0) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        seconds = float(value) * unit
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(http_date)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def parsed(body: bytes) -> dict[str, Any] | None:
    """Parse a JSON object, refusing NaN, infinities, numbers beyond a float, and endless nesting."""
    try:
        document = json.loads(body, parse_float=_finite, parse_int=_bounded, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


def _bounded(number: str) -> int:
    if len(number) > MAX_DIGITS:
        raise ValueError(number)
    return int(number)


def text(words: str, limit: int = MAX_TEXT) -> str:
    """A provider's words made harmless: one line, no control characters, no key of a link of ours, not long."""
    printable = "".join(c if c.isprintable() else " " for c in _KEY_OF_LINK.sub(r"\1…", words[: 4 * KIB]))
    return " ".join(printable[:limit].split())


def _in_transit(reply: Reply | Failed) -> bool:
    return isinstance(reply, Failed) or reply.status in _TRANSIENT


def _patiently(ask: Callable[[], Reply | Failed], tries: int) -> Reply | Failed:
    retrying = tenacity.Retrying(
        # Nobody waits inside a worker: what takes longer is the row's own backoff.
        stop=tenacity.stop_after_attempt(tries) | tenacity.stop_after_delay(ASKING.read_seconds),
        wait=tenacity.wait_exponential_jitter(multiplier=0.1, jitter=0.2, max=0.5),
        retry=tenacity.retry_if_result(_in_transit),
        retry_error_callback=_last,
    )
    return retrying(ask)


def _last(state: tenacity.RetryCallState) -> Reply | Failed:
    assert state.outcome is not None  # noqa: S101 -- tenacity sets it before it gives up; the type says otherwise
    result: Reply | Failed = state.outcome.result()
    return result
