"""Tracks the row time up to which a stream's labels have arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final

ROWS: Final = 50  # newest labelled rows considered
STRAYS: Final = 10  # one of so many rows may be a stray


class Reached:
    """Follows the times of labelled rows, as `checks.time_text` writes them.

    A retrain trains on rows up to the newest time. One row sent by hand with a time months ahead must not extend that by months:
    a few rows that are further ahead of the others than the others' whole span are strays, and do not count.

    >>> reached = Reached()
    >>> for hour in range(24):
    ...     reached.add(f"2020-01-15T{hour:02d}:00:00.000Z")
    >>> reached.add("2020-05-01T00:00:00.000Z")
    >>> reached.newest
    '2020-01-15T23:00:00.000Z'
    """

    def __init__(self) -> None:
        self._rows: deque[tuple[datetime, str]] = deque(maxlen=ROWS)  # each time, and its text
        self._sure: tuple[datetime, str] | None = None

    def add(self, time: str) -> None:
        """A row with this time was labelled."""
        row = datetime.fromisoformat(time), time
        self._rows.append(row)
        if len(self._rows) < STRAYS or (self._sure and row <= self._sure):
            return
        if self._sure and row[0] - self._sure[0] <= self._sure[0] - self._rows[0][0]:
            self._sure = row  # within the others' span: nearly every row, no sorting needed
            return
        found = _without_strays(sorted(self._rows))
        self._sure = max(self._sure, found) if self._sure else found

    @property
    def newest(self) -> str:
        """The newest time without strays; "" without a row."""
        return (self._sure or max(self._rows, default=(None, "")))[1]


def _without_strays(rows: Sequence[tuple[datetime, str]]) -> tuple[datetime, str]:
    """The newest of sorted rows, without strays."""
    for few in range(len(rows) // STRAYS, 0, -1):
        (ahead, _), (newest, _), (oldest, _) = (rows[at] for at in (-few, -few - 1, 0))
        if ahead - newest > newest - oldest:
            return rows[-few - 1]
    return rows[-1]
