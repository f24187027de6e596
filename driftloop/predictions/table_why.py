"""Why the KPI of a table fell: which inputs moved, and in which segments the labels depend on them in another way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftloop.drift.kind.attribution import Attribution, attribute
from driftloop.metrics.kpi_names import KPIS
from driftloop.predictions.segments.segment_columns import SegmentColumn
from driftloop.predictions.segments.segment_judge import LabelledTable

SQUARED = "mean squared error"  # what an RMSE is the root of


def explain(table: LabelledTable, columns: Sequence[SegmentColumn]) -> Attribution | None:
    """The change of the KPI after the reference period, attributed; None with too few rows or without inputs.

    Of a KPI of whole blocks the accuracy is split, of the RMSE the mean squared error.

    Args:
        table: the labelled rows.
        columns: segments of the same rows.
    """
    task, first = table.task.by_row, table.reference
    losses = np.asarray(table.losses if task is table.task else task.losses_of(table.stream.labels, table.outputs), np.float64)
    values = 1 - losses if task.higher else losses
    return attribute(
        table.stream.rows[:first],
        table.stream.rows[first:],
        (values[:first], values[first:]),
        names=table.stream.features,
        columns=table.stream.columns,
        segments={column.name: _with_rows(column) for column in columns},
        kpi=SQUARED if task.kpi == "rmse" else KPIS[task.kpi].words,
    )


def _with_rows(column: SegmentColumn) -> tuple[np.ndarray, list[str]]:
    """The segment of each row among those that have rows, and their names."""
    used, codes = np.unique(column.codes, return_inverse=True)
    return codes, [column.labels[code] for code in used]
