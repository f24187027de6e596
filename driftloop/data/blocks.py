"""Cut a stretch of a stream into blocks of consecutive rows.

Labels arrive when a block ends, so a block is the smallest unit that is scored and judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from driftloop.errors import SettingsError

CALENDAR: Final = ("day", "week", "month")
MONDAY: Final = np.datetime64("1970-01-05")


@dataclass(frozen=True)
class Block:
    """Rows `start` (inclusive) to `stop` (exclusive) of a stream.

    `index` counts from 0. `short` marks a last block with fewer rows than the others: its
    KPI is noisier, so it is scored but marked as short.
    """

    index: int
    start: int
    stop: int
    short: bool = False

    @property
    def rows(self) -> int:
        """Number of rows in the block."""
        return self.stop - self.start


def usual_size(rows: int) -> int:
    """Rows of a block when nobody gives a size: a hundredth of the rows to score, 20 to 1000, and no more than there are.

    >>> usual_size(30_000), usual_size(100), usual_size(10**7), usual_size(15)
    (300, 20, 1000, 15)
    """
    return min(max(20, min(1000, rows // 100)), max(rows, 1))


def cut(start: int, stop: int, *, block_size: int) -> Iterator[Block]:
    """Cut rows `start`..`stop` into blocks of `block_size`; the remainder becomes a short block.

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


def cut_calendar(times: np.ndarray, start: int, stop: int, *, by: str) -> Iterator[Block]:
    """Cut rows `start`..`stop` at the calendar's days, weeks or months; a first or last one with under half as many rows as the largest is short.

    A day, week or month without rows gives no block.

    >>> times = np.array(["2020-01-30", "2020-01-31", "2020-02-01", "2020-02-03", "2020-04-02"], "datetime64[ns]")
    >>> [(b.start, b.stop, b.short) for b in cut_calendar(times, 0, 5, by="month")]
    [(0, 2, False), (2, 4, False), (4, 5, False)]
    >>> [(b.start, b.stop, b.short) for b in cut_calendar(times, 0, 5, by="week")]
    [(0, 3, False), (3, 4, False), (4, 5, True)]

    Args:
        times: (N,) datetime64 of all rows, non-decreasing.
        start: first row.
        stop: row after the last.
        by: one of `CALENDAR`; a week runs from Monday to Sunday.

    Raises:
        SettingsError: there are no rows.
    """
    if stop <= start:
        raise SettingsError(f"there are no rows to cut by the {by}")
    days = times[start:stop].astype("datetime64[D]")
    # numpy's weeks begin on Thursdays, as 1970 did.
    periods = (days - MONDAY) // np.timedelta64(7, "D") if by == "week" else days.astype("datetime64[M]" if by == "month" else "datetime64[D]")
    edges = [start, *(start + 1 + np.flatnonzero(periods[1:] != periods[:-1])).tolist(), stop]
    return _between(edges)


def period_end(time: np.datetime64, *, by: str) -> np.datetime64:
    """The start of the day, week or month after a time's own.

    >>> str(period_end(np.datetime64("2020-02-28T07:00", "ns"), by="week"))[:10], str(period_end(np.datetime64("2020-02-28", "ns"), by="month"))[:10]
    ('2020-03-02', '2020-03-01')
    """
    day = time.astype("datetime64[D]")
    if by == "month":
        return (day.astype("datetime64[M]") + 1).astype("datetime64[ns]")
    begun = day - (day - MONDAY) % np.timedelta64(7, "D") if by == "week" else day
    return (begun + np.timedelta64(7 if by == "week" else 1, "D")).astype("datetime64[ns]")


def _between(edges: Sequence[int]) -> Iterator[Block]:
    largest = max(stop - first for first, stop in pairwise(edges))
    last = len(edges) - 2
    for index, (first, stop) in enumerate(pairwise(edges)):
        yield Block(index, first, stop, short=index in {0, last} and 2 * (stop - first) < largest)
