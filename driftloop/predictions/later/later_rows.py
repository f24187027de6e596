"""Reads rows that come after a first table, or labels for rows that came before, as the first table was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from driftloop.data.schema import columns, numerals, roles
from driftloop.data.schema.encoding import Written
from driftloop.data.schema.schema import check_names
from driftloop.data.times.column import time_values
from driftloop.errors import DataError
from driftloop.predictions import predicted_table, prediction_columns
from driftloop.predictions.later import first_reading, repeated
from driftloop.predictions.later.first_reading import FirstReading
from driftloop.predictions.later.rows import Rows, keys_of_ids, keys_of_values
from driftloop.predictions.predicted_table import TableColumns
from driftloop.predictions.prediction_columns import ReadPredictions
from driftloop.predictions.segments import segment_columns


@dataclass(frozen=True, eq=False)
class Later:
    """Later rows in time order; of labels alone only keys and labels are meant. `known` has their new classes and categories."""

    rows: Rows
    known: FirstReading
    labels_only: bool
    notes: tuple[str, ...]


def read(frame: pd.DataFrame, asked: TableColumns, known: FirstReading, *, numbered_from: int, written: Written | None = None) -> Later:
    """Read a frame of later rows; or, where there are ids and no column of predictions, one of labels.

    Args:
        frame: a row each, in any order.
        asked: the columns, as for the first table.
        known: how that was read.
        numbered_from: number of rows before, where rows have no time.
        written: as in `predicted_table.read`.

    Raises:
        DataError, SettingsError: the frame cannot be used; the message says where and what to do.
    """
    frame = frame.set_axis(list(map(str, frame.columns)), axis=1)
    check_names(frame.columns)
    labels_only = bool(asked.id) and asked.prediction not in frame
    if labels_only:
        columns.present(frame, asked.id, "--id_column")
        columns.present(frame, asked.target, "--target")
    elif len(frame):
        predicted_table.check_asked(frame, asked)
    notes: list[str] = []
    if asked.id:
        frame, written, notes = repeated.once(frame, asked.id, asked.target, written)
    predicted, known = _predictions(frame, asked, known, written, labels_only=labels_only)
    if labels_only:
        return Later(_labels(frame, asked, predicted, known), known, True, tuple(notes))
    times = _times(frame, asked, known, numbered_from)
    order = np.argsort(times, kind="stable")
    kept = order[predicted.usable[order]]
    if len(kept) < len(order):
        notes.append(f"{len(order) - len(kept):,} later rows have no prediction, or no probability; they are left out")
    frame, times, predicted = frame.iloc[kept].reset_index(drop=True), times[kept], predicted.of(kept)
    inputs, known, unread = _inputs(frame, known, _of(written, kept))
    given = predicted_table.classes_or_values(predicted)
    segments = segment_columns.codes(frame, known.cuts)
    values = np.column_stack([inputs, segments])
    keys = keys_of_ids(frame[asked.id]) if asked.id else keys_of_values(times, values, given, predicted.probabilities)
    return Later(Rows(times, inputs, predicted.labels, given, predicted.probabilities, keys, segments), known, False, (*notes, *unread))


def _of(written: Written | None, kept: np.ndarray) -> Written | None:
    return written and (lambda name: written(name).iloc[kept].reset_index(drop=True))


def _predictions(
    frame: pd.DataFrame, asked: TableColumns, known: FirstReading, written: Written | None, *, labels_only: bool
) -> tuple[ReadPredictions, FirstReading]:
    """Labels and predictions, and `known` with the classes that are new; of labels alone any predictions."""
    label = frame[asked.target]
    any_one = pd.Series([known.names[0] if known.names else 0.0] * len(frame), name=asked.prediction, dtype=object if known.names else float)
    predicted = any_one if labels_only else frame[asked.prediction]
    if known.task == "regression":
        return prediction_columns.of_values(label, predicted), known
    if written:
        label, predicted = written(asked.target), predicted if labels_only else written(asked.prediction)
    chances = [] if labels_only else [frame[name] for name in asked.probability]
    found, names = first_reading.known_classes(label, predicted, chances, known, declared=written is None)
    return found, replace(known, names=names)


def _labels(frame: pd.DataFrame, asked: TableColumns, predicted: ReadPredictions, known: FirstReading) -> Rows:
    there, keys = predicted.labelled, keys_of_ids(frame[asked.id])
    rows = int(there.sum())
    none, inputs = np.zeros(rows), np.full((rows, len(known.features)), np.nan)
    segments = np.zeros((rows, len(known.cuts)), np.int16)
    return Rows(none.astype("datetime64[ns]"), inputs, predicted.labels[there], none, None, keys[there], segments)


def _times(frame: pd.DataFrame, asked: TableColumns, known: FirstReading, numbered_from: int) -> np.ndarray:
    if known.numbered:
        return roles.row_times(numbered_from + len(frame))[numbered_from:]
    if not known.time_column:
        if not isinstance(frame.index, pd.DatetimeIndex):
            raise DataError("the times of the table before are in its index: give a DatetimeIndex again")
        return predicted_table.times_of(frame, replace(asked, time=""))[0]
    column = columns.time_column(frame, known.time_column)
    if not len(column):
        return np.empty(0, "datetime64[ns]")
    longer, before = known.like_the_sample(column)
    times, faults = time_values(longer, time_format=asked.time_format, time_zone=asked.time_zone)
    bad = {row - before: reason for row, reason in faults.items() if row >= before}
    if bad:
        row = min(bad)
        raise DataError(f"row {row + 1}: {bad[row]}, as in {len(bad):,} rows: correct the time, or remove the row")
    return times[before:]


def _inputs(frame: pd.DataFrame, known: FirstReading, written: Written | None) -> tuple[np.ndarray, FirstReading, tuple[str, ...]]:
    """The inputs by the codes of the known categories, which grow."""
    if not known.features:
        return np.empty((len(frame), 0)), known, ()
    for name in known.features:
        columns.present(frame, name, "an input of the table before")
    read = {name: numerals.read(frame[name], written=partial(written, name) if written else None) for name in known.features}
    found = columns.features(frame, read, written=written, categories=known.vocabulary)
    values = np.where(np.isfinite(found.values), found.values, np.nan)
    unread = (f"{len(found.faults):,} later rows hold an input that cannot be read, which counts as missing",) if found.faults else ()
    return np.ascontiguousarray(values), replace(known, vocabulary=known.vocabulary | dict(found.vocabulary)), unread
