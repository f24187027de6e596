"""Distances between stretches of the training rows: the variation that seasons, weeks and chance always cause.

A window of later rows always differs from the training rows by more than sampling noise: it is another season, another week. So its distance is
compared with those of equally long stretches of the training rows, each against the training rows outside it. Daily histograms suffice for any
length; they are logged with the model.

The p-value is that of a prediction: would one more such stretch be this far away? From the ranks where there are enough stretches, else
from Student's t on the logarithms of the distances (Whitmore: Prediction limits for a univariate normal observation. American Statistician 40, 1986).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy import special

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import distances, levels
from driftloop.errors import DataError

FILE: Final = "spans.npz"
LEAST: Final = 6  # stretches needed to predict the distance of the next one
MOST_VALUES: Final = 300  # a feature with no more distinct values has a bin for each; of a category the most frequent have one
QUANTILES: Final = 50  # otherwise this many bins of equal counts, also cut at the bounds for drawing
DRAWN: Final = 24  # bins of equal width for drawing, between the quantiles _ENDS
_ENDS: Final = (0.005, 0.995)
_DAY: Final = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class ColumnSpans:
    """One feature. Bin b holds values in (tops[b - 1], tops[b]], or of a category the code tops[b]; bin B the rest."""

    tops: np.ndarray  # (B,) ascending; float32 where every training value is float32, so that a value with fewer digits (0.6) equals its float32
    drawn: np.ndarray  # (D,) inner bounds for drawing, each one of tops; empty where each value has its own bin
    counts: np.ndarray  # (days, B + 1) rows
    missing: np.ndarray | None = None  # (days,) rows without a value; None where an earlier version counted
    category: bool = False  # or boolean: the bins have no order

    @property
    def absences(self) -> ColumnSpans | None:
        """The rows with a value and those without, as the two bins of a feature of its own; None where that is unknown."""
        if self.missing is None:
            return None
        return ColumnSpans(np.zeros(1), np.empty(0), np.column_stack([self.counts.sum(axis=1), self.missing]), category=True)

    def renamed(self, values: np.ndarray) -> ColumnSpans:
        """A category's with other codes: `values` has that of each, (C,)."""
        tops = values[self.tops.astype(np.int64)]
        order = np.argsort(tops)
        return replace(self, tops=tops[order], counts=self.counts[:, [*order, len(order)]])

    def counted(self, values: np.ndarray) -> np.ndarray:
        """Rows in each bin, (B + 1,); values that are not finite are left out."""
        known = values[np.isfinite(values)]
        if self.category:
            return np.bincount(_bins(self.tops, known), minlength=len(self.tops) + 1)
        with np.errstate(over="ignore"):  # values beyond float32 fall above or below every bin
            known = known.astype(self.tops.dtype)
        return np.bincount(np.searchsorted(self.tops, known, side="left"), minlength=len(self.tops) + 1)


@dataclass(frozen=True, eq=False)
class Spans:
    """Training rows by day: entry i of `bad` and of each column's counts belongs to `first` + i."""

    first: np.datetime64  # day
    bad: np.ndarray  # (days,) rows set aside
    columns: tuple[ColumnSpans, ...]

    @property
    def days(self) -> int:
        """Days from the first to the last, including those without rows."""
        return len(self.bad)

    def outside(self, start: np.datetime64, stop: np.datetime64) -> np.ndarray:
        """Which days do not touch start <= time < stop, (days,) boolean."""
        day = self.first + np.arange(self.days) * _DAY
        return (day + _DAY <= start) | (day >= stop)

    def stretches(self, days: int, allowed: np.ndarray) -> list[slice]:
        """Non-overlapping stretches of this many consecutive allowed days, from the newest back.

        >>> spans = of_rows(np.arange("2020-01-01", "2020-01-08", dtype="datetime64[D]"), np.ones((7, 1)))
        >>> spans.stretches(2, spans.outside(np.datetime64("2020-01-04"), np.datetime64("2020-01-05")))
        [slice(5, 7, None), slice(1, 3, None)]
        """
        found, stop = [], self.days
        while stop >= days:
            banned = np.flatnonzero(~allowed[stop - days : stop])
            if len(banned):
                stop = stop - days + int(banned[0])
            else:
                found.append(slice(stop - days, stop))
                stop -= days
        return found


