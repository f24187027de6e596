"""The threshold rule as an anytime-valid test: alarm when the accuracy is under the threshold by more than noise.

After every block the hypothesis "the model in service is right at least `threshold` of the time" is tested by betting
against it (`bets`). Each bet is on one size of fall. It is an exponential tilt of the block's errors,
exp(tilt * errors - rows * cumulant(tilt)): with independent rows the likelihood ratio; with autocorrelated errors
the cumulant is that of a Markov chain of errors (the logarithm of the largest eigenvalue of its tilted transition matrix; Dembo, Zeitouni:
Large Deviations Techniques and Applications, 1998, section 3.1) and of an accuracy that wanders from block to block, see `driftloop.drift.rules.variance`.

A bet passes 1 / alpha by a jump, so the bound is conservative: with a normal jump of standard deviation s (in the logarithm) the probability is
exp(-0.583 s) of it (Siegmund: Sequential Analysis, 1985, chapter X). Each bet starts with a correspondingly larger stake.

The bound would hold exactly, without that correction, for independent rows. The errors' autocorrelation is estimated from earlier
blocks. benchmarks/false_alarms.md shows the false-alarm rates reached.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from driftloop.drift.rules.bets import RULE, Bets
from driftloop.drift.rules.rule import Rule, wrong_rows
from driftloop.drift.rules.variance import Dependence, DependenceEstimate
from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError
from driftloop.metrics import kpi

FALLS: Final = np.geomspace(0.15, 2.5, 8)  # sizes of fall in the log odds of a right answer, below the threshold's
NARROWEST: Final = 1e-5  # least distance of the threshold from 0 and 1; closer, the arithmetic is inexact
OVERSHOOT: Final = 0.583  # overshoot of a sum at its first passage of a level, in standard deviations of a step
WIDEST_STEP: Final = 2.0  # largest jump for which that holds
SHARE: Final = 1 / 400  # of the stake, roughly a bet's starting capital


class Significant(Rule):
    """Alarms when the evidence against "right at least `threshold` of the time" passes 1 / alpha.

    Args:
        threshold: lowest accuracy that is good enough, 0.00001 to 0.99999 (no accuracy is under 0, and against 1 one error is proof).
        alpha: maximum false-alarm probability over the whole watch of one model, between 0 and 1.

    Raises:
        SettingsError: `threshold` or `alpha` is outside its range.

    >>> rule = Significant(threshold=0.7)
    >>> rng = np.random.default_rng(7)
    >>> any(rule.update(rng.random(48) < 0.3).drift for _ in range(100))
    False
    >>> [rule.update(rng.random(48) < 0.6).drift for _ in range(4)]
    [False, False, True, True]
    """

    name = RULE

    def __init__(self, *, threshold: float, alpha: float = 0.05) -> None:
        if not NARROWEST <= threshold <= 1 - NARROWEST:
            raise SettingsError(f"--threshold_accuracy is {threshold}: the rule {self.name} needs an accuracy of {NARROWEST:g} to {1 - NARROWEST:g}")
        self._threshold, self._bets = threshold, Bets(len(FALLS), alpha=alpha)
        odds = (1 - threshold) / threshold * np.exp(FALLS)
        self._fallen = odds / (1 + odds)  # error rates bet on
        self._dependence = DependenceEstimate(capital=-math.log(alpha * SHARE))

    def reset(self) -> None:
        """See `Rule.reset`. The learned autocorrelation is kept: a new version is assumed to be like the last in this."""
        self._dependence.reset()
        self._bets.reset()

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """Learn the errors' autocorrelation before the watch; their rate is not learned.

        Without it the first blocks are down-weighted, because errors are assumed autocorrelated until rows show otherwise.

        Training rows are fine: errors are fewer there but similarly autocorrelated. Arguments as in `Rule.prepare`.
        """
        wrong = wrong_rows(errors)
        for start in range(0, len(wrong) - block_size + 1, block_size):
            self._dependence.add(wrong[start : start + block_size])
        self._dependence.reset()

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update` and `Bets.verdict`; `lower` and `upper` bound the block's accuracy (Wilson, assuming independent rows)."""
        wrong = wrong_rows(errors)
        if not len(wrong):
            return self._bets.no_rows()
        known = self._dependence.known(len(wrong))
        tilts = self._tilts(known)
        gains = tilts * np.count_nonzero(wrong) - len(wrong) * self._cumulants(tilts, known)
        step = tilts * math.sqrt(len(wrong) * self._threshold * (1 - self._threshold) * known.inflation)
        self._bets.settle(gains, stakes=np.exp(OVERSHOOT * np.minimum(step, WIDEST_STEP)))
        self._dependence.add(wrong)
        rows, right = len(wrong), int(np.count_nonzero(~wrong))
        against, inflation = f"right at least {self._threshold:.4g} of the time", known.inflation
        remarks = f"; errors are autocorrelated: effective sample size is rows / {inflation:.1f}" if inflation > 1.5 else ""
        return self._bets.verdict(f"accuracy {right / rows:.3f} on {rows} rows", against=against, bounds=kpi.wilson_interval(right, rows), remarks=remarks)

    def rows_in_one(self, rows: int) -> float:
        """See `Rule.rows_in_one`."""
        return self._dependence.known(rows).inflation

    def _tilts(self, known: Dependence) -> np.ndarray:
        """Logarithm of the factor by which an error multiplies each bet."""
        right, error, rho = self._threshold, 1 - self._threshold, known.correlation
        stay_right, stay_wrong = rho + (1 - rho) * right, rho + (1 - rho) * error
        # The tilt under which the chain errs as often as after the fall: the larger root of a quadratic in the eigenvalue.
        middle = rho + stay_right * stay_wrong - 2 * rho * self._fallen
        side = (1 - self._fallen) * stay_wrong
        eigenvalue = (middle + np.sqrt(np.maximum(middle**2 - 4 * (1 - self._fallen) * side * stay_right * rho, 0))) / (2 * side)
        return np.log(eigenvalue * (eigenvalue - stay_right) / (stay_wrong * eigenvalue - rho)) / known.wander

    def _cumulants(self, tilts: np.ndarray, known: Dependence) -> np.ndarray:
        """Logarithm of each bet's divisor per row, so that it gains nothing on average at the threshold."""
        right, error, rho = self._threshold, 1 - self._threshold, known.correlation
        odds = np.exp(tilts)
        trace = rho + (1 - rho) * right + (rho + (1 - rho) * error) * odds
        eigenvalue = (trace + np.sqrt(np.maximum(trace**2 - 4 * rho * odds, 0))) / 2
        wandering = right * error * (1 + rho) / (1 - rho) * (known.wander - 1)  # variance per row beyond the chain's
        return np.log(eigenvalue) + tilts**2 * wandering / 2
