"""Turns a regression's errors into scores that fall as an accuracy does, so that one forecast serves both.

A block's score is 1 - 0.2 * (mean error / threshold), at least 0: 1 without error, 0.8 at the threshold. The size of the block becomes the
number of rows at which an accuracy of that score would vary as much as the block's score does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from driftloop.drift.rules.significant_loss import CAP_THRESHOLDS

LEVEL: Final = 0.8  # the score at the threshold
NARROWEST: Final = 0.03  # scores are kept so far from 0 and 1 where their variance is compared


def scores(blocks: Sequence[np.ndarray], *, threshold: float) -> tuple[list[float], list[int]]:
    """The score of each block, 0..1, and its size in rows, from the absolute errors of its rows.

    Args:
        blocks: the errors of each block, (rows,); an empty one has no score.
        threshold: largest mean error that is good enough, over 0.

    >>> scores([np.array([1.0, 3.0]), np.array([2.0, 6.0])], threshold=4.0)
    ([0.9, 0.8], [29, 51])
    """
    errors = [np.asarray(block, float)[~np.isnan(block)] for block in blocks]
    cap = CAP_THRESHOLDS * threshold  # of the variance: a few extreme errors must not widen every block's forecast
    moments = [(one.mean(), np.minimum(one, cap).var(), len(one)) if len(one) else (np.nan, 0.0, 0) for one in errors]
    return of_moments(*zip(*moments, strict=True), threshold=threshold) if moments else ([], [])


def of_moments(means: Sequence[float], variances: Sequence[float], rows: Sequence[int], *, threshold: float) -> tuple[list[float], list[int]]:
    """The same from the mean and the variance of the absolute errors of each block, and its number of rows; the mean of none is nan.

    >>> of_moments([2.0, 4.0], [1.0, 4.0], [2, 2], threshold=4.0)
    ([0.9, 0.8], [29, 51])
    """
    mean, weights, per_unit = np.asarray(means, float), np.asarray(rows, float), (1 - LEVEL) / threshold
    found = np.maximum(1 - per_unit * mean, 0)
    if not weights.any():
        return found.tolist(), [0] * len(found)
    spread = np.average(variances, weights=weights) * per_unit**2
    level = np.clip(np.nan_to_num(found), NARROWEST, 1 - NARROWEST)
    sizes = weights * (level * (1 - level) / spread if spread else 1.0)
    return found.tolist(), [max(round(size), 1) if many else 0 for size, many in zip(sizes.tolist(), rows, strict=True)]
