"""Bets against a hypothesis, whose capital the rule `significant` watches.

While the hypothesis is true the bets gain nothing on average, so the capital, 1 at the start, ever reaches 1 / alpha with
probability at most alpha, however long the watch is (Ville 1939; Ramdas, Grünwald, Vovk, Shafer: Game-theoretic
statistics and safe anytime-valid inference, Statistical Science 38, 2023).

Each block opens new bets with a share of the stake, because the KPI may begin to fall at any block (a mixture over start
times; Shin, Ramdas, Rinaldo: E-detectors, New England Journal of Statistics in Data Science 2, 2023). The shares of all
future blocks sum to 1, half of it in the first `HALF`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError

HALF: Final = 150  # blocks over which half of the stake is spent
MOST: Final = 50_000  # times the alarm level: a bet's capital is capped there, so that a model that improves recovers
RULE: Final = "significant"


class Bets:
    """The capital of several bets, each on another size of fall.

    Args:
        sizes: number of bets.
        alpha: maximum false-alarm probability over the whole watch of one model, between 0 and 1.

    Raises:
        SettingsError: `alpha` is outside its range.

    >>> bets = Bets(2, alpha=0.05)
    >>> bets.settle(np.log([0.5, 2.0]))
    >>> bets.verdict("accuracy 0.600 on 20 rows", against="right at least 0.7 of the time", bounds=(0.4, 0.8)).message
    "accuracy 0.600 on 20 rows; e-value 0.00828 against 'right at least 0.7 of the time'; alarm at 20 (α = 5 %)"
    """

    def __init__(self, sizes: int, *, alpha: float) -> None:
        if not 0 < alpha < 1:
            raise SettingsError(f"--alpha is {alpha}: give a false-alarm rate between 0 and 1, such as 0.05")
        self._sizes, self._alpha = sizes, alpha
        self.reset()

    def reset(self) -> None:
        """Start over with a new model."""
        self._capitals = np.zeros(self._sizes)  # of each bet, summed over the blocks that opened it
        self._blocks, self._highest = 0, 0.0

    def settle(self, gains: np.ndarray, *, stakes: np.ndarray | float = 1.0) -> None:
        """Settle the bets on one block: the logarithm of each bet's growth, and how much more than its share a new bet starts with."""
        share = HALF / ((self._blocks + HALF) * (self._blocks + HALF + 1)) * stakes
        self._capitals = np.minimum(np.exp(np.minimum(gains, 50.0)) * (self._capitals + share), MOST / self._alpha)
        self._blocks += 1
        self._highest = max(self._highest, float(self._capitals.mean()))

    def verdict(self, measured: str, *, against: str, bounds: tuple[float, float], remarks: str = "") -> Verdict:
        """The verdict on the block just settled: drift when the capital, the `statistic`, has reached 1 / alpha, the `threshold`.

        Args:
            measured: the block's KPI in words.
            against: the hypothesis in words.
            bounds: of the block's KPI.
            remarks: appended to the message.
        """
        capital, limit, alpha = float(self._capitals.mean()), 1 / self._alpha, self._alpha
        message = f"{measured}; e-value {capital:.3g} against '{against}'; alarm at {limit:.4g} (α = {100 * alpha:.3g} %){remarks}"
        p_value = min(1.0, 1 / self._highest) if self._highest > 0 else float("nan")  # valid at any block
        figures = {"threshold": limit, "p_value": p_value, "false_alarm_rate": alpha}
        return Verdict.of_kpi(RULE, message, drift=capital >= limit, statistic=capital, bounds=bounds, **figures)

    def no_rows(self) -> Verdict:
        """The verdict on an empty block."""
        return Verdict.no_rows(RULE, threshold=1 / self._alpha, false_alarm_rate=self._alpha)
