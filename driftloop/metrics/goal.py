"""The goal of a model (KPI, threshold, alpha): one value for the rule, the watch, the report and the monitor."""

from __future__ import annotations

import math
from dataclasses import dataclass

from driftloop import settings
from driftloop.metrics.task import Task


@dataclass(frozen=True)
class Goal:
    """A KPI's threshold, and the maximum false-alarm probability for a model that reaches it.

    >>> from driftloop.metrics.task import REGRESSION
    >>> Goal(REGRESSION, threshold=3.5, unit="minutes").met(3.2)
    True
    """

    task: Task  # defines the KPI and which way is better; a `ChosenKpi` where the KPI is not the task's own
    threshold: float = math.nan  # KPI that is just good enough; nan: not set
    alpha: float = settings.ALPHA  # false-alarm rate of the rule "significant" for the whole watch of one model
    unit: str = ""  # of the label, as written by a person; "" for classes

    @property
    def limit(self) -> float:
        """The mean loss at the threshold."""
        return self.task.limit(self.threshold)

    def met(self, value: float) -> bool:
        """Whether a KPI is good enough; never when it is nan."""
        return not self.task.better(self.threshold, value) and not math.isnan(value)
