"""The drift rule that holds a model to its goal: of rights and wrongs where the KPI is an accuracy, of losses where it is an MAE."""

from __future__ import annotations

from driftloop import settings
from driftloop.drift.rules import catalogue, loss_rules
from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.rule import Rule
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION


def rule(name: str, goal: Goal, *, seed: int = settings.SEED, probation: bool = False) -> Rule:
    """The drift rule of that name, given the losses of one block after the other.

    Args:
        name: one of `names.NAMES`; a regression refuses those that take right and wrong only.
        goal: what the model has to reach.
        seed: of the rules that draw.
        probation: from the first alarm on, put new models on probation (`rules.probation`).

    Raises:
        SettingsError: unknown name, or a setting of that rule outside its range.
    """
    threshold, alpha = goal.threshold, goal.alpha
    if goal.task is CLASSIFICATION:
        made = catalogue.make(name, threshold=threshold, alpha=alpha, seed=seed)
        return Probation(made, threshold=threshold, alpha=alpha) if probation else made
    made = loss_rules.make(name, threshold=threshold, alpha=alpha, seed=seed)
    if not probation:
        return made
    proof = loss_rules.SignificantLoss(threshold=threshold, alpha=alpha, under=True)
    return Probation(made, threshold=threshold, alpha=alpha, plain=loss_rules.LossThreshold(threshold), proof=proof)
