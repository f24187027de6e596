"""KPIs that are means of losses per row, and the loss a model's own probabilities expect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.task import CLASSIFICATION, Task


@dataclass(frozen=True)
class RowKpi:
    """A KPI of per-row losses; any such loss will do: wrong or right, Brier, log loss, a cost.

    >>> brier = RowKpi("brier", lambda outputs, labels: np.square(outputs - np.eye(outputs.shape[1])[labels]).sum(axis=1), probabilities=True)
    >>> brier.expected(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [0.5, 0.0]
    """

    name: str
    losses: Callable[[np.ndarray, np.ndarray], np.ndarray]  # of outputs (N, K) or (N,) and class indices or values (N,): the loss of each row, (N,)
    probabilities: bool  # whether the outputs are class probabilities
    rises: bool = False  # whether the KPI is 1 minus the mean loss, so that higher is better; else it is the mean loss
    unit: str = ""

    def value(self, mean_loss: float) -> float:
        """The KPI of rows with this mean loss."""
        return 1 - mean_loss if self.rises else mean_loss

    def words(self, figure: str) -> str:
        """A figure with the KPI's name and unit."""
        return f"{KPIS[self.name].words if self.name in KPIS else self.name} {figure}{f' {self.unit}' if self.unit else ''}"

    def expected(self, probabilities: np.ndarray) -> np.ndarray:
        """Expected loss of each row if the probabilities (N, K) were right, (N,)."""
        rows, classes = probabilities.shape
        by_class = [probabilities[:, label] * self.losses(probabilities, np.full(rows, label)) for label in range(classes)]
        return np.sum(by_class, axis=0)


def of_task(task: Task, *, unit: str = "") -> RowKpi | None:
    """The KPI of a task: accuracy, MAE in a unit, or a chosen one of classes; None for those of whole blocks and for squared errors."""
    if not task.chosen:
        return own(task, unit=unit)
    if task.by_row is not task or task.name != CLASSIFICATION.name:
        return None
    return RowKpi(task.kpi, lambda outputs, labels: task.losses_of(labels, outputs), probabilities=True, rises=task.higher)


def own(task: Task, *, unit: str = "") -> RowKpi:
    """A task's own KPI: accuracy, or MAE in a unit."""
    return ACCURACY if task.name == CLASSIFICATION.name else replace(MAE, unit=unit)


ACCURACY: Final = RowKpi("accuracy", lambda outputs, labels: (outputs.argmax(axis=1) != labels).astype(float), probabilities=True, rises=True)
MAE: Final = RowKpi("mae", lambda outputs, labels: np.abs(outputs - labels), probabilities=False)
