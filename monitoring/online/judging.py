"""Scores a stream's answers: the error of a row, the KPI, and the drift rule, as in the lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift import diagnosis
from driftloop.drift.kind import kinds
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.probation import Probation
from driftloop.drift.verdict import Verdict
from driftloop.metrics import task
from monitoring.records.checks import Value
from monitoring.stream_settings import StreamConfig


@dataclass(frozen=True)
class Figure:
    """A KPI with its 95 % interval, rows taken as independent; nan without rows."""

    value: float
    lower: float
    upper: float
    rows: int


class Scoring:
    """The scoring of one stream; answers and labels are label values, or numbers."""

    def __init__(self, config: StreamConfig) -> None:
        self._config, self._task = config, task.of(config.task)

    def error(self, answer: Value, label: Value) -> float:
        """The error of one row: 0 is right, more is worse."""
        return abs(float(answer) - float(label)) if self._config.task == "regression" else float(answer != label)

    def kpi(self, errors: np.ndarray) -> Figure:
        """The KPI of these errors, (rows,)."""
        return Figure(self._task.value(errors), *self._task.interval(errors), len(errors))

    def errors(self, answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The error of each row, (rows,)."""
        return self._task.losses(labels, answers)

    def rule(self) -> Probation:
        """A new drift rule: `significant` with probation, as in the lifecycle's watch."""
        return cast(Probation, catalogue.for_goal("significant", self._config.goal, probation=True))

    def told_kind(
        self,
        older: np.ndarray,
        older_errors: np.ndarray,
        newest: np.ndarray,
        newest_errors: np.ndarray,
        *,
        columns: Sequence[Column] = (),
        known: Sequence[int] = (),
        alpha: float,
    ) -> Verdict:
        """The kind of the newest rows' proven drift, by comparison with older rows. Takes seconds.

        Args:
            older, newest: (N, F) and (M, F) in time order; nan where a value is missing, of which there are none without `columns`.
            older_errors, newest_errors: (N,) and (M,) of the same rows.
            columns, known: what the features hold, as in `kinds.tell`; by default numbers.
            alpha: false-alarm rate of the tests.
        """
        before, now = (diagnosis.comparable(errors, self._config.goal) for errors in (older_errors, newest_errors))
        names, losses = self._config.feature_names, self._config.task == "regression"
        found = kinds.tell(older, before, newest, now, names=names, columns=columns, known=known, alpha=alpha, losses=losses, fallen=True)
        return kinds.settled(found)
