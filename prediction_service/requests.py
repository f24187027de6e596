"""Validates requests against the stream's settings (the fault of a value: `monitoring/features.py`), and returns frozen values.

    one row      {"stream": "elec", "id": "a1", "time": "2020-04-01T07:30:00Z", "features": {"period": 0.5, ...}}
    a list       [row, row, ...]
    with context {"stream": "elec", "rows": [row, ...], "context": [features, ...]}

`stream` is optional where only one is served, `id` and `time` always. Rows are in time order; `context` holds the
features of the rows just before them, for models with a history. One bad row makes the whole request fail.

Of a stream that takes values as they are (`StreamConfig.described`) features that its model does not know are ignored, and all that it knows
must be there, null where missing: a name that is misspelt would otherwise be a missing value.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from monitoring.features import Feature, Given
from monitoring.http.answers import RequestError
from monitoring.records import checks, events
from monitoring.stream_settings import StreamConfig

EARLIEST, LATEST = "1970-01-01T00:00:00.000Z", "2200-01-01T00:00:00.000Z"  # the range that every tool downstream supports
LARGEST_NUMBER: Final = 1e12  # of a label, so that no sum of errors overflows
KEYS: Final = {
    "row": '{"features": {...}}, optionally with id, stream and time',
    "label": '{"id": ..., "label": ...}, optionally with stream',
    "features": "{kind} by name",
}
MESSAGES = {
    "not_a_number": "is not a number: give one",
    "not_a_text": f"is not a text of at most {checks.LONGEST_TEXT} characters: give one",
    "not_a_boolean": "is not true or false: give one",
    "out_of_range": "is out of range",
    "unknown_category": "is not a whole number within the known categories",
}

Features = Mapping[str, Given]


@dataclass(frozen=True)
class RequestRow:
    """One row to predict; `time` is "" when the row has none."""

    id: str
    time: str
    features: Features


@dataclass(frozen=True)
class PredictRequest:
    """What to predict, in time order; `single` if the body was one row, not a list."""

    stream: StreamConfig
    rows: tuple[RequestRow, ...]
    context: tuple[Features, ...]
    single: bool


@dataclass(frozen=True)
class LabelRequest:
    """Labels of earlier predictions, as (id, label) pairs."""

    stream: StreamConfig
    labels: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class BadRow:
    """A refused row: its id (a new one if its own is invalid), one of the log's fixed reasons, and what can be logged of it."""

    id: str
    reason: str
    time: str  # "" without a valid one
    features: Features  # those of the stream that can be logged, in its range or not


class RowsError(RequestError):
    """A request refused because of these bad rows."""

    def __init__(self, stream: StreamConfig, bad: list[BadRow], *, code: str, message: str) -> None:
        super().__init__(422, code, message)
        self.stream, self.bad = stream, tuple(bad)


