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
from typing import Any

from driftloop.errors import DataError
from monitoring.http.answers import RequestError
from monitoring.records import checks, events
from monitoring.stream_settings import StreamConfig

EARLIEST, LATEST = "1970-01-01T00:00:00.000Z", "2200-01-01T00:00:00.000Z"  # what every tool downstream can hold
LARGEST_NUMBER = 1e12  # of a label, so that no sum of errors overflows
ROW_KEYS = frozenset({"stream", "id", "time", "features"})
BATCH_KEYS = frozenset({"stream", "rows", "context"})
LABEL_KEYS = frozenset({"stream", "id", "label"})
LABELS_KEYS = frozenset({"stream", "labels"})
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


class _FaultError(ValueError):
    """What is wrong with a row: the reason as a fixed word, and in words."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


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
        _only(body, BATCH_KEYS, "the body")
        stream, given, context = _stream(body, streams), body["rows"], body.get("context", [])
    else:
        stream, given = _stream(body, streams), [body]
    if not isinstance(given, list) or not given:
        raise _schema("there are no rows: give one or more")
    if not isinstance(context, list):
        raise _schema("context is not a list: give the features of the rows before")
    if max(len(given), len(context)) > max_rows:
        raise RequestError(413, "too_many_rows", f"{max(len(given), len(context))} rows, at most {max_rows} a request: send them in parts")
    rows = _rows(given, stream)
    if len({row.id for row in rows}) < len(rows):
        raise RequestError(409, "duplicate_id", "two rows have the same id: give each its own, or none")
    return PredictRequest(stream, rows, _context(context, stream), single=isinstance(body, dict) and "rows" not in body)


def read_labels(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> LabelRequest:
    """The labels of a request: one {"id", "label"} or {"labels": [...]}, each with the stream where several are served.

    Raises:
        RequestError: 422, 409 for an id that is given twice, 413 for more than `max_rows` labels.
    """
    if not isinstance(body, dict):
        raise _schema('the body is no object: send {"labels": [{"id": ..., "label": ...}]}')
    given = body.get("labels", [body])
    if "labels" in body:
        _only(body, LABELS_KEYS, "the body")
    stream = _stream(body, streams)
    if not isinstance(given, list) or not given:
        raise _schema("there are no labels: give one or more")
    if len(given) > max_rows:
        raise RequestError(413, "too_many_rows", f"{len(given)} labels, at most {max_rows} a request: send them in parts")
    labels: dict[str, Any] = {}
    for at, one in enumerate(given):
        if not isinstance(one, dict) or not {"id", "label"} <= one.keys():
            raise _schema(f'label {at} is not {{"id": ..., "label": ...}}')
        _only(one, LABEL_KEYS, f"label {at}")
        _same_stream(one, stream, f"label {at}")
        try:
            name = events.check_id(one["id"])
        except DataError as exc:
            raise _schema(f"label {at}: {exc}") from exc
        if name in labels:
            raise RequestError(409, "duplicate_id", f"label {at}: its id is given twice: give each once")
        labels[name] = _label(one["label"], stream, f"label {at}")
    return LabelRequest(stream, tuple(labels.items()))


def _rows(given: list[Any], stream: StreamConfig) -> tuple[Row, ...]:
    rows, bad, first = [], [], None
    for at, one in enumerate(given):
        try:
            rows.append(_row(one, stream))
        except _FaultError as exc:
            first = first or (exc.reason, f"row {at}: {exc}")
            bad.append(BadRow(_usable_id(one), exc.reason, _usable_time(one), _usable_features(one, stream)))
    if first:
        raise RowsError(stream, bad, code=first[0], message=first[1])
    return tuple(rows)


def _row(one: Any, stream: StreamConfig) -> Row:
    if not isinstance(one, dict) or "features" not in one:
        raise _FaultError("schema", 'it is not an object with "features"')
    try:
        _only(one, ROW_KEYS, "it")
        _same_stream(one, stream, "it")
        name = events.check_id(one["id"]) if "id" in one else events.new_id()
        time = events.time_text(events.parse_time(one["time"])) if "time" in one else ""
    except (DataError, RequestError, ValueError, OverflowError) as exc:
        raise _FaultError("schema", str(exc)) from exc
    if time and not EARLIEST <= time < LATEST:
        raise _FaultError("schema", f"its time is not in {EARLIEST[:4]} to {LATEST[:4]}")
    return Row(name, time, _features(one["features"], stream))


def _features(given: Any, stream: StreamConfig) -> Features:
    """All features in the model's order; an optional one that is absent is None."""
    if not isinstance(given, dict):
        raise _FaultError("schema", "features is no object of numbers by name")
    unknown = given.keys() - set(stream.feature_names)
    if unknown:
        raise _FaultError("schema", f"unknown feature {_shown(min(unknown))}: give {', '.join(stream.feature_names)}")
    for feature in stream.features:
        reason = feature.fault(given.get(feature.name))
        if reason:
            limits = f" {feature.low:g}..{feature.high:g}" if reason in {"out_of_range", "unknown_category"} else ""
            raise _FaultError(reason, f"feature {feature.name} {MESSAGES[reason]}{limits}")
    return {name: given.get(name) for name in stream.feature_names}


