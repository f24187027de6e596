"""Calibrates the loss that a model's probabilities expect to the loss that past rows had, by a monotone map; the past rows may be weighted.

Zadrozny, Elkan: Transforming classifier scores into accurate multiclass probability estimates. KDD 2002.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from driftloop.drift.estimate.bins import Bins

LEVELS: Final = 200  # groups of rows of about equal expected loss that the map is fitted on, at most


class Calibration:
    """Learned from past rows.

    Args:
        expected: loss that their probabilities expect, (N,).
        losses: that they had, (N,).
        bins: of these rows, for weights.

    >>> calibration = Calibration(np.array([0.1, 0.1, 0.4, 0.4]), np.array([0.0, 1.0, 1.0, 1.0]), Bins(np.array([[0.0], [1.0], [0.0], [1.0]]), [True]))
    >>> calibration.mean(np.array([0.1, 0.4])), calibration.mean(np.array([0.1, 0.4]), np.array([1.0, -1.0]))
    (0.75, 0.5)
    """

    def __init__(self, expected: np.ndarray, losses: np.ndarray, bins: Bins) -> None:
        edges = np.unique(np.quantile(expected, np.arange(1, LEVELS) / LEVELS, method="inverted_cdf"))
        self._bins, self._losses = bins, losses
        self._level, self._levels = np.searchsorted(edges, expected, side="left"), len(edges) + 1
        self._rows, self._lost = self._sums(None), self._sums(losses)
        self._at = self._sums(expected) / np.maximum(self._rows, 1)  # mean expected loss of each level

    def _sums(self, values: np.ndarray | None) -> np.ndarray:
        return np.bincount(self._level, values, self._levels)

    @cached_property
    def _by_bin(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and losses of each level in each bin, (levels, width)."""
        width = self._bins.width
        places, shape = self._level * width + self._bins.learned, (self._levels, width)
        counts, sums = (sum(np.bincount(place, values, self._levels * width) for place in places) for values in (None, self._losses))
        return np.reshape(counts, shape), np.reshape(sums, shape)

    def mean(self, expected: np.ndarray, slopes: np.ndarray | None = None) -> float:
        """Mean loss of new rows with these expected losses (M,), at least one.

        Each past row has the weight 1, and what its bins add by `slopes` (width,). A level whose weights do not sum to more than 0 is left out.
        """
        rows, lost = self._rows, self._lost
        if slopes is not None:
            counts, sums = self._by_bin
            rows, lost = rows + counts @ slopes, lost + sums @ slopes
        known = np.flatnonzero(rows > 0)
        if not len(known):
            return self.mean(expected)
        means = np.clip(lost[known] / rows[known], self._losses.min(), self._losses.max())
        return float(np.interp(expected, self._at[known], isotonic_regression(means, weights=rows[known]).x).mean())
