"""Reads a request's body as strict JSON: what a lenient parser accepts can break later steps."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from flask import request

from monitoring.http.answers import RequestError, read_body

# 18 digits fit into 64 bits, the limit of the log's database.
MAX_INTEGER_CHARACTERS = 19
JSON_TYPE = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)


def read_request() -> Any:
    """The JSON value of the request's body.

    Raises:
        RequestError: 415, the headers do not declare plain JSON in UTF-8; 400, the body is not valid JSON.
        HTTPException: 413, it is over the app's limit.
    """
    if not JSON_TYPE.fullmatch(request.headers.get("Content-Type", "").strip()):
        raise RequestError(415, "content_type", "send the body as Content-Type: application/json, in UTF-8")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise RequestError(415, "content_encoding", "send the body uncompressed, without Content-Encoding")
    return read_json(read_body())


def read_json(body: bytes) -> Any:
    """The JSON value of a body. Rejected: duplicate keys, NaN, Infinity, numbers too large, lone surrogates, deep nesting.

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
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as exc:
        raise RequestError(400, "too_deep", "the body is nested too deeply: send rows as flat objects") from exc
    except UnicodeDecodeError as exc:
        raise RequestError(400, "not_utf8", "the body is not UTF-8 text: send JSON in UTF-8") from exc
    except UnicodeEncodeError as exc:  # JSON's \ud800 alone is not a character
        raise RequestError(400, "lone_surrogate", "a text has a lone surrogate: send whole characters") from exc
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
