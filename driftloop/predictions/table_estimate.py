"""Estimates the KPI of a table's blocks without their labels, from the probabilities or values that were predicted."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from driftloop.data.blocks import Block
from driftloop.drift.estimate.confidence import Estimate, LabelFree
from driftloop.drift.estimate.row_kpi import RowKpi, of_task
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.predictions.predicted_table import PredictedTable

OF_PROBABILITIES: Final = ("brier", "log_loss", "roc_auc", "average_precision")  # the other KPIs are those of the predicted classes
MEANT: Final = RowKpi("accuracy", lambda _, labels: (labels != 0).astype(float), probabilities=True, rises=True)
"""The accuracy from (the probability of the predicted class, of another one), with label 0 where the prediction was right."""


class TableEstimate:
    """Estimates the KPI of blocks without their labels; nothing where no column of probabilities allows it."""

    def __init__(self, table: PredictedTable, doing: Task, *, unit: str) -> None:
        self.table, self.outputs, self.labels = table, table.predicted.probabilities, table.predicted.labels
        kpi = of_task(doing, unit=unit)
        if table.stream.task != CLASSIFICATION.name:
            self.outputs = table.predicted.outputs
        elif self.outputs is not None and not doing.chosen:
            # A model may decide otherwise than by the most probable class: what counts is the probability of the class that it predicted.
            kpi, predicted = MEANT, table.predicted.outputs.argmax(axis=1)
            meant = self.outputs[np.arange(len(predicted)), predicted]
            self.outputs, self.labels = np.column_stack([meant, 1 - meant]), np.where(self.labels < 0, -1, self.labels != predicted)
        elif doing.kpi not in OF_PROBABILITIES:
            kpi = None  # the decisions need not be those that the probabilities suggest
        coded = [bool(column.categories) for column in table.stream.columns]
        why = "no --probability is given" if self.outputs is None else f"there is no estimate of the {doing.loss_words}"
        self.label_free = LabelFree(kpi, coded=coded) if kpi and self.outputs is not None else None
        self.newest = Estimate(math.nan, math.nan, False, f"cannot tell: {why}")

    def estimate(self, block: Block) -> Estimate:
        """The estimated KPI of a block before its labels."""
        if self.label_free and self.outputs is not None:
            self.newest = self.label_free.estimate(self.outputs[block.start : block.stop], self.table.stream.rows[block.start : block.stop])
        return self.newest

    def learn(self, block: Block) -> None:
        """Add the labels of a block."""
        if self.label_free and self.outputs is not None:
            rows = slice(block.start, block.stop)
            self.label_free.learn(self.outputs[rows], self.labels[rows], self.table.stream.rows[rows])
