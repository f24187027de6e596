"""Reads the times of a table's column from dates, texts or numbers; times with a zone become UTC."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pandas as pd

from driftloop.data.times import declared, infer, numbers, zones
from driftloop.data.times.reading import Reading, TimeColumn, in_nanoseconds
from driftloop.errors import DataError

_BLANKS: Final = re.compile("[\u00a0\u2007\u2009\u202f]")  # non-breaking and narrow ones, as before a.m. and p.m.


def time_values(column: pd.Series, *, time_format: str = "", time_zone: str = "") -> tuple[np.ndarray, dict[int, str]]:
    """The time of each row as datetime64[ns], shape (N,), and the rows whose time is missing or unreadable.

    One format holds for the whole column: `time_format`, else inferred from all rows. Times with a zone are converted
    to UTC, others are kept, or local to `time_zone`.

    Args:
        column: as in the file, preferably as text: 05 and 5 differ.
        time_format: of `strptime`, or one of `formats.NUMBERS`.
        time_zone: an IANA name.

    Raises:
        DataError: the column has no times, or its format is ambiguous; the message names the flag that decides.

    >>> times, faults = time_values(pd.Series(["13/05/2019", "06/06/2019", "soon"], name="when"))
    >>> times.astype("datetime64[D]").tolist(), faults
    ([datetime.date(2019, 5, 13), datetime.date(2019, 6, 6), None], {2: "when is 'soon', not a time"})
    """
    name = str(column.name)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_timedelta64_dtype(column):
        raise DataError(f"--time_column {name!r} holds durations, not dates: add the time at which they begin")
    texts = TimeColumn(name, _texts(column))
    if pd.api.types.is_datetime64_any_dtype(column):
        found = _dates(column)
    elif time_format:
        found = declared.reading(texts, time_format, zone=time_zone)
    elif numbers.are_numbers(texts.texts):
        found = numbers.reading(texts)
    else:
        found = infer.reading(texts, zone=time_zone)
    times, reasons = _utc(texts, found, time_zone)
    faults = {}
    for row in map(int, np.flatnonzero(np.isnat(times))):
        faults[row] = f"{name} is {texts.shown(row)}, {reasons.get(row, 'not a time')}" if texts.texts[row] is not None else f"{name} is missing"
    return times, faults


def _dates(column: pd.Series) -> Reading:
    reasons: dict[int, str] = {}
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else column
    return Reading(in_nanoseconds(naive.to_numpy(), reasons), np.full(len(column), zoned), reasons)


def _texts(column: pd.Series) -> np.ndarray:
    """A column as texts without surrounding blanks, (N,); None where empty."""
    found = np.empty(len(column), object)
    if pd.api.types.is_float_dtype(column):
        found[:] = [f"{value:.6f}".rstrip("0").rstrip(".") if np.isfinite(value) else None for value in column.to_numpy(np.float64, na_value=np.nan)]
    elif isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        found[:] = np.char.replace(np.datetime_as_string(column.to_numpy()), "T", " ")
        found[column.isna().to_numpy()] = None
    elif pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
        found[:] = [_text(value) for value in column]
    else:
        found[:] = [None if pd.isna(value) else str(value) for value in column]
    return found


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif pd.api.types.is_scalar(value) and pd.isna(value):
            return None
    text = str(value)
    return (text if text.isascii() else _BLANKS.sub(" ", text)).strip() or None


def _utc(column: TimeColumn, found: Reading, zone: str) -> tuple[np.ndarray, dict[int, str]]:
    """Times in UTC, or unchanged without a zone, and the reasons of those that are unreadable."""
    read = ~np.isnat(found.times)
    local = read & ~found.zoned
    if zone and local.any():
        rows = np.flatnonzero(local)
        times = found.times.copy()
        times[rows], faults = zones.to_utc(found.times[rows], zone)
        return times, found.reasons | {int(rows[place]): f"which {reason}" for place, reason in faults.items()}
    if local.any() and (read & found.zoned).any():
        with_zone, without = (column.shown(int(np.flatnonzero(rows)[0])) for rows in (read & found.zoned, local))
        raise DataError(
            f"--time_column {column.name!r} holds times with a zone ({with_zone}) and times without one ({without}): write it everywhere, "
            "or give --time_zone for those without"
        )
    return found.times, found.reasons
