"""Forecasts how long a new model will last from the lifetimes of earlier versions.

The product-limit estimate (Kaplan, Meier 1958) with one more version at risk, the current one: after n versions that crossed
the threshold the next outlives the longest with probability 1 / (n + 1), not 0 (Berliner, Hill 1988).

Kaplan, Meier: Nonparametric estimation from incomplete observations. JASA 53, 1958.
Berliner, Hill: Bayesian nonparametric survival analysis. JASA 83, 1988.
"""

from __future__ import annotations

import numpy as np


def crossed_by(lifetimes: np.ndarray, censored: np.ndarray, *, age: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks from now, and the chance that a version of this age has crossed the threshold by then.

    Args:
        lifetimes: (V,) blocks that each earlier version served until it crossed (inclusive), was replaced, or the watch ended.
        censored: (V,) True where it had not crossed by then.
        age: blocks that the current version has served without crossing.

    Returns:
        Times and chances, both ascending from 0, a point for each version that lasted longer than `age` and crossed.

    >>> times, chance = crossed_by(np.array([2, 5, 4]), np.array([False, False, True]), age=0)
    >>> times.tolist(), chance.tolist()
    ([0.0, 2.0, 5.0], [0.0, 0.25, 0.625])
    """
    # At the same block a crossing comes before a replacement: the replaced version was still at risk.
    order = np.lexsort((censored, lifetimes))
    order = order[lifetimes[order] > age]
    at_risk = np.arange(len(order), 0, -1)
    event = ~censored[order]
    alive = np.cumprod(np.where(event, at_risk / (at_risk + 1), 1.0))
    return np.append(0.0, lifetimes[order][event] - age), np.append(0.0, 1 - alive[event])
