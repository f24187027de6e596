"""The segments of a table: each value of a column, or for numbers a range of values between quantiles of the reference period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd

from driftloop.data.schema import columns, encoding, numerals
from driftloop.errors import SettingsError

RANGES: Final = 4  # of a column of numbers
MOST_VALUES: Final = 10  # distinct numbers of the reference period that still are values of their own
MOST: Final = 100  # segments of a column that are values; the rarer ones are one segment together
FEWEST: Final = 20  # rows below which nothing is called an identifier
LETTERS: Final = 60  # of a segment's name
SAMPLE: Final = 200  # numbers written as texts whose reading later ones must share
MISSING, OTHER, NEW = "missing", "other", "new"


@dataclass(frozen=True, eq=False)
class SegmentColumn:
    """A column cut into segments: the rows with code i are the segment `labels[i]`; each row has one.

    Of the segments from `always` on only those are meant that have rows.
    """

    name: str
    codes: np.ndarray  # (N,)
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    always: int = 0

    def of(self, rows: np.ndarray) -> SegmentColumn:
        """The same of some rows, by a mask or by their places."""
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True, eq=False)
class SegmentCut:
    """How the reference period cuts a column.

    Into ranges, whose upper ends are `edges`; or, where these are None, into `values`, and those whose hashes are `rest`, together. Last come
    "missing" and, of values, "new".
    """

    name: str
    labels: tuple[str, ...]
    edges: np.ndarray | None = None  # ascending
    sample: tuple[str, ...] = ()  # numbers of the reference period as they are written, where that is text
    values: tuple[str, ...] = ()
    rest: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    notes: tuple[str, ...] = ()

    def column(self, codes: np.ndarray) -> SegmentColumn:
        """The column with these codes."""
        return SegmentColumn(self.name, codes, self.labels, self.notes, len(self.labels) - 1 - (self.edges is None))

    def codes(self, column: pd.Series) -> np.ndarray:
        """The segment of each row, (N,); -inf and inf are in the first and the last range.

        Raises:
            SettingsError: the column holds times, lists or the like.
        """
        _check_kind(numerals.read(column).fault, self.name)
        if self.edges is None:
            return self._of_texts(encoding.texts(column))
        numbers = _numbers(column, self.sample)
        return np.where(np.isnan(numbers), len(self.edges) + 1, np.searchsorted(self.edges, numbers, side="left"))

    def _of_texts(self, texts: pd.Series) -> np.ndarray:
        others = len(self.values) + bool(len(self.rest))  # with OTHER
        codes = texts.map({text: at for at, text in enumerate(self.values)}).to_numpy(np.float64)
        unknown = np.flatnonzero(np.isnan(codes) & texts.notna().to_numpy())
        rare = np.isin(pd.util.hash_array(texts.iloc[unknown].to_numpy(object)), self.rest)
        codes[unknown] = np.where(rare, len(self.values), others + 1)
        return np.where(np.isnan(codes), others, codes).astype(np.int64)


def read(frame: pd.DataFrame, names: Sequence[str], *, taken: Sequence[str], time_column: str, first: int) -> tuple[SegmentCut, ...]:
    """How columns are cut into segments.

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

    >>> table = pd.DataFrame({"fuel": ["gas", "gas", None, "oil"]})
    >>> found, = read(table, ["fuel"], taken=[], time_column="", first=3)
    >>> found.labels, found.codes(table.fuel).tolist()
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
    return tuple(_cut(frame[name][:first], name) for name in names)


def codes(frame: pd.DataFrame, cuts: Sequence[SegmentCut]) -> np.ndarray:
    """The segment of each row in each column, (N, C).

    Raises:
        DataError, SettingsError: a column is not there, or as `SegmentCut.codes`.
    """
    for cut in cuts:
        columns.present(frame, cut.name, "--segments")
    return np.column_stack([np.empty((len(frame), 0), np.int16), *[cut.codes(frame[cut.name]).astype(np.int16) for cut in cuts]])


