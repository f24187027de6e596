"""Tests whether the newest inputs have moved from the training reference: one calibrated test per feature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from driftloop.drift.inputs import distribution, spans
from driftloop.drift.inputs.distribution import FeatureTest

MOST_ROWS: Final = 5000  # newest rows that are tested
_LARGEST: Final = float(np.finfo(np.float32).max)


def compare(reference: np.ndarray, newest: np.ndarray, *, names: Sequence[str], alpha: float, rows: int) -> tuple[FeatureTest, ...]:
    """Test every feature on the newest `rows` rows; if these are too few, on twice as many, and so on.

    How many are needed depends on the autocorrelation of the rows, not on how far they have moved. So a feature is tested once,
    and the false-alarm rate stays `alpha` per comparison. A feature's nan are left out. A constant feature is at distance 0 from
    the same constant and 1 from another. Categories are compared by their numbers: the Kolmogorov-Smirnov distance is 0 only for
    equal shares of all of them.

    Args:
        reference: (N, F) in time order.
        newest: (M, F) likewise, the newest last.
        names: (F,) the features' names.
        alpha: in (0, 1).
        rows: the smallest window.

    Returns:
        one test per feature; the distance is nan without values, p-values are nan if all M rows are too few.

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.random((2000, 2)), np.column_stack([rng.random(400), np.full(400, 0.9)])
    >>> [test.moved for test in compare(old, new, names=("still", "stuck"), alpha=0.05, rows=100)]
    [False, True]
    """
    found = [_first_decided(reference[:, i], newest[:, i], name=name, alpha=alpha / len(names), rows=rows) for i, name in enumerate(names)]
    corrected = distribution.holm([test.p_value for test in found])
    return tuple(replace(test, corrected=fixed, moved=bool(fixed <= alpha)) for test, fixed in zip(found, corrected, strict=True))


def _first_decided(reference: np.ndarray, newest: np.ndarray, *, name: str, alpha: float, rows: int) -> FeatureTest:
    reference = reference[~np.isnan(reference)]
    if spans.is_float32(reference):  # then 0.6 equals the 0.60000002 of a table of float32
        newest = np.clip(newest, -_LARGEST, _LARGEST).astype(np.float32).astype(np.float64)
    while True:
        window = newest[-rows:]
        window = window[~np.isnan(window)]
        test = distribution.compare(reference[:, None], window[:, None], names=(name,), alpha=alpha)[0]
        if not math.isnan(test.p_value) or rows >= len(newest):
            return test
        rows *= 2
