"""How a table is to be judged: its goal, whose threshold is given or the worst KPI that the reference period allows, and the rule for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from driftloop import settings
from driftloop.drift.reference import against_reference
from driftloop.drift.reference.reference_level import LEAST, ReferenceLevel
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.loss_rules import BlockLossRule
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


def of_plan(plan: TablePlan, task: Task, reference: np.ndarray, *, unit: str, block_size: int = 1) -> tuple[Goal, Rule]:
    """The goal, and the rule for it.

    Without a threshold the rule knows the reference period already, and the goal's is the worst KPI that this period leaves possible at confidence
    1 - alpha: a line to draw and to forecast against, which the rule does not use.

    Args:
        plan: the threshold and alpha.
        task: the KPI.
        reference: losses of the reference period's rows, or of its blocks where the KPI is one of whole blocks.
        unit: of a regression's label.
        block_size: losses of a usual block; 1 where the KPI is one of whole blocks.

    Raises:
        DataError: too few losses to compare with, or none above 0.
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
    if len(reference) < LEAST:
        had = f"{len(reference)} {'rows with a label' if rows else 'blocks whose KPI is defined'}"
        raise DataError(f"the reference period has {had}, needs at least {LEAST}: let it end later, or give --threshold")
    limit = _limit(task, reference, alpha=plan.alpha, block_size=block_size)
    goal = Goal(task, task.value(np.array([limit])) if rows else 1 - limit, plan.alpha, unit)
    rule = rule_of(plan, goal)
    inner = rule.rule if isinstance(rule, BlockLossRule) else rule
    inner.prepare(reference, block_size=block_size)
    return goal, rule


def _limit(task: Task, reference: np.ndarray, *, alpha: float, block_size: int) -> float:
    """The largest mean loss that the reference period leaves possible at confidence 1 - alpha, over 0 and under the largest loss."""
    bound = 1.0 if task is CLASSIFICATION else task.bound
    most = against_reference.largest(reference, bound)
    if not most > 0:
        raise DataError(f"the {task.loss_words} of the reference period is 0, which is no threshold: give --threshold")
    level = ReferenceLevel.of(np.minimum(reference, most) / most, block_size=block_size)
    limit = float(np.mean(reference)) + most * (float(level.upper(alpha)) - level.mean)  # losses over `most` count in the mean alone
    return min(max(limit, 2 * NARROWEST * min(bound, 1)), (1 - 2 * NARROWEST) * bound)


def rule_of(plan: TablePlan, goal: Goal, *, state: Mapping[str, Any] | None = None) -> Rule:
    """The rule for a goal, before its first block.

    Args:
        plan: whether there is a threshold.
        goal: the KPI, the threshold, and alpha.
        state: what the rule is to continue from. One from before `AgainstReference` is of a rule against a bound of the reference period, which is
            the goal's threshold and took half of alpha.
    """
    own = state.get("rule", state) if state else {}
    if plan.threshold or "_bets" in own:
        return catalogue.for_goal(RULE, goal if plan.threshold else replace(goal, alpha=goal.alpha / 2))
    return against_reference.for_goal(goal)
