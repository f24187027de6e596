"""Whether a reference period drifts itself, so that it is no level to fall from."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import special

BATCHES: Final = 8  # of each half
LEAST: Final = 32  # losses
DRIFTING: Final = 0.01  # level of the test


def drifting(losses: np.ndarray) -> bool:
    """Whether its halves' mean losses differ by more than those of their batches (Welch), which need not be independent row by row, at level `DRIFTING`.

    >>> rng = np.random.default_rng(7)
    >>> drifting(rng.random(2000) < 0.2), drifting(rng.random(2000) < np.linspace(0.1, 0.4, 2000))
    (False, True)
    """
    values = np.asarray(losses, np.float64)
    if len(values) < LEAST:
        return False
    first, second = (_means(half) for half in np.array_split(values, 2))
    parts = [float(half.var(ddof=1)) / len(half) for half in (first, second)]
    if not sum(parts):
        return bool(first.mean() != second.mean())
    freedom = sum(parts) ** 2 / sum(part**2 / (BATCHES - 1) for part in parts)
    return abs(float(second.mean() - first.mean())) / math.sqrt(sum(parts)) > float(special.stdtrit(freedom, 1 - DRIFTING / 2))


def _means(values: np.ndarray) -> np.ndarray:
    edges = np.arange(BATCHES) * len(values) // BATCHES
    return np.add.reduceat(values, edges) / np.diff(np.append(edges, len(values)))
