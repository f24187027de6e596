"""How many rows of a reference period carry the information of one independent row, on the safe side where the period is short.

Two estimates, of which the larger is taken. The losses may be a chain, given by the correlation of neighbours, which half of their mean squared
difference estimates from few rows. Or they may vary together over many rows, which the variance of the means of runs of rows shows, relative to
independent rows, over runs of several lengths (as in `driftloop.drift.rules.significant_loss`). Of a length with few runs the figure is uncertain, so
its estimate is an upper one (`SAFE`) that is drawn towards that of the chain.

Both are variances of variances, so what they need is many rows for the losses' kurtosis: a hundred rows with three errors say little about how
errors are correlated. Until they do, a correlation of `PRIOR` is assumed with the weight of `PRIOR_ROWS`, and what is found beyond that is enlarged
by a share that falls with the rows. Runs that are long for the period are not seen at all: `UNSEEN` stands for them. And the mean may wander from
block to block, too slowly for a period of few blocks: until it has many, a wandering of `WANDER` is assumed, or as much less as its blocks allow.

Nothing is learned from the rows that are judged, so a fall cannot be taken for autocorrelation. The constants were chosen on other seeds than those
of the tests and of benchmarks/any_model.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import special

PRIOR: Final = 0.9  # correlation of neighbours
PRIOR_ROWS: Final = 5.0  # in rows over kurtosis + 3, which is rows times p (1 - p) for errors of probability p
HIGHEST: Final = 0.98  # correlation of neighbours
LEAST_RUNS: Final = 8  # of a length that a variance is estimated from
PRIOR_RUNS: Final = 8.0  # that vary like the chain
SAFE: Final = 0.65  # probability that a length's figure is not too small
UNSURE_CHAIN: Final = 2.0  # what the chain adds to the prior is enlarged by this, relative to the rows over kurtosis + 3
UNSURE_RUNS: Final = 8.0  # what runs add to the chain
MOST_UNSURE: Final = 2.0
UNSEEN: Final = 50.0  # rows
OF_BLOCKS: Final = 0.2  # of `PRIOR_ROWS` and `UNSEEN` where a loss is that of a whole block: blocks are less correlated than rows
WANDER: Final = 0.0025  # variance of a block's mean, in variances of a loss: two points of an accuracy of 80 %
LASTING: Final = 9.0  # variance of a sum of such means, relative to independent ones: a correlation of .8 from block to block
ALLOWED: Final = 0.95  # probability that the blocks' means do not wander by more than is found
STEADY_BLOCKS: Final = 30.0  # of the reference period, of which half of that wandering is assumed


def rows_in_one(losses: np.ndarray, *, block_size: int = 1) -> float:
    """How many rows carry the information of one, at least 1.

    Args:
        losses: (N,) in time order, N > 0.
        block_size: losses of a block that is judged; 1 where a loss is that of a whole block.

    >>> rng = np.random.default_rng(7)
    >>> errors = rng.random(50_000) < 0.2
    >>> [round(rows_in_one(one), 1) for one in (errors, errors[:300], np.repeat(errors[:5000], 5))]
    [1.0, 1.3, 8.9]
    """
    values = np.asarray(losses, np.float64)
    deviations, variance = values - values.mean(), float(values.var())
    variance = variance if variance > 1e-12 * float(np.square(values).mean()) else 0.0  # of equal losses it is 0 but for rounding
    scale = OF_BLOCKS if block_size == 1 else 1.0
    if not variance:
        return _of_chain(0.0, 0.0, scale)
    rows = len(values) / (float((deviations**4).mean()) / variance**2 + 3)
    differing = rows * float(np.square(np.diff(values)).mean()) / 2 / variance
    least, chain = _of_chain(rows, rows, scale), _of_chain(rows, differing, scale)
    runs = _of_runs(deviations, variance, chain)
    unsure = (UNSURE_CHAIN * max(chain - least, 0) + UNSURE_RUNS * max(runs - chain, 0)) / rows
    return max(chain, runs) * (1 + min(unsure, MOST_UNSURE)) * (1 + scale * UNSEEN / len(values)) + _wandering(deviations, variance, chain, block_size)


def _of_chain(rows: float, differing: float, scale: float) -> float:
    """The figure of a chain, from rows over kurtosis + 3, how many of them differ from their neighbours as independent rows do, and the prior's scale."""
    assumed = scale * PRIOR_ROWS
    correlation = min(max(1 - ((1 - PRIOR) * assumed + differing) / (assumed + rows), 0.0), HIGHEST)
    return (1 + correlation) / (1 - correlation)


def _of_runs(deviations: np.ndarray, variance: float, chain: float) -> float:
    """The largest figure over runs of several lengths."""
    found, length = 1.0, 2
    while (runs := len(deviations) // length) >= LEAST_RUNS:
        means = deviations[: runs * length].reshape(runs, length).mean(axis=1)
        ratio = length * float(np.square(means).sum()) / variance
        found = max(found, (ratio + PRIOR_RUNS * chain) / float(special.chdtri(runs - 1 + PRIOR_RUNS, SAFE)))
        length *= 2
    return found


def _wandering(deviations: np.ndarray, variance: float, chain: float, block_size: int) -> float:
    """What a mean that wanders from block to block adds."""
    blocks, most = len(deviations) // block_size, WANDER * block_size
    if blocks > 1:
        means = deviations[: blocks * block_size].reshape(blocks, block_size).mean(axis=1)
        allowed = block_size * float(np.square(means).sum()) / variance / float(special.chdtri(blocks - 1, ALLOWED))
        most = min(most, max(allowed - chain, 0.0))
    return LASTING * most / (1 + blocks / STEADY_BLOCKS)
