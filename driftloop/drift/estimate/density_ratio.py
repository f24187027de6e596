"""The density ratio of a block of new rows to labelled past rows, fitted by least squares: weights that make the past rows look like the block.

The ratio is 1 plus a function that is linear in the rows' bins. From block to block only the mean of the bins changes, so that each costs a
millisecond. A ridge keeps the ratio near 1 where few rows speak. What no past row resembles cannot be reached by weights.

Kanamori, Hido, Sugiyama: A least-squares approach to direct importance estimation. JMLR 10, 2009.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import linalg

from driftloop.drift.estimate.bins import Bins

RIDGE: Final = 20.0  # rows' worth of evidence for a ratio of 1 in each bin


class DensityRatio:
    """Learned from past rows, which are those of the bins.

    >>> old = np.random.default_rng(1).integers(0, 2, (4000, 1)).astype(float)
    >>> bins = Bins(old, [True])
    >>> slopes = DensityRatio(bins).slopes(np.zeros((100, 1)))
    >>> [round(float(1 + slopes[bins.learned[:, old[:, 0] == code][:, 0]].sum()), 1) for code in (0, 1)]
    [2.0, 0.0]
    """

    def __init__(self, bins: Bins) -> None:
        self._bins, matrix = bins, bins.matrix()
        together = (matrix.T @ matrix).astype(np.float64)
        self._factor = linalg.cho_factor((together + RIDGE * np.eye(bins.width)) / len(matrix))

    def slopes(self, rows: np.ndarray) -> np.ndarray:
        """For a block of at least one new row (M, C): what each bin adds to the ratio, (width,)."""
        return linalg.cho_solve(self._factor, self._bins.shares(rows) - self._bins.learned_shares)
