"""The rule `significant` without a threshold: alarm when the mean loss has risen above that of a reference period by more than noise.

Were the mean loss m of the reference period known, one would bet on every later loss that the mean is over m: against each of several larger
means q, the bet multiplies its capital by 1 + (q - m) (loss - m) / (m (1 - m)), losses being divided by the largest. For errors of 0 and 1 that is
the likelihood ratio of q to m; for other losses a bet that gains nothing on average while the mean is at most m (Waudby-Smith, Ramdas:
Estimating means of bounded random variables by betting, JRSS-B 86, 2023). But m is known only as well as the reference period's rows allow,
(`reference_level`). With the probability p(m) that they give each m, the evidence is

    1 / sum over m of p(m) / capital(m),

the probability of the later losses if the mean has risen, relative to that if it is still what it was: a Bayes factor whose uncertain m is integrated out
(Grünwald, de Heide, Koolen: Safe testing, JRSS-B 86, 2024). The means q are the same for all m, so it is the capital against one hypothesis, "m is
as the reference period says". It reaches 1 / alpha with probability at most alpha on average over those m, and whatever the distribution of the
losses it is never more than capital(m) / p(m and higher) at the true m. Of the stake `FIRST` is bet from the first block on, the rest bit by bit, because
a fall may begin at any block (as in `driftloop.drift.rules.bets`).

Errors are autocorrelated: every product is raised to the power 1 / v, v rows carrying the information of one (`reference_dependence`), and the reference
period's rows count for as much less. tests/unit/test_against_reference.py and benchmarks/any_model.md show the false-alarm rates reached.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import special

from driftloop.drift.reference.reference_level import CELLS, ReferenceLevel
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.bets import HALF, MOST, RULE
from driftloop.drift.rules.loss_rules import BlockLossRule
from driftloop.drift.rules.rule import Rule, loss_rows, wrong_rows
from driftloop.drift.rules.significant_loss import CAP_QUANTILE, CAP_THRESHOLDS, Loss
from driftloop.drift.verdict import Verdict
from driftloop.metrics import kpi
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION

BETS: Final = 5  # means bet on
RISES: Final = (0.2, 2.2)  # the smallest and the largest rise bet on, of the log odds of an error
BEYOND: Final = 1.0  # how far the largest is at least beyond the mean that the reference period leaves possible at `UNLIKELY`
UNLIKELY: Final = 0.01
HIGHEST: Final = 0.98  # mean bet on, unless the reference period's is higher
FIRST: Final = 0.5  # share of the stake that is bet from the first block on
CHUNK: Final = 4096  # losses at a time: 6 MB


def largest(losses: np.ndarray, bound: float) -> float:
    """The loss that counts as 1: the bound, or where there is none a value over nearly all of the reference period's losses; larger ones are capped."""
    return bound if math.isfinite(bound) else max(float(np.quantile(losses, CAP_QUANTILE)), CAP_THRESHOLDS * float(np.mean(losses)))


def for_goal(goal: Goal) -> Rule:
    """The rule for a goal's KPI and alpha, whatever its threshold; it takes what `task.losses_of` gives of a block's rows.

    >>> from driftloop.metrics.task import REGRESSION
    >>> rule = for_goal(Goal(REGRESSION))
    >>> rule.prepare(np.random.default_rng(7).exponential(3.0, 1000), block_size=100)
    >>> rule.update(np.full(100, 3.0)).message  # doctest: +ELLIPSIS
    "mean absolute error 3.000 on 100 rows; e-value 1.19 against 'at most the reference period's 2.938'; alarm at 20 (α = 5 %); errors are capped at ..."
    """
    if goal.task is CLASSIFICATION:
        return AgainstReference(alpha=goal.alpha)
    rule = AgainstReference(alpha=goal.alpha, loss=catalogue.loss_of(goal))
    return rule if goal.task.by_row is goal.task else BlockLossRule(rule, goal.task)


