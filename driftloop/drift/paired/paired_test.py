"""An anytime-valid test of two models on the same rows: is the challenger better than the champion?

A difference is the champion's loss of a row minus the challenger's, in -1..1. While the challenger is no better, bets on positive differences gain
nothing on average, so that their capital ever reaches 1 / alpha with probability at most alpha, however often one looks (Ville 1939; Waudby-Smith,
Ramdas: Estimating means of bounded random variables by betting, JRSS-B 86, 2023; for two forecasters Choe, Ramdas: Comparing sequential
forecasters, Operations Research 72, 2024). The capital is the mean over bets of several sizes.

Differences are autocorrelated: where v rows carry the information of one (`pair_dependence`), the capital is raised to the power 1 / v. v is
estimated from the compared rows themselves, so the rate is not exact; benchmarks/promotion.md measures it.

The challenger is dropped when the same test the other way round proves that it is worse, or when it cannot win any more: when even the largest
lead that the rows so far allow would not bring the capital to 1 / alpha within the blocks that are left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.drift.paired.pair_dependence import PairDependence
from driftloop.errors import SettingsError

BETS: Final = np.geomspace(0.05, 0.98, 6)
LEADS: Final = np.linspace(0, 1, 41)  # lasting leads of the challenger that the rows are held against
HALF: Final = 20  # with `restarts`: blocks over which half of the stake is spent
BETTER, WORSE, HOPELESS, OPEN = "better", "worse", "hopeless", "open"


@dataclass(frozen=True)
class PairedVerdict:
    """What is known of two models after a block."""

    decision: str  # better: the challenger is; worse: it is not; hopeless: it cannot be proven better in the blocks left; open
    e_value: float  # against "the challenger is no better"
    e_value_worse: float  # against "the challenger is no worse"
    alpha: float
    rows: int
    blocks: int
    lead: float  # mean difference of the losses, in the loss's unit
    rows_in_one: float

    @property
    def decided(self) -> bool:
        """Whether the comparison is over."""
        return self.decision != OPEN

    @property
    def p_value(self) -> float:
        """Valid at any block: chance of such evidence if the challenger is no better."""
        return min(1.0, 1 / self.e_value) if self.e_value > 0 else 1.0

    @property
    def words(self) -> str:
        """The evidence in a sentence."""
        worth = f"effective sample size is rows / {self.rows_in_one:.1f}"
        return (
            f"e-value {self.e_value:.3g} against 'no better' on {self.rows} shadow rows, {1 / self.alpha:.4g} promotes (α = {100 * self.alpha:.3g} %); {worth}"
        )


class PairedTest:
    """Compares two models block by block.

    Args:
        alpha: maximum probability, over all blocks, that a challenger which is no better is called better.
        bound: largest loss of a row; larger ones are capped there.
        blocks: after how many the comparison ends at the latest; 0: it does not end.
        restarts: also open bets at every block, with a share of the stake, and never call the challenger worse: it may become better at any time.

    Raises:
        SettingsError: a setting is outside its range.

    >>> champion, challenger = np.tile([True, False], 24), np.zeros(48, bool)
    >>> PairedTest(alpha=0.05).update(champion, challenger).decision
    'better'
    >>> PairedTest(alpha=0.05).update(challenger, champion).decision
    'worse'
    """

    def __init__(self, *, alpha: float, bound: float = 1.0, blocks: int = 0, restarts: bool = False) -> None:
        if not 0 < alpha < 1:
            raise SettingsError(f"--promote_alpha is {alpha:g}: give a rate between 0 and 1, such as 0.05")
        if not 0 < bound < math.inf:
            raise SettingsError(f"the largest loss of a row is {bound:g}: it must be finite and over 0")
        self._alpha, self._bound, self._blocks, self._restarts = alpha, bound, blocks, restarts
        self._dependence = PairDependence()
        self._gains: list[np.ndarray] = []  # of each block, (bets,)
        self._losses: list[np.ndarray] = []  # of the bets the other way round
        self._against = np.zeros((len(LEADS), len(BETS)))  # of the bets against each lasting lead
        self._rows, self._total = 0, 0.0

    def update(self, champion: np.ndarray, challenger: np.ndarray) -> PairedVerdict:
        """Take the losses of a block's rows, each (N,); rows that one model has no loss for are left out."""
        pairs = np.minimum(np.stack([np.asarray(champion, float), np.asarray(challenger, float)]), self._bound)
        pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
        differences = (pairs[0] - pairs[1]) / self._bound
        if len(differences):
            self._dependence.add(differences)
            self._gains.append(np.log1p(np.outer(BETS, differences)).sum(axis=1))
            self._losses.append(np.log1p(np.outer(-BETS, differences)).sum(axis=1))
            short = (LEADS[:, None] - differences) / (1 + LEADS[:, None])  # (leads, N), at most 1
            self._against += np.log1p(BETS[None, :, None] * short[:, None, :]).sum(axis=2)
            self._rows, self._total = self._rows + len(differences), self._total + float(differences.sum())
        return self._verdict()

    def _verdict(self) -> PairedVerdict:
        if not self._rows:
            return PairedVerdict(OPEN, 1.0, 1.0, self._alpha, 0, 0, math.nan, 1.0)
        worth = self._dependence.rows_in_one()
        better, worse = self._capital(self._gains, worth), self._capital(self._losses, worth)
        decision = BETTER if better >= 1 / self._alpha else WORSE if worse >= 1 / self._alpha and not self._restarts else OPEN
        if decision == OPEN and self._blocks and self._hopeless(worth):
            decision = HOPELESS
        lead = self._bound * self._total / self._rows
        return PairedVerdict(decision, better, worse, self._alpha, self._rows, len(self._gains), lead, worth)

    def _capital(self, gains: list[np.ndarray], worth: float) -> float:
        logs = np.array(gains) / worth  # (blocks, bets)
        if not self._restarts:
            return float(np.exp(np.minimum(logs.sum(axis=0), 500)).mean())
        since = np.minimum(np.cumsum(logs[::-1], axis=0)[::-1], 500)  # of the bets opened at each block
        at = np.arange(len(logs))
        shares = HALF / ((at + HALF) * (at + HALF + 1))
        return float((shares[:, None] * np.exp(since)).sum(axis=0).mean() + HALF / (len(logs) + HALF))

    def _hopeless(self, worth: float) -> bool:
        """Whether the largest lead that is not rejected at alpha would not suffice in the blocks that are left."""
        left = max(0, self._blocks - len(self._gains)) * self._rows / len(self._gains)
        rejected = np.exp(np.minimum(self._against / worth, 500)).mean(axis=1) >= 1 / self._alpha
        most = float(LEADS[~rejected].max()) if not rejected.all() else 0.0
        square = min(1.0, self._dependence.variance + most**2)
        growth = np.maximum(BETS * most - BETS**2 * square / 2, 0) * left / worth
        return bool(np.max(np.sum(self._gains, axis=0) / worth + growth) - math.log(len(BETS)) < math.log(1 / self._alpha))
