"""What the losses of a reference period say of their mean: its posterior distribution, from which the rule and the line of a plot follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import special

from driftloop.drift.reference import reference_dependence

LEAST: Final = 16  # losses of a reference period
PRIOR: Final = 0.5  # losses of 0, and of the largest: Jeffreys' prior
CELLS: Final = 40
TAIL: Final = 1e-4  # probability of the last cell
LAST: Final = 1e-5  # of that beyond it


@dataclass(frozen=True)
class ReferenceLevel:
    """The mean of losses in 0..1 after a reference period: a Beta distribution of the losses' mean and of its variance.

    For independent errors it is the posterior of Jeffreys' prior, whose quantiles are confidence bounds up to terms of the order 1 / N (Welch, Peers:
    On formulae for confidence points based on integrals of weighted likelihoods, JRSS-B 25, 1963). Autocorrelated errors count as fewer.
    """

    mean: float  # in 0..1, neither of both
    variance: float  # of a loss
    rows_in_one: float  # rows with the information of one
    rows: int

    @classmethod
    def of(cls, losses: np.ndarray, *, block_size: int = 1) -> ReferenceLevel:
        """The level of a reference period's losses, (N,) in 0..1 in time order, N > 0, for judging blocks of so many losses.

        >>> level = ReferenceLevel.of(np.random.default_rng(7).random(2000) < 0.2)
        >>> round(level.mean, 2), round(float(level.upper(0.05)), 2)
        (0.2, 0.22)
        """
        values = np.asarray(losses, np.float64)
        mean = (float(values.sum()) + PRIOR) / (len(values) + 2 * PRIOR)
        # Losses of 0 and 1 have the largest variance of all; the least is that of a single loss that differs.
        variance = mean * (1 - mean) if np.isin(values, (0, 1)).all() else max(float(values.var()), mean * (1 - mean) / len(values))
        return cls(mean, variance, reference_dependence.rows_in_one(values, block_size=block_size), len(values))

    @property
    def narrower(self) -> float:
        """How much smaller the variance is than that of losses of 0 and 1 with this mean, at least 1."""
        return self.mean * (1 - self.mean) / self.variance

    def upper(self, alpha: float | np.ndarray) -> float | np.ndarray:
        """The mean that is passed with probability alpha."""
        return special.betaincinv(*self._shape, 1 - np.asarray(alpha))

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """The upper ends of the cells into which the distribution is cut, ascending, and the probability of each, (CELLS,)."""
        tails = np.geomspace(1, TAIL, CELLS + 1)
        ends = np.asarray(self.upper(np.append(tails[1:-1], LAST)))
        return np.clip(ends, 1e-12, 1 - 1e-9), np.append(-np.diff(tails)[:-1], tails[-2])

    @cached_property
    def _shape(self) -> tuple[float, float]:
        known = self.narrower * self.rows / self.rows_in_one
        return self.mean * known + PRIOR, (1 - self.mean) * known + PRIOR
