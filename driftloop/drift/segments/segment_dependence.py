"""How many rows of a segment carry the information of one independent row, learned from few rows of many segments.

As in `driftloop.drift.rules.significant_loss` it is the variance of the means of runs of rows, relative to independent rows, over runs of several
lengths. A small segment has few runs, so its own figure is uncertain: it is drawn towards that of all segments together, as if `PRIOR` more runs
had that (an empirical Bayes estimate of a variance; Smyth: Linear models and empirical Bayes methods, Statistical Applications in Genetics and
Molecular Biology 3, 2004). For runs of few rows, which every segment has in common, the figure is at least that of all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import special

LENGTHS: Final = 2 ** np.arange(16)  # rows of a run
LEAST_RUNS: Final = 8  # of a length that a segment's own figure is learned from
SHORT: Final = 32  # rows of a run
PRIOR: Final = 8.0  # runs
MEDIAN: Final = 0.5  # quantile of chi-square: the estimate is as often too large as too small


def rows_in_one(losses: Sequence[np.ndarray]) -> np.ndarray:
    """For each segment how many of its rows carry the information of one, at least 1, (S,).

    Args:
        losses: of each segment's rows in time order, S arrays (N_s,).

    >>> rng = np.random.default_rng(7)
    >>> rows_in_one([rng.random(2000), np.repeat(rng.random(200), 10)]).round(1).tolist()
    [4.4, 9.9]
    """
    found = np.array([_ratios(one) for one in losses])  # (S, lengths, 2)
    ratios, freedom = found[..., 0], found[..., 1]
    common = np.maximum(ratios.sum(axis=0) / np.maximum(freedom.sum(axis=0), 1), 1)
    own = np.where(freedom > 0, (ratios + PRIOR * common) / special.chdtri(freedom + PRIOR, MEDIAN), 1).max(axis=1)
    return np.maximum(own, common[LENGTHS <= SHORT].max())


def _ratios(losses: np.ndarray) -> np.ndarray:
    """For each length of runs the sum of squared deviations of their means, in variances of a row, and its degrees of freedom, (lengths, 2)."""
    found, variance = np.zeros((len(LENGTHS), 2)), float(losses.var())
    for at, length in enumerate(LENGTHS):
        runs = len(losses) // length
        if runs < LEAST_RUNS or not variance:
            break
        means = losses[: runs * length].reshape(runs, length).mean(axis=1)
        found[at] = length * float(((means - losses.mean()) ** 2).sum()) / variance, runs - 1
    return found
