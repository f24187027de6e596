"""The rule `significant` for real-valued losses such as absolute errors: alarm when their mean is over the threshold by more than noise.

After every block the hypothesis "the mean loss is at most `threshold`" is tested by betting against it (`bets`). A loss is capped
and divided by the cap, so that it lies in 0..1; capping lowers the mean, which keeps the hypothesis true. A bet of size b multiplies
its capital by 1 + b (loss - threshold) with every row (Waudby-Smith, Ramdas: Estimating means of bounded random variables by
betting, JRSS-B 86, 2023).

Errors are autocorrelated: by hour, by day, by season. So a bet's product over a block is raised to the power 1 / v, where v rows carry the
information of one independent row. For rows that depend on fewer than v neighbours this keeps the bound exactly: the rows are v interleaved
sequences of independent ones, and Hoelder's inequality bounds the mean of the product of their powers. v is estimated as the
variance of sums of errors relative to independent rows, over runs of several lengths up to the whole block, from rows before the watch
(a batch-means estimate) and from the blocks of the watch itself; the largest is taken, times `UNSURE` over few runs.
benchmarks/taxi.md and tests/unit/test_losses.py show how often it alarms without drift.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from driftloop.drift.rules.bets import RULE, Bets
from driftloop.drift.rules.rule import Rule, loss_rows
from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError
from driftloop.metrics import kpi

BETS: Final = np.geomspace(0.02, 0.9, 8)  # of the largest bet that never loses more than its capital
CAP_QUANTILE: Final = 0.995  # quantile of the losses before the watch at which losses are capped
CAP_THRESHOLDS: Final = 4.0  # the cap is at least this many thresholds, and exactly this without rows before the watch
RUNS: Final = (1, 2, 4, 8, 16, 32, 64)  # numbers of runs into which a block is cut to measure the autocorrelation
UNSURE: Final = 0.2  # quantile of chi-square: bounds how much the variance of few runs is underestimated
LEAST_RUNS: Final = 4  # runs that a variance is estimated from
NO_REFERENCE: Final = 20.0  # rows with the information of one, where their autocorrelation is unknown
SEEN: Final = 100  # blocks of the watch that v is learned from
DELAY: Final = 3  # newest blocks excluded from learning v, so that a rise is not taken for autocorrelation


@dataclass(frozen=True)
class Loss:
    """What a rule says of its losses, and how large one can be.

    With a finite bound the rules cap nothing: they divide by the bound.
    """

    words: str = "mean absolute error"  # their mean within a sentence
    flag: str = "--threshold_mae"  # that sets the threshold
    bound: float = math.inf  # largest loss of a row
    per: str = "row"  # or "block", where a loss is that of a whole block

    def check(self, threshold: float) -> None:
        """Refuse a threshold that no mean loss can be over.

        Raises:
            SettingsError: it is not over 0, or not under the bound.
        """
        if not (threshold > 0 and math.isfinite(threshold)):
            raise SettingsError(f"{self.flag} is {threshold}: give the largest {self.words} that is good enough, over 0")
        if threshold >= self.bound:
            raise SettingsError(f"{self.flag}: a {self.words} of {threshold:g} can never be passed: give one under {self.bound:g}")

    def measured(self, losses: np.ndarray) -> str:
        """A block's mean loss in words."""
        return f"{self.words} {losses.mean():.3f} on {len(losses)} {self.per}{'s' if len(losses) > 1 or self.per == 'row' else ''}"


