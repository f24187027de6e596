"""Distances between two samples of one column: Kolmogorov-Smirnov, population stability index, Jensen-Shannon, Wasserstein.

All four are computed from counts on one grid of bins, so that thousands of them (a permutation null) are one matrix product.
The bins are quantiles of the pooled sample. With at most as many distinct values as bins each value has its own bin and the
result is exact. Otherwise the binned KS is at most the exact one, and lower by at most a bin's share of the rows of one sample;
the binned Wasserstein distance puts a bin's rows at their common mean.

Kolmogorov 1933, Smirnov 1939 (KS); Siddiqi: Credit Risk Scorecards, 2006 (PSI); Lin: Divergence measures based on the Shannon
entropy. IEEE Trans. Information Theory 37, 1991 (Jensen-Shannon); Ramdas, Garcia Trillos, Cuturi: On Wasserstein two-sample
testing. Entropy 19, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from scipy import special

Statistic = Literal["ks", "psi", "js", "wasserstein"]
STATISTICS: Final = get_args(Statistic)
BINS: Final[dict[str, int]] = {"ks": 256, "wasserstein": 256, "psi": 10, "js": 10}
"""Bins by statistic: many do no harm to KS and Wasserstein; PSI and Jensen-Shannon add up the noise of each bin, where ten is customary."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Bins of one column, in rising order."""

    edges: np.ndarray  # (B - 1,) upper edges, inclusive; the last bin has none
    means: np.ndarray  # (B,) mean of the rows in each bin, in the column's unit


def grid(values: np.ndarray, bins: int) -> tuple[Grid, np.ndarray]:
    """Bins of about equal counts, and the bin of each value, shape (N,).

    Args:
        values: all rows that are to be compared, (N,) finite floats, N >= 1.
        bins: at most this many; one for each distinct value when there are fewer.

    >>> columns, codes = grid(np.array([3.0, 1.0, 1.0, 2.0]), bins=10)
    >>> columns.edges.tolist(), columns.means.tolist(), codes.tolist()
    ([1.0, 2.0], [1.0, 2.0, 3.0], [2, 0, 0, 1])
    """
    ordered = np.sort(values)
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if len(first) <= bins:
        tops = ordered[first]
    else:
        tops = np.append(ordered[np.arange(1, bins) * len(ordered) // bins - 1], ordered[-1])
        tops = tops[np.append(tops[1:] != tops[:-1], True)]
    ends = np.searchsorted(ordered, tops, side="right")
    starts = np.concatenate(([0], ends[:-1]))
    means = np.add.reduceat(ordered, starts, dtype=np.float64) / (ends - starts)
    return Grid(tops[:-1], means), np.searchsorted(tops[:-1], values, side="left")


def distance(statistic: Statistic, reference: np.ndarray, current: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The distance between counts on one grid.

    Args:
        statistic: "ks" (0..1), "psi" (0 and up), "js" (0..1: the root of the divergence to base 2) or "wasserstein" (in the
            column's unit).
        reference: counts by bin, shape (..., B); at least one row in all.
        current: likewise.
        means: (B,) as in `Grid`; only "wasserstein" uses them.

    Returns:
        shape (...), one distance for each pair of counts.

    Raises:
        ValueError: unknown statistic.

    >>> a, b = np.array([5.0, 5.0]), np.array([0.0, 10.0])
    >>> [round(float(distance(name, a, b, np.array([0.0, 2.0]))), 3) for name in STATISTICS]
    [0.5, 1.384, 0.558, 1.0]
    """
    if statistic == "psi":
        # Half a row added to every bin: an empty one would make the index infinite (Krichevsky, Trofimov 1981).
        p, q = _shares(reference + 0.5), _shares(current + 0.5)
        return ((p - q) * np.log(p / q)).sum(axis=-1)
    p, q = _shares(reference), _shares(current)
    if statistic == "js":
        middle = (p + q) / 2
        divergence = (special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum(axis=-1) / (2 * np.log(2))
        return np.sqrt(np.clip(divergence, 0.0, 1.0))
    gap = np.abs(np.cumsum(p - q, axis=-1)[..., :-1])
    if statistic == "ks":
        return gap.max(axis=-1, initial=0.0)
    if statistic == "wasserstein":
        return gap @ np.diff(means)
    raise ValueError(f"statistic is {statistic!r}: give one of {', '.join(STATISTICS)}")


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=-1, keepdims=True)
