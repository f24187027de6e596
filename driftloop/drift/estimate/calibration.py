"""Calibrates the loss that a model's probabilities expect to the loss that past rows had: a monotone map, the past rows weighted.

Zadrozny, Elkan: Transforming classifier scores into accurate multiclass probability estimates. KDD 2002.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from sklearn.isotonic import isotonic_regression

LEVELS: Final = 400  # groups of rows of about equal expected loss that the map is fitted on, at most


class Calibration:
    """Learned from past rows.

    >>> calibration = Calibration(np.array([0.1, 0.1, 0.4, 0.4]), np.array([0.0, 1.0, 1.0, 1.0]))
    >>> calibration.mean(np.array([0.1, 0.4])), calibration.mean(np.array([0.1, 0.4]), np.array([1.0, 0.0, 1.0, 1.0]))
    (0.75, 0.5)
    """

    def __init__(self, expected: np.ndarray, losses: np.ndarray) -> None:
        self._edges = np.unique(np.quantile(expected, np.arange(1, LEVELS) / LEVELS, method="inverted_cdf"))
        self._level, self._losses = np.searchsorted(self._edges, expected, side="left"), losses
        rows = np.bincount(self._level, minlength=len(self._edges) + 1)
        self._at = np.bincount(self._level, expected, len(rows)) / np.maximum(rows, 1)  # mean expected loss of each level

    def mean(self, expected: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Mean loss of new rows with these expected losses (M,), at least one; `weights` (N,) are those of the past rows."""
        losses = self._losses if weights is None else self._losses * weights
        rows, lost = np.bincount(self._level, weights, len(self._at)), np.bincount(self._level, losses, len(self._at))
        known = np.flatnonzero(rows > 0)
        if not len(known):  # all weights are 0
            return self.mean(expected)
        fitted = isotonic_regression(lost[known] / rows[known], sample_weight=rows[known])
        return float(np.interp(expected, self._at[known], fitted).mean())
