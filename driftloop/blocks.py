"""Cut a stretch of a stream into blocks of consecutive rows.

Labels come when a block ends, so a block is the smallest unit that is scored and judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from driftloop.errors import SettingsError


@dataclass(frozen=True)
class Block:
    """Rows `start` (inclusive) to `stop` (exclusive) of a stream.

    `index` counts from 0. `short` marks a last block with fewer rows than the others: its
    KPI is noisier, so it is kept and scored but shown as what it is.
    """

    index: int
    start: int
    stop: int
    short: bool = False

    @property
    def rows(self) -> int:
        """Number of rows in the block."""
        return self.stop - self.start


def cut(start: int, stop: int, *, block_size: int) -> Iterator[Block]:
    """Cut rows `start`..`stop` into blocks of `block_size`; the left-over is kept as a short block.

    >>> [(b.start, b.stop, b.short) for b in cut(100, 150, block_size=20)]
    [(100, 120, False), (120, 140, False), (140, 150, True)]

    Raises:
        SettingsError: `block_size` is under 1 or larger than the number of rows.
    """
    rows = stop - start
    if block_size < 1:
        raise SettingsError(f"--block_size is {block_size}: give a number of rows of at least 1")
    if block_size > rows:
        raise SettingsError(f"--block_size is {block_size} but only {rows} rows are to be scored: give a smaller block or more rows")
    return _blocks(start, stop, block_size)


def _blocks(start: int, stop: int, block_size: int) -> Iterator[Block]:
    for index, first in enumerate(range(start, stop, block_size)):
        last = min(first + block_size, stop)
        yield Block(index, first, last, short=last - first < block_size)
