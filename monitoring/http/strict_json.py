"""Read a request's body as strict JSON: what a lenient parser lets through breaks what comes after it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from monitoring.http.answers import RequestError

# 18 digits fit into 64 bits, which is all that the log's database and a float's exact range ask for.
MAX_INTEGER_CHARACTERS = 19
JSON_TYPE = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)


def check_headers(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse a body that is not plain JSON in UTF-8 by its own word.

    Raises:
        RequestError: 415.
    """
    if content_type is None or not JSON_TYPE.fullmatch(content_type.strip()):
        raise RequestError(415, "content_type", "send the body as Content-Type: application/json, in UTF-8")
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise RequestError(415, "content_encoding", "send the body as it is, without Content-Encoding")


def read_json(body: bytes) -> Any:
    """The JSON value of a body. Refused: duplicate keys, NaN, Infinity, numbers too large, lone surrogates, deep nesting.

    >>> read_json(b'{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    >>> read_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    monitoring.http.answers.RequestError: a key is given twice in one object: give it once

    Raises:
        RequestError: 400, with what is wrong.
    """
    try:
        text = body.decode("utf-8")
        if not text.strip():
            raise RequestError(400, "no_body", "the request has no body: send JSON")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float)
        if "\\u" in text:
            _check_text(value)
    except RecursionError as exc:
        raise RequestError(400, "too_deep", "the body is nested too deeply: send rows as objects of numbers") from exc
    except UnicodeDecodeError as exc:
        raise RequestError(400, "not_utf8", "the body is not UTF-8 text: send JSON in UTF-8") from exc
    except json.JSONDecodeError as exc:
        raise RequestError(400, "not_json", f"the body is not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RequestError(400, "duplicate_key", "a key is given twice in one object: give it once")
    return found


def _constant(name: str) -> NoReturn:
    raise RequestError(400, "not_finite", f"{name} is not JSON: give a finite number")


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_CHARACTERS:
        raise RequestError(400, "too_large", "an integer has more than 18 digits: give a number within range")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RequestError(400, "not_finite", "a number is too large for a float: give a number within range")
    return value


def _check_text(value: Any) -> None:
    r"""JSON's \ud800 alone is no character: nothing can encode it as UTF-8."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise RequestError(400, "lone_surrogate", "a text holds half a surrogate pair: send whole characters") from exc
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
