"""Schedules follow-up retrains after a retrain for drift: each time the rows since the drift have doubled.

A retrain right after an alarm sees one block of the new regime among many of the old one. Its model beats the previous one
and so passes every rule, but a month later much more of the new regime could be learned. Waiting for the next alarm
serves that first model until it is bad. Retraining after every block is expensive, and of little use once there is plenty
of the new regime. Doubling is in between: half of the new rows are unseen by the previous retrain, and n blocks after
a drift there have been about log2(n) retrains. As after an alarm, a challenger that is not better is not promoted.
"""

from __future__ import annotations

from driftloop.data.blocks import Block
from driftloop.metrics.results import NO_BLOCK


class FollowUp:
    """Follows the blocks of one watch.

    >>> follow_up = FollowUp()
    >>> follow_up.begin(Block(4, 400, 500))
    >>> [bool(follow_up.due(Block(index, 100 * index, 100 * index + 100))) for index in range(5, 13)]
    [True, False, True, False, False, False, True, False]
    """

    def __init__(self) -> None:
        self.block = NO_BLOCK  # block with the drift; its rows count as the first of the new regime
        self.start = self.known = 0  # its first row; rows since then, up to the newest retrain

    def begin(self, block: Block) -> None:
        """Start after a retrain that answered the drift found in this block."""
        self.block, self.start, self.known = block.index, block.start, block.rows

    def due(self, block: Block) -> str:
        """The reason to retrain again after a block, in words, or "". A non-empty answer counts as the retrain."""
        rows = block.stop - self.start
        if self.block == NO_BLOCK or rows < 2 * self.known:
            return ""
        known, self.known = self.known, rows
        return f"follow-up of the drift in block {self.block}: {rows:,} rows since it began, {known:,} at the last retrain"
