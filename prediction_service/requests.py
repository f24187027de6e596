"""Check what a request asks for against the stream's own description, and give it back as frozen values.

    one row      {"stream": "elec", "id": "a1", "time": "2020-04-01T07:30:00Z", "features": {"period": 0.5, ...}}
    a list       [row, row, ...]
    with context {"stream": "elec", "rows": [row, ...], "context": [features, ...]}

`stream` may be left out where one alone is served, `id` and `time` always. Rows stand in time order; `context` holds
the features of the rows just before them, for models with a history. One bad row refuses its whole request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import ErrorDetails, SchemaValidator, ValidationError

from monitoring.http.answers import RequestError
from monitoring.records import checks, events
from monitoring.stream_settings import StreamConfig
from prediction_service import forms

KEYS: Final = {
    "row": '{"features": {...}}, and its id, stream and time where there are any',
    "label": '{"id": ..., "label": ...}, and its stream',
    "features": "numbers by name",
}
MESSAGES = {
    "missing": "is missing: give a number",
    "not_a_number": "is not a number: give one",
    "out_of_range": "is out of range",
    "unknown_category": "is no whole number within the known categories",
}

Features = Mapping[str, float | None]


@dataclass(frozen=True)
class Row:
    """One row to predict; `time` is "" when the row has none."""

    id: str
    time: str
    features: Features


@dataclass(frozen=True)
class PredictRequest:
    """What to predict, in time order; `single` when one row came by itself, not in a list."""

    stream: StreamConfig
    rows: tuple[Row, ...]
    context: tuple[Features, ...]
    single: bool


@dataclass(frozen=True)
class LabelRequest:
    """Labels of earlier predictions, as (id, label) pairs."""

    stream: StreamConfig
    labels: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class BadRow:
    """A refused row: its id (a new one if its own cannot be used), one of the log's fixed reasons, and what of it can be logged."""

    id: str
    reason: str
    time: str  # "" where it has none that can be read
    features: Features  # the stream's own that hold a finite number


class RowsError(RequestError):
    """Rows that were refused, with those that are to blame."""

    def __init__(self, stream: StreamConfig, bad: list[BadRow], *, code: str, message: str) -> None:
        super().__init__(422, code, message)
        self.stream, self.bad = stream, tuple(bad)