def of_rows(times: np.ndarray, rows: np.ndarray, *, bad_times: np.ndarray | None = None, columns: Sequence[Column] = ()) -> Spans:
    """The spans of a model's training rows.

    Args:
        times: (N,) datetime64, N >= 1.
        rows: (N, F); values that are not finite are counted as missing.
        bad_times: (M,) of the rows set aside; NaT and times outside are left out.
        columns: (F,) what they hold; by default numbers.
    """
    day = times.astype("datetime64[D]")
    first, days = day.min(), int((day.max() - day.min()) / _DAY) + 1
    at = (day - first).astype(np.int64)
    bad = (np.empty(0, "datetime64[D]") if bad_times is None else bad_times[~np.isnat(bad_times)].astype("datetime64[D]") - first).astype(np.int64)
    coded = [levels.are_levels(column) for column in columns] or [False] * rows.shape[1]
    found = tuple(_column(rows[:, number].astype(np.float64), at, days, category=coded[number]) for number in range(rows.shape[1]))
    return Spans(first, np.bincount(bad[(bad >= 0) & (bad < days)], minlength=days), found)


def _column(values: np.ndarray, at: np.ndarray, days: int, *, category: bool) -> ColumnSpans:
    known = np.isfinite(values)
    missing = np.bincount(at[~known], minlength=days).astype(np.int32)
    values, at = values[known], at[known]
    if category:
        frequent, rows = np.unique(values, return_counts=True)
        tops = np.sort(frequent[np.argsort(-rows, kind="stable")[:MOST_VALUES]])
        return ColumnSpans(tops, np.empty(0), _by_day(_bins(tops, values), at, days, len(tops) + 1), missing, category=True)
    if is_float32(values):
        values = values.astype(np.float32)
    tops, drawn = np.unique(values), np.empty(0, values.dtype)
    if len(tops) > MOST_VALUES:
        low, high = np.quantile(values, _ENDS)
        drawn = np.unique(np.linspace(low, high, DRAWN + 1, dtype=values.dtype)[1:-1])
        shares = np.linspace(0, 1, QUANTILES + 1)[1:]
        tops = np.unique(np.concatenate([np.quantile(values, shares, method="inverted_cdf").astype(values.dtype), drawn]))
    codes = np.searchsorted(tops, values, side="left")
    return ColumnSpans(tops, drawn, _by_day(codes, at, days, len(tops) + 1), missing)


def _by_day(bins: np.ndarray, at: np.ndarray, days: int, count: int) -> np.ndarray:
    return np.bincount(at * count + bins, minlength=days * count).reshape(days, -1).astype(np.int32)


