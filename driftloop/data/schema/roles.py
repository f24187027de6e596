"""Finds the time column and the task of a table when nobody names them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.schema import numerals
from driftloop.data.times.column import time_values
from driftloop.errors import DataError

ROW: Final = "row"  # --time_column of a table whose rows are in order, but have no time
TIME_NAMES: Final = frozenset({"time", "timestamp", "datetime", "date_time", "date", "ts", "event_time", "event_timestamp"})
SAMPLE: Final = 200  # values that are read to see whether a column holds times
MOST_WHOLE: Final = 20  # distinct whole numbers of a label that still are classes


def time_column(frame: pd.DataFrame, *, target: str | None, declared: Collection[str] = ()) -> str | None:
    """The column that holds each row's time: the only one with times, or the only one of them with a usual name; None if no column has times.

    Numbers count as times only in a column with a usual name. Where no column can be read as times, the first with a usual name is given, so that
    the reason is reported.

    Args:
        frame: the table.
        target: the label's column.
        declared: columns that the file declares to be times.

    Raises:
        DataError: several columns could be it.

    >>> time_column(pd.DataFrame({"day": ["2020-01-01", "2020-01-02"], "x": [1, 2], "y": [0, 1]}), target="y")
    'day'
    """
    found = [str(name) for name in frame.columns if name != target and (name in declared or _holds_times(frame[name]))]
    found = found or [str(name) for name in frame.columns if name != target and str(name).casefold() in TIME_NAMES][:1]
    usual = [name for name in found if name.casefold() in TIME_NAMES]
    if len(found) > 1 and len(usual) != 1:
        raise DataError(f"which column holds the time of each row? {', '.join(found)} could: give one as --time_column")
    return next(iter(usual if len(usual) == 1 else found), None)


def _holds_times(column: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_bool_dtype(column) or (pd.api.types.is_numeric_dtype(column) and str(column.name).casefold() not in TIME_NAMES):
        return False
    known = column.dropna()
    if not len(known):
        return False
    try:
        return not time_values(known.iloc[np.linspace(0, len(known) - 1, min(SAMPLE, len(known))).astype(int)])[1]
    except (DataError, TypeError):
        return False


def row_times(rows: int) -> np.ndarray:
    """Times for rows that have none, (rows,) datetime64[ns]: a second each, from 1970, in the order of the file."""
    return np.arange(rows).astype("datetime64[s]").astype("datetime64[ns]")


def task_of(label: pd.Series) -> str:
    """classification or regression: numbers are values when one has a fraction, or more than 20 are different.

    >>> task_of(pd.Series([0, 1, 1])), task_of(pd.Series([0.5, 1.0, 3.0])), task_of(pd.Series(["a", "b"]))
    ('classification', 'regression', 'classification')
    """
    if pd.api.types.is_bool_dtype(label) or isinstance(label.dtype, pd.CategoricalDtype):
        return "classification"
    read = numerals.read(label)
    if read.fault:
        return "classification"
    distinct = np.unique(read.values[np.isfinite(read.values)])
    values = len(distinct) > MOST_WHOLE or (len(distinct) > 2 and bool((distinct != np.floor(distinct)).any()))
    return "regression" if values else "classification"
