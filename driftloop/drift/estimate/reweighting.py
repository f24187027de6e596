"""Weights that make labelled past rows look like a block of new ones: the density ratio of the two, fitted by least squares.

The ratio is 1 plus a function that is linear in the rows' bins. Only the mean of the block's bins changes from block to block, so that each
costs milliseconds. A ridge keeps the weights near 1 where few rows speak. What no labelled row resembles cannot be reached by weights.

Kanamori, Hido, Sugiyama: A least-squares approach to direct importance estimation. JMLR 10, 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import linalg

from driftloop.drift.estimate.bins import Bins

RIDGE: Final = 20.0  # rows' worth of evidence for a ratio of 1 in each bin
LARGEST: Final = 20.0  # largest weight of a row


class Reweighting:
    """Learned from past rows.

    Args:
        rows: (N, C); numbers or codes, nan where missing. The last column is what the weights are needed given: its pairs with the others count.
        coded: which columns are codes of categories, (C,).

    >>> rng = np.random.default_rng(1)
    >>> old = rng.integers(0, 2, (4000, 1)).astype(float)
    >>> weights = Reweighting(old, [True]).weights(np.zeros((100, 1)))
    >>> [round(float(weights[old[:, 0] == code].mean()), 1) for code in (0, 1)]
    [2.0, 0.0]
    """

    def __init__(self, rows: np.ndarray, coded: Sequence[bool]) -> None:
        self._bins = Bins(rows, coded, all_pairs=False)
        self._matrix = self._bins.matrix()
        self._shares = self._matrix.mean(axis=0, dtype=np.float64)
        gram = (self._matrix.T @ self._matrix).astype(np.float64) / len(rows)
        self._factor = linalg.cho_factor(gram + RIDGE / len(rows) * np.eye(len(gram)))

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Weight of each past row for a block of at least one new row (M, C): (N,), 0..`LARGEST`, about 1 on average."""
        slopes = linalg.cho_solve(self._factor, self._bins.shares(rows) - self._shares)
        return np.clip(1 + self._matrix @ slopes.astype(np.float32), 0, LARGEST).astype(np.float64)