def _bins(tops: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The bin of each code: that of its own, or the last for all that have none."""
    found = np.searchsorted(tops, codes, side="left")
    return np.where(np.append(tops, np.nan)[found] == codes, found, len(tops))


def is_float32(values: np.ndarray) -> bool:
    """Whether all finite numbers are exact float32 values, as in a table of that type.

    >>> is_float32(np.array([1, 0.5, np.float32(0.6)])), is_float32(np.array([0.6])), is_float32(np.array([20_000_001.0]))
    (True, False, False)
    """
    with np.errstate(over="ignore"):
        return bool((values == values.astype(np.float32)).all())


def apart(one: np.ndarray, other: np.ndarray, *, category: bool = False) -> float:
    """The Kolmogorov-Smirnov distance of counts on the same bins, of a category the total variation, 0..1; nan when a side has no rows.

    >>> apart(np.array([1, 0]), np.array([1, 1])), apart(np.array([1, 1, 0]), np.array([0, 1, 1]), category=True)
    (0.5, 0.5)
    """
    if not one.sum() or not other.sum():
        return math.nan
    return float(distances.distance("tv" if category else "ks", one.astype(np.float64), other.astype(np.float64), np.empty(0)))


def usual(column: ColumnSpans, stretches: Sequence[slice], allowed: np.ndarray) -> np.ndarray:
    """The distance of each stretch from all other allowed days, (at most S,); stretches with fewer than half the usual rows are left out."""
    total = column.counts[allowed].sum(axis=0)
    found = [apart(counts, total - counts, category=column.category) for counts in _inside(column, stretches)]
    return np.array([distance for distance in found if not math.isnan(distance)])


def usually_new(column: ColumnSpans, stretches: Sequence[slice], allowed: np.ndarray) -> np.ndarray:
    """The share of each stretch's rows whose category no other allowed day has, (at most S,); the stretches as in `usual`."""
    total = column.counts[allowed].sum(axis=0)
    return np.array([counts[counts == total].sum() / counts.sum() for counts in _inside(column, stretches)])


def _inside(column: ColumnSpans, stretches: Sequence[slice]) -> list[np.ndarray]:
    """The rows of each stretch by bin, of those with at least half the usual rows."""
    inside = [column.counts[stretch].sum(axis=0) for stretch in stretches]
    rows = np.array([counts.sum() for counts in inside])
    return [counts for counts, many in zip(inside, rows, strict=True) if many and 2 * many >= np.median(rows)]


def chance(distance: float, others: np.ndarray, *, rows: int, level: float) -> float:
    """The probability that one more stretch reaches `distance`, given those of others; nan with fewer than `LEAST` of them.

    Args:
        distance: in 0..1.
        others: (S,) likewise.
        rows: of the stretch: half a row is the smallest distance distinguishable from zero.
        level: smallest p-value that matters; ranks are taken where they reach half of it.

    >>> round(chance(0.3, np.array([0.1, 0.12, 0.09, 0.11, 0.1, 0.13]), rows=1000, level=0.01), 4)
    0.0004
    """
    if len(others) < LEAST or math.isnan(distance):
        return math.nan
    if 2 / (len(others) + 1) <= level:
        return float((1 + np.count_nonzero(others >= distance)) / (1 + len(others)))
    floor = 0.5 / max(rows, 1)
    logs = np.log(np.maximum(others, floor))
    spread = max(float(logs.std(ddof=1)), 1e-9) * math.sqrt(1 + 1 / len(logs))
    return float(special.stdtr(len(logs) - 1, -(math.log(max(distance, floor)) - float(logs.mean())) / spread))


def write(spans: Spans, folder: Path) -> None:
    """Write the file into a folder that exists."""
    arrays = {f"{name}_{i}": getattr(column, name) for i, column in enumerate(spans.columns) for name in ("tops", "drawn", "counts", "category")}
    arrays |= {f"missing_{i}": column.missing for i, column in enumerate(spans.columns) if column.missing is not None}
    np.savez_compressed(folder / FILE, first=spans.first.astype(np.int64), bad=spans.bad, columns=len(spans.columns), **arrays)


def read(folder: Path) -> Spans | None:
    """Read what `write` wrote; None when the file does not exist: an earlier version logged the model.

    Raises:
        DataError: the file is unreadable.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:  # np.load leaves a broken file open
            columns = tuple(_read(found, i) for i in range(int(found["columns"])))
            return Spans(found["first"].astype("datetime64[D]")[()], found["bad"], columns)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as exc:
        raise DataError(f"{path}: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else 'empty'}: log it again with the model") from exc


def _read(found: Mapping[str, np.ndarray], i: int) -> ColumnSpans:
    missing = found.get(f"missing_{i}")
    return ColumnSpans(found[f"tops_{i}"], found[f"drawn_{i}"], found[f"counts_{i}"], missing, category=bool(found.get(f"category_{i}", False)))
