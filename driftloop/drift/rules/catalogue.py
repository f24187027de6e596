"""The rules by name, as a person picks one with --drift_rule."""

from __future__ import annotations

from driftloop import settings
from driftloop.drift.rules import detectors, loss_rules, trivial
from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.rule_names import DETECTORS, EVERY, NAMES, RATE
from driftloop.drift.rules.significant import Significant
from driftloop.drift.rules.threshold import ThresholdRule
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION


def make(name: str, *, threshold: float, alpha: float = 0.05, seed: int = settings.SEED, every: int = EVERY, rate: float = RATE) -> Rule:
    """The rule of that name for one served model.

    Args:
        name: one of `names.NAMES`.
        threshold: lowest accuracy that is good enough; of "threshold" in 0..1, of "significant" between 0 and 1. The others do without.
        alpha: the false-alarm rate of "significant" for the whole watch, between 0 and 1.
        seed: of "kswin" and "random".
        every: "every" alarms at each block of this number.
        rate: "random" alarms at a block with this chance.

    Raises:
        SettingsError: unknown name, or a setting of that rule outside its range.

    >>> make("significant", threshold=0.7).name
    'significant'
    """
    if name == "threshold":
        return ThresholdRule(threshold)
    if name == "significant":
        return Significant(threshold=threshold, alpha=alpha)
    if name in DETECTORS:
        return detectors.Detector(name, seed=seed)
    if name == "never":
        return trivial.Never()
    if name == "every":
        return trivial.Every(every)
    if name == "random":
        return trivial.Random(rate, seed=seed)
    raise SettingsError(f"--drift_rule is {name!r}: give one of {', '.join(NAMES)}")


def for_goal(name: str, goal: Goal, *, seed: int = settings.SEED, probation: bool = False) -> Rule:
    """The drift rule of that name that holds a model to its goal, given the losses of one block after the other.

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
        made = make(name, threshold=threshold, alpha=alpha, seed=seed)
        return Probation(made, threshold=threshold, alpha=alpha) if probation else made
    made = loss_rules.make(name, threshold=threshold, alpha=alpha, seed=seed)
    if not probation:
        return made
    proof = loss_rules.SignificantLoss(threshold=threshold, alpha=alpha, under=True)
    return Probation(made, threshold=threshold, alpha=alpha, plain=loss_rules.LossThreshold(threshold), proof=proof)
