"""Turn the columns of a table into features and labels, and say of every row that cannot be used why.

A column that is wrong as a whole raises a `DataError`; a wrong value is a fault of its row, given as
a dict from row index (from 0) to the reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from driftloop.errors import DataError

TARGETS = ("target", "class")
"""Column names taken for the label when none is given."""
MOST_CLASSES = 50

Faults = dict[int, str]


def target_name(frame: pd.DataFrame, target: str | None, *, time_column: str | None = None) -> str:
    """The label's column: `target`, or the one of "target" and "class" that is there.

    Raises:
        DataError: it is not a column or is the time's column, or without `target` none or both are there.
    """
    if target is not None:
        if target == time_column:
            raise DataError(f"--target and --time_column are both {target!r}: give two columns")
        return _present(frame, target, "--target")
    found = [name for name in TARGETS if name in frame]
    if len(found) != 1:
        raise DataError(f"which column holds the label? Give --target; the columns are {_listed(frame.columns)}")
    return found[0]


def feature_names(frame: pd.DataFrame, chosen: Iterable[str] | None, *, target: str, time_column: str | None) -> tuple[str, ...]:
    """The feature columns as `chosen`, or without a choice every other numeric column that has a name.

    Raises:
        DataError: one is missing, given twice, not numeric or the label, or none is left.
    """
    if chosen is None:
        chosen = [name for name in frame.columns if name not in {target, time_column} and not name.startswith("Unnamed:") and _is_numeric(frame[name])]
    names = tuple(chosen)
    if not names:
        raise DataError(f"there is no numeric feature column; the columns are {_listed(frame.columns)}")
    if target in names:
        raise DataError(f"the label {target!r} is among the features: leave it out, or the model reads the answer")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"feature {name!r} is given twice")
        if not _is_numeric(frame[_present(frame, name, "--features")]):
            example = frame[name].dropna().astype(str).head(1).tolist()
            raise DataError(f"feature {name!r} is not numeric ({f'it holds {_short(example[0])!r}' if example else 'it is empty'}): leave it out or encode it")
    return names


def feature_values(frame: pd.DataFrame, names: tuple[str, ...]) -> tuple[np.ndarray, Faults]:
    """The features as float32, shape (N, F), and the rows with a value that is missing, no number or not finite.

    >>> feature_values(pd.DataFrame({"x": ["1.5", "abc", "1e39"]}), ("x",))[1]
    {1: "x is 'abc', not a number", 2: 'x is 1e39, not finite in float32'}
    """
    values = np.empty((len(frame), len(names)), np.float32)
    faults: Faults = {}
    for index, name in enumerate(names):
        with np.errstate(over="ignore"):  # a number too large for float32 becomes inf and is named below
            values[:, index] = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        for row in np.flatnonzero(~np.isfinite(values[:, index])):
            faults.setdefault(int(row), _value_fault(name, frame[name].iloc[row], infinite=bool(np.isinf(values[row, index]))))
    return values, faults


def label_values(column: pd.Series) -> tuple[np.ndarray, Faults]:
    """The label of each row as a number where every label of the column is one, else as stripped text; shape (N,).

    Whole numbers become int, so 0, "0" and 0.0 are the same class in every file format.

    Raises:
        DataError: there are more than `MOST_CLASSES` different labels.

    >>> label_values(pd.Series(["UP ", "DOWN", None]))
    (array(['UP', 'DOWN', ''], dtype=object), {2: 'the label is missing or unknown'})
    >>> label_values(pd.Series([1.0, 0.0]))[0]
    array([1, 0])
    """
    try:
        codes, found = pd.factorize(column)
    except TypeError as exc:
        raise DataError(f"the label {column.name!r} holds lists or the like: give a column with one class a row") from exc
    text = np.array([*(str(value).strip() for value in found), ""], dtype=object)  # the last is where code -1, missing, points
    numbers = pd.to_numeric(pd.Series(text), errors="coerce").to_numpy(np.float64)
    usable = (text != "") & ~np.isinf(numbers)
    labels: np.ndarray = text
    if (np.abs(numbers[usable]) < 2**53).all():  # above, two whole numbers can be one float; nan is not under it either
        labels = np.where(usable, numbers, 0)
        labels = labels.astype(np.int64) if (labels == np.round(labels)).all() else labels
    count = len(np.unique(labels[usable]))
    if count > MOST_CLASSES:
        raise DataError(
            f"the label {column.name!r} has {count} different values: that looks like regression: --task regression, or at most {MOST_CLASSES} classes"
        )
    return labels[codes], {int(row): "the label is missing or unknown" for row in np.flatnonzero(~usable[codes])}


def target_values(column: pd.Series) -> tuple[np.ndarray, Faults]:
    """The label of each row as a number, for a regression; float64, shape (N,), nan where it is none.

    Raises:
        DataError: no label is a number.

    >>> target_values(pd.Series(["1.5", "x", None]))[1]
    {1: "the label is 'x', not a number", 2: 'the label is missing'}
    """
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(values) and len(bad) == len(values):
        raise DataError(
            f"the label {column.name!r} holds no numbers (the first is {_short(column.iloc[0])!r}): leave out --task regression, or give another --target"
        )
    faults = {}
    for row in bad:
        raw = column.iloc[row]
        faults[int(row)] = "the label is missing" if pd.isna(raw) else f"the label is {_short(raw)!r}, not a number"
    return values, faults


def time_column(frame: pd.DataFrame, name: str | None) -> pd.Series:
    """The column with each row's time.

    Raises:
        DataError: it is not given, or not there.
    """
    if name is None:
        raise DataError(f"which column holds the time of each row? Give --time_column; the columns are {_listed(frame.columns)}")
    return frame[_present(frame, name, "--time_column")]


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column is meant as numbers: at least half of its values can be read as one."""
    given = column.dropna()
    if given.empty or pd.api.types.is_datetime64_any_dtype(given) or pd.api.types.is_timedelta64_dtype(given):
        return False
    return bool(pd.to_numeric(given, errors="coerce").notna().mean() >= 0.5)


def _value_fault(name: str, raw: object, *, infinite: bool) -> str:
    if pd.isna(raw):
        return f"{name} is missing"
    return f"{name} is {_short(raw)}, not finite in float32" if infinite else f"{name} is {_short(raw)!r}, not a number"


def _short(raw: object) -> str:
    text = str(raw)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _present(frame: pd.DataFrame, name: str, flag: str) -> str:
    if name in frame:
        return name
    near = difflib.get_close_matches(name, list(frame.columns), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the columns are {_listed(frame.columns)}"
    raise DataError(f"{flag} {name!r} is not a column; {hint}")


def _listed(columns: Iterable[str]) -> str:
    names = list(columns)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
