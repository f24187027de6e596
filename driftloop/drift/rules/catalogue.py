"""Makes the drift rules by the name given with --drift_rule."""

from __future__ import annotations

from driftloop import settings
from driftloop.drift.rules import detectors, loss_rules, trivial
from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.rule_names import DETECTORS, EVERY, NAMES, RATE
from driftloop.drift.rules.significant import Significant
from driftloop.drift.rules.significant_loss import Loss
from driftloop.drift.rules.threshold import ThresholdRule
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION


def make(name: str, *, threshold: float, alpha: float = 0.05, seed: int = settings.SEED, every: int = EVERY, rate: float = RATE) -> Rule:
    """The rule of that name for one served model.

    Args:
        name: one of `rule_names.NAMES`.
        threshold: lowest accuracy that is good enough; in 0..1 for "threshold", strictly between 0 and 1 for "significant"; unused by the others.
        alpha: the maximum false-alarm probability of "significant" over the whole watch, between 0 and 1.
        seed: of "kswin" and "random".
        every: "every" alarms at each block of this number.
        rate: "random" alarms at each block with this probability.

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


def for_goal(name: str, goal: Goal, *, seed: int = settings.SEED, probation: bool = False, every: int = EVERY, rate: float = RATE) -> Rule:
    """The drift rule of that name for a model's goal; it takes the losses of one block after another.

    Args:
        name: one of `rule_names.NAMES`; every KPI but the accuracy rejects those that take 0/1 errors only.
        goal: the KPI's threshold and alpha.
        seed: of the randomised rules.
        probation: from the first alarm on, put new models on probation (`rules.probation`).
        every, rate: as in `make`.

    Raises:
        SettingsError: unknown name, or a setting of that rule outside its range.
    """
    threshold, alpha = goal.threshold, goal.alpha
    if goal.task is CLASSIFICATION:
        made = make(name, threshold=threshold, alpha=alpha, seed=seed, every=every, rate=rate)
        return Probation(made, threshold=threshold, alpha=alpha) if probation else made
    doing, limit, loss = goal.task, goal.limit, loss_of(goal)
    made = loss_rules.make(name, threshold=limit, alpha=alpha, seed=seed, loss=loss, every=every, rate=rate)
    if probation:
        proof = loss_rules.SignificantLoss(threshold=limit, alpha=alpha, under=True, loss=loss)
        passed = f"the model's {loss.words} is proven to be under {limit:g}"
        made = Probation(made, threshold=limit, alpha=alpha, plain=loss_rules.LossThreshold(limit, loss=loss), proof=proof, passed=passed)
    return made if doing.by_row is doing else loss_rules.BlockLossRule(made, doing)


def loss_of(goal: Goal) -> Loss:
    """What the rules say of a goal's losses."""
    doing = goal.task
    if not doing.chosen:
        return loss_rules.ABSOLUTE
    return Loss(doing.loss_words, "--threshold", doing.bound, "row" if doing.by_row is doing else "block")
