"""Measures estimates by the labels that came later, against the trivial guess: the mean of the blocks before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

BLOCKS: Final = 30  # newest blocks on which the estimate's error is measured
MIN_BLOCKS: Final = 10  # measured blocks needed before an estimate may be trusted
CLEARLY: Final = 0.8  # the estimate's error must be at most this share of the guess's
ALPHA: Final = 0.05  # level of the paired t-test: is the estimate closer to the truth than the guess?


@dataclass(frozen=True)
class EstimateQuality:
    """Quality of the estimates on the newest `blocks` measured blocks; nan where undefined."""

    blocks: int
    error: float  # mean absolute difference between estimate and KPI
    guess_error: float  # the same of the guess: the mean KPI of all blocks before
    bias: float  # mean of estimate - KPI
    correlation: float  # correlation of estimate and KPI over the blocks
    p_value: float  # one-sided: chance of such a lead over the guess if the estimate were no closer

    @property
    def trustworthy(self) -> bool:
        """Whether the estimates were clearly closer to the truth than the guess, by more than chance."""
        return self.blocks >= MIN_BLOCKS and self.error <= CLEARLY * self.guess_error and self.p_value <= ALPHA


@dataclass(frozen=True)
class MeasuredBlock:
    """What was estimated of a block before its labels were used, and its KPI."""

    estimate: float
    guess: float
    value: float


def measured(blocks: list[MeasuredBlock]) -> EstimateQuality:
    """The quality of the estimates of these blocks.

    >>> measured([MeasuredBlock(0.75, 0.8, 0.5), MeasuredBlock(0.75, 0.8, 1.0)]).error
    0.25
    """
    if not blocks:
        return EstimateQuality(0, *[math.nan] * 5)
    estimates, guesses, values = np.array([(block.estimate, block.guess, block.value) for block in blocks]).T
    error, guess_error = np.abs(estimates - values), np.abs(guesses - values)
    varied = len(blocks) > 1 and min(np.ptp(estimates), np.ptp(values)) > 0
    return EstimateQuality(
        blocks=len(blocks),
        error=float(error.mean()),
        guess_error=float(guess_error.mean()),
        bias=float(np.mean(estimates - values)),
        correlation=float(np.corrcoef(estimates, values)[0, 1]) if varied else math.nan,
        p_value=no_lead(guess_error - error),
    )


def no_lead(leads: np.ndarray) -> float:
    """One-sided paired t-test that the mean lead is not above 0; nan for one block, 1 when all leads are equal and none is positive."""
    if len(leads) < 2:
        return math.nan
    spread = float(leads.std(ddof=1)) / math.sqrt(len(leads))
    if spread < 1e-12:
        return 0.0 if leads.mean() > 1e-12 else 1.0
    return float(stats.t.sf(leads.mean() / spread, len(leads) - 1))


def words(quality: EstimateQuality, digits: int) -> str:
    """The quality in a sentence's second half, figures with so many decimals."""
    if quality.blocks < MIN_BLOCKS:
        return f"not trustworthy yet: measured on {quality.blocks} blocks, needs at least {MIN_BLOCKS}"
    errors = f"mean absolute error {quality.error:.{digits}f} on the last {quality.blocks} blocks, against {quality.guess_error:.{digits}f}"
    return f"{'' if quality.trustworthy else 'not trustworthy here: '}{errors} for guessing the past mean"
