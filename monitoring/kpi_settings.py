"""The KPI of a stream: which one fits its task, its costs and threshold, and what measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from driftloop.errors import SettingsError
from driftloop.metrics import cost_table
from driftloop.metrics.kpi_names import KPIS, OWN, of_task

if TYPE_CHECKING:
    from driftloop.metrics.task import Task

OF_SHARES: Final = frozenset({"balanced_accuracy", "f1", "roc_auc", "average_precision"})  # KPIs that depend on the shares of the classes


def task_of(where: str, kpi: object) -> str:
    """The task of a KPI.

    Raises:
        SettingsError: there is no such KPI; it names `where`, as do the others of this module.
    """
    if not (isinstance(kpi, str) and kpi in KPIS):
        raise SettingsError(f"{where}: there is no kpi {kpi!a:.60}: give {_offered()}")
    return KPIS[kpi].task


def check_name(where: str, kpi: object, task: object) -> None:
    """Refuse a KPI that is not one of the task's, or a task that there is not.

    Raises:
        SettingsError: as `task_of`.
    """
    if task_of(where, kpi) != task:
        raise SettingsError(f"{where}: kpi {kpi!a:.60} with task {task!a:.60}: give {_offered()}")


def _offered() -> str:
    return "; ".join(f"{', '.join(of_task(one))} of a {one}" for one in OWN)


def check_values(where: str, kpi: str, *, cost: object, threshold: float, labels: Sequence[object]) -> None:
    """Refuse a cost or a threshold that is not the KPI's.

    Args:
        where: the stream.
        kpi: a key of `KPIS`.
        cost: what predictions cost, "" without any.
        threshold: over 0.
        labels: in the order of the probabilities; none where they are not known yet.

    Raises:
        SettingsError: as `task_of`.
    """
    highest = KPIS[kpi].highest
    if not isinstance(cost, str):
        raise SettingsError(f"{where}: cost must be a text such as {cost_table.EXAMPLE}")
    if cost and kpi != "cost":
        raise SettingsError(f"{where}: cost is given, but the kpi is {kpi}: leave it out, or give kpi: cost")
    if kpi == "cost" and not cost.strip():
        raise SettingsError(f"{where}: kpi cost needs cost, what wrong predictions cost, such as {cost_table.EXAMPLE}")
    if cost and labels:
        highest = float(cost_table.read_costs(cost, labels, name=f"{where}: cost").max())
    if not threshold < highest:
        words = "an accuracy" if kpi == "accuracy" else f"the {KPIS[kpi].words}"
        raise SettingsError(f"{where}: threshold {threshold:g} must be below {highest:g} for {words}")


def measuring(where: str, kpi: str, *, cost: str, labels: Sequence[object], shares: Sequence[float]) -> Task:
    """What measures the KPI, as in the lifecycle's watch.

    Args:
        where, kpi, cost, labels: as for `check_values`.
        shares: of the base model's training rows, as `Labels.shares`; () where they are unknown.

    Raises:
        SettingsError: the KPI depends on the class shares, and they are unknown; or its costs are not of these labels.
    """
    from driftloop.metrics import block_kpis, task  # imported here: a service that does not judge needs no scipy

    if kpi in OF_SHARES and not shares:
        raise SettingsError(f"{where}: kpi {kpi} depends on the class shares of the model's training rows, which are unknown here")
    classes = max(len(labels), 1)
    return block_kpis.of_shares(kpi, shares or (1 / classes,) * classes, labels, cost=cost) or task.of(KPIS[kpi].task)
