"""A model of the loss: what a model's error on a row is expected to be, from the row's values and the prediction.

A ridge regression of past rows' losses on their bins and pairs of bins, as direct loss estimation does with boosted trees. The losses must
be those of rows that the model was not trained on. For the mean over a block it is the same as weighting the losses by the density ratio that
is linear in the same bins.

Docs of NannyML: Direct Loss Estimation (DLE). Deville, Saerndal: Calibration estimators in survey sampling. JASA 87, 1992 (regression as weights).
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from driftloop.drift.estimate.bins import Bins
from driftloop.drift.estimate.density_ratio import RIDGE


class LossModel:
    """Learned from past rows.

    Args:
        bins: of these rows; the predictions are among their columns.
        losses: of these rows, (N,), 0 or more.

    >>> rng = np.random.default_rng(1)
    >>> x = rng.random((5000, 1))
    >>> round(LossModel(Bins(x, [False]), np.abs(x[:, 0] * rng.normal(size=5000))).mean(np.ones((10, 1))), 1)
    0.8
    """

    def __init__(self, bins: Bins, losses: np.ndarray) -> None:
        self._bins, matrix = bins, bins.matrix()
        self._base = float(losses.mean())
        sums = np.array([np.bincount(places, losses - self._base, self._bins.width) for places in self._bins.learned]).sum(axis=0)
        gram = (matrix.T @ matrix).astype(np.float64)
        self._slopes = linalg.solve(gram + RIDGE * np.eye(len(gram)), sums, assume_a="pos")

    def mean(self, rows: np.ndarray) -> float:
        """Expected mean loss of at least one row (M, C), 0 or more."""
        return max(0.0, self._base + float(self._bins.shares(rows) @ self._slopes))
