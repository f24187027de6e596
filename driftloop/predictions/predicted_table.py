"""Reads a table of predictions and labels: its rows in time order, what was predicted, and the inputs that came with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from driftloop.data.schema import choice, columns, roles
from driftloop.data.schema.choice import Around, Asked
from driftloop.data.schema.encoding import Written
from driftloop.data.schema.schema import Schema, check_names
from driftloop.data.streams import Stream
from driftloop.data.times import zones
from driftloop.data.times.column import time_values
from driftloop.errors import DataError, SettingsError
from driftloop.predictions import prediction_columns
from driftloop.predictions.later import repeated
from driftloop.predictions.later.first_reading import FirstReading
from driftloop.predictions.later.rows import Rows, keys_of_ids, keys_of_values
from driftloop.predictions.prediction_columns import ReadPredictions
from driftloop.predictions.segments import segment_columns
from driftloop.predictions.segments.segment_columns import SegmentColumn
from driftloop.settings import TASKS

REFERENCE_SHARE = 0.3  # of the rows, the oldest, where nobody says where the reference period ends


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Which columns hold what, and how they are to be read; "" or empty: see `frame_watch.watch`."""

    target: str
    prediction: str
    probability: Sequence[str] = ()
    id: str = ""
    time: str = ""
    time_format: str = ""
    time_zone: str = ""
    features: Sequence[str] | None = None
    leave_out: Sequence[str] = ()
    task: str = ""
    unit: str = ""
    segments: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class PredictedTable:
    """A table of predictions in time order, the reference period first."""

    stream: Stream  # all rows with a prediction; labels as in `ReadPredictions`
    predicted: ReadPredictions  # of the same rows
    reference: int  # rows of the reference period
    notes: tuple[str, ...]
    keys: np.ndarray  # (N,) of the same rows
    reading: FirstReading
    rows_read: int  # with those that were left out
    ends: np.datetime64 | None = None  # of the reference period, where it is a time
    segments: tuple[SegmentColumn, ...] = ()  # of the same rows


def read(
    frame: pd.DataFrame, asked: TableColumns, *, name: str, reference: str | int, source: str = "", sha256: str = "", written: Written | None = None
) -> PredictedTable:
    """Read a table.

    Args:
        frame: a row for each prediction, in any order.
        asked: its columns.
        name: of the table, in reports.
        reference: the time at which the reference period ends, as ISO text, or its number of rows; "" or 0: the oldest 30 %.
        source, sha256: of the file.
        written: gives a column of classes as in a file of text, where "NA" may be a class; None: the frame's values are meant as they are.

    Raises:
        DataError, SettingsError: the table or a column cannot be used; the message says where and what to do.
    """
    frame = frame.set_axis(list(map(str, frame.columns)), axis=1)
    check_names(frame.columns)
    check_asked(frame, asked)
    notes: list[str] = []
    if asked.id:
        frame, written, notes = repeated.once(frame, asked.id, asked.target, written)
    times, time_column = times_of(frame, asked)
    task = asked.task or roles.task_of(frame[asked.target] if frame[asked.target].notna().any() else frame[asked.prediction])
    predicted = _predicted(frame, asked, regression=task == "regression", written=written)
    order = np.argsort(times, kind="stable")
    kept = order[predicted.usable[order]]
    notes += predicted.notes
    if not len(kept):
        raise DataError(f"--prediction {asked.prediction!r}: no row has a prediction")
    if len(kept) < len(order):
        notes.append(f"{len(order) - len(kept):,} rows have no prediction, or no probability; they are left out")
    if (np.diff(order) < 0).any():
        notes.append("the rows were sorted by time")
    reading = FirstReading.of(frame, asked.time, time_column, predicted, task, sample=asked.time_format == "")
    frame, times, predicted = frame.iloc[kept].reset_index(drop=True), times[kept], predicted.of(kept)
    first = _reference_rows(times, reference, zone=asked.time_zone)
    stream = _stream(frame, times, time_column, predicted, asked, first=first)
    stream = replace(stream, name=name, source=source, sha256=sha256, task=task)
    taken = [asked.target, asked.prediction, *asked.probability]
    cuts = segment_columns.read(frame, asked.segments, taken=taken, time_column=time_column, first=first)
    codes = segment_columns.codes(frame, cuts)
    values = np.column_stack([stream.rows, codes])
    keys = keys_of_ids(frame[asked.id]) if asked.id else keys_of_values(times, values, classes_or_values(predicted), predicted.probabilities)
    reading = replace(reading, schema=stream.schema, vocabulary=dict(stream.vocabulary), features=stream.features, cuts=cuts)
    segments = tuple(cut.column(codes[:, at]) for at, cut in enumerate(cuts))
    told = (*notes, *_new_classes(predicted, first), *stream.notes)
    return PredictedTable(stream, predicted, first, told, keys, reading, len(order), _ends(reference, zone=asked.time_zone), segments)


