"""The segments of a table: each value of a column, or for numbers a range of values between quantiles of the reference period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.schema import columns, encoding, numerals
from driftloop.errors import SettingsError

RANGES: Final = 4  # of a column of numbers
MOST_VALUES: Final = 10  # distinct numbers of the reference period that still are values of their own
MOST: Final = 100  # segments of a column that are values; the rarer ones are one segment together
FEWEST: Final = 20  # rows below which nothing is called an identifier
LETTERS: Final = 60  # of a segment's name
MISSING, OTHER, NEW = "missing", "other", "new"


@dataclass(frozen=True, eq=False)
class SegmentColumn:
    """A column cut into segments: the rows with code i are the segment `labels[i]`; each row has one."""

    name: str
    codes: np.ndarray  # (N,)
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def of(self, rows: np.ndarray) -> SegmentColumn:
        """The same of some rows, by a mask or by their places."""
        return replace(self, codes=self.codes[rows])


def read(frame: pd.DataFrame, names: Sequence[str], *, taken: Sequence[str], time_column: str, first: int) -> tuple[SegmentColumn, ...]:
    """Cut columns into segments.

    Numbers are cut at the quartiles of the reference period, unless it has 10 different ones at most. Texts, booleans and few numbers are segments
    as they are: the 100 most frequent of the reference period; the rest of its values are the segment "other", values that it never had "new",
    and rows without a value "missing".

    Args:
        frame: the rows in time order.
        names: of the columns.
        taken: columns of labels and predictions, which are no segments.
        time_column: "" without one.
        first: rows of the reference period.

    Raises:
        DataError, SettingsError: a column is not there, given twice, holds labels, predictions or times, or is an identifier.

    >>> found, = read(pd.DataFrame({"fuel": ["gas", "gas", None, "oil"]}), ["fuel"], taken=[], time_column="", first=3)
    >>> found.labels, found.codes.tolist()
    (('gas', 'missing', 'new'), [0, 0, 1, 2])
    """
    for at, name in enumerate(names):
        columns.present(frame, name, "--segments")
        if name in taken:
            raise SettingsError(f"--segments {name!r} holds the labels or predictions, whose rows differ in the KPI by themselves: give columns of the inputs")
        if name == time_column:
            raise SettingsError(f"--segments {name!r} is the time, by which the blocks are cut already: give columns with groups of rows")
        if name in names[:at]:
            raise SettingsError(f"--segments has {name!r} twice: give it once")
    return tuple(_column(frame[name], name, first=first) for name in names)


def _column(values: pd.Series, name: str, *, first: int) -> SegmentColumn:
    read_as = numerals.read(values)
    if read_as.fault == "times":
        raise SettingsError(f"--segments {name!r} holds times: derive groups from them, such as the hour or the weekday")
    if read_as.fault.startswith("lists"):
        raise SettingsError(f"--segments {name!r} holds lists or the like: give columns with one value a row")
    known = read_as.values[:first][np.isfinite(read_as.values[:first])]
    number = not read_as.fault and not isinstance(values.dtype, pd.CategoricalDtype) and not _boolean(values)
    whole = number and bool((known == np.floor(known)).all())
    _check_groups(values[:first], name, whole=whole or not number)
    if number and len(np.unique(known)) > MOST_VALUES:
        return _ranges(read_as.values, known, name)
    return _values(encoding.texts(values), name, first=first)


def _boolean(values: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(values) or bool(values.dropna().map(type).isin([bool, np.bool_]).all())


def _check_groups(reference: pd.Series, name: str, *, whole: bool) -> None:
    known = reference.dropna()
    if whole and len(known) >= FEWEST and known.nunique() == len(known):
        raise SettingsError(f"--segments {name!r} is an identifier, different in every row: give columns with groups of rows")


def _ranges(numbers: np.ndarray, known: np.ndarray, name: str) -> SegmentColumn:
    """Ranges whose upper ends are quantiles; -inf and inf are in the first and the last."""
    edges = np.unique(np.quantile(known, np.arange(1, RANGES) / RANGES))
    edges = edges[edges < known.max()]
    shown = [f"{edge:,.0f}" if 10_000 <= abs(edge) < 1e12 else f"{edge:.4g}" for edge in edges]
    if len(set(shown)) < len(shown):
        shown = [f"{edge:.15g}" for edge in edges]
    middle = [f"{low} to {high}" for low, high in pairwise(shown)]
    labels = [f"≤ {shown[0]}", *middle, f"> {shown[-1]}"] if shown else ["all"]
    codes, missing = np.searchsorted(edges, numbers, side="left"), np.isnan(numbers)
    return SegmentColumn(name, np.where(missing, len(labels), codes), (*labels, MISSING)[: len(labels) + bool(missing.any())])


def _values(texts: pd.Series, name: str, *, first: int) -> SegmentColumn:
    counts = texts[:first].value_counts(sort=False)
    frequent = sorted(counts.index, key=lambda text: (-counts[text], text))
    own, rest, notes = frequent[:MOST], frequent[MOST:], []
    groups = {text: at for at, text in enumerate(own)} | dict.fromkeys(rest, len(own))
    codes = texts.map(groups).to_numpy(np.float64)
    labels = _labels(own)
    if rest:
        labels.append(OTHER)
        notes.append(f"{name} has {len(frequent):,} different values in the reference period: the {len(rest):,} rarest are the segment {OTHER!r}")
    for label, rows in ((MISSING, texts.isna()), (NEW, texts.notna() & np.isnan(codes))):
        if rows.any():
            codes = np.where(rows, len(labels), codes)
            labels.append(label)
    if labels[-1] == NEW:
        unseen = texts[codes == len(labels) - 1]
        notes.append(f"{name} has {unseen.nunique():,} values that the reference period never had, in {len(unseen):,} rows: the segment {NEW!r}, not judged")
    if len(labels) == 1:
        notes.append(f"{name} has the one value {labels[0]!r}: its segment is the whole table")
    return SegmentColumn(name, codes.astype(np.int64), tuple(labels), tuple(notes))


def _labels(values: Sequence[str]) -> list[str]:
    """The values' names: one line, cut where they still differ, in quotes where one could be taken for a segment that is no value."""
    flat = [" ".join(value.split()) for value in values]
    short = [text if len(text) <= LETTERS else f"{text[:LETTERS]}…" for text in flat]
    shown = short if len(set(short)) == len(short) else flat if len(set(flat)) == len(flat) else [repr(value) for value in values]
    return [repr(text) if text in {MISSING, OTHER, NEW, ""} else text for text in shown]
