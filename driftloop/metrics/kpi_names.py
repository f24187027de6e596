"""The KPIs that --kpi offers: their names, what they are called, and between which values they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from driftloop.errors import SettingsError

LOG_LOSS_BOUND: Final = 10.0
"""Log losses above this are clipped to it: the probability of the true class was under exp(-10) = 0.0045 %."""


@dataclass(frozen=True)
class KpiName:
    """What is known of a KPI without data.

    >>> KPIS["brier"].words, KPIS["roc_auc"].higher
    ('Brier score', True)
    """

    name: str
    words: str  # within a sentence
    task: str
    higher: bool = False  # whether higher is better
    highest: float = math.inf  # largest value; the lowest is 0
    per_row: bool = True  # the mean of one loss a row, for which the rule `significant` keeps its guarantee
    own: bool = False  # the KPI of its task where none is chosen
    digits: int = 3

    @property
    def is_mean(self) -> bool:
        """Whether the KPI is the mean of one figure a row; the RMSE is the root of such a mean."""
        return self.per_row and self.name != "rmse"


_ALL: Final = (
    KpiName("accuracy", "accuracy", "classification", higher=True, highest=1.0, own=True),
    KpiName("balanced_accuracy", "balanced accuracy", "classification", higher=True, highest=1.0),
    KpiName("brier", "Brier score", "classification", highest=1.0),
    KpiName("log_loss", "log loss", "classification", highest=LOG_LOSS_BOUND),
    KpiName("cost", "cost per row", "classification"),
    KpiName("f1", "F1", "classification", higher=True, highest=1.0, per_row=False),
    KpiName("roc_auc", "ROC AUC", "classification", higher=True, highest=1.0, per_row=False),
    KpiName("average_precision", "average precision", "classification", higher=True, highest=1.0, per_row=False),
    KpiName("mae", "MAE", "regression", own=True, digits=2),
    KpiName("rmse", "RMSE", "regression", digits=2),
)
KPIS: Final = {kpi.name: kpi for kpi in _ALL}
OWN: Final = {kpi.task: kpi.name for kpi in _ALL if kpi.own}


def of_task(task: str) -> list[str]:
    """The names of a task's KPIs.

    >>> of_task("regression")
    ['mae', 'rmse']
    """
    return [kpi.name for kpi in _ALL if kpi.task == task]


def checked(task: str, kpi: str, cost: str) -> str:
    """The name of the KPI that is asked for; a cost alone means "cost", nothing the task's own.

    Args:
        task: a key of `OWN`.
        kpi: a key of `KPIS`, or "".
        cost: what predictions cost, or "".

    Raises:
        SettingsError: there is no such KPI, it is not one of the task, or a cost is given with another one.

    >>> checked("classification", "", "good:bad=5")
    'cost'
    """
    name = kpi or ("cost" if cost else OWN[task])
    if name not in KPIS or KPIS[name].task != task:
        given = f"--kpi {kpi}" if kpi else "--cost"
        raise SettingsError(f"{given} does not fit a {task}: its KPIs are {', '.join(of_task(task))}")
    if cost and name != "cost":
        raise SettingsError(f"--cost is given, but the KPI is {name}: omit it, or give --kpi cost")
    return name
