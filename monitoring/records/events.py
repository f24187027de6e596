"""The records of a prediction service, and their valid contents.

    prediction   a row, the model's answer, and the fallback's
    label        the truth about an earlier prediction, by its id
    rejected     a rejected row, with a reason code

A record is a JSON object whose `kind` is one of the three. The dataclasses below have the same fields,
validated: `from_json` rejects whatever a database could interpret (leading $, dots in names, NUL, lone
surrogates), and every number that is not finite.

>>> label = from_json({"kind": "label", "id": "a1", "stream": "elec", "label": 1, "labelled_at": "2020-04-01T07:30:00.000Z"})
>>> label.key, label.label
('elec/a1', 1)
>>> from_json(label.as_json()) == label
True
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from driftloop.errors import DataError
from monitoring.records.checks import EXACT, Answer, Features, Id, Milliseconds, Reason, Share, Shares, StreamName, Text, Time, moment, time_text


@dataclass(frozen=True)
class _Event:
    """What all records share."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    kind: str = field(default="", kw_only=True)
    id: Id  # unique within its stream
    stream: StreamName

    @property
    def key(self) -> str:
        """The document's `_id` in MongoDB: the same for the same record."""
        return f"{self.stream}/{self.id}"

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {"kind": self.kind, **vars(self)}


@dataclass(frozen=True)
class Prediction(_Event):
    """An answered row. Times are RFC 3339 in UTC with milliseconds, as `time_text` writes them."""

    kind: Literal["prediction"] = field(default="prediction", kw_only=True)
    time: Time  # of the row; `served_at` when the row has none
    served_at: Time
    model: Text  # registered name
    version: Text
    features: Features
    prediction: Answer
    probability: Share | None  # of the predicted class; None for a number and for the fallback
    probabilities: Shares | None  # in the order of the stream's labels
    baseline: Answer | None  # what the fallback predicts for this row
    fallback: Text  # "", or why the fallback answered
    latency_ms: Milliseconds


@dataclass(frozen=True)
class Label(_Event):
    """The truth about the prediction with this id."""

    kind: Literal["label"] = field(default="label", kw_only=True)
    label: Answer
    labelled_at: Time


@dataclass(frozen=True)
class Rejected(_Event):
    """A rejected row. Records of earlier versions lack the last two fields."""

    kind: Literal["rejected"] = field(default="rejected", kw_only=True)
    served_at: Time
    reason: Reason
    time: Time = ""  # of the row; `served_at` when the row has no readable one
    features: Features = field(default_factory=dict)  # the stream's features with a value that a record may hold, possible or not

    def __post_init__(self) -> None:
        if not self.time:
            object.__setattr__(self, "time", self.served_at)


Record = Prediction | Label | Rejected
_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])
_FIELDS = {made.kind: {one.name for one in fields(made)} for made in (Prediction, Label, Rejected)}


def from_json(value: object) -> Record:
    """The record of a JSON object.

    Raises:
        DataError: unknown kind, or a missing, unknown or invalid field.

    >>> from_json({"kind": "label", "id": "a", "stream": "elec", "label": {"$gt": ""}, "labelled_at": "2020-04-01T07:30:00.000Z"})
    Traceback (most recent call last):
    ...
    driftloop.errors.DataError: record 'a': label must be a text or a finite number
    """
    if not isinstance(value, Mapping):
        raise DataError("a record must be a JSON object")
    try:
        return _RECORD.validate_python(value)
    except ValidationError as exc:
        raise DataError(_complaint(value, exc)) from None


def new_id() -> str:
    """A random id for a row without one: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def now() -> str:
    """The current time in records' format."""
    return time_text(datetime.now(UTC))


def parse_time(text: object) -> datetime:
    """The time of an RFC 3339 text with an offset, in UTC.

    Raises:
        DataError: invalid text or time.

    >>> time_text(parse_time("2020-04-01T09:30:00+02:00"))
    '2020-04-01T07:30:00.000Z'
    """
    try:
        return moment(text)
    except ValueError as exc:
        raise DataError(f"time {exc}") from None


def _complaint(value: Mapping[Any, object], refused: ValidationError) -> str:
    """The error in one line: missing or unknown fields, else the first invalid one."""
    errors = refused.errors(include_url=False, include_input=False, include_context=False)
    kind = next((kind for kind in _FIELDS if errors[0]["loc"][:1] == (kind,)), None)
    if kind is None:
        return f"a record's kind must be one of {', '.join(_FIELDS)}"
    missing, unknown = [error["loc"][1] for error in errors if error["type"] == "missing"], value.keys() - _FIELDS[kind]
    if missing or unknown:
        return f"record of kind {kind}: missing {_listed(missing)}; unknown {_listed(unknown)}"
    return f"record {value['id']!a:.110}: {errors[0]['loc'][1]} {errors[0]['msg']}"


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(f"{name!a:.50}" for name in names)[:5]) or "nothing"
