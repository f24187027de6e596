"""Turns the columns of a table into features and labels, and reports why a row is unusable.

A column that is unusable as a whole raises a `DataError`; an unusable value is a fault of its row, reported in
a dict from row index (from 0) to the reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from driftloop.data.files import texts
from driftloop.data.schema import encoding, numerals
from driftloop.data.schema.encoding import Written
from driftloop.errors import DataError

TARGETS = ("target", "class")
"""Column names taken for the label when none is given."""

Faults = dict[int, str]


def target_name(frame: pd.DataFrame, target: str | None, *, time_column: str | None = None) -> str:
    """The label's column: `target`, or whichever of "target" and "class" exists.

    Raises:
        DataError: it is not a column or is the time column, or without `target` none or both exist.
    """
    if target is not None:
        if target == time_column:
            raise DataError(f"--target and --time_column are both {target!r}: give two columns")
        return present(frame, target, "--target")
    found = [name for name in TARGETS if name in frame]
    if len(found) != 1:
        raise DataError(f"which column holds the label? Give --target; the columns are {listed(frame.columns)}")
    return found[0]


@dataclass(frozen=True, eq=False)
class Features:
    """The feature columns, the faults of unusable rows, and notes on the other columns."""

    names: tuple[str, ...]  # (F,)
    values: np.ndarray  # (N, F) float64, coded as `encoding` says; nan where a value is missing or faulty
    faults: Faults
    notes: tuple[str, ...] = ()
    missing: Faults = field(default_factory=dict)  # rows without another fault in which a value is missing
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # all categories of the coded columns


def features(
    frame: pd.DataFrame,
    read: Mapping[str, numerals.Numbers],
    *,
    written: Written | None = None,
    categories: Mapping[str, tuple[str, ...]] | None = None,
) -> Features:
    """The features by name: numbers as they were read, `categories` coded. A note tells of each number that is read otherwise than it is written.

    `written` returns a column as in the file.

    >>> column = pd.Series(["1.5", "abc", "1e400", None], name="x")
    >>> found = features(column.to_frame(), {"x": numerals.read(column)})
    >>> found.faults, found.missing
    ({1: "x is 'abc', not a number", 2: 'x is 1e400, not finite'}, {3: 'x is missing'})
    """
    faults: Faults = {}
    missing: Faults = {}
    values, vocabulary, notes = [], {}, []
    for name, found in read.items():
        if name in (categories or {}):
            given = encoding.texts(encoding.as_written(frame[name], written))
            vocabulary[name] = encoding.vocabulary(given, (categories or {})[name])
            values.append(encoding.codes(given, vocabulary[name]))
            missing = {**_missing(frame[name], given.isna().to_numpy()), **missing}
            continue
        absent = frame[name].isna().to_numpy() & np.isnan(found.values)
        missing = {**_missing(frame[name], absent), **missing}
        for row in np.flatnonzero((~np.isfinite(found.values) | found.rounded) & ~absent):
            rounded = bool(found.rounded[row])
            raw = (written(name) if written and rounded else frame[name]).iloc[row]
            faults.setdefault(int(row), _value_fault(name, raw, found.values[row], rounded=rounded))
        values.append(found.values)
        notes += [f"{name}: {found.note}"] * bool(found.note and not (categories is not None and found.note == numerals.BOOLS))
    missing = {row: reason for row, reason in missing.items() if row not in faults}
    return Features(tuple(read), np.column_stack(values), faults, tuple(notes), missing, vocabulary)


def _missing(column: pd.Series, rows: np.ndarray) -> Faults:
    return dict.fromkeys(map(int, np.flatnonzero(rows)), f"{column.name} is missing")


def chosen(frame: pd.DataFrame, given: Iterable[str], *, target: str) -> list[str]:
    """The features that --features gives.

    Raises:
        DataError: one is missing, given twice, or the label.
    """
    names = list(given)
    if target in names:
        raise DataError(f"the label {target!r} is among the features: leave it out, or the label leaks into the features")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"feature {name!r} is given twice")
        present(frame, name, "--features")
    return names


def check_commas(features: Sequence[str], names: list[str]) -> None:
    """Refuse --features that were cut at the comma of a column's name.

    Raises:
        DataError: they were.
    """
    cut = [name for name in names if "," in name and name not in features and {part.strip() for part in name.split(",")} <= set(features)]
    if cut:
        raise DataError(f"--features is cut at the comma in the name of the column {cut[0]!r}: write it in double quotes, --features '\"{cut[0]}\",…'")


def target_values(column: pd.Series) -> Features:
    """The label of each row as a number, for a regression: `Features` of one column, whose name is that of the label.

    Raises:
        DataError: none of the labels is a number.

    >>> target_values(pd.Series(["1.5", "x", None], name="y")).faults
    {1: "the label is 'x', not a number", 2: 'the label is missing'}
    """
    found = numerals.read(column)
    bad = np.flatnonzero(~np.isfinite(found.values) | found.rounded)
    if len(column) and (found.fault or len(bad) == len(column)):
        raise DataError(f"the label {column.name!r} holds no numbers ({found.fault}): leave out --task regression, or give another --target")
    faults = {int(row): _value_fault("the label", column.iloc[row], found.values[row], rounded=bool(found.rounded[row])) for row in bad}
    return Features((str(column.name),), found.values[:, None], faults, (f"{column.name}: {found.note}",) if found.note else ())


def time_column(frame: pd.DataFrame, name: str | None) -> pd.Series:
    """The column with each row's time.

    Raises:
        DataError: it is not given, or does not exist.
    """
    if name is None:
        raise DataError(
            f"which column holds the time of each row? Give --time_column, or --time_column row for rows in time order; the columns are {listed(frame.columns)}"
        )
    return frame[present(frame, name, "--time_column")]


def _value_fault(name: str, raw: object, value: float, *, rounded: bool) -> str:
    if pd.isna(raw):
        return f"{name} is missing"
    if rounded:
        return f"{name} is {_short(raw)}, whose last digits float64 loses"
    return f"{name} is {_short(raw)}, not finite" if np.isinf(value) else f"{name} is {_short(raw)!r}, not a number"


def _short(raw: object) -> str:
    text = str(raw)
    return text if len(text) <= 40 else f"{text[:40]}…"


def present(frame: pd.DataFrame, name: str, flag: str) -> str:
    """The name, when the table has such a column.

    Raises:
        DataError: it has none; the message suggests a near name.
    """
    if name in frame:
        return name
    names = list(frame.columns)
    near = [other for other in names if other.casefold() == name.strip().casefold()] or difflib.get_close_matches(name, names, n=1)
    if texts.is_values(names):
        raise DataError(f"{flag} {name!r} is not a column; {texts.VALUES}")
    hint = f"did you mean {near[0]!r}?" if near else f"the columns are {listed(frame.columns)}"
    raise DataError(f"{flag} {name!r} is not a column; {hint}")


def listed(columns: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(columns)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