def _context(given: list[Any], stream: StreamConfig) -> tuple[Features, ...]:
    found = []
    for at, one in enumerate(given):
        try:
            found.append(_features(one, stream))
        except _FaultError as exc:
            raise RequestError(422, exc.reason, f"context row {at}: {exc}") from exc
    return tuple(found)


def _label(value: Any, stream: StreamConfig, where: str) -> Any:
    if stream.task == "regression":
        if type(value) not in {int, float} or abs(value) > LARGEST_NUMBER:
            raise RequestError(422, "label", f"{where}: {_given(value)} is not a number within ±{LARGEST_NUMBER:g}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value not in stream.labels:
        raise RequestError(422, "label", f"{where}: {_given(value)} is not a label of this stream: {', '.join(map(str, stream.labels))}")
    return stream.labels[stream.labels.index(value)]  # 1.0 is logged as the 1 it stands for


def _stream(body: Mapping[str, Any], streams: Mapping[str, StreamConfig]) -> StreamConfig:
    if "stream" not in body and len(streams) == 1:
        return next(iter(streams.values()))
    name = body.get("stream")
    if not isinstance(name, str) or name not in streams:
        raise RequestError(422, "unknown_stream", f"stream is not given or not served here: give one of {', '.join(streams)}")
    return streams[name]


def _same_stream(one: Mapping[str, Any], stream: StreamConfig, where: str) -> None:
    if one.get("stream", stream.name) != stream.name:
        raise _schema(f"{where} is of another stream than the request: send each stream by itself")


def _only(body: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = body.keys() - known
    if unknown:
        raise _schema(f"{where} has unknown key {_shown(min(unknown))}: known are {', '.join(sorted(known))}")


def _usable_id(one: Any) -> str:
    try:
        return events.check_id(one.get("id") if isinstance(one, dict) else None)
    except DataError:
        return events.new_id()


def _usable_time(one: Any) -> str:
    try:
        time = events.time_text(events.parse_time(one.get("time") if isinstance(one, dict) else None))
    except (DataError, ValueError, OverflowError):
        return ""
    return time if EARLIEST <= time < LATEST else ""


def _usable_features(one: Any, stream: StreamConfig) -> Features:
    given = one.get("features") if isinstance(one, dict) else None
    return {name: given[name] for name in stream.feature_names if name in given and checks.is_number(given[name])} if isinstance(given, dict) else {}


def _schema(message: str) -> RequestError:
    return RequestError(422, "schema", message)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def _given(value: Any) -> str:
    if isinstance(value, str):
        return _shown(value)
    return f"{value!r:.60}" if isinstance(value, int | float) else "null, a list or an object"
