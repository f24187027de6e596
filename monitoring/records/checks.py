"""What a field of a record may hold: each check gives the value as it is kept, or says what it must be.

It is strict because what passes goes into a database: no name that could be an operator, no number that BSON cannot hold, no time that
dates cannot.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

Value = str | int | float  # a class label or a number
REASONS = ("missing", "not_a_number", "out_of_range", "unknown_category", "unknown_feature", "too_old", "schema")
LONGEST_TEXT = 200  # characters
MOST_FEATURES = 1000
YEARS = (1900, 2199)  # wide enough for any stream, and far from the ends of what dates can hold
INT64 = 2**63  # numbers outside -INT64..INT64-1 do not fit into BSON

_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,50}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def time_text(when: datetime) -> str:
    """A time as records hold it: RFC 3339 in UTC, cut to milliseconds.

    >>> time_text(datetime(2020, 4, 1, 7, 30, tzinfo=UTC))
    '2020-04-01T07:30:00.000Z'
    """
    when = when.astimezone(UTC)
    return f"{when.isoformat(timespec='milliseconds')[:-6]}Z"


def is_number(value: object) -> bool:
    """Whether a record may hold the value as a number: finite, no bool, and within what BSON holds."""
    try:
        _number(value)
    except FieldError:
        return False
    return True


class FieldError(ValueError):
    """What a field must be."""


def _id(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise FieldError("must be 1 to 100 characters of A-Z a-z 0-9 . _ : -")
    return value


def _stream(value: object) -> str:
    if not isinstance(value, str) or not _STREAM.fullmatch(value):
        raise FieldError("must be 1 to 50 characters of A-Z a-z 0-9 _ -")
    return value


def _time(value: object) -> str:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise FieldError("must be an RFC 3339 time with its offset, as 2020-04-01T07:30:00.000Z")
    try:
        when = parsed(value)
    except (ValueError, OverflowError):
        raise FieldError("is no time that exists") from None
    if not YEARS[0] <= when.year <= YEARS[1]:
        raise FieldError(f"must lie in the years {YEARS[0]} to {YEARS[1]}")
    return time_text(when)


def parsed(text: str) -> datetime:
    """The time of a text that passed the check, in UTC."""
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or value[:1] == "$" or _CONTROL.search(value):
        raise FieldError(f"must be a text of at most {LONGEST_TEXT} characters without control characters, not starting with $")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or value[0] == "$" or "." in value or _CONTROL.search(value):
        raise FieldError(f"must have names of 1 to {LONGEST_TEXT} characters without dots and control characters, not starting with $")
    return value


def _number(value: object) -> float:
    if isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise FieldError("must be a finite number")


def _value(value: object) -> Value:
    if isinstance(value, str):
        return _text(value)
    try:
        return _number(value)
    except FieldError:
        raise FieldError("must be a text or a finite number") from None


def _share(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise FieldError("must be in 0..1")
    return number


def _features(value: object) -> dict[str, float | None]:
    if not isinstance(value, Mapping) or len(value) > MOST_FEATURES:
        raise FieldError(f"must be an object of at most {MOST_FEATURES} numbers or nulls")
    return {_name(name): None if number is None else _number(number) for name, number in value.items()}


def _shares(value: object) -> list[float]:
    if not isinstance(value, list) or len(value) > MOST_FEATURES:
        raise FieldError(f"must be null or a list of at most {MOST_FEATURES} numbers in 0..1")
    return [_share(one) for one in value]


def _latency(value: object) -> float:
    number = _number(value)
    if number < 0:
        raise FieldError("must be at least 0")
    return number


def _reason(value: object) -> str:
    if value not in REASONS:
        raise FieldError(f"must be one of {', '.join(REASONS)}")
    return str(value)


CHECKS: Final[dict[str, Any]] = {
    "id": _id,
    "stream": _stream,
    "time": _time,
    "served_at": _time,
    "labelled_at": _time,
    "model": _text,
    "version": _text,
    "features": _features,
    "prediction": _value,
    "probability": lambda value: None if value is None else _share(value),
    "probabilities": lambda value: None if value is None else _shares(value),
    "baseline": lambda value: None if value is None else _value(value),
    "fallback": _text,
    "latency_ms": _latency,
    "label": _value,
    "reason": _reason,
}
