"""Tracks the row time up to which a stream's labels have arrived, and which rows are too young for their labels to be relied on."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from driftloop.predictions.later.label_delay import EARLY, LabelDelay
from driftloop.report import wording
from monitoring.online.rolling import Row
from monitoring.records.checks import time_text

ROWS: Final = 50  # newest labelled rows considered
STRAYS: Final = 10  # one of so many rows may be a stray
MOST_WAITING: Final = 200_000  # newest rows that are held until their labels are mature


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


class Furthest:
    """The newest row time, by `Reached`; of rows with their own time, unless most have none."""

    def __init__(self) -> None:
        self._own, self._all = Reached(), Reached()
        self._ahead = 0  # rows with their own time less those without

    def add(self, time: str, *, served_at: str) -> None:
        """Take the times of a row, which has none of its own where they are equal."""
        own = time != served_at
        self._ahead += 1 if own else -1
        if own:
            self._own.add(time)
        self._all.add(time)

    @property
    def newest(self) -> str:
        """The newest time without strays; "" without a row."""
        return self._own.newest if self._ahead > 0 else self._all.newest


class Maturing:
    """Holds rows until the stream's newest row is `delay` younger: before that a label may be there, but labels like it are missing.

    Args:
        delay: of the labels; 0: rows are mature at once.
        most: newest rows that are held.

    >>> held = Maturing(timedelta(days=2))
    >>> for day in (1, 2, 3):
    ...     held.add(Row(f"{day}", f"2024-01-0{day}T00:00:00.000Z", "", "1", "", (), 1, None, None))
    >>> [row.id for row in held.ripe()], held.waiting
    (['1'], 2)
    """

    def __init__(self, delay: timedelta, *, most: int = MOST_WAITING) -> None:
        self.delay, self._most = delay, most
        self._reached = Furthest()
        self._rows: list[tuple[str, str, int, Row]] = []  # a heap
        self._added = 0
        self._edge = ("", "")  # the newest time, and that of the newest mature row
        self.early = 0  # held rows with a label
        self.lost = 0  # rows that were too many to hold: they are not judged

    @property
    def waiting(self) -> int:
        """Number of rows that are held."""
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Take a row, with or without its label."""
        row.waits = True
        self._reached.add(row.time, served_at=row.served_at)
        self._added += 1
        heapq.heappush(self._rows, (row.time, row.id, self._added, row))
        self.early += row.label is not None
        if len(self._rows) > self._most:
            self._oldest().closed = True
            self.lost += 1

    def labelled(self) -> None:
        """Count a held row whose label has come."""
        self.early += 1

    def ripe(self) -> list[Row]:
        """Remove and return the rows that are mature now, oldest first."""
        newest = self._reached.newest
        if newest != self._edge[0]:
            self._edge = newest, time_text(datetime.fromisoformat(newest) - self.delay)
        found = []
        while self._rows and self._rows[0][0] <= self._edge[1]:
            found.append(self._oldest())
        return found

    def _oldest(self) -> Row:
        """Remove and return the oldest row."""
        row = heapq.heappop(self._rows)[-1]
        row.waits = False
        self.early -= row.label is not None
        return row


@dataclass(frozen=True)
class LabelCounts:
    """How long a stream's labels take, and how many were not judged since the monitor's start."""

    delay_seconds: float = 0.0  # 0: labels count at once
    early: int = 0  # their row is younger than the delay: they wait
    late: int = 0  # came after their block was judged; without a delay such labels count in a later block
    corrected: int = 0  # another label came after the row was judged
    lost: int = 0  # rows that left the monitor's memory before their labels were mature

    def as_json(self) -> dict[str, Any]:
        """The counts by name."""
        return asdict(self)

    @property
    def note(self) -> str:
        """What is not judged, and why; "" if nothing."""
        delay = LabelDelay(self.delay_seconds).words
        told = []
        if self.early:
            told.append(f"labels are mature {delay} after their row: {self.early:,} that came before are not judged yet, as {EARLY}")
        if self.late:
            told.append(f"{wording.count(self.late, 'label')} came after their block was judged: it is not judged again; a longer label_delay would wait")
        if self.corrected:
            told.append(f"{wording.count(self.corrected, 'label')} changed after their row was judged: it is not judged again")
        if self.lost:
            told.append(f"{wording.count(self.lost, 'row')} left the memory of {MOST_WAITING:,} before their labels were mature: the batch flow judges these")
        return "; ".join(told)


NO_DELAY: Final = LabelCounts()