def read_predict(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> PredictRequest:
    """The rows of a request.

    Raises:
        RequestError: 422, 409 for a duplicate id, 413 for more than `max_rows` rows; a `RowsError` where rows are to blame.
    """
    context: Any = []
    if isinstance(body, list):
        given = body
        stream = _stream(body[0] if body and isinstance(body[0], dict) else {}, streams)
    elif not isinstance(body, dict):
        raise _schema("the body is neither a row nor a list of rows")
    elif "rows" in body:
        _only(body, "context", "rows", "stream")
        stream, given, context = _stream(body, streams), body["rows"], body.get("context", [])
    else:
        stream, given = _stream(body, streams), [body]
    if not isinstance(given, list) or not given:
        raise _schema("there are no rows: give at least one")
    if not isinstance(context, list):
        raise _schema("context is not a list: give the features of the preceding rows")
    if max(len(given), len(context)) > max_rows:
        raise RequestError(413, "too_many_rows", f"{max(len(given), len(context))} rows; at most {max_rows} fit in a request: send several requests")
    rows = tuple(
        RequestRow(one.get("id") or events.new_id(), one.get("time", ""), _in_order(one["features"], stream)) for one in _checked(given, stream, "row")
    )
    before = tuple(_in_order(one, stream) for one in _checked(context, stream, "context row"))
    if len({row.id for row in rows}) < len(rows):
        raise RequestError(409, "duplicate_id", "two rows have the same id: give each its own, or none")
    return PredictRequest(stream, rows, before, single=isinstance(body, dict) and "rows" not in body)


def read_labels(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> LabelRequest:
    """The labels of a request: one {"id", "label"} or {"labels": [...]}, each with the stream where several are served.

    Raises:
        RequestError: 422, 409 for a duplicate id, 413 for more than `max_rows` labels.
    """
    if not isinstance(body, dict):
        raise _schema('the body is not an object: send {"labels": [{"id": ..., "label": ...}]}')
    if "labels" in body:
        _only(body, "labels", "stream")
    given, stream = body.get("labels", [body]), _stream(body, streams)
    if not isinstance(given, list) or not given:
        raise _schema("there are no labels: give at least one")
    if len(given) > max_rows:
        raise RequestError(413, "too_many_rows", f"{len(given)} labels; at most {max_rows} fit in a request: send several requests")
    labels = {one["id"]: one["label"] for one in _checked(given, stream, "label")}
    if len(labels) < len(given):
        raise RequestError(409, "duplicate_id", "two labels have the same id: give each once")
    return LabelRequest(stream, tuple(labels.items()))


def _in_order(features: Features, stream: StreamConfig) -> Features:
    """All features in the model's order, in which validation returns them; an absent optional one is None."""
    return features if len(features) == len(stream.features) else {name: features.get(name) for name in stream.feature_names}


def _checked(given: list[Any], stream: StreamConfig, what: str) -> list[dict[str, Any]]:
    """The validated items.

    Raises:
        RequestError: names the first bad one; for rows a `RowsError` with all of them.
    """
    try:
        return _forms(stream)[what].validate_python(given)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False)
    faults: dict[Any, tuple[str, str]] = {}  # by place: a reason as a fixed word, and a sentence
    for error in errors:
        at = error["loc"][0]
        if at not in faults or faults[at][0] != "schema":  # faults of keys come before faults of values
            fault = _fault(error, stream, what)
            if at not in faults or fault[0] == "schema":
                faults[at] = fault
    at, (code, words) = next(iter(faults.items()))
    if what != "row":
        raise RequestError(422, code, f"{what} {at}: {words}")
    raise RowsError(stream, [_bad(given[at], reason, stream) for at, (reason, _) in faults.items()], code=code, message=f"row {at}: {words}")


def _fault(error: ErrorDetails, stream: StreamConfig, what: str) -> tuple[str, str]:
    kind, inside = error["type"], [*(["features"] if what == "context row" else []), *map(str, error["loc"][1:])]
    if kind == "extra_forbidden":
        it, known = ("feature", ", ".join(stream.feature_names)) if len(inside) > 1 else ("key", KEYS[what])
        return "schema", f"unknown {it} {_shown(inside[-1])}: give {known}"
    if len(inside) > 1:
        feature = next(one for one in stream.features if one.name == inside[1])
        reason, words = _fault_of(feature, None if kind == "missing" else error["input"])
        return reason, f"feature {feature.name} {words}"
    if kind in {"missing", "dict_type"}:
        wanted = KEYS.get("".join(inside) or what, "it").replace("{kind}", "values" if any(one.texts or one.boolean for one in stream.features) else "numbers")
        return "schema", f"{'.'.join(inside) or 'it'} is {'missing' if kind == 'missing' else 'not an object'}: give {wanted}"
    if kind == "literal_error":
        return "schema", "its stream is not the request's: send one request per stream"
    return ("label", error["msg"]) if kind == "label" else ("schema", f"{inside[0]} {error['msg']}")


def _fault_of(feature: Feature, value: Any) -> tuple[str, str]:
    if value is None:
        kind = "a text" if feature.texts else "true or false" if feature.boolean else "a number"
        return "missing", f"is missing: give {kind if feature.required else 'it, null where it has no value'}"
    reason = feature.fault(value)
    limited = reason in {"out_of_range", "unknown_category"} and math.isfinite(feature.low)
    return reason, f"{MESSAGES[reason]}{f' {feature.low:g}..{feature.high:g}' if limited else ''}"


def _bad(one: Any, reason: str, stream: StreamConfig) -> BadRow:
    given: dict[str, Any] = one if isinstance(one, dict) else {}
    features = given.get("features")
    usable = {one.name: features[one.name] for one in stream.features if _can_be_logged(one, features.get(one.name))} if isinstance(features, dict) else {}
    return BadRow(_usable(_IDS, given.get("id")) or events.new_id(), reason, _usable(_TIMES, given.get("time")), usable)


def _can_be_logged(feature: Feature, value: Any) -> bool:
    return checks.is_number(value) or (feature.described and value is not None and not feature.fault(value))


def _usable(check: SchemaValidator, value: Any) -> str:
    try:
        return check.validate_python(value)
    except ValidationError:
        return ""


@functools.cache
def _forms(stream: StreamConfig) -> dict[str, SchemaValidator]:
    """Validators for lists of rows, context rows and labels; they return times and labels as they are logged."""
    optional = [one.name for one in stream.features if not one.required and not stream.described]
    features = _object({feature.name: _value(feature) for feature in stream.features}, optional=optional, more=stream.described)
    named = {"stream": schema.literal_schema([stream.name])}
    row = _object({**named, "id": _ID, "time": _TIME, "features": features}, optional=["stream", "id", "time"])
    label = _object({**named, "id": _ID, "label": schema.no_info_plain_validator_function(functools.partial(_label, stream))}, optional=["stream"])
    return {what: SchemaValidator(schema.list_schema(form)) for what, form in (("row", row), ("context row", features), ("label", label))}


def _object(fields: dict[str, CoreSchema], *, optional: list[str], more: bool = False) -> CoreSchema:
    keys = {name: schema.typed_dict_field(check, required=name not in optional) for name, check in fields.items()}
    return schema.typed_dict_schema(keys, extra_behavior="ignore" if more else "forbid", strict=True)


def _value(feature: Feature) -> CoreSchema:
    value = _TEXT if feature.texts else _BOOLEAN if feature.boolean else _number(feature)
    return value if feature.required else schema.nullable_schema(value)


def _number(feature: Feature) -> CoreSchema:
    low, high = feature.limits
    lowest, highest = (edge if math.isfinite(edge) else None for edge in (low, high))
    number: CoreSchema = schema.float_schema(strict=True, allow_inf_nan=False, ge=lowest, le=highest)
    return schema.no_info_after_validator_function(_whole, number) if feature.categorical else number


def _whole(number: float) -> float:
    if not number.is_integer():
        raise ValueError("not a whole number")
    return number


def _zero_or_one(number: float) -> float:
    if number not in {0, 1}:
        raise ValueError("not true or false")
    return number


def _in_reach(time: str) -> str:
    if not EARLIEST <= time < LATEST:
        raise PydanticCustomError("time", f"must lie in the years {EARLIEST[:4]} to {int(LATEST[:4]) - 1}")
    return time


def _label(stream: StreamConfig, value: Any) -> Any:
    """The label as it is logged: a class in the stream's own form, so that 1.0 becomes 1."""
    if stream.task == "regression":
        if type(value) not in {int, float} or not abs(value) <= LARGEST_NUMBER:
            raise PydanticCustomError("label", f"{_shown(value)} is not a number within ±{LARGEST_NUMBER:g}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value not in stream.labels:
        raise PydanticCustomError("label", f"{_shown(value)} is not a label of this stream: {', '.join(map(str, stream.labels))}")
    return stream.labels[stream.labels.index(value)]


def _stream(body: Mapping[str, Any], streams: Mapping[str, StreamConfig]) -> StreamConfig:
    if "stream" not in body and len(streams) == 1:
        return next(iter(streams.values()))
    name = body.get("stream")
    if not isinstance(name, str) or name not in streams:
        raise RequestError(422, "unknown_stream", f"stream is missing or not served here: give one of {', '.join(streams)}")
    return streams[name]


def _only(body: Mapping[str, Any], *known: str) -> None:
    unknown = body.keys() - known
    if unknown:
        raise _schema(f"unknown key {_shown(min(unknown))} in the body: give only {', '.join(known)}")


def _schema(message: str) -> RequestError:
    return RequestError(422, "schema", message)


def _shown(value: Any) -> str:
    """The value, short and in ASCII."""
    if isinstance(value, str):
        return ascii(value if len(value) <= 60 else value[:57] + "...")
    return f"{value!r:.60}" if isinstance(value, int | float) else "null, a list or an object"


_ID: Final = TypeAdapter(checks.Id).core_schema
_TIME: Final = schema.no_info_after_validator_function(_in_reach, TypeAdapter(checks.Time).core_schema)
_FINITE: Final = schema.float_schema(strict=True, allow_inf_nan=False)
_BOOLEAN: Final = schema.union_schema([schema.bool_schema(strict=True), schema.no_info_after_validator_function(_zero_or_one, _FINITE)], mode="left_to_right")
_TEXT: Final = schema.union_schema(  # a whole number stays one: as a text it has no decimal point
    [
        schema.str_schema(strict=True, max_length=checks.LONGEST_TEXT),
        schema.bool_schema(strict=True),
        schema.int_schema(strict=True, ge=-checks.INT64, lt=checks.INT64),
        _FINITE,
    ],
    mode="left_to_right",
)
_IDS, _TIMES = SchemaValidator(_ID), SchemaValidator(_TIME)
