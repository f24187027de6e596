"""How a table is to be judged: its goal, with the threshold that is given or that the reference period allows, and the rule for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftloop import settings
from driftloop.drift import reference_bound
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.significant import NARROWEST
from driftloop.errors import DataError, SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.predictions.later.label_delay import NO_DELAY, LabelDelay

RULE = "significant"


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """How to judge; see `frame_watch.watch`."""

    block_by: str = "rows"  # or one of `blocks.CALENDAR`
    block_size: int = 0  # rows of a block; 0: a hundredth of the rows to judge, 20 to 1000
    kpi: str = ""
    cost: str = ""
    threshold: float = 0.0  # 0: against the reference period
    alpha: float = settings.ALPHA
    label_delay: LabelDelay = NO_DELAY


def of_plan(plan: TablePlan, task: Task, reference: np.ndarray, *, unit: str) -> tuple[Goal, Rule]:
    """The goal, and the rule for it; without a threshold the rule has the part of alpha that the reference period's bound leaves.

    Args:
        plan: the threshold and alpha.
        task: the KPI.
        reference: losses of the reference period's rows, or of its blocks where the KPI is one of whole blocks.
        unit: of a regression's label.

    Raises:
        DataError: too few losses for a bound, or none above 0.
        SettingsError: a threshold where the KPI cannot be, or alpha is not between 0 and 1.
    """
    if not 0 < plan.alpha < 1:
        raise SettingsError(f"--alpha is {plan.alpha:g}: give a false-alarm rate between 0 and 1, such as 0.05")
    if plan.threshold:
        highest = task.bound if task.kpi == "cost" else KPIS[task.kpi].highest
        if not 0 < plan.threshold < highest:
            raise SettingsError(f"--threshold is {plan.threshold:g}: the {KPIS[task.kpi].words} has to lie between 0 and {highest:g}")
        goal = Goal(task, plan.threshold, plan.alpha, unit)
        return goal, rule_of(plan, goal)
    rows = task.by_row is task
    if len(reference) < reference_bound.LEAST:
        had = f"{len(reference)} {'rows with a label' if rows else 'blocks whose KPI is defined'}"
        raise DataError(f"the reference period has {had}, needs at least {reference_bound.LEAST}: let it end later, or give --threshold")
    limit = reference_bound.upper_bound(reference, alpha=reference_bound.SHARE * plan.alpha, classes=task.name == CLASSIFICATION.name)
    if not limit > 0:
        raise DataError(f"the {task.loss_words} of the reference period is 0, which is no threshold: give --threshold")
    bound = 1.0 if task is CLASSIFICATION else task.bound
    limit = min(max(limit, 2 * NARROWEST * min(bound, 1)), (1 - 2 * NARROWEST) * bound)
    goal = Goal(task, task.value(np.array([limit])) if rows else 1 - limit, plan.alpha, unit)
    return goal, rule_of(plan, goal)


def rule_of(plan: TablePlan, goal: Goal) -> Rule:
    """The rule for a goal: with all of alpha, or with the part that the reference period's bound leaves."""
    return catalogue.for_goal(RULE, goal if plan.threshold else replace(goal, alpha=(1 - reference_bound.SHARE) * plan.alpha))
