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
    known = [one for one in errors if len(one)]
    if not known:
        return [np.nan] * len(blocks), [0] * len(blocks)
    per_unit = (1 - LEVEL) / threshold
    capped = [np.minimum(one, CAP_THRESHOLDS * threshold) for one in known]  # a few extreme errors must not widen every block's forecast
    spread = np.average([one.var() for one in capped], weights=[len(one) for one in capped]) * per_unit**2
    found = [float(max(1 - per_unit * one.mean(), 0)) if len(one) else np.nan for one in errors]
    level = np.clip(np.nan_to_num(found), NARROWEST, 1 - NARROWEST)
    sizes = [len(one) * (share * (1 - share) / spread if spread else 1.0) for one, share in zip(errors, level, strict=True)]
    return found, [max(round(size), 1) if len(one) else 0 for size, one in zip(sizes, errors, strict=True)]
