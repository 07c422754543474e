"""The JSON of a request, read strictly: what two readers could understand differently is refused, and so is a bomb."""

import json
from collections import Counter
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

MAX_BODY_BYTES = 1_000_000
MAX_DEPTH = 32


def json_body() -> Any:
    """The body as JSON. Raises BadRequest, UnsupportedMediaType or RequestEntityTooLarge."""
    if not request.is_json:
        raise UnsupportedMediaType("send JSON, with the header Content-Type: application/json")
    body = request.get_data()
    # A body that comes in chunks is cut off at the app's limit, one byte above ours, without a word.
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return parse(body)


def optional_json_body() -> Any:
    """The body as JSON, or None when there is none at all."""
    return json_body() if request.get_data() else None


def parse(body: bytes) -> Any:
    """JSON without its ambiguities: UTF-8, finite numbers, each name once, not deeper than ``MAX_DEPTH``.

    Raises BadRequest with a sentence that says what is wrong.
    """
    try:
        parsed = json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_each_once)
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body is not JSON: {error.msg} at {place}") from error
    except RecursionError as error:
        raise BadRequest(_TOO_DEEP) from error
    except ValueError as error:  # an integer with thousands of digits
        raise BadRequest("the body holds a number with too many digits") from error
    _check_depth(parsed)
    return parsed


_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH} levels"


def _no_constant(name: str) -> NoReturn:
    raise BadRequest(f"the body is not JSON: {name} is no number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise BadRequest(f"the field {twice[:100]!a} stands twice in one object")
    return read


def _check_depth(parsed: Any) -> None:
    level = [parsed]
    for _ in range(MAX_DEPTH + 1):
        objects = [each.values() for each in level if isinstance(each, dict)]
        lists = [each for each in level if isinstance(each, list)]
        level = [child for children in (*objects, *lists) for child in children]
        if not level:
            return
    raise BadRequest(_TOO_DEEP)
