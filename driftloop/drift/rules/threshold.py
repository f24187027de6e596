"""The plain threshold rule: a block has drifted as soon as its accuracy is under a fixed threshold.

It ignores noise, so on short blocks it alarms without drift. The verdict states how often:
with 20 rows a model that is right 60 % of the time falls under 55 % in one of four blocks.
"""

from __future__ import annotations

import math

import numpy as np

from driftloop.drift.rules.rule import Rule, wrong_rows
from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError
from driftloop.metrics import kpi

RULE = "threshold"


class ThresholdRule(Rule):
    """The plain rule for a watch: it keeps the accuracy of the blocks that did not drift, to state the false-alarm rate by chance.

    That accuracy is slightly too high, because the blocks under the threshold are left out; it is at least the threshold.

    Args:
        threshold: lowest accuracy that is still good enough, in 0..1.

    Raises:
        SettingsError: `threshold` is outside 0..1.

    >>> rule = ThresholdRule(0.55)
    >>> rule.update(np.array([0, 0, 0, 1, 1])).drift, rule.update(np.array([0, 0, 1, 1, 1])).drift
    (False, True)
    """

    name = RULE

    def __init__(self, threshold: float) -> None:
        if not 0 <= threshold <= 1:
            raise SettingsError(f"--threshold_accuracy is {threshold}: give an accuracy in 0..1")
        self._threshold = threshold
        self.reset()

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`; the verdict is that of `threshold_rule`."""
        wrong = wrong_rows(errors)
        rows, right = len(wrong), int(np.count_nonzero(~wrong))
        reference = max(self._threshold, self._right / self._rows) if self._rows else None
        verdict = threshold_rule(right, rows, threshold=self._threshold, reference=reference)
        if not verdict.drift:
            self._right += right
            self._rows += rows
        return verdict

    def reset(self) -> None:
        """See `Rule.reset`."""
        self._right = self._rows = 0


def threshold_rule(correct: int, rows: int, *, threshold: float, reference: float | None = None) -> Verdict:
    """Judge one block: drift when its accuracy is strictly under `threshold`; equal is not drift.

    Args:
        correct: number of rows predicted correctly.
        rows: number of rows in the block.
        threshold: lowest accuracy that is still good enough, in 0..1.
        reference: the accuracy of the model without drift, such as its mean over earlier blocks; the
            verdict's `false_alarm_rate` is the probability that a block of this size falls under the threshold
            at that accuracy. Without one (None or nan), a model exactly at the threshold is assumed.

    Raises:
        ValueError: not 0 <= correct <= rows.

    >>> verdict = threshold_rule(10, 20, threshold=0.55, reference=0.6)
    >>> verdict.drift, verdict.kind, round(verdict.false_alarm_rate, 2)
    (True, 'performance', 0.24)
    >>> threshold_rule(11, 20, threshold=0.55).drift
    False
    """
    if not 0 <= correct <= rows:
        raise ValueError(f"correct is {correct}: it must lie in 0..{rows}")
    if rows == 0:
        return Verdict.no_rows(RULE, threshold=threshold)
    share = correct / rows
    drift = share < threshold
    steady = threshold if reference is None or math.isnan(reference) else reference
    chance = kpi.chance_below(threshold=threshold, true_accuracy=steady, rows=rows)
    side = "under" if drift else "not under"
    message = (
        f"accuracy {share:.3f} on {rows} rows is {side} the threshold {threshold:g}; "
        f"by chance alone a model that is right {100 * steady:.1f} % of the time falls under it in {100 * chance:.1f} % of such blocks"
    )
    bounds = kpi.wilson_interval(correct, rows)
    return Verdict.of_kpi(RULE, message, drift=drift, statistic=share, bounds=bounds, threshold=threshold, false_alarm_rate=chance)