def classes_or_values(predicted: ReadPredictions) -> np.ndarray:
    """The code of each predicted class, or the predicted values, (N,)."""
    return predicted.outputs.argmax(axis=1) if predicted.names else predicted.outputs


def as_rows(table: PredictedTable) -> Rows:
    """The rows of a table as plain arrays."""
    stream, predicted = table.stream, table.predicted
    segments = np.column_stack([np.empty((len(stream), 0), np.int16), *[column.codes for column in table.segments]])
    return Rows(stream.times, stream.rows, predicted.labels, classes_or_values(predicted), predicted.probabilities, table.keys, segments)


def check_asked(frame: pd.DataFrame, asked: TableColumns) -> None:
    """Refuse a table without the columns that were asked for.

    Raises:
        DataError, SettingsError: it has no rows, a column is not there or given twice, or the task is none.
    """
    if not len(frame):
        raise DataError("the table has no rows")
    if asked.task not in ("", *TASKS):
        raise SettingsError(f"--task is {asked.task!r}: give one of {', '.join(TASKS)}, or nothing: it follows from the label")
    taken: dict[str, str] = {}
    given = [("--target", asked.target), ("--prediction", asked.prediction), *(("--probability", name) for name in asked.probability)]
    for flag, name in given + [("--id_column", asked.id)] * bool(asked.id):
        columns.present(frame, name, flag)
        if name in taken:
            raise SettingsError(f"{taken[name]} and {flag} are both {name!r}: give two columns")
        taken[name] = flag


def times_of(frame: pd.DataFrame, asked: TableColumns) -> tuple[np.ndarray, str]:
    """The time of each row, and the name of the time's column, "" without one.

    Raises:
        DataError: a row has no time that can be read.
    """
    name = asked.time or ("" if isinstance(frame.index, pd.DatetimeIndex) else roles.time_column(_other(frame, asked), target=None) or roles.ROW)
    if name == roles.ROW and name not in frame:
        return roles.row_times(len(frame)), ""
    column = columns.time_column(frame, name) if name else frame.index.to_series(name="index")
    times, faults = time_values(column, time_format=asked.time_format, time_zone=asked.time_zone)
    if faults:
        row = min(faults)
        raise DataError(f"row {row + 1}: {faults[row]}, as in {len(faults):,} rows: correct the time, or remove the row")
    return times, name


def _other(frame: pd.DataFrame, asked: TableColumns) -> pd.DataFrame:
    """The columns that are neither label nor prediction nor id."""
    return frame.drop(columns=[asked.target, asked.prediction, *asked.probability, *[asked.id] * bool(asked.id)])


