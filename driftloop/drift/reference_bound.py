"""A threshold from a reference period, where nobody gives one: the rule then asks for a fall against that period.

A two-sample test in two steps, whose false-alarm probabilities add up to alpha (Bonferroni):

    half of alpha   an upper confidence bound of the reference period's mean loss, made once, before the watch
    half of alpha   the anytime-valid rule `significant` against that bound, over the whole watch

A model whose mean loss is still that of the reference period alarms only if the bound is under it, or if the rule errs against a bound that
holds. A longer reference period tightens the bound, never the promise; the delay is that of a threshold at the bound.

The bound is Student's over the means of consecutive batches, which need not be independent row by row, for several numbers of batches; the
largest is taken (Conway: Some tactical problems in digital simulation. Management Science 10, 1963). For losses of 0 and 1 it is at least that of
Clopper and Pearson (Biometrika 26, 1934), because rare errors are not normal, with as many rows as the correlation of neighbours leaves.
tests/unit/test_reference_bound.py and benchmarks/any_model.md show the false-alarm rates reached.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import special

from driftloop.drift.rules.variance import DependenceEstimate

SHARE: Final = 0.5  # of alpha, for the bound; the rule has the rest
BATCHES: Final = (8, 16, 32, 64)
LEAST: Final = 2 * BATCHES[0]  # losses that a bound needs
DRIFTING: Final = 0.01  # level of the test that the reference period itself is stationary


def upper_bound(losses: np.ndarray, *, alpha: float, classes: bool = True) -> float:
    """The largest mean loss that the reference period's losses allow, at confidence 1 - alpha.

    Args:
        losses: (N,) in time order, at least `LEAST`, finite.
        alpha: probability that the true mean is larger, in (0, 1).
        classes: whether losses of 0 and 1 only are errors of a classification, not values that happen to be 0 and 1.

    Raises:
        ValueError: too few losses.

    >>> rng = np.random.default_rng(7)
    >>> round(upper_bound(rng.random(2000) < 0.2, alpha=0.025), 2)
    0.22
    """
    values = np.asarray(losses, np.float64)
    if len(values) < LEAST:
        raise ValueError(f"{len(values)} losses: a bound needs at least {LEAST}")
    bounds = [_student(values, batches, alpha) for batches in BATCHES if len(values) >= 2 * batches]
    if classes and np.isin(values, (0, 1)).all():
        bounds.append(_of_errors(values == 1, alpha))
    return max(bounds)


def _of_errors(wrong: np.ndarray, alpha: float) -> float:
    known = DependenceEstimate()
    known.add(wrong)
    correlation = known.known(len(wrong)).correlation
    effective = (1 - correlation) / (1 + correlation)
    errors, right = effective * int(wrong.sum()), effective * int((~wrong).sum())
    return float(special.betaincinv(errors + 1, right, 1 - alpha)) if right else 1.0


def _means(values: np.ndarray, batches: int) -> np.ndarray:
    edges = np.arange(batches) * len(values) // batches
    return np.add.reduceat(values, edges) / np.diff(np.append(edges, len(values)))


def _student(values: np.ndarray, batches: int, alpha: float) -> float:
    error = float(_means(values, batches).std(ddof=1)) / math.sqrt(batches)
    return float(values.mean()) + float(special.stdtrit(batches - 1, 1 - alpha)) * error


def drifting(losses: np.ndarray) -> bool:
    """Whether the reference period itself drifts: its halves' mean losses differ by more than those of their batches (Welch), at level `DRIFTING`.

    >>> rng = np.random.default_rng(7)
    >>> drifting(rng.random(2000) < 0.2), drifting(rng.random(2000) < np.linspace(0.1, 0.4, 2000))
    (False, True)
    """
    values = np.asarray(losses, np.float64)
    if len(values) < 2 * LEAST:
        return False
    first, second = (_means(half, BATCHES[0]) for half in np.array_split(values, 2))
    parts = [float(half.var(ddof=1)) / len(half) for half in (first, second)]
    if not sum(parts):
        return bool(first.mean() != second.mean())
    freedom = sum(parts) ** 2 / sum(part**2 / (BATCHES[0] - 1) for part in parts)
    return abs(float(second.mean() - first.mean())) / math.sqrt(sum(parts)) > float(special.stdtrit(freedom, 1 - DRIFTING / 2))