class SignificantLoss(Rule):
    """Alarms when the evidence against "the mean loss is at most `threshold`" passes 1 / alpha.

    Args:
        threshold: largest mean loss that is good enough, over 0, in the loss's unit.
        alpha: maximum false-alarm probability over the whole watch of one model, between 0 and 1.
        under: test the other side: alarm when the mean loss is proven to be *under* the threshold (losses over the cap count as the cap).
        loss: its name and bound; by default the absolute error.

    Raises:
        SettingsError: `threshold` or `alpha` is outside its range.

    >>> rule, rng = SignificantLoss(threshold=3.0), np.random.default_rng(7)
    >>> rule.prepare(rng.exponential(2.8, 20_000), block_size=500)
    >>> any(rule.update(rng.exponential(3.0, 500)).drift for _ in range(50))
    False
    >>> rule.update(rng.exponential(4.5, 500)).drift
    True
    """

    name = RULE

    def __init__(self, *, threshold: float, alpha: float = 0.05, under: bool = False, loss: Loss = Loss()) -> None:
        loss.check(threshold)
        self._threshold, self._under, self._bets, self._loss = threshold, under, Bets(len(BETS), alpha=alpha), loss
        self.cap = loss.bound if math.isfinite(loss.bound) else CAP_THRESHOLDS * threshold
        self._known = NO_REFERENCE
        self._seen: deque[Profile] = deque(maxlen=SEEN + DELAY)

    def reset(self) -> None:
        """See `Rule.reset`. The learned autocorrelation is kept: a new version is assumed to be like the last in this."""
        self._bets.reset()
        self._seen.clear()

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`: learns the cap and the losses' autocorrelation, not their mean."""
        losses = loss_rows(errors)
        if len(losses) < 2 * LEAST_RUNS:
            return
        if math.isinf(self._loss.bound):
            self.cap = max(self.cap, float(np.quantile(losses, CAP_QUANTILE)))
        whole = [losses[start : start + block_size] for start in range(0, len(losses) - block_size + 1, block_size)] or [losses]
        self._known = rows_in_one(profile(np.minimum(block, self.cap)) for block in whole)

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update` and `Bets.verdict`; `lower` and `upper` bound the block's mean loss (assuming independent rows)."""
        losses = loss_rows(errors)
        if not len(losses):
            return self._bets.no_rows()
        rows_in_one_now = self.rows_in_one(len(losses))
        excess = (np.minimum(losses, self.cap) - self._threshold) / self.cap  # its mean is at most 0 while the model is good enough
        worst = self._threshold / self.cap
        if self._under:
            excess, worst = -excess, 1 - worst
        self._bets.settle(np.log1p(np.outer(BETS / worst, excess)).sum(axis=1) / rows_in_one_now)
        self._seen.append(profile(np.minimum(losses, self.cap)))
        measured = self._loss.measured(losses)
        against = f"{'at least' if self._under else 'at most'} {self._threshold:.4g}"
        told = [f"capped at {self.cap:.3g}"] if math.isinf(self._loss.bound) else []
        if rows_in_one_now > 1.5:
            told.append(f"autocorrelated: effective sample size is {self._loss.per}s / {rows_in_one_now:.1f}")
        remarks = f"; errors are {' and '.join(told)}" if told else ""
        return self._bets.verdict(measured, against=against, bounds=kpi.mean_interval(losses), remarks=remarks)

    def rows_in_one(self, rows: int) -> float:
        """See `Rule.rows_in_one`: from before the watch, or from its older blocks when these are more autocorrelated."""
        older = list(self._seen)[:-DELAY]
        return max(self._known, rows_in_one(older)) if len(older) >= LEAST_RUNS else self._known


@dataclass(frozen=True)
class Profile:
    """Autocorrelation statistics of a block's losses: rows, their sum and sum of squares, and for each number of runs the runs' means and rows."""

    rows: int
    total: float
    squares: float
    runs: dict[int, tuple[np.ndarray, np.ndarray]]


def profile(losses: np.ndarray) -> Profile:
    """The profile of one block, (rows,) in time order."""
    runs = {}
    for count in RUNS:
        if len(losses) >= 2 * count:
            edges = np.arange(count) * len(losses) // count
            sizes = np.diff(np.append(edges, len(losses)))
            runs[count] = np.add.reduceat(losses, edges) / sizes, sizes
    return Profile(len(losses), float(losses.sum()), float(np.square(losses).sum()), runs)


def rows_in_one(profiles: Iterable[Profile]) -> float:
    """How many rows carry the information of one independent row, at least 1: the largest ratio over runs of several lengths.

    >>> rng = np.random.default_rng(7)
    >>> independent, together = rng.random(20_000), np.repeat(rng.random(2_000), 10)
    >>> rows_in_one(map(profile, np.split(independent, 40))) < 2, 8 < rows_in_one(map(profile, np.split(together, 40))) < 16
    (True, True)
    """
    given = list(profiles)
    rows = sum(block.rows for block in given)
    mean = sum(block.total for block in given) / rows
    variance = sum(block.squares for block in given) / rows - mean**2
    found = 1.0
    for count in RUNS if variance > 0 else ():
        runs = [block.runs[count] for block in given if count in block.runs]
        if sum(len(means) for means, _ in runs) < LEAST_RUNS:
            continue
        means, sizes = (np.concatenate(part) for part in zip(*runs, strict=True))
        ratio = float((sizes * (means - mean) ** 2).sum() / variance)
        found = max(found, ratio / float(special.chdtri(len(means) - 1, 1 - UNSURE)))
    return found
