"""How many rows of a segment carry the information of one independent row, learned from few rows of many segments.

As in `driftloop.drift.rules.significant_loss` it is the variance of the means of runs of rows, relative to independent rows, over runs of several
lengths. A small segment has few runs, so that its own figure is uncertain: it is drawn towards that of all segments together, as if `PRIOR` more runs
had that (an empirical Bayes estimate of a variance; Smyth: Linear models and empirical Bayes methods, Statistical Applications in Genetics and
Molecular Biology 3, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import special

PIECES: Final = (8, 32)  # least and most of the longest runs of a segment
PIECE_ROWS: Final = 16  # of such a run, where there may be as many
HALVINGS: Final = 7  # lengths of runs
PRIOR: Final = 8.0  # runs


def rows_in_one(losses: Sequence[np.ndarray]) -> np.ndarray:
    """For each segment how many of its rows carry the information of one, at least 1, (S,).

    Args:
        losses: of each segment's rows in time order, S arrays (N_s,).

    >>> rng = np.random.default_rng(7)
    >>> rows_in_one([rng.random(2000), np.repeat(rng.random(200), 10)]).round().tolist()
    [1.0, 8.0]
    """
    found = np.array([_ratios(one) for one in losses])  # (S, lengths, 2)
    ratios, freedom = found[..., 0], found[..., 1]
    common = ratios.sum(axis=0) / np.maximum(freedom.sum(axis=0), 1)
    total = freedom + PRIOR
    # Over the median of chi-square: an estimate that is as often too small as too large.
    own = np.where(freedom > 0, (ratios + PRIOR * np.maximum(common, 1)) / special.chdtri(total, 0.5), 0)
    return np.maximum(own.max(axis=1), 1)


def _ratios(losses: np.ndarray) -> np.ndarray:
    """For each length of runs the sum of squared deviations of their means, in variances of a row, and its degrees of freedom, (lengths, 2)."""
    found, variance = np.zeros((HALVINGS, 2)), float(losses.var())
    longest = min(int(np.clip(len(losses) // PIECE_ROWS, *PIECES)), len(losses) // 2)
    for at in range(HALVINGS):
        runs = longest * 2**at
        if runs < 2 or len(losses) < 2 * runs or not variance:
            break
        edges = np.arange(runs) * len(losses) // runs
        sizes = np.diff(np.append(edges, len(losses)))
        means = np.add.reduceat(losses, edges) / sizes
        found[at] = float((sizes * (means - losses.mean()) ** 2).sum()) / variance, runs - 1
    return found
