"""When to retrain again after a retrain for drift: each time the rows since the drift have doubled.

A retrain right after an alarm sees one block of the new regime among many of the old one. Its model is better than the one
before it and so passes every rule, yet a month later far more of the new regime could be learnt. To wait for the next
alarm is to serve that first model until it is bad. To retrain after every block is dear, and of little use once there is
plenty of the new regime. Doubling is between the two: the share of new rows that each retrain had not seen is the same, a
half, and n blocks after a drift there were about log2(n) retrains. As after an alarm, what is not better is not promoted.
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
        self.block = NO_BLOCK  # in which drift was found; its rows count as the first of the new regime
        self.start = self.known = 0  # its first row; rows since then, up to the newest retrain

    def begin(self, block: Block) -> None:
        """A drift that was found in a block, or after it, has been answered by a retrain."""
        self.block, self.start, self.known = block.index, block.start, block.rows

    def due(self, block: Block) -> str:
        """Why to retrain once more after a block, in words; empty when there is no reason. The answer is taken as the retrain."""
        rows = block.stop - self.start
        if self.block == NO_BLOCK or rows < 2 * self.known:
            return ""
        known, self.known = self.known, rows
        return f"follow-up of the drift in block {self.block}: {rows:,} rows have come since it began, {known:,} when the model was last retrained"
