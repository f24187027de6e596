"""Estimates the variance inflation of autocorrelated errors: the variance of a sum of errors relative to independent rows.

Two causes are learned separately. From row to row the errors are modelled as a two-state Markov chain, given by the
correlation of neighbours, estimated from half the mean squared difference of neighbours (a difference-based estimate, which
a change of level hardly affects; Tecuapetla-Gomez, Munk: Autocovariance estimation in regression with a discontinuous
signal and m-dependent errors, Scandinavian Journal of Statistics 44, 2017). Beyond that the accuracy may wander from block to
block: an AR(1) about its mean, of unknown size and persistence; each pair on a grid is a Kalman filter of the blocks'
error rates with its posterior weight (a multiple-model estimate; Magill, IEEE Transactions on Automatic Control 10, 1965).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

DELAY: Final = 10  # newest blocks left out, so that a fall of the accuracy is not taken for autocorrelation
PRIOR_CORRELATION: Final = 0.9
PRIOR_ROWS: Final = 10.0  # weight of the prior, in rows times p (1 - p)
HIGHEST_CORRELATION: Final = 0.98

# Variance of the wandering accuracy relative to p (1 - p), with its correlation from block to block. At an accuracy of .8 these are
# standard deviations of 0.9, 1.8, 3.6, 7, 14 and 28 points. The first pair is a constant accuracy.
_PAIRS: Final = np.array([(0.0, 0.0), *product((0.0005, 0.002, 0.008, 0.03, 0.12, 0.5), (0.0, 0.5, 0.8, 0.9))])
_WANDER, _PERSISTENCE = _PAIRS.T
_LASTING: Final = (1 + _PERSISTENCE) / (1 - _PERSISTENCE)  # variance of a sum of an AR(1), relative to independent values
STEADY: Final = 0.5  # prior weight of a constant accuracy; the rest goes to the others, less to larger ones
_PRIOR: Final = np.concatenate([[STEADY], (1 - STEADY) * _WANDER[1:] ** -0.5 / (_WANDER[1:] ** -0.5).sum()])

_RISK: Final = 2.0  # allowed excess of the alarm rate; the bound is loose by more than that
_STEPS: Final = np.linspace(0, 1, 24)


@dataclass(frozen=True)
class Dependence:
    """The errors' autocorrelation as known at some block.

    `correlation` is that of neighbouring rows, 0..1 (negative counts as 0). `wander` is the further factor, at least 1, by which a wandering
    accuracy inflates the variance of a sum of errors.
    """

    correlation: float
    wander: float

    @property
    def inflation(self) -> float:
        """Variance of a sum of errors relative to independent rows: this many rows carry the information of one."""
        return (1 + self.correlation) / (1 - self.correlation) * self.wander


class DependenceEstimate:
    """Learns the autocorrelation of a watched model's errors block by block.

    Args:
        capital: logarithm of the growth that an alarm needs; the larger, the costlier an underestimated inflation.

    >>> estimate = DependenceEstimate()
    >>> errors = np.random.default_rng(7).random((200, 48)) < 0.2
    >>> for block in errors:
    ...     estimate.add(block)
    >>> round(estimate.known(48).inflation, 1)
    1.2
    """

    def __init__(self, *, capital: float = 9.0) -> None:
        self._capital = capital
        self._past = deque([(PRIOR_ROWS * (1 - PRIOR_CORRELATION), PRIOR_ROWS, np.log(_PRIOR))])
        self._begin()

    def _begin(self) -> None:
        self._base = self._past[0]
        self._past = deque([self._base], maxlen=DELAY + 1)
        self._log_weights = self._base[2]
        self._blocks = self._rows = self._wrong = self._flips = 0
        self._last: bool | None = None
        self._level, self._spread = np.zeros(len(_PAIRS)), _WANDER.copy()  # mean of the wandering accuracy in each pair's filter, in sqrt(p (1 - p))

    def reset(self) -> None:
        """A new model: its accuracy is unknown, its errors are autocorrelated like the last model's before the newest blocks."""
        self._begin()

    def known(self, rows: int) -> Dependence:
        """The autocorrelation as known `DELAY` blocks ago (early on, at half of the blocks), for blocks of this many rows."""
        lag = min(DELAY, self._blocks // 2)
        flips, expected, log_weights = self._past[-1 - lag]
        correlation = min(max(1 - flips / expected, 0.0), HIGHEST_CORRELATION)
        chain = (1 + correlation) / (1 - correlation)
        factors = 1 + _WANDER * _LASTING * rows / chain
        weights = np.exp(log_weights)
        weights /= weights.sum()
        # A factor that is too small turns the probability exp(-capital) into exp(-capital * factor / true factor): take the smallest
        # factor whose alarm probability, averaged over the posterior of the true one, is not much larger.
        tried = np.log(factors.max()) * _STEPS
        risk = np.log(np.exp(-self._capital * np.exp(tried)[:, None] / factors) @ weights)
        return Dependence(correlation, float(np.exp(np.interp(self._capital - np.log(_RISK), -risk, tried))))

    def add(self, wrong: np.ndarray) -> None:
        """Learn from a block, (rows,) True where the model was wrong; not empty."""
        rows, errors = len(wrong), int(np.count_nonzero(wrong))
        self._flips += int(np.count_nonzero(wrong[1:] != wrong[:-1])) + (self._last is not None and bool(wrong[0]) != self._last)
        self._last = bool(wrong[-1])
        before_rows, before_wrong = self._rows, self._wrong
        self._rows, self._wrong, self._blocks = self._rows + rows, self._wrong + errors, self._blocks + 1
        share = (self._wrong + 1) / (self._rows + 2)
        variance = share * (1 - share)
        flips, expected = self._base[0] + self._flips / 2, self._base[1] + self._rows * variance
        if before_rows:
            correlation = min(max(1 - flips / expected, 0.0), HIGHEST_CORRELATION)
            self._filter((errors / rows - (before_wrong + 0.5) / (before_rows + 1)) / variance**0.5, rows, before_rows, (1 + correlation) / (1 - correlation))
        self._past.append((flips, expected, self._log_weights))

    def _filter(self, deviation: float, rows: int, before_rows: int, chain: float) -> None:
        """One step of each pair's Kalman filter: the block's deviation from the mean so far, in sqrt(p (1 - p))."""
        predicted = _PERSISTENCE * self._level
        spread = _PERSISTENCE**2 * self._spread + _WANDER * (1 - _PERSISTENCE**2)
        # The mean so far is uncertain as well, by the variance of its sum.
        total = spread + chain / rows + (chain + _WANDER * _LASTING * rows) / before_rows
        surprise = deviation - predicted
        log_weights = self._log_weights - (np.log(total) + surprise**2 / total) / 2
        self._log_weights = log_weights - log_weights.max()
        gain = spread / total
        self._level, self._spread = predicted + gain * surprise, (1 - gain) * spread
