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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.http.answers import RequestError
from monitoring.records import events
from monitoring.stream_settings import StreamConfig
from prediction_service.row_forms import Features, checked, shown


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


def read_predict(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> PredictRequest:
    """The rows of a request.

    Raises:
        RequestError: 422, 409 for a duplicate id, 413 for more than `max_rows` rows; a `RowsError` where rows are to blame.
    """
    context: Any = []
    if isinstance(body, list):
        given = body
        stream = stream_of(body[0] if body and isinstance(body[0], dict) else {}, streams)
    elif not isinstance(body, dict):
        raise malformed("the body is neither a row nor a list of rows")
    elif "rows" in body:
        only(body, "context", "rows", "stream")
        stream, given, context = stream_of(body, streams), body["rows"], body.get("context", [])
    else:
        stream, given = stream_of(body, streams), [body]
    if stream.elsewhere:
        told = f"the model of stream {stream.name} is served elsewhere: ask it there, and send its answers to POST /log"
        raise RequestError(422, "served_elsewhere", told)
    if not isinstance(given, list) or not given:
        raise malformed("there are no rows: give at least one")
    if not isinstance(context, list):
        raise malformed("context is not a list: give the features of the preceding rows")
    if max(len(given), len(context)) > max_rows:
        raise RequestError(413, "too_many_rows", f"{max(len(given), len(context))} rows; at most {max_rows} fit in a request: send several requests")
    rows = tuple(RequestRow(one.get("id") or events.new_id(), one.get("time", ""), in_order(one["features"], stream)) for one in checked(given, stream, "row"))
    before = tuple(in_order(one, stream) for one in checked(context, stream, "context row"))
    if len({row.id for row in rows}) < len(rows):
        raise RequestError(409, "duplicate_id", "two rows have the same id: give each its own, or none")
    return PredictRequest(stream, rows, before, single=isinstance(body, dict) and "rows" not in body)


def read_labels(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> LabelRequest:
    """The labels of a request: one {"id", "label"} or {"labels": [...]}, each with the stream where several are served.

    Raises:
        RequestError: 422, 409 for a duplicate id, 413 for more than `max_rows` labels.
    """
    if not isinstance(body, dict):
        raise malformed('the body is not an object: send {"labels": [{"id": ..., "label": ...}]}')
    if "labels" in body:
        only(body, "labels", "stream")
    given, stream = body.get("labels", [body]), stream_of(body, streams)
    if not isinstance(given, list) or not given:
        raise malformed("there are no labels: give at least one")
    if len(given) > max_rows:
        raise RequestError(413, "too_many_rows", f"{len(given)} labels; at most {max_rows} fit in a request: send several requests")
    labels = {one["id"]: one["label"] for one in checked(given, stream, "label")}
    if len(labels) < len(given):
        raise RequestError(409, "duplicate_id", "two labels have the same id: give each once")
    return LabelRequest(stream, tuple(labels.items()))


def in_order(features: Features, stream: StreamConfig) -> Features:
    """All features in the model's order, in which validation returns them; an absent optional one is None."""
    return features if len(features) == len(stream.features) else {name: features.get(name) for name in stream.feature_names}


def stream_of(body: Mapping[str, Any], streams: Mapping[str, StreamConfig]) -> StreamConfig:
    """The stream that a body names; the only one, if it names none.

    Raises:
        RequestError: 422, it names none of several, or one that is not here.
    """
    if "stream" not in body and len(streams) == 1:
        return next(iter(streams.values()))
    name = body.get("stream")
    if not isinstance(name, str) or name not in streams:
        raise RequestError(422, "unknown_stream", f"stream is missing or not served here: give one of {', '.join(streams)}")
    return streams[name]


def only(body: Mapping[str, Any], *known: str) -> None:
    """Refuse a body with other keys (422)."""
    unknown = body.keys() - known
    if unknown:
        raise malformed(f"unknown key {shown(min(unknown))} in the body: give only {', '.join(known)}")


def malformed(message: str) -> RequestError:
    """The refusal of a body of a wrong form (422)."""
    return RequestError(422, "schema", message)
