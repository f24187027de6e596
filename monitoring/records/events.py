"""The records that a prediction service writes, and what may stand in them.

    prediction   a row, what the model said to it, and what the fallback would have said
    label        the truth about an earlier prediction, by its id
    rejected     a row that was refused, and why, in a fixed few words

A record is a JSON object whose `kind` says which of the three it is. The dataclasses below are the same with
checked contents: `from_json` refuses whatever a database could take for more than a name or a value ($ at the
start, dots in names, NUL, lone surrogates), and every number that is not finite.

>>> label = from_json({"kind": "label", "id": "a1", "stream": "elec", "label": 1, "labelled_at": "2020-04-01T07:30:00.000Z"})
>>> label.key, label.label
('elec/a1', 1)
>>> from_json(label.as_json()) == label
True
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

from driftloop.errors import DataError
from monitoring.records.checks import CHECKS, FieldError, Value, parsed, time_text


@dataclass(frozen=True)
class _Event:
    """What all records share."""

    kind: ClassVar[str]

    id: str  # 1..100 of [A-Za-z0-9._:-], unique within its stream
    stream: str  # 1..50 of [A-Za-z0-9_-]

    @property
    def key(self) -> str:
        """The document's `_id` in MongoDB: the same record always has the same."""
        return f"{self.stream}/{self.id}"

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {"kind": self.kind, **{name: getattr(self, name) for name in _NAMES[self.kind]}}


@dataclass(frozen=True)
class Prediction(_Event):
    """A row that was answered. Times are RFC 3339 in UTC with milliseconds, as `time_text` writes them."""

    kind = "prediction"

    time: str  # of the row; `served_at` when the row has none
    served_at: str
    model: str  # registered name
    version: str
    features: dict[str, float | None]
    prediction: Value
    probability: float | None  # of the predicted class; None for a number and for the fallback
    probabilities: list[float] | None  # in the order of the stream's labels
    baseline: Value | None  # what the fallback predicts for this row
    fallback: str  # "", or why the fallback answered
    latency_ms: float


@dataclass(frozen=True)
class Label(_Event):
    """The truth about the prediction with this id."""

    kind = "label"

    label: Value
    labelled_at: str


@dataclass(frozen=True)
class Rejected(_Event):
    """A row that was refused; `reason` is one of REASONS. Records of earlier versions lack the last two fields."""

    kind = "rejected"

    served_at: str
    reason: str
    time: str = ""  # of the row; `served_at` when the row has none that can be read
    features: dict[str, float | None] = field(default_factory=dict)  # the stream's own that hold a finite number, possible or not

    def __post_init__(self) -> None:
        if not self.time:
            object.__setattr__(self, "time", self.served_at)


Record = Prediction | Label | Rejected
_KINDS: dict[str, type[Record]] = {made.kind: made for made in (Prediction, Label, Rejected)}
_NAMES = {kind: tuple(field.name for field in fields(made)) for kind, made in _KINDS.items()}


def from_json(value: object) -> Record:
    """The record that a JSON object holds.

    Raises:
        DataError: it is none of the three kinds, a field is missing or unknown, or holds what it must not.

    >>> from_json({"kind": "label", "id": "a", "stream": "elec", "label": {"$gt": ""}, "labelled_at": "2020-04-01T07:30:00.000Z"})
    Traceback (most recent call last):
    ...
    driftloop.errors.DataError: record 'a': label must be a text or a finite number
    """
    if not isinstance(value, Mapping):
        raise DataError("a record must be a JSON object")
    kind = value.get("kind")
    made = _KINDS.get(kind) if isinstance(kind, str) else None
    if made is None:
        raise DataError(f"a record's kind must be one of {', '.join(_KINDS)}")
    known = _NAMES[made.kind]
    if made is Rejected:
        value = {"time": value.get("served_at"), "features": {}, **value}
    if len(value) != len(known) + 1 or not all(name in value for name in known):
        missing, unknown = set(known) - set(value), set(value) - set(known) - {"kind"}
        raise DataError(f"record of kind {made.kind}: missing {_listed(missing)}; unknown {_listed(unknown)}")
    try:
        return made(**{name: CHECKS[name](value[name]) for name in known})
    except FieldError:
        raise DataError(_complaint(value, known)) from None


def check_id(value: object) -> str:
    """The id, if it may be one.

    Raises:
        DataError: it is not 1 to 100 characters of letters, digits, dot, underscore, colon and hyphen.
    """
    return _checked("id", value)


def new_id() -> str:
    """An id for a row that came without one: 32 hexadecimal digits at random."""
    return uuid.uuid4().hex


def key_of(stream: str, id: str) -> str:
    """The `_id` of a record's document.

    >>> key_of("elec", "a1")
    'elec/a1'
    """
    return f"{stream}/{id}"


def now() -> str:
    """The time, as records hold it."""
    return time_text(datetime.now(UTC))


def parse_time(text: object) -> datetime:
    """The time that an RFC 3339 text names, in UTC; it must say its offset.

    Raises:
        DataError: it is no such text, or no such time.

    >>> time_text(parse_time("2020-04-01T09:30:00+02:00"))
    '2020-04-01T07:30:00.000Z'
    """
    return parsed(_checked("time", text))


def _checked(name: str, value: object) -> Any:
    try:
        return CHECKS[name](value)
    except FieldError as exc:
        raise DataError(f"{name} {exc}") from None


def _complaint(value: Mapping[str, object], known: tuple[str, ...]) -> str:
    for name in known:
        try:
            CHECKS[name](value[name])
        except FieldError as exc:
            return f"record {value['id']!a:.110}: {name} {exc}"
    raise AssertionError("a field that was refused is now accepted")


def _listed(names: set[Any]) -> str:
    return ", ".join(sorted(f"{name!a:.50}" for name in names)[:5]) or "nothing"
