"""The field types of records, validated by pydantic; `Must` gives their error messages.

Strict because valid records go into a database: no name that could be an operator, no number or time outside
BSON's range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

REASONS: Final = ("missing", "not_a_number", "not_a_text", "not_a_boolean", "out_of_range", "unknown_category", "unknown_feature", "too_old", "schema")
LONGEST_TEXT: Final = 200  # characters
MOST_FEATURES: Final = 1000
YEARS: Final = (1900, 2199)  # wide enough for any stream, and well within the range of dates
INT64: Final = 2**63  # numbers outside -INT64..INT64-1 do not fit into BSON
SUM_OFF: Final = 1e-3  # tolerance of a sum of probabilities around 1
EXACT: Final = ConfigDict(extra="forbid", allow_inf_nan=False)  # no unknown field, no nan

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_AS_KEPT: Final = len("2020-04-01T07:30:00.000Z")
_CONTROL: Final = r"\x00-\x1f\x7f"  # control characters; pydantic itself refuses lone surrogates


@dataclass(frozen=True)
class Must:
    """Annotation of a type: replaces pydantic's error message with "must be …"."""

    be: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """The type's check with this message."""
        return core_schema.custom_error_schema(handler(source), "must", custom_error_message=f"must be {self.be}")


def time_text(when: datetime) -> str:
    """A time in records' format: RFC 3339 in UTC, truncated to milliseconds.

    >>> time_text(datetime(2020, 4, 1, 7, 30, tzinfo=UTC))
    '2020-04-01T07:30:00.000Z'
    """
    return f"{when.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def moment(text: object) -> datetime:
    """The time of an RFC 3339 text, in UTC.

    Raises:
        ValueError: invalid text, nonexistent time, or outside YEARS.
    """
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("not RFC 3339")
    try:
        when = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("no date can hold it") from exc
    if not YEARS[0] <= when.year <= YEARS[1]:
        raise ValueError("out of range")
    return when


def is_number(value: object) -> bool:
    """Whether the value is valid as a number: finite, not a bool, and within BSON's range."""
    return (type(value) is int and -INT64 <= value < INT64) or (isinstance(value, float) and math.isfinite(value))


def _kept(text: str) -> str:
    when = moment(text)
    return text if len(text) == _AS_KEPT and text[10] == "T" and text[-1] == "Z" else time_text(when)


def _fits(value: object) -> object:
    if type(value) is int and not -INT64 <= value < INT64:
        raise ValueError("BSON cannot hold it")
    return value


_Number = Annotated[float, Strict(), BeforeValidator(_fits)]
_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_Name = Annotated[str, Field(strict=True, max_length=LONGEST_TEXT, pattern=rf"^[^$.{_CONTROL}][^.{_CONTROL}]*$")]
_Text = Annotated[str, Field(strict=True, max_length=LONGEST_TEXT, pattern=rf"^([^${_CONTROL}][^{_CONTROL}]*)?$")]
_Value = Annotated[str, Field(strict=True, max_length=LONGEST_TEXT)] | Annotated[bool, Strict()]  # a text is stored as a value: any may stand in it
_TEXT: Final = f"a text of at most {LONGEST_TEXT} characters without control characters, not starting with $"

Value = str | int | float  # a class label or a number
FeatureName = _Name
Id = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9._:-]{1,100}$"), Must("1 to 100 characters of A-Z a-z 0-9 . _ : -")]
StreamName = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,50}$"), Must("1 to 50 characters of A-Z a-z 0-9 _ -")]
Time = Annotated[
    str, Strict(), AfterValidator(_kept), Must(f"an RFC 3339 time with an offset, years {YEARS[0]} to {YEARS[1]}, such as 2020-04-01T07:30:00.000Z")
]
Text = Annotated[_Text, Must(_TEXT)]
Answer = Annotated[_Text | Annotated[int, Strict()] | _Number, BeforeValidator(_fits), Must("a text or a finite number")]
Share = Annotated[_Share, Must("in 0..1")]
Shares = Annotated[list[_Share], Field(strict=True, max_length=MOST_FEATURES), Must(f"null or a list of at most {MOST_FEATURES} numbers in 0..1")]
Milliseconds = Annotated[float, Field(strict=True, ge=0), Must("a finite number, at least 0")]
Reason = Annotated[str, Field(strict=True, pattern=rf"^({'|'.join(REASONS)})$"), Must(f"one of {', '.join(REASONS)}")]
Features = Annotated[
    dict[_Name, _Number | _Value | None],
    Field(max_length=MOST_FEATURES),
    Must(
        f"numbers, texts of at most {LONGEST_TEXT} characters, true, false or nulls, at most {MOST_FEATURES}, "
        f"under names of 1 to {LONGEST_TEXT} characters without dots and control characters, not starting with $"
    ),
]

LABEL: Final = f"a whole number, or {_TEXT}"
_ANSWER: Final[TypeAdapter[str | int | float]] = TypeAdapter(Answer, config=ConfigDict(allow_inf_nan=False))


def can_be_answer(value: object) -> bool:
    """Whether a record may hold the value as an answer or a label.

    >>> can_be_answer("50k"), can_be_answer("$50k"), can_be_answer(2**63)
    (True, False, False)
    """
    try:
        _ANSWER.validate_python(value)
    except ValidationError:
        return False
    return True
