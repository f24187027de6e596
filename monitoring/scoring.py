"""How a stream's answers are scored: an error a row, the KPI of many, and the rule that says when it is drift.

The one place where classification and regression differ. Regression has no drift rule yet: its verdict is "cannot tell".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from driftloop import kpi
from driftloop.drift.probation import Probation
from driftloop.drift.significant import Significant
from monitoring.config import StreamConfig
from monitoring.windows import Value

NO_RULE = "no rule yet: the drift rules judge right and wrong answers, not errors of a number"


@dataclass(frozen=True)
class Figure:
    """A KPI with its 95 % interval, rows taken as independent; nan without rows."""

    value: float
    lower: float
    upper: float
    rows: int


class Scoring(Protocol):
    """What differs between tasks."""

    def error(self, answer: Value, label: Value) -> float:
        """The error of one row: 0 is right, more is worse."""

    def kpi(self, errors: np.ndarray) -> Figure:
        """The KPI of rows with these errors, (rows,)."""

    def rule(self) -> Probation | None:
        """A new drift rule, or None where there is none."""


def of(config: StreamConfig) -> Scoring:
    """The scoring of a stream."""
    return _Classification(config) if config.task == "classification" else _Regression()


class _Classification:
    """Accuracy, judged by the rule `significant` with probation, as the lifecycle's watch does."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config

    def error(self, answer: Value, label: Value) -> float:
        return float(answer != label)

    def kpi(self, errors: np.ndarray) -> Figure:
        rows = len(errors)
        right = rows - int(np.count_nonzero(errors))
        return Figure(right / rows if rows else math.nan, *kpi.wilson_interval(right, rows), rows)

    def rule(self) -> Probation:
        threshold, alpha = self._config.threshold, self._config.alpha
        return Probation(Significant(threshold=threshold, alpha=alpha), threshold=threshold, alpha=alpha)


class _Regression:
    """Mean absolute error, with Student's interval."""

    def error(self, answer: Value, label: Value) -> float:
        return abs(float(answer) - float(label))

    def kpi(self, errors: np.ndarray) -> Figure:
        rows = len(errors)
        if not rows:
            return Figure(math.nan, math.nan, math.nan, 0)
        mean = float(errors.mean())
        if rows == 1:
            return Figure(mean, math.nan, math.nan, 1)
        half = float(stats.t.ppf(0.975, rows - 1) * errors.std(ddof=1) / math.sqrt(rows))
        return Figure(mean, max(0.0, mean - half), mean + half, rows)

    def rule(self) -> None:
        return None
