"""Tests whether the newest inputs have moved from the training reference: one calibrated test per feature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import distribution, spans
from driftloop.drift.inputs.distribution import FeatureTest

MOST_ROWS: Final = 5000  # newest rows that are tested
_LARGEST: Final = float(np.finfo(np.float32).max)


def compare(
    reference: np.ndarray,
    newest: np.ndarray,
    *,
    names: Sequence[str],
    alpha: float,
    rows: int,
    columns: Sequence[Column] = (),
    known: Sequence[int] = (),
) -> tuple[FeatureTest, ...]:
    """Test every feature on the newest `rows` rows; where these are too few to tell, on twice as many, and so on.

    How many are needed depends on how alike neighbouring rows are, not on how far they have moved: so a feature gets one answer, and the
    chance that any is said to have moved when none has stays `alpha` a comparison. A constant feature is at distance 0 from the same
    constant and 1 from another. Without `columns` all features are numbers, and values that are nan are left out, each feature for itself.

    Args:
        reference: (N, F) in time order.
        newest: (M, F) likewise, the newest last.
        names: (F,) the features' names.
        alpha: in (0, 1).
        rows: the smallest window.
        columns: (F,) what they hold: then categories are compared by their shares, and missing and new values are tested as well.
        known: (F,) the codes that the model has learned, as in `distribution.compare`.

    Returns:
        one test per feature; the distance is nan without values, p-values are nan if all M rows are too few.

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.random((2000, 2)), np.column_stack([rng.random(400), np.full(400, 0.9)])
    >>> [test.moved for test in compare(old, new, names=("still", "stuck"), alpha=0.05, rows=100)]
    [False, True]
    """
    found = [
        _first_told(reference[:, i], newest[:, i], name, columns[i : i + 1], known[i : i + 1], alpha=alpha / len(names), rows=rows)
        for i, name in enumerate(names)
    ]
    return distribution.corrected(found, alpha=alpha)


def _first_told(
    reference: np.ndarray, newest: np.ndarray, name: str, columns: Sequence[Column], known: Sequence[int], *, alpha: float, rows: int
) -> FeatureTest:
    reference = reference if columns else reference[~np.isnan(reference)]
    if spans.is_float32(reference[~np.isnan(reference)]):  # then 0.6 and the 0.60000002 of a table of float32 are one value
        newest = np.clip(newest, -_LARGEST, _LARGEST).astype(np.float32).astype(np.float64)
    while True:
        window = newest[-rows:]
        window = window if columns else window[~np.isnan(window)]
        test = distribution.compare(reference[:, None], window[:, None], names=(name,), columns=columns, known=known, alpha=alpha)[0]
        vanished = len(window) > 0 and bool(np.isnan(window).all())  # then older rows would only hide it
        if not test.untold or rows >= len(newest) or (vanished and not math.isnan(test.p_value)):
            return test
        rows *= 2
