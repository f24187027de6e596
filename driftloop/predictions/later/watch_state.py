"""All that a watch on a table of predictions needs to continue with later rows and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from driftloop.data.streams import Stream
from driftloop.predictions import predicted_table
from driftloop.predictions.later import merge
from driftloop.predictions.later.closed import Closed
from driftloop.predictions.later.first_reading import FirstReading
from driftloop.predictions.later.merge import NOTHING, Counts
from driftloop.predictions.later.rows import Rows, joined
from driftloop.predictions.predicted_table import PredictedTable, TableColumns
from driftloop.predictions.prediction_columns import ReadPredictions
from driftloop.predictions.table_goal import TablePlan

if TYPE_CHECKING:
    from driftloop.predictions.later.later_rows import Later


@dataclass(frozen=True, eq=False)
class WatchState:
    """A watch after some rows: how they were read and judged, what is closed, and the rows that are not."""

    name: str
    source: str
    sha256: str
    asked: TableColumns
    plan: TablePlan
    reading: FirstReading
    closed: Closed
    open: Rows
    newest: np.datetime64  # time of the newest row
    rows: int  # all that were ever read
    ends: np.datetime64 | None  # see `PredictedTable`
    counts: Counts = NOTHING
    notes: tuple[str, ...] = ()  # of the newest later frame

    @classmethod
    def begun(cls, table: PredictedTable, asked: TableColumns, plan: TablePlan, closed: Closed) -> WatchState:
        """After the first table."""
        stream = table.stream
        rest = predicted_table.as_rows(table).of(slice(closed.rows, None))
        return cls(stream.name, stream.source, stream.sha256, asked, plan, table.reading, closed, rest, stream.times[-1], table.rows_read, table.ends)

    def table(self) -> PredictedTable:
        """The closed rows that are kept and the open ones, as a table."""
        rows, known = joined([self.closed.kept, self.open]), self.reading
        outputs = np.eye(len(known.names), dtype=np.float32)[rows.predicted] if known.names else rows.predicted
        predicted = ReadPredictions(rows.labels, outputs, rows.probabilities, known.names, np.ones(len(rows), bool), (), known.second)
        stream = Stream(
            name=self.name,
            rows=np.ascontiguousarray(rows.inputs),
            labels=rows.labels,
            label_names=known.names,
            features=known.features,
            times=rows.times,
            period=None,
            source=self.source,
            sha256=self.sha256,
            task=known.task,
            schema=known.schema,
            unit=self.asked.unit,
            vocabulary=known.vocabulary,
        )
        notes = (*self.counts.notes, *self.notes, *self.closed.first.notes)
        segments = tuple(cut.column(rows.segments[:, at]) for at, cut in enumerate(known.cuts))
        return PredictedTable(stream, predicted, self.closed.kept_reference, notes, rows.keys, known, self.rows, self.ends, segments)

    def with_later(self, later: Later) -> WatchState:
        """With later rows or labels, not yet judged."""
        known = self.closed.kept.having(self.closed.seen)
        found = merge.merge(known, self.open, later.rows, ids=bool(self.asked.id), labels_only=later.labels_only, edge=self.closed.edge, newest=self.newest)
        newest = max(self.newest, found.open.times[-1]) if len(found.open) else self.newest
        rows = self.rows + (0 if later.labels_only else len(later.rows))
        return replace(
            self,
            reading=later.known,
            closed=self.closed.having_seen(found.closed.labels),
            open=found.open,
            newest=newest,
            rows=rows,
            counts=self.counts.plus(found.counts),
            notes=later.notes,
        )

    def judged(self, closed: Closed) -> WatchState:
        """After the open rows were judged, and some of them closed."""
        done = closed.rows - self.closed.rows
        return replace(self, closed=closed, open=self.open.of(slice(done, None)))
