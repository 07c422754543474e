"""How Replicate's documents of predictions are read: what each says in our words, and what of it is kept."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.domain.answers import Finished, Refused, Working
from pipeline.providers.download import MAX_URL
from pipeline.providers.http import text
from pipeline.providers.protocol import Reading

MAX_OUTPUTS = 16
MAX_WORDS_CHARS = 64 * 1024

_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROGRESS = re.compile(r"\s*(\d{1,3})%\s*\|.{1,200}?\|\s*\d+/\d+")
_MODERATED = re.compile(r"flagged as sensitive|\bE005\b|\bNSFW\b|content policy", re.IGNORECASE)
_LOG_END = 2048  # characters: what is said of an output that was kept back stands at the end of the log


def reading(document: Mapping[str, Any]) -> Reading:
    """What a prediction's document says. An unknown status is work in progress: only time may end it."""
    match document.get("status"):
        case "starting":
            return Working(prediction_id=document["id"], queued=True)
        case "succeeded":
            return _succeeded(document)
        case "failed":
            return with_verdict_on_content(_refused("provider_error", _error(document), document))
        case "canceled" | "aborted" as status:
            return _refused("provider_cancelled", f"the provider ended the prediction: {status}", document)
        case _:
            return Working(prediction_id=document["id"], progress=_progress(document.get("logs")))


def _succeeded(document: Mapping[str, Any]) -> Finished | Refused:
    outputs, words = _outputs(document.get("output")), _words(document.get("output"))
    if outputs or words:
        return Finished(
            outputs=outputs,
            words=words,
            prediction_id=document["id"],
            render_seconds=_render_seconds(document),
            raw=kept_of(document),
        )
    if document.get("data_removed"):
        return _refused("lost", "the provider has already removed the output", document)
    if _MODERATED.search(str(document.get("logs"))[-_LOG_END:]):
        # Some models keep back what their filter does not like, and say so in their log alone.
        message = "the model's safety check kept the output back"
        return Refused(code="moderated", message=message, raw=kept_of(document))
    return _refused("provider_error", "the prediction succeeded without an output", document)


def tells_all(entry: Mapping[str, Any]) -> bool:
    """Whether a list's short entry says all; one that succeeded without an output has to be looked at itself."""
    output = entry.get("output")
    return entry.get("status") != "succeeded" or bool(_outputs(output) or _words(output))


def _render_seconds(document: Mapping[str, Any]) -> float | None:
    """From creation to end, by the provider's own clock: what our clip waited for."""
    try:
        took = datetime.fromisoformat(document["completed_at"]) - datetime.fromisoformat(document["created_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return took.total_seconds() if took.total_seconds() > 0 else None


def _outputs(output: object) -> tuple[str, ...]:
    """The links of an output: one string, a list of them, or an object that names them."""
    match output:
        case str():
            candidates: list[object] = [output]
        case list():
            candidates = output
        case dict():
            candidates = list(output.values())
        case _:
            candidates = []
    links = [link for link in candidates if isinstance(link, str) and link.startswith(("https://", "http://"))]
    return tuple(link for link in links if len(link) <= MAX_URL and link.isprintable())[:MAX_OUTPUTS]


def _words(output: object) -> str | None:
    """The words of a text model, which come whole or in pieces; what looks like a link is none."""
    pieces = [output] if isinstance(output, str) else output
    if not isinstance(pieces, list) or not all(isinstance(each, str) for each in pieces):
        return None
    # Pieces may part a character in two; what no database can keep is left out.
    joined = "".join(pieces)[:MAX_WORDS_CHARS].encode("utf-16-le", "surrogatepass")
    words = joined.decode("utf-16-le", "ignore").replace("\0", "")
    return words if words.strip() and not _SCHEME.match(words) else None


def _progress(logs: object) -> int | None:
    """The percentage of the last progress bar that the model's code printed."""
    if not isinstance(logs, str):
        return None
    bars = (_PROGRESS.match(line) for line in reversed(re.split(r"[\r\n]", logs[-8192:])))
    return next((min(int(bar[1]), 100) for bar in bars if bar), None)


def _error(document: Mapping[str, Any]) -> str:
    error = document.get("error")
    return text(error) if isinstance(error, str) and error else "the prediction failed without a reason"


def _refused(code: str, message: str, document: Mapping[str, Any]) -> Refused:
    return Refused(code=code, message=message, retryable=True, raw=kept_of(document))


def with_verdict_on_content(refused: Refused) -> Refused:
    """The same refusal, or a moderation verdict, which no unchanged attempt can cure (R68)."""
    if not _MODERATED.search(refused.message):
        return refused
    return Refused(code="moderated", message=refused.message, raw=refused.raw)


def kept_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The few fields worth keeping beside an attempt; never its links, which are keys to the files."""
    named = ("id", "status", "error", "created_at", "started_at", "completed_at")
    words = {name: document.get(name) for name in named}
    kept: dict[str, Any] = {name: text(said) for name, said in words.items() if isinstance(said, str)}
    metrics = document.get("metrics")
    if isinstance(metrics, dict):
        numbers = {text(name, 40): value for name, value in metrics.items() if isinstance(value, int | float)}
        kept["metrics"] = dict(list(numbers.items())[:MAX_OUTPUTS])
    return kept


def has_id(document: Mapping[str, Any]) -> bool:
    """Whether it is a prediction that can be asked for again."""
    given = document.get("id")
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def is_older(entry: Mapping[str, Any], since: datetime) -> bool:
    """Whether it was surely created before then."""
    try:
        created_at = datetime.fromisoformat(entry["created_at"])
    except (KeyError, TypeError, ValueError):
        return False
    return created_at.replace(tzinfo=created_at.tzinfo or UTC) < since