def _predicted(frame: pd.DataFrame, asked: TableColumns, *, regression: bool, written: Written | None) -> ReadPredictions:
    label, prediction = frame[asked.target], frame[asked.prediction]
    if not regression:
        sides = (written(asked.target), written(asked.prediction)) if written else (label, prediction)
        return prediction_columns.of_classes(*sides, [frame[name] for name in asked.probability], declared=written is None)
    if asked.probability:
        raise SettingsError("--probability is given for a regression, which has none: omit it, or give --task classification")
    return prediction_columns.of_values(label, prediction)


def _reference_rows(times: np.ndarray, reference: str | int, *, zone: str) -> int:
    """Number of rows before the end of the reference period."""
    end = _ends(reference, zone=zone)
    rows = int(reference or REFERENCE_SHARE * len(times)) if end is None else int(np.searchsorted(times, end, side="left"))
    if not 0 < rows < len(times):
        first, last = (str(time.astype("datetime64[s]")) for time in (times[0], times[-1]))
        where = f"until {reference}" if isinstance(reference, str) and reference else f"of {rows:,} rows"
        lacking = "has no row" if rows < 1 else "leaves no row to judge"
        raise SettingsError(f"the reference period {where} {lacking}: the {len(times):,} rows are from {first} to {last}")
    return rows


def _ends(reference: str | int, *, zone: str) -> np.datetime64 | None:
    return zones.moment(reference, zone=zone) if isinstance(reference, str) and reference else None


def _stream(frame: pd.DataFrame, times: np.ndarray, time_column: str, predicted: ReadPredictions, asked: TableColumns, *, first: int) -> Stream:
    """The inputs, coded as the schema of the reference period says; a value that cannot be read is missing."""
    inputs, labelled = _other(frame, asked), predicted.labelled
    given: dict[str, Any] = {"labels": predicted.labels, "label_names": predicted.names, "times": times, "period": None, "unit": asked.unit}
    if not any(name != time_column for name in inputs.columns):
        return Stream(name="", rows=np.empty((len(frame), 0)), features=(), source="", sha256="", **given)
    # Schema and leaks are looked for in labelled rows; without any in the reference period, `table_judge` refuses the table.
    usable = labelled if labelled[:first].any() else np.ones(len(frame), bool)
    around = Around(asked.target, time_column or None, predicted.labels, times, usable, regression=not predicted.names, unit=asked.unit)
    wanted = Asked(asked.features, leave_out=asked.leave_out, trained=lambda _: int(usable[:first].sum()), values_as_they_are=True)
    try:
        schema, found = choice.choose(frame[[*inputs.columns, asked.target]], around, wanted)
    except DataError as exc:
        if asked.features or not str(exc).startswith("there is no feature column"):
            raise
        return Stream(name="", rows=np.empty((len(frame), 0)), features=(), source="", sha256="", notes=(str(exc),), **given)
    rows = np.where(np.isfinite(found.values), found.values, np.nan)
    unread = (f"{len(found.faults):,} rows hold an input that cannot be read, which counts as missing",) if found.faults else ()
    return Stream(
        name="",
        rows=np.ascontiguousarray(rows),
        features=found.names,
        source="",
        sha256="",
        schema=_unlabelled(schema, asked),
        notes=(*schema.notes, *found.notes, *unread),
        vocabulary=found.vocabulary,
        **given,
    )


def _unlabelled(schema: Schema, asked: TableColumns) -> Schema:
    """The schema of the inputs alone: the label's codes are not its values."""
    return Schema(tuple(column for column in schema.columns if column.name != asked.target))


def _new_classes(predicted: ReadPredictions, first: int) -> tuple[str, ...]:
    """What to tell of labels that the reference period never had."""
    if not predicted.names:
        return ()
    known, later = set(predicted.labels[:first].tolist()), predicted.labels[first:]
    new = sorted(set(later[later >= 0].tolist()) - known)
    shown = ", ".join(repr(predicted.names[code]) for code in new[:3]) + " …" * (len(new) > 3)
    rows = int(np.isin(later, new).sum())
    return (f"the reference period never had the label {shown}, later {rows:,} rows have it",) if new else ()
