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
        correct = ~wrong_rows(errors)
        reference = max(self._threshold, self._right / self._rows) if self._rows else None
        verdict = threshold_rule(correct, threshold=self._threshold, reference=reference)
        if not verdict.drift:
            self._right += int(np.count_nonzero(correct))
            self._rows += len(correct)
        return verdict

    def reset(self) -> None:
        """See `Rule.reset`."""
        self._right = self._rows = 0


def threshold_rule(correct: np.ndarray | int, rows: int | None = None, *, threshold: float, reference: float | None = None) -> Verdict:
    """Judge one block: drift when its accuracy is strictly under `threshold`; equal is not drift.

    Args:
        correct: the number of rows predicted correctly, or an array that is True (1) where the row was right.
        rows: number of rows in the block; may be left out when `correct` is an array.
        threshold: lowest accuracy that is still good enough, in 0..1.
        reference: the accuracy of the model without drift, such as its mean over earlier blocks; the
            verdict's `false_alarm_rate` is the probability that a block of this size falls under the threshold
            at that accuracy. Without one (None or nan), a model exactly at the threshold is assumed.

    Raises:
        ValueError: `correct` is a number and `rows` is missing, or not 0 <= correct <= rows.

    >>> verdict = threshold_rule(10, 20, threshold=0.55, reference=0.6)
    >>> verdict.drift, verdict.kind, round(verdict.false_alarm_rate, 2)
    (True, 'performance', 0.24)
    >>> threshold_rule(11, 20, threshold=0.55).drift
    False
    """
    right, total = _count(correct, rows)
    if total == 0:
        return Verdict(drift=False, kind="cannot tell", rule=RULE, message="no rows to judge", threshold=threshold)
    share = right / total
    drift = share < threshold
    lower, upper = kpi.wilson_interval(right, total)
    steady = threshold if reference is None or math.isnan(reference) else reference
    chance = kpi.chance_below(threshold=threshold, true_accuracy=steady, rows=total)
    side = "under" if drift else "not under"
    message = (
        f"accuracy {share:.3f} on {total} rows is {side} the threshold {threshold:g}; "
        f"by chance alone a model that is right {100 * steady:.1f} % of the time falls under it in {100 * chance:.1f} % of such blocks"
    )
    return Verdict(
        drift=drift,
        kind="performance" if drift else "none",
        rule=RULE,
        message=message,
        statistic=share,
        threshold=threshold,
        lower=lower,
        upper=upper,
        false_alarm_rate=chance,
    )


def _count(correct: np.ndarray | int, rows: int | None) -> tuple[int, int]:
    if isinstance(correct, np.ndarray) and correct.ndim:
        rows = len(correct) if rows is None else rows
        correct = int(np.count_nonzero(correct))
    if rows is None:
        raise ValueError("rows is needed when correct is a number")
    if not 0 <= correct <= rows:
        raise ValueError(f"correct is {correct}: it must lie in 0..{rows}")
    return int(correct), rows
