"""Rolling windows over the records of one stream: predictions and labels joined by id, blocks of labelled rows, shares, newest rows.

Nothing here grows without bound, reads a clock, or knows about models.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.records.checks import Value

MOST_IDS: Final = 50_000  # newest ids of a stream remembered, and as many labels that arrived before their predictions
MOST_OPEN: Final = 20_000  # labelled rows that are looked through for closed ones


@dataclass(slots=True, eq=False)
class Row:
    """An answered row, with its label once it has arrived."""

    id: str
    time: str  # of the row, RFC 3339 in UTC with milliseconds, so that texts sort like times
    served_at: str
    version: str
    fallback: str  # "", or why the fallback answered
    features: tuple[float | str, ...]  # (F,) texts as they are; nan for null
    prediction: Value
    probabilities: tuple[float, ...] | None  # (K,) of the classes
    baseline: Value | None  # the fallback's prediction
    label: Value | None = None
    labelled_at: str = ""
    waits: bool = False  # until labels of its age are mature
    closed: bool = False  # its label is judged, or never will be: a later one changes nothing


@dataclass(slots=True, eq=False)
class _Given:
    """A label without its row."""

    label: Value | None
    labelled_at: str
    closed: bool = False


class Join:
    """Joins labels to predictions by id, whichever comes first; repeated ones are ignored.

    The newest `most` ids are remembered. A label whose prediction does not arrive in that time is lost here. A second label for the same id
    is ignored by `label`; `correct` takes it.

    >>> join, row = Join(), Row("a", "", "", "1", "", (), 1, None, None)
    >>> join.label("a", 0) is None, join.prediction(row), row.label, join.prediction(row), join.label("a", 1) is None
    (True, True, 0, False, True)
    """

    def __init__(self, *, most: int = MOST_IDS) -> None:
        self._most = most
        self._rows: OrderedDict[str, Row | _Given] = OrderedDict()  # of a closed row only the label is kept
        self._early: OrderedDict[str, _Given] = OrderedDict()
        self._open: deque[Row] = deque()  # labelled rows, those before the first that is not closed left out

    def prediction(self, row: Row) -> bool:
        """Take a prediction, and join its label if that came first; False if the id is known."""
        if row.id in self._rows:
            return False
        self._rows[row.id] = row
        if given := self._early.pop(row.id, None):
            self._complete(row, given)
        if len(self._rows) > self._most:
            self._rows.popitem(last=False)
        return True

    def knows_label(self, id: str) -> bool:
        """Whether a label for this id was taken."""
        row = self._rows.get(id)
        return id in self._early or (row is not None and row.label is not None)

    def label(self, id: str, label: Value, *, at: str = "") -> Row | None:
        """Take a label given at a time; return the row that it completes, or None if there is no such row yet or it is labelled."""
        if self.knows_label(id):
            return None
        row = self._rows.get(id)
        if not isinstance(row, Row):
            self._early[id] = _Given(label, at)
            if len(self._early) > self._most:
                self._early.popitem(last=False)
            return None
        self._complete(row, _Given(label, at))
        return row

    def correct(self, id: str, label: Value, *, at: str) -> bool | None:
        """Take another label for an id that has one: the newest counts.

        Returns:
            whether it came in time to be judged; None if it is no newer one, or the same.
        """
        known = self._early.get(id) or self._rows.get(id)
        if known is None or at <= known.labelled_at:
            return None
        known.labelled_at = at
        if known.label == label:
            return None
        if not known.closed:
            known.label = label
        return not known.closed

    def _complete(self, row: Row, given: _Given) -> None:
        row.label, row.labelled_at = given.label, given.labelled_at
        self._open.append(row)
        while self._open and (self._open[0].closed or len(self._open) > MOST_OPEN):  # a version's last block may never be complete
            oldest = self._open.popleft()
            if oldest.closed and self._rows.get(oldest.id) is oldest:
                self._rows[oldest.id] = _Given(oldest.label, oldest.labelled_at, closed=True)


class Blocks:
    """Cuts labelled rows into blocks of `size`, oldest rows first.

    A block is cut as soon as there are enough rows. A row whose label is late goes into a later block: no row waits for
    another's label, none is lost, none counts twice.

    >>> blocks = Blocks(2)
    >>> for id, time in [("b", "2020-01-02"), ("a", "2020-01-01"), ("c", "2020-01-03")]:
    ...     blocks.add(Row(id, time, "", "1", "", (), 1, None, None, label=1))
    >>> [[row.id for row in block] for block in blocks.cut()], blocks.waiting
    ([['a', 'b']], 1)
    """

    def __init__(self, size: int, *, most: int = MOST_IDS) -> None:
        self.size = size
        self._rows: deque[Row] = deque(maxlen=max(most, size))

    @property
    def waiting(self) -> int:
        """Number of rows not in a block yet."""
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Take a labelled row."""
        self._rows.append(row)

    def cut(self) -> list[list[Row]]:
        """Remove and return the complete blocks, each in order of row time."""
        if len(self._rows) < self.size:
            return []
        rows = sorted(self._rows, key=lambda row: (row.time, row.id))
        whole = len(rows) // self.size * self.size
        self._rows.clear()
        self._rows.extend(rows[whole:])
        return [rows[start : start + self.size] for start in range(0, whole, self.size)]


class Share:
    """The share of the newest `size` events that are true.

    >>> share = Share(2)
    >>> for event in (True, True, False):
    ...     share.add(event)
    >>> share.true, share.events
    (1, 2)
    """

    def __init__(self, size: int) -> None:
        self._newest: deque[bool] = deque(maxlen=size)
        self.true = 0

    @property
    def events(self) -> int:
        """Events in the window."""
        return len(self._newest)

    def add(self, event: bool) -> None:
        """Take one event; a full window drops its oldest."""
        if len(self._newest) == self._newest.maxlen:
            self.true -= self._newest[0]
        self._newest.append(event)
        self.true += event


class Newest:
    """The newest `size` rows, in order of arrival: of numbers, or of `texts` as well.

    >>> newest = Newest(2, features=1)
    >>> for value in (1.0, 2.0, 3.0):
    ...     newest.add((value,))
    >>> newest.rows().tolist(), newest.seen
    ([[2.0], [3.0]], 3)
    """

    def __init__(self, size: int, *, features: int, texts: bool = False) -> None:
        self._ring = np.full((size, features), np.nan, object if texts else np.float64)
        self.seen = 0  # rows ever added

    def add(self, values: Sequence[float | str]) -> None:
        """Take one row, (F,)."""
        self._ring[self.seen % len(self._ring)] = values
        self.seen += 1

    def rows(self) -> np.ndarray:
        """A copy, (at most size, F), newest row last."""
        if self.seen <= len(self._ring):
            return self._ring[: self.seen].copy()
        return np.roll(self._ring, -(self.seen % len(self._ring)), axis=0)
