"""Describes rows by the bins that their values fall into: numbers by quantiles, categories by frequency, missing values apart.

The bins of each column, and of pairs of columns in coarser bins, are indicator columns. Functions that are linear in them fit shifts and losses
that are not linear in the values, take categories and missing values as they are, and are fitted in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

FINE: Final = 12  # bins of a column, at most
COARSE: Final = 3  # bins of a column in a pair
_BUDGET: Final = 600  # bins of all columns together: with more than 50 columns each has fewer
_ALL_PAIRS: Final = 13  # columns of which all pairs are taken, at most
_PAIRED: Final = 51  # columns that are paired with the last one, at most


def _edges(values: np.ndarray, most: int) -> np.ndarray:
    """The edges of at most so many bins of about equal share; a value that fills several of them has its own bin.

    >>> np.searchsorted(_edges(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 4), [0.0, 1.0], side="right").tolist()
    [1, 2]
    """
    quantiles = np.quantile(values, np.arange(1, most) / most)
    frequent = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    return np.unique(np.concatenate([quantiles, np.nextafter(frequent, np.inf)]))


@dataclass(frozen=True, eq=False)
class _Column:
    """The bins of one column."""

    edges: np.ndarray  # of a number's bins
    ranks: np.ndarray | None  # bin of each code 0..K - 1 by its frequency, the last that of all later ones; None for a number
    coarse: np.ndarray  # coarse bin of each bin, the missing value's last
    counted: np.ndarray  # the bin that each counts as: itself, or the fullest one where it had no rows at learning, for nothing is known of it

    @classmethod
    def learn(cls, values: np.ndarray, *, coded: bool, most: int) -> _Column:
        """At most so many bins, and one for missing values."""
        given = values[~np.isnan(values)]
        edges, ranks = np.empty(0), None
        if coded:
            known, counts = np.unique(given.astype(np.int64), return_counts=True)
            top = known[np.argsort(-counts, kind="stable")[: most - 1]]
            ranks = np.full(known.max(initial=-1) + 2, len(top))
            ranks[top] = np.arange(len(top))
            coarse = np.minimum(np.arange(len(top) + 1), COARSE)
        else:
            edges = _edges(given, most) if len(given) else edges
            coarse = np.arange(len(edges) + 1) * COARSE // (len(edges) + 1)
        column = cls(edges, ranks, np.append(coarse, COARSE + 1), np.arange(len(coarse) + 1))
        rows = np.bincount(column.bins(values), minlength=len(column.counted))
        return replace(column, counted=np.where(rows > 0, column.counted, rows.argmax()))

    def bins(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value, (N,)."""
        missing, last = np.isnan(values), len(self.coarse) - 1
        if self.ranks is not None:
            found = self.ranks[np.minimum(np.where(missing, 0, values), len(self.ranks) - 1).astype(np.int64)]
        else:  # for a dozen edges many times faster than a binary search
            found = np.zeros(len(values), np.uint8)
            for edge in self.edges:
                found += values >= edge
        return self.counted[np.where(missing, last, found)]


class Bins:
    """Indicator columns, learned from rows.

    Args:
        rows: (N, C); a number or a code 0..K-1, nan where missing.
        coded: which columns are codes of categories, (C,).
        all_pairs: whether all pairs of columns are taken where there are few columns, or only those with the last one.

    >>> bins = Bins(np.array([[0.0, 0.1], [1.0, 0.2], [1.0, np.nan]]), (True, False))
    >>> bins.width, float(bins.shares(np.array([[1.0, 0.2], [7.0, 0.3]])).sum())
    (8, 3.0)
    """

    def __init__(self, rows: np.ndarray, coded: Sequence[bool], *, all_pairs: bool = False) -> None:
        count = rows.shape[1]
        most = int(np.clip(_BUDGET // max(count, 1), 2, FINE))
        self._columns = [_Column.learn(values, coded=kind, most=most) for values, kind in zip(rows.T, coded, strict=True)]
        first = 0 if all_pairs and count <= _ALL_PAIRS else count - 1
        self._pairs = [(i, j) for j in range(max(first, 1), count) for i in range(j)] if count <= _PAIRED else []
        self._places = [np.empty(0, np.int64)] * (count + len(self._pairs))
        self.width, found = 0, []
        for at, codes in enumerate(self._codes(rows)):
            taken = np.bincount(codes) > 0
            places = np.full((COARSE + 2) ** 2 + FINE, -1)  # -1: a bin without rows
            places[: len(taken)][taken] = self.width + np.arange(taken.sum())
            self._places[at] = places
            self.width += int(taken.sum())
            found.append(places[codes])
        self.learned = np.array(found)  # (indicators a row, N) places of the ones among the columns of each row learned from
        self.learned_shares = np.bincount(self.learned.ravel(), minlength=self.width) / len(rows)

    def _codes(self, rows: np.ndarray) -> list[np.ndarray]:
        fine = [column.bins(values) for column, values in zip(self._columns, rows.T, strict=True)]
        coarse = [column.coarse[bins] for column, bins in zip(self._columns, fine, strict=True)]
        return [*fine, *(coarse[i] * (COARSE + 2) + coarse[j] for i, j in self._pairs)]

    def shares(self, rows: np.ndarray) -> np.ndarray:
        """Share of the rows (M, C) that falls into each bin, (width,).

        Pairs that no row had at learning count as spread over the pairs as those rows are.
        """
        found = np.zeros(self.width)
        for places, codes in zip(self._places, self._codes(rows), strict=True):
            known = places >= 0
            shares = np.bincount(codes, minlength=len(places))[known] / len(rows)
            found[places[known]] = shares + (1 - shares.sum()) * self.learned_shares[places[known]]
        return found

    def matrix(self) -> np.ndarray:
        """The indicators of the rows learned from, (N, width) float32."""
        found = np.zeros((self.learned.shape[1], self.width), np.float32)
        for places in self.learned:
            found[np.arange(len(places)), places] = 1
        return found
