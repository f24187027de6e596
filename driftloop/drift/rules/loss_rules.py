"""The drift rules for losses: they take each row's absolute error, Brier loss, cost, …, not right or wrong.

`threshold` and `significant` compare the mean loss with the largest that is good enough. Of river's detectors those for real
values are offered; they get the errors capped and divided by the cap, because ADWIN's bound and Page-Hinkley's default
threshold are meant for 0..1.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import stats

from driftloop.drift.rules import trivial
from driftloop.drift.rules.detectors import Detector
from driftloop.drift.rules.rule import Rule, loss_rows
from driftloop.drift.rules.rule_names import DETECTORS, EVERY, NAMES, RATE
from driftloop.drift.rules.significant_loss import CAP_THRESHOLDS, Loss, SignificantLoss, profile, rows_in_one
from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError
from driftloop.metrics import kpi
from driftloop.metrics.task import Task

REAL: Final = ("adwin", "kswin", "page_hinkley")  # river's detectors that take real values
ABSOLUTE: Final = Loss()
EQUAL: Final = 1e-9  # share by which a mean loss may be over the threshold by rounding alone: 1 - 0.8 is under 0.2


def make(name: str, *, threshold: float, alpha: float, seed: int, loss: Loss = ABSOLUTE, every: int = EVERY, rate: float = RATE) -> Rule:
    """The rule of that name for the losses of one served model; arguments as in `catalogue.for_goal`, `threshold` is that of the mean loss.

    Raises:
        SettingsError: unknown name, a detector that takes 0/1 errors only, or a setting outside its range.

    >>> make("threshold", threshold=3.5, alpha=0.05, seed=7).update(np.array([2.0, 6.0])).drift
    True
    """
    if name == "threshold":
        return LossThreshold(threshold, loss=loss)
    if name == "significant":
        return SignificantLoss(threshold=threshold, alpha=alpha, loss=loss)
    if name in REAL:
        return LossDetector(name, seed=seed, cap=CAP_THRESHOLDS * threshold if math.isinf(loss.bound) else loss.bound, loss=loss)
    if name in DETECTORS:
        offered, taken = ", ".join(("threshold", "significant", *REAL)), "a regression's absolute errors" if loss is ABSOLUTE else f"the {loss.words}"
        raise SettingsError(f"--drift_rule {name} takes 0/1 errors only, not {taken}: give one of {offered}")
    if name in NAMES:
        return _Trivial({"never": trivial.Never(), "every": trivial.Every(every), "random": trivial.Random(rate, seed=seed)}[name])
    raise SettingsError(f"--drift_rule is {name!r}: give one of {', '.join(NAMES)}")


class LossThreshold(Rule):
    """The plain rule: a block has drifted as soon as its mean loss is over the threshold, noise or not.

    The verdict states the false-alarm rate by chance, from the mean and spread of the blocks that did not drift.

    Args:
        threshold: largest mean loss that is good enough, over 0.
        loss: its name and bound.

    Raises:
        SettingsError: the threshold is not over 0.
    """

    name = "threshold"

    def __init__(self, threshold: float, *, loss: Loss = ABSOLUTE) -> None:
        loss.check(threshold)
        self._threshold, self._together, self._loss = threshold, 1.0, loss
        self._sum, self._rows = 0.0, 0

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`: learns the autocorrelation of the errors."""
        losses = loss_rows(errors)
        if len(losses) >= block_size:
            self._together = rows_in_one(profile(losses[start : start + block_size]) for start in range(0, len(losses) - block_size + 1, block_size))

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`; the statistic is the block's mean loss."""
        losses = loss_rows(errors)
        rows = len(losses)
        if not rows:
            return Verdict.no_rows(self.name, threshold=self._threshold)
        mean = float(losses.mean())
        drift = mean > self._threshold * (1 + EQUAL)
        steady = min(self._threshold, self._sum / self._rows) if self._rows else self._threshold
        noise = float(losses.std()) * math.sqrt(self._together / rows)
        chance = float(stats.norm.sf((self._threshold - steady) / noise)) if noise > 0 else math.nan
        if not drift:
            self._sum, self._rows = self._sum + float(losses.sum()), self._rows + rows
        bounds = kpi.mean_interval(losses)
        message = f"{self._loss.measured(losses)} is {'over' if drift else 'not over'} the threshold {self._threshold:g}"
        if not math.isnan(chance):
            message += f"; by chance alone a model at {steady:.3f} exceeds it in about {100 * chance:.1f} % of such blocks"
        return Verdict.of_kpi(self.name, message, drift=drift, statistic=mean, bounds=bounds, threshold=self._threshold, false_alarm_rate=chance)

    def reset(self) -> None:
        """See `Rule.reset`."""
        self._sum, self._rows = 0.0, 0


class LossDetector(Detector):
    """One of river's detectors of a change in real values; only a rise counts.

    Args:
        name: one of `REAL`.
        seed: of KSWIN.
        cap: losses are capped there and divided by it.
        loss: its name.
    """

    def __init__(self, name: str, *, seed: int, cap: float, loss: Loss = ABSOLUTE) -> None:
        super().__init__(name, seed=seed)
        self._cap, self._loss = cap, loss

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`. `statistic` is the block's mean loss; figures that river does not give are nan."""
        losses = loss_rows(errors)
        if not len(losses):
            return Verdict.no_rows(self.name)
        said, risen = self.said(np.minimum(losses, self._cap) / self._cap)
        mean = float(losses.mean())
        message = f"{self._loss.measured(losses)}; {said}; it states no false-alarm rate"
        return Verdict.of_kpi(self.name, message, drift=risen, statistic=mean, bounds=kpi.mean_interval(losses))


class BlockLossRule(Rule):
    """A rule for a KPI of whole blocks: each block is one loss, 1 minus its KPI.

    The hypothesis is on the mean of the blocks' KPIs; with `significant` it is kept at alpha where blocks are independent.

    Args:
        rule: takes the losses.
        measured: the KPI; its `losses_of` is what `update` takes.
    """

    def __init__(self, rule: Rule, measured: Task) -> None:
        self.rule, self.name, self._measured = rule, rule.name, measured

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`: label and probabilities of each row, as for `update`."""
        parts = [errors[start : start + block_size] for start in range(0, len(errors) - block_size + 1, block_size)]
        values = np.array([1 - self._measured.value(part) for part in parts])
        known = values[~np.isnan(values)]
        if len(known):
            self.rule.prepare(known, block_size=len(known))

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`: from label and probabilities of the block's rows; a block whose KPI is undefined gives "cannot tell"."""
        value = self._measured.value(errors)
        return self.rule.update(np.zeros(0) if math.isnan(value) else np.array([1 - value]))

    def reset(self) -> None:
        """See `Rule.reset`."""
        self.rule.reset()


class _Trivial(Rule):
    """A rule that ignores the errors."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.name = rule, rule.name

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`."""
        return self.rule.update(np.zeros(len(loss_rows(errors))))

    def reset(self) -> None:
        """See `Rule.reset`."""
        self.rule.reset()