def read_predict(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> PredictRequest:
    """The rows of a request.

    Raises:
        RequestError: 422, 409 for an id that is given twice, 413 for more than `max_rows` rows; it is a `RowsError` where rows are to blame.
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
        raise _schema("there are no rows: give one or more")
    if not isinstance(context, list):
        raise _schema("context is not a list: give the features of the rows before")
    if max(len(given), len(context)) > max_rows:
        raise RequestError(413, "too_many_rows", f"{max(len(given), len(context))} rows, at most {max_rows} a request: send them in parts")
    rows, before = _rows(given, stream), _context(context, stream)
    if len({row.id for row in rows}) < len(rows):
        raise RequestError(409, "duplicate_id", "two rows have the same id: give each its own, or none")
    return PredictRequest(stream, rows, before, single=isinstance(body, dict) and "rows" not in body)


def read_labels(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> LabelRequest:
    """The labels of a request: one {"id", "label"} or {"labels": [...]}, each with the stream where several are served.

    Raises:
        RequestError: 422, 409 for an id that is given twice, 413 for more than `max_rows` labels.
    """
    if not isinstance(body, dict):
        raise _schema('the body is no object: send {"labels": [{"id": ..., "label": ...}]}')
    if "labels" in body:
        _only(body, "labels", "stream")
    given, stream = body.get("labels", [body]), _stream(body, streams)
    if not isinstance(given, list) or not given:
        raise _schema("there are no labels: give one or more")
    if len(given) > max_rows:
        raise RequestError(413, "too_many_rows", f"{len(given)} labels, at most {max_rows} a request: send them in parts")
    try:
        labels = {one["id"]: one["label"] for one in forms.of(stream).labels.validate_python(given)}
    except ValidationError as exc:
        raise _first(exc, stream, "label") from None
    if len(labels) < len(given):
        raise RequestError(409, "duplicate_id", "two labels have the same id: give each once")
    return LabelRequest(stream, tuple(labels.items()))


def _rows(given: list[Any], stream: StreamConfig) -> tuple[Row, ...]:
    try:
        found = forms.of(stream).rows.validate_python(given)
    except ValidationError as exc:
        first, faults = _first(exc, stream, "row"), _faults(exc, stream, "row")
        raise RowsError(stream, [_bad(given[at], reason, stream) for at, (reason, _) in faults.items()], code=first.code, message=first.message) from None
    return tuple(Row(one.get("id") or events.new_id(), one.get("time", ""), _in_order(one["features"], stream)) for one in found)


def _context(given: list[Any], stream: StreamConfig) -> tuple[Features, ...]:
    try:
        return tuple(_in_order(one, stream) for one in forms.of(stream).context.validate_python(given))
    except ValidationError as exc:
        raise _first(exc, stream, "context row") from None


def _in_order(features: Features, stream: StreamConfig) -> Features:
    """All features in the model's order, as they come from their check; an optional one that is absent is None."""
    return features if len(features) == len(stream.features) else {name: features.get(name) for name in stream.feature_names}


def _first(refused: ValidationError, stream: StreamConfig, what: str) -> RequestError:
    at, (reason, words) = next(iter(_faults(refused, stream, what).items()))
    return RequestError(422, reason, f"{what} {at}: {words}")


def _faults(refused: ValidationError, stream: StreamConfig, what: str) -> dict[int, tuple[str, str]]:
    """What is wrong with each that is refused: a fixed word and a sentence; of its keys rather than of its values."""
    found: dict[Any, tuple[str, str]] = {}
    for error in refused.errors(include_url=False, include_context=False):
        at, *inside = error["loc"]
        fault = _fault(error, stream, ["features", *inside] if what == "context row" else inside, what)
        if at not in found or (fault[0] == "schema" != found[at][0]):
            found[at] = fault
    return found


def _fault(error: ErrorDetails, stream: StreamConfig, inside: list[Any], what: str) -> tuple[str, str]:
    kind = error["type"]
    if kind == "extra_forbidden":
        it, known = ("feature", ", ".join(stream.feature_names)) if len(inside) > 1 else ("key", KEYS[what])
        return "schema", f"unknown {it} {forms.shown(inside[-1])}: give {known}"
    if len(inside) > 1:
        feature = next(one for one in stream.features if one.name == inside[1])
        reason = feature.fault(None if kind == "missing" else error["input"])
        limits = f" {feature.low:g}..{feature.high:g}" if reason in {"out_of_range", "unknown_category"} else ""
        return reason, f"feature {feature.name} {MESSAGES[reason]}{limits}"
    if kind in {"missing", "dict_type"}:
        return "schema", f"{'.'.join(inside) or 'it'} is {'missing' if kind == 'missing' else 'no object'}: give {KEYS.get(''.join(inside) or what, 'it')}"
    if kind == "literal_error":
        return "schema", "it is of another stream than the request: send each stream by itself"
    return ("label", error["msg"]) if kind == "label" else ("schema", f"{inside[0]} {error['msg']}")


def _bad(one: Any, reason: str, stream: StreamConfig) -> BadRow:
    given: dict[str, Any] = one if isinstance(one, dict) else {}
    features = given.get("features")
    usable = {name: features[name] for name in stream.feature_names if checks.is_number(features.get(name))} if isinstance(features, dict) else {}
    return BadRow(_usable(forms.ID, given.get("id")) or events.new_id(), reason, _usable(forms.TIME, given.get("time")), usable)


def _usable(check: SchemaValidator, value: Any) -> str:
    try:
        return check.validate_python(value)
    except ValidationError:
        return ""


def _stream(body: Mapping[str, Any], streams: Mapping[str, StreamConfig]) -> StreamConfig:
    if "stream" not in body and len(streams) == 1:
        return next(iter(streams.values()))
    name = body.get("stream")
    if not isinstance(name, str) or name not in streams:
        raise RequestError(422, "unknown_stream", f"stream is not given or not served here: give one of {', '.join(streams)}")
    return streams[name]


def _only(body: Mapping[str, Any], *known: str) -> None:
    unknown = body.keys() - known
    if unknown:
        raise _schema(f"the body has unknown key {forms.shown(min(unknown))}: known are {', '.join(known)}")


def _schema(message: str) -> RequestError:
    return RequestError(422, "schema", message)
