"""Schedules follow-up retrains after a retrain for drift: each time the rows since the drift have doubled.

A retrain right after an alarm sees one block of the new regime among many of the old one. Its model beats the previous one
and so passes every rule, but a month later much more of the new regime could be learned. Waiting for the next alarm
serves that first model until it is bad. Retraining after every block is expensive, and of little use once there is plenty
of the new regime. Doubling is in between: half of the new rows are unseen by the previous retrain, and n blocks after
a drift there have been about log2(n) retrains. As after an alarm, a challenger that is not better is not promoted.

After such a refusal the same drift goes on alarming, and a few more rows would give the same answer. Another drift must not wait for
twice the rows: a block that is worse than those since the drift, by more than these differ from one another, is the first of another.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import special

from driftloop.data.blocks import Block
from driftloop.metrics.results import NO_BLOCK

ALPHA: Final = 0.05  # how often a block of the same drift passes for the first of another; it costs a retrain
LEAST: Final = 3  # blocks since the drift that the newest is compared with


class FollowUp:
    """Follows the blocks of one watch.

    >>> follow_up = FollowUp()
    >>> follow_up.begin(Block(4, 400, 500))
    >>> [bool(follow_up.due(Block(index, 100 * index, 100 * index + 100))) for index in range(5, 13)]
    [True, False, True, False, False, False, True, False]
    >>> for loss in (0.2, 0.22, 0.18, 0.21):
    ...     follow_up.saw(loss)
    >>> follow_up.another()
    False
    >>> follow_up.saw(0.4)
    >>> follow_up.another()
    True
    """

    def __init__(self) -> None:
        self.block = NO_BLOCK  # block with the drift; its rows count as the first of the new regime
        self.start = self.known = 0  # its first row; rows since then, up to the newest retrain
        self.losses: list[float] = []  # of the blocks since then, that one included

    def saw(self, loss: float) -> None:
        """Note the newest block's KPI as a loss: the larger the worse; nan where it has none."""
        if not math.isnan(loss):
            self.losses.append(loss)

    def another(self) -> bool:
        """Whether the newest block is worse than those before it since the drift (Student's prediction interval, one-sided)."""
        *before, newest = self.losses or [math.nan]
        if len(before) < LEAST:
            return False
        off, spread = newest - float(np.mean(before)), float(np.std(before, ddof=1)) * math.sqrt(1 + 1 / len(before))
        return off > spread * float(special.stdtrit(len(before) - 1, 1 - ALPHA))

    def begin(self, block: Block) -> None:
        """Start after a retrain that answered the drift found in this block."""
        self.block, self.start, self.known = block.index, block.start, block.rows
        self.losses = self.losses[-1:]

    def due(self, block: Block) -> str:
        """The reason to retrain again after a block, in words, or "". A non-empty answer counts as the retrain."""
        rows = block.stop - self.start
        if self.block == NO_BLOCK or rows < 2 * self.known:
            return ""
        known, self.known = self.known, rows
        return f"follow-up of the drift in block {self.block}: {rows:,} rows since it began, {known:,} at the last retrain"
