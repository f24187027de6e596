"""How far the labels of a stream have come, in the time of its rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final

ROWS: Final = 50  # newest labelled rows that are looked at
STRAYS: Final = 10  # of so many rows, one may be a stray


class Reached:
    """Follows the times of labelled rows, as `fields.time_text` writes them.

    The newest time is what a retrain may see. One row sent by hand with a time of months ahead must not open it these months, so rows
    that lie further ahead of the others than the others lie apart do not count, while they are few.

    >>> reached = Reached()
    >>> for hour in range(24):
    ...     reached.add(f"2020-01-15T{hour:02d}:00:00.000Z")
    >>> reached.add("2020-05-01T00:00:00.000Z")
    >>> reached.newest
    '2020-01-15T23:00:00.000Z'
    """

    def __init__(self) -> None:
        self._times: deque[str] = deque(maxlen=ROWS)
        self._sure = ""

    def add(self, time: str) -> None:
        """A row of this time has its label."""
        self._times.append(time)
        if time > self._sure and len(self._times) >= STRAYS:
            self._sure = max(self._sure, _without_strays(sorted(self._times)))

    @property
    def newest(self) -> str:
        """The newest time, strays left out; "" without a row."""
        return self._sure or max(self._times, default="")


def _without_strays(times: Sequence[str]) -> str:
    """The newest of sorted times; the few above the widest gap do not count where that is wider than all below it."""
    for few in range(len(times) // STRAYS, 0, -1):
        ahead, newest, oldest = (datetime.fromisoformat(times[at]) for at in (-few, -few - 1, 0))
        if ahead - newest > newest - oldest:
            return times[-few - 1]
    return times[-1]
