"""Columns of categories as levels: which there are, and how long their autocorrelation lasts.

The codes of a category are names: which number a category has, and the order of the numbers, says nothing. So the levels are numbered in
the order in which they first appear, and nothing that follows depends on the codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence
from driftloop.drift.inputs.dependence import Memory


def are_levels(column: Column) -> bool:
    """Whether the values of a column are categories: those of a category or a boolean."""
    return column.kind in {"category", "boolean"}


def name_of(column: Column, code: float) -> str:
    """What a value of a category or boolean is called; the numbers of a category with limits are its names.

    >>> name_of(Column("fuel", "feature", "category", categories=("diesel",)), 0), name_of(Column("b", "feature", "boolean"), 1)
    ('diesel', 'true')
    >>> name_of(Column("zone", "feature", "category", low=1, high=263), 161), name_of(Column("zone", "feature", "category"), 161)
    ('161', 'code 161')
    """
    if code < len(column.categories):
        return column.categories[int(code)]
    if column.kind == "boolean" and not column.categories and code in {0, 1}:
        return "true" if code else "false"
    return f"{code:g}" if column.low is not None and not column.categories else f"code {code:g}"


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level of each value, (N,), numbered in the order of first appearance, and the code of each level.

    >>> levels, codes = numbered(np.array([7.0, 2.0, 7.0]))
    >>> levels.tolist(), codes.tolist()
    ([0, 1, 0], [7.0, 2.0])
    """
    codes, first, levels = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[levels], codes[order]


def memory(series: Sequence[np.ndarray]) -> Memory:
    """The memory of a column of levels, as `dependence.memory` of one of numbers.

    The autocorrelation is that of the indicators of all levels, each weighted by its variance: how much more often than by chance the level
    of a row returns some rows later. Of two levels it is that of either.

    Args:
        series: stretches of the same column, each (n,) whole numbers 0 up in time order.

    >>> rng = np.random.default_rng(0)
    >>> memory([rng.integers(0, 50, 2000)])
    Memory(length=1, missed=0.0)
    >>> memory([np.repeat(rng.integers(0, 50, 200), 10)]).length > 10
    True
    """
    series = [one[-dependence.LONGEST :] for one in series if len(one)]
    rows = sum(len(one) for one in series)
    lags = min(max((len(one) for one in series), default=0) // 3, dependence.LAGS)
    if lags < 1:
        return Memory(1, 0.0)
    covariance = np.sum([_autocovariance(one, lags) for one in series], axis=0)
    if not covariance[0] > 1e-9 * rows:  # one level
        return Memory(1, 0.0)
    noise = sum(len(one) * _squared(_shares(one)) for one in series)
    return dependence.of_correlation(covariance / covariance[0], rows=rows, components=max(1.0, float(covariance[0]) ** 2 / (rows * noise)))


def _shares(levels: np.ndarray) -> np.ndarray:
    return np.bincount(levels) / len(levels)


def _squared(shares: np.ndarray) -> float:
    """The trace of the square of the indicators' covariance matrix, diag(p) - p p'."""
    square = float(np.square(shares).sum())
    return square - 2 * float((shares**3).sum()) + square**2


def _autocovariance(levels: np.ndarray, lags: int) -> np.ndarray:
    """Sums of products of the centred indicators at lags 0..lags, over all levels, shape (lags + 1,)."""
    shares, rows = _shares(levels), len(levels)
    levels = levels.astype(np.int32)
    again = np.array([rows, *(np.count_nonzero(levels[lag:] == levels[: rows - lag]) for lag in range(1, lags + 1) if lag < rows)], np.float64)
    again = np.pad(again, (0, lags + 1 - len(again)))
    sums = np.concatenate([[0.0], np.cumsum(shares[levels])])
    left = np.maximum(rows - np.arange(lags + 1), 0)
    found: np.ndarray = again - sums[left] - (sums[-1] - sums[rows - left]) + left * np.square(shares).sum()
    return found