def from_values(given: dict[str, Any]) -> SegmentCut:
    """What `vars` returned of a cut, its tuples as lists.

    Raises:
        ValueError, KeyError, TypeError: it is not that.
    """
    made = SegmentCut(**{**given, **{name: tuple(given[name]) for name in ("labels", "sample", "values", "notes")}})
    ranges = made.edges is not None
    segments = len(made.edges) + 2 if made.edges is not None else len(made.values) + bool(len(made.rest)) + 2
    if len(made.labels) != segments or not isinstance(made.name, str) or (ranges and made.values):
        raise ValueError("segments and their names differ")
    return made


def _cut(reference: pd.Series, name: str) -> SegmentCut:
    read_as = numerals.read(reference)
    _check_kind(read_as.fault, name)
    known = read_as.values[np.isfinite(read_as.values)]
    number = not read_as.fault and not isinstance(reference.dtype, pd.CategoricalDtype) and not _boolean(reference)
    whole = number and bool((known == np.floor(known)).all())
    _check_groups(reference, name, whole=whole or not number)
    return _ranges(reference, known, name) if number and len(np.unique(known)) > MOST_VALUES else _values(encoding.texts(reference), name)


def _check_kind(fault: str, name: str) -> None:
    if fault == "times":
        raise SettingsError(f"--segments {name!r} holds times: derive groups from them, such as the hour or the weekday")
    if fault.startswith("lists"):
        raise SettingsError(f"--segments {name!r} holds lists or the like: give columns with one value a row")


def _boolean(values: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(values) or bool(values.dropna().map(type).isin([bool, np.bool_]).all())


def _check_groups(reference: pd.Series, name: str, *, whole: bool) -> None:
    known = reference.dropna()
    if whole and len(known) >= FEWEST and known.nunique() == len(known):
        raise SettingsError(f"--segments {name!r} is an identifier, different in every row: give columns with groups of rows")


def _numbers(column: pd.Series, sample: Sequence[str]) -> np.ndarray:
    """Numbers, texts among them read as those of the sample are, which outnumber them."""
    if pd.api.types.is_numeric_dtype(column) or not sample:
        return numerals.read(column).values
    before = [*sample] * -(-2 * max(len(column), 1) // len(sample))
    return numerals.read(pd.Series([*before, *column], dtype=object)).values[len(before) :]


def _ranges(reference: pd.Series, known: np.ndarray, name: str) -> SegmentCut:
    edges = np.unique(np.quantile(known, np.arange(1, RANGES) / RANGES))
    edges = edges[edges < known.max()]
    shown = [f"{edge:,.0f}" if 10_000 <= abs(edge) < 1e12 else f"{edge:.4g}" for edge in edges]
    if len(set(shown)) < len(shown):
        shown = [f"{edge:.15g}" for edge in edges]
    middle = [f"{low} to {high}" for low, high in pairwise(shown)]
    labels = [f"≤ {shown[0]}", *middle, f"> {shown[-1]}"] if shown else ["all"]
    texts = () if pd.api.types.is_numeric_dtype(reference) else tuple(map(str, reference.dropna().unique()))
    return SegmentCut(name, (*labels, MISSING), edges, sample=texts[:: max(len(texts) // SAMPLE, 1)])


def _values(texts: pd.Series, name: str) -> SegmentCut:
    counts = texts.value_counts(sort=False)
    frequent = sorted(counts.index, key=lambda text: (-counts[text], text))
    own, rest = frequent[:MOST], frequent[MOST:]
    labels, notes = _labels(own), list[str]()
    if rest:
        labels.append(OTHER)
        notes.append(f"{name} has {len(frequent):,} different values in the reference period: the {len(rest):,} rarest are the segment {OTHER!r}")
    hashes = np.sort(pd.util.hash_array(np.array(rest, object)))
    return SegmentCut(name, (*labels, MISSING, NEW), values=tuple(own), rest=hashes, notes=tuple(notes))


def _labels(values: Sequence[str]) -> list[str]:
    """The values' names: one line, cut where they still differ, in quotes where one could be taken for a segment that is no value."""
    flat = [" ".join(value.split()) for value in values]
    short = [text if len(text) <= LETTERS else f"{text[:LETTERS]}…" for text in flat]
    shown = short if len(set(short)) == len(short) else flat if len(set(flat)) == len(flat) else [repr(value) for value in values]
    return [repr(text) if text in {MISSING, OTHER, NEW, ""} else text for text in shown]
