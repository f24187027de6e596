"""Joins later rows to those that are still open: which are new, which bring a label, which come too late.

With ids a row is its id. Without, a row is what it holds besides the label: a later frame that begins before the newest row known overlaps with
it, and rows of it that equal a known one are that row, as often as there are known ones. A frame that does not overlap only continues, so its rows
are new, but where a known row without a label equals one with a label: that is its label.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import pandas as pd

from driftloop.predictions.later.rows import Rows, joined


@dataclass(frozen=True)
class Counts:
    """What later frames brought besides new rows, since the first table."""

    late_rows: int = 0  # older than what is judged: left out
    late_labels: int = 0  # of rows in closed blocks that had none
    corrected: int = 0  # labels of rows in closed blocks that had another
    unknown_labels: int = 0  # of labels alone, whose id belongs to no row that is kept

    def plus(self, other: Counts) -> Counts:
        """The sums."""
        return Counts(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def notes(self) -> list[str]:
        """A sentence for each that is not 0."""
        found = []
        if self.late_rows:
            found.append(f"{self.late_rows:,} later rows are older than what was judged before: they are left out.")
        if self.late_labels:
            found.append(f"{self.late_labels:,} labels came after their block was judged: it is not judged again.")
        if self.corrected:
            found.append(f"{self.corrected:,} labels were corrected after their block was judged: it is not judged again.")
        if self.unknown_labels:
            found.append(f"{self.unknown_labels:,} labels have the id of no row that can still be labelled: they are left out.")
        return found


NOTHING: Final = Counts()


@dataclass(frozen=True, eq=False)
class Merged:
    """The open rows after a later frame, the closed ones with their newest labels (kept to recognise further corrections), and what came."""

    open: Rows
    closed: Rows
    counts: Counts


def merge(closed: Rows, open_rows: Rows, later: Rows, *, ids: bool, labels_only: bool, edge: np.datetime64, newest: np.datetime64) -> Merged:
    """Join later rows to the open ones.

    Args:
        closed: the newest rows of closed blocks.
        open_rows: the rows that are not in a closed block.
        later: in time order.
        ids: whether the keys are those of ids.
        labels_only: whether the later rows are labels alone.
        edge: rows before this time belong to closed blocks.
        newest: time of the newest row known.
    """
    known = joined([closed, open_rows])
    at = _same(known, later, whole=ids or (len(later) > 0 and bool(later.times[0] < newest)))
    labels, found = known.labels.copy(), at >= 0
    given = found & later.labelled
    before, now = labels[at[given]], later.labels[given]
    in_closed = at[given] < len(closed)
    lacking = ~known.labelled[at[given]]
    labels[at[given]] = now
    late = ~found & (later.times < edge) if not labels_only else np.zeros(len(later), bool)
    counts = Counts(
        late_rows=int(late.sum()),
        late_labels=int((in_closed & lacking).sum()),
        corrected=int((in_closed & ~lacking & (before != now)).sum()),
        unknown_labels=int((~found).sum()) if labels_only else 0,
    )
    every = known.having(labels)
    opened = every.of(slice(len(closed), None))
    new = later.of(~found & ~late) if not labels_only else None
    if new is not None and len(new):
        both = joined([opened, new])
        opened = both.of(np.argsort(both.times, kind="stable"))
    return Merged(opened, every.of(slice(0, len(closed))), counts)


def _same(known: Rows, later: Rows, *, whole: bool) -> np.ndarray:
    """For each later row the known row that it is, (N,); -1: a new one."""
    pool = np.arange(len(known)) if whole else np.flatnonzero(~known.labelled)
    asked = np.arange(len(later)) if whole else np.flatnonzero(later.labelled)
    sides = [pd.DataFrame({"key": rows.keys[at], "row": at}) for rows, at in ((known, pool), (later, asked))]
    for side in sides:
        side["copy"] = side.groupby("key").cumcount()
    both = sides[1].merge(sides[0], on=["key", "copy"], how="inner", suffixes=("_later", "_known"))
    found = np.full(len(later), -1)
    found[both.row_later.to_numpy()] = both.row_known.to_numpy()
    return found
