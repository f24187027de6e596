"""Validates the predictions that another system made, against their stream's settings.

    one record   {"stream": "elec", "id": "a1", "time": "2020-04-01T07:30:00Z", "version": "7", "features": {...}, "prediction": 1, "probability": 0.8}
    a list       [record, record, ...]
    a batch      {"stream": "elec", "version": "7", "records": [record, ...]}: stream, model and version of every record without its own

`id` and `time` are optional, and `model`, which is the stream's. One bad record makes the whole request fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from monitoring.http.answers import RequestError
from monitoring.records import checks, events
from monitoring.stream_settings import StreamConfig
from prediction_service.requests import in_order, malformed, only, stream_of
from prediction_service.row_forms import Features, checked, refusal, shown

AHEAD: Final = timedelta(days=1)  # how far a row's time may be after the service's: more than zones and clocks differ
OF_BATCH: Final = ("model", "version")


@dataclass(frozen=True)
class LoggedRow:
    """A row that another system predicted; `time` is "" when it has none, the probabilities are None where they are unknown."""

    id: str
    time: str
    version: str
    features: Features
    prediction: Any
    probability: float | None
    probabilities: Sequence[float] | None


@dataclass(frozen=True)
class LogRequest:
    """Predictions of one stream to record, in the order in which they came."""

    stream: StreamConfig
    rows: tuple[LoggedRow, ...]


def read_log(body: Any, streams: Mapping[str, StreamConfig], *, max_rows: int) -> LogRequest:
    """The records of a request.

    Raises:
        RequestError: 422, 409 for a duplicate id, 413 for more than `max_rows` records; a `RowsError` where records are to blame.
    """
    given, stream = _given(body, streams)
    if not given:
        raise malformed("there are no records: give at least one")
    if len(given) > max_rows:
        raise RequestError(413, "too_many_rows", f"{len(given)} records; at most {max_rows} fit in a request: send several requests")
    found = checked(given, stream, "record")
    latest = checks.time_text(datetime.now(UTC) + AHEAD)
    late = [at for at, one in enumerate(found) if one.get("time", "") > latest]
    if late:
        told = f"time {found[late[0]]['time']} is in the future: give the row's own, with the offset of its zone"
        raise refusal(given, stream, "record", dict.fromkeys(late, ("schema", told)))
    rows = tuple(_row(one, stream) for one in found)
    if len({row.id for row in rows}) < len(rows):
        raise RequestError(409, "duplicate_id", _twice(rows))
    return LogRequest(stream, rows)


def _given(body: Any, streams: Mapping[str, StreamConfig]) -> tuple[list[Any], StreamConfig]:
    """The records of a body, each with the batch's model and version where it has none, and their stream."""
    if isinstance(body, list):
        return body, stream_of(body[0] if body and isinstance(body[0], dict) else {}, streams)
    if not isinstance(body, dict):
        raise malformed("the body is neither a record nor a list of records")
    if "records" not in body:
        return [body], stream_of(body, streams)
    only(body, "records", "stream", *OF_BATCH)
    given, stream = body["records"], stream_of(body, streams)
    if not isinstance(given, list):
        raise malformed("records is not a list: give the predictions")
    (shared,) = checked([{name: body[name] for name in OF_BATCH if name in body}], stream, "batch")
    return [{**shared, **one} if isinstance(one, dict) else one for one in given] if shared else given, stream


def _row(one: Mapping[str, Any], stream: StreamConfig) -> LoggedRow:
    return LoggedRow(
        id=one.get("id") or events.new_id(),
        time=one.get("time", ""),
        version=one["version"],
        features=in_order(one.get("features", {}), stream),
        prediction=one["prediction"],
        probability=one.get("probability"),
        probabilities=one.get("probabilities"),
    )


def _twice(rows: Sequence[LoggedRow]) -> str:
    """The sentence on the first id that is given twice."""
    first: dict[str, int] = {}
    for at, row in enumerate(rows):
        if row.id in first:
            return f"record {at}: its id {shown(row.id)} is that of record {first[row.id]}: give each its own, or none"
        first[row.id] = at
    return ""
