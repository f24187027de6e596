"""The rows as gradient boosting takes them: categories as categories, at most as many as it has bins, missing values as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import levels

BINS: Final = 31  # of each column
_LEAST: Final = 8  # rows of a category of its own


@dataclass(frozen=True, eq=False)
class TreeRows:
    """Rows whose categories are whole numbers under `BINS`, the most frequent first, all rare ones as one."""

    values: np.ndarray  # (N, F)
    categorical: np.ndarray | None  # (F,) boolean; None where there is no category


def of(rows: np.ndarray, columns: Sequence[Column]) -> TreeRows:
    """The rows of a gradient boosting, for fits and for questions alike.

    Args:
        rows: (N, F), nan where a value is missing.
        columns: (F,) what they hold; empty: numbers.

    >>> of(np.array([[7.0], [3.0], [np.nan]]), [Column("zone", "feature", "category")]).values.ravel().tolist()
    [0.0, 0.0, nan]
    """
    coded = np.array([levels.are_levels(column) for column in columns], bool)
    if not coded.any():
        return TreeRows(rows, None)
    values = rows.copy()
    for at in np.flatnonzero(coded):
        there = ~np.isnan(rows[:, at])
        values[there, at] = _places(rows[there, at])
    return TreeRows(values, coded)


def _places(values: np.ndarray) -> np.ndarray:
    found, codes = levels.numbered(values)
    rows = np.bincount(found, minlength=len(codes))
    place = np.empty(len(codes))
    place[np.argsort(-rows, kind="stable")] = np.arange(len(codes))
    most = min(BINS - 1, int((rows >= _LEAST).sum()))
    return np.asarray(np.minimum(place, most)[found])