class AgainstReference(Rule):
    """Alarms when the evidence that the mean loss has risen since the reference period passes 1 / alpha; `prepare` gives it that period.

    Args:
        alpha: maximum false-alarm probability over the whole watch of one model, between 0 and 1.
        loss: its name and bound; None: errors of 0 and 1, whose KPI is the accuracy.

    >>> rng = np.random.default_rng(7)
    >>> rule = AgainstReference(alpha=0.05)
    >>> rule.prepare(rng.random(1000) < 0.3, block_size=48)
    >>> any(rule.update(rng.random(48) < 0.3).drift for _ in range(100))
    False
    >>> [rule.update(rng.random(48) < 0.6).drift for _ in range(4)]
    [False, False, False, True]
    """

    name = RULE

    def __init__(self, *, alpha: float, loss: Loss | None = None) -> None:
        self._alpha, self._loss = alpha, loss
        self._largest, self._level, self._in_one = 1.0, math.nan, math.nan
        self._means, self._weights, self._risen = np.full(CELLS, math.nan), np.full(CELLS, math.nan), np.full(BETS, math.nan)
        self.reset()

    def reset(self) -> None:
        """See `Rule.reset`. The reference period stays: a new model is to be as good as it was."""
        self._capitals = np.zeros((CELLS, BETS))
        self._blocks, self._highest = 0, 0.0

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """Learn the reference period's mean loss, how uncertain it is, and its autocorrelation; arguments as in `Rule.prepare`, not empty.

        Raises:
            ValueError: no losses, or all of them are 0 and have no bound.
        """
        losses = self._losses(errors)
        if not len(losses):
            raise ValueError("no losses: a reference period needs some")
        self._largest = largest(losses, self._loss.bound if self._loss else 1.0)
        if not self._largest > 0:
            raise ValueError("all losses are 0, and there is no largest one")
        level = ReferenceLevel.of(np.minimum(losses, self._largest) / self._largest, block_size=block_size)
        self._level, self._in_one = float(losses.mean()), level.rows_in_one
        self._means, self._weights = level.cells()
        highest = max(RISES[1], float(special.logit(level.upper(UNLIKELY)) - special.logit(level.mean)) + BEYOND)
        # The less losses vary, the surer is a small rise, and the more is bet on it.
        rises = level.narrower * (special.expit(special.logit(level.mean) + np.geomspace(RISES[0], highest, BETS)) - level.mean)
        self._risen = level.mean + np.minimum(rises, max(HIGHEST, (1 + level.mean) / 2) - level.mean)

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`. `statistic` is the evidence, `threshold` 1 / alpha; `lower` and `upper` bound the block's KPI (assuming independent rows)."""
        losses, limit = self._losses(errors), 1 / self._alpha
        if not len(losses) or math.isnan(self._level):
            return Verdict.no_rows(self.name, threshold=limit, false_alarm_rate=self._alpha)
        share = self._stake(self._blocks) - self._stake(self._blocks + 1)
        self._capitals = np.minimum(self._growth(losses) * (self._capitals + share), MOST / self._alpha)
        self._blocks += 1
        evidence = self.evidence()
        self._highest = max(self._highest, evidence)
        message = f"{self._measured(losses)}; e-value {evidence:.3g} against '{self._against()}'; alarm at {limit:.4g} (α = {100 * self._alpha:.3g} %)"
        figures = {"threshold": limit, "p_value": min(1.0, 1 / self._highest), "false_alarm_rate": self._alpha}
        bounds = kpi.mean_interval(losses) if self._loss else kpi.wilson_interval(int(np.count_nonzero(losses == 0)), len(losses))
        return Verdict.of_kpi(self.name, message + self._remarks(), drift=evidence >= limit, statistic=evidence, bounds=bounds, **figures)

    def evidence(self) -> float:
        """The e-value against "the mean loss is still that of the reference period", 1 before the first block."""
        capitals = self._capitals.mean(axis=1) + self._stake(self._blocks)
        return float(1 / (self._weights / capitals).sum())

    def rows_in_one(self, rows: int) -> float:
        """See `Rule.rows_in_one`: from the reference period alone."""
        return self._in_one

    def _losses(self, errors: np.ndarray) -> np.ndarray:
        return loss_rows(errors) if self._loss else wrong_rows(errors).astype(np.float64)

    def _stake(self, blocks: int) -> float:
        """What is not bet yet after so many blocks."""
        return 1.0 if not blocks else (1 - FIRST) * HALF / (blocks + HALF)

    def _growth(self, losses: np.ndarray) -> np.ndarray:
        """The factor of each bet on a block, (CELLS, bets)."""
        means = self._means[:, None]
        sizes = (self._risen - means) / (means * (1 - means))
        distinct, counts = np.unique(np.minimum(losses, self._largest) / self._largest, return_counts=True)  # errors have few distinct losses
        logs = np.zeros(sizes.shape)
        for start in range(0, len(distinct), CHUNK):
            excess = distinct[start : start + CHUNK, None, None] - means
            logs += np.tensordot(counts[start : start + CHUNK], np.log1p(sizes * excess), axes=1)
        return np.exp(np.minimum(logs / self._in_one, 50.0))

    def _measured(self, losses: np.ndarray) -> str:
        return self._loss.measured(losses) if self._loss else f"accuracy {1 - losses.mean():.3f} on {len(losses)} rows"

    def _against(self) -> str:
        if not self._loss:
            return f"right as often as in the reference period, {1 - self._level:.4g} of the time"
        return f"at most the reference period's {self._level:.4g}"

    def _remarks(self) -> str:
        capped = self._loss and math.isinf(self._loss.bound)
        told = f"; errors are capped at {self._largest:.3g}" if capped else ""
        if self._in_one > 1.5:
            rows = f"{self._loss.per if self._loss else 'row'}s"
            told += f"; errors may be autocorrelated as far as the reference period can show: effective sample size is {rows} / {self._in_one:.1f}"
        return told
