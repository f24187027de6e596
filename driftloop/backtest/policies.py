"""The retraining policies of a back-test: their names, descriptions and rules."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from driftloop.drift.forecast import crossing, goal_scores
from driftloop.drift.forecast.crossing import Blocks
from driftloop.drift.regret import Price, Regret
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.loss_rules import REAL
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.rule_names import DETECTORS
from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION, Task

Kind = Literal["fixed", "control", "triggered", "continuous"]

NEVER, ALWAYS, RANDOM, CONTINUOUS, ONLINE = "never", "always", "random", "continuous", "online"
SIGNIFICANT, PROBATION, PROACTIVE, COST = "significant", "probation", "proactive", "cost"
TRIGGERED = ("threshold", SIGNIFICANT, PROBATION, *DETECTORS, PROACTIVE, COST)
PERIODS = (2, 7, 28)  # blocks; of day blocks: every other day, a week, four weeks
ALL = "all"
LONGEST_PERIOD = 100_000


@dataclass(frozen=True)
class Policy:
    """One policy.

    `kind` is "fixed" (independent of the stream), "control" (random: a trigger must beat it), "triggered" (by a rule on the errors, or by
    what they cost), or "continuous" (updated after every block, never refitted: the base model's network, or as "online" another learner).
    `every` is the period in blocks of a fixed one; 0: never.
    """

    name: str
    kind: Kind
    every: int = 0


@dataclass(frozen=True)
class Watching:
    """The settings of the rules.

    A KPI worse than the goal's threshold is not good enough; its alpha is the maximum false-alarm probability of "significant" over the whole
    watch, also used by "probation", which starts with that rule, and "proactive", which also retrains up to `lead_blocks` blocks before a
    block is forecast to be worse than the threshold. `price` is what "cost" expects a retrain to cost.
    """

    goal: Goal
    seed: int
    lead_blocks: int
    price: Price = field(default_factory=Price)


def parse(text: str) -> tuple[Policy, ...]:
    """The policies of a comma-separated list, in its order, each once; "periodic" expands to several periods, "all" to all policies.

    >>> [policy.name for policy in parse("never, periodic, adwin")]
    ['never', 'periodic-2', 'periodic-7', 'periodic-28', 'adwin']

    Raises:
        SettingsError: a name is unknown, the list is empty, or "random" has no triggered policy whose number of retrains it could match.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names:
        raise SettingsError(f"--policies is empty: give {ALL}, or some of {_choices()}")
    wanted = dict.fromkeys(expanded for name in names for expanded in _expand(name))
    chosen = tuple(_policy(name) for name in wanted)
    if any(policy.kind == "control" for policy in chosen) and not any(policy.kind == "triggered" for policy in chosen):
        raise SettingsError(f"--policies {text}: {RANDOM} retrains as often as a triggered policy: add one, such as {SIGNIFICANT}")
    return chosen


def _expand(name: str) -> tuple[str, ...]:
    periodic = tuple(f"periodic-{every}" for every in PERIODS)
    if name == ALL:
        return (NEVER, ALWAYS, *periodic, RANDOM, *TRIGGERED, CONTINUOUS, ONLINE)
    return periodic if name == "periodic" else (name,)


def _policy(name: str) -> Policy:
    period = re.fullmatch(r"periodic-([0-9]{1,6})", name)
    if period and 1 <= int(period[1]) <= LONGEST_PERIOD:
        return Policy(name, "fixed", every=int(period[1]))
    if name in (NEVER, ALWAYS):
        return Policy(name, "fixed", every=int(name == ALWAYS))
    if name == RANDOM:
        return Policy(name, "control")
    if name in TRIGGERED:
        return Policy(name, "triggered")
    if name in (CONTINUOUS, ONLINE):
        return Policy(name, "continuous")
    raise SettingsError(f"--policies: unknown policy {name!r}: give {ALL}, or some of {_choices()}")


def _choices() -> str:
    return ", ".join([NEVER, ALWAYS, "periodic", "periodic-N", RANDOM, *TRIGGERED, CONTINUOUS, ONLINE])


def playable(chosen: Sequence[Policy], doing: Task) -> tuple[tuple[Policy, ...], dict[str, str]]:
    """The policies that can be played, and why the others cannot, by name.

    Args:
        chosen: from `parse`.
        doing: measures the KPI.

    >>> from driftloop.metrics.task import REGRESSION
    >>> playable(parse("never,ddm,proactive"), REGRESSION)[1]
    {'ddm': 'for 0/1 errors only'}
    """
    faults: dict[str, str] = {}
    if doing is not CLASSIFICATION:
        faults |= {name: "for 0/1 errors only" for name in DETECTORS if name not in REAL}
    if doing.chosen:
        faults[PROACTIVE] = f"no forecast for the KPI {doing.kpi}"
    out = {policy.name: faults[policy.name] for policy in chosen if faults.get(policy.name)}
    return tuple(policy for policy in chosen if policy.name not in out), out


def rule(policy: Policy, watching: Watching, *, rate: float) -> Rule:
    """The rule that plays a policy.

    Args:
        policy: any except those of the kind "continuous", which have no rule.
        watching: the settings of the rules.
        rate: probability of "random" to retrain after a block, 0..1.
    """
    if policy.name == COST:
        return ByCost(watching.goal, watching.price)
    if policy.name == PROACTIVE:
        return Proactive(watching)
    if policy.name == PROBATION:
        return catalogue.for_goal(SIGNIFICANT, watching.goal, probation=True)
    name = ("every" if policy.every else NEVER) if policy.kind == "fixed" else policy.name
    return catalogue.for_goal(name, watching.goal, seed=watching.seed, every=policy.every or 1, rate=rate)


class Proactive(Rule):
    """The rule "significant" plus a forecast: alarm when a block may be worse than the threshold within the lead.

    The forecast is that of `lifecycle.py --proactive`: `forecast.ahead`.
    """

    name = PROACTIVE

    def __init__(self, watching: Watching) -> None:
        self.watching = watching
        self.reactive = catalogue.for_goal(SIGNIFICANT, watching.goal)
        self.losses: list[np.ndarray] = []
        self.earlier: list[Blocks] = []  # of earlier versions

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`."""
        self.reactive.prepare(errors, block_size=block_size)

    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block; see `Rule`."""
        verdict = self.reactive.update(errors)
        self.losses.append(errors)
        if verdict.drift:
            return verdict
        goal, lead = self.watching.goal, self.watching.lead_blocks
        level, words = goal_scores.level(goal), goal_scores.words(goal)
        ahead = crossing.ahead(*goal_scores.scores(goal, self.losses), threshold=level, earlier=self.earlier, lead_blocks=lead, words=words)
        if not crossing.due(ahead, lead):
            return verdict
        return Verdict(drift=True, kind="performance", rule=self.name, message=ahead.message, statistic=ahead.early, threshold=lead)

    def reset(self) -> None:
        """Start over with a new model in service."""
        self.reactive.reset()
        self.earlier.append(goal_scores.scores(self.watching.goal, self.losses))
        self.losses = []


class ByCost(Rule):
    """Retrains when what was lost since the last retrain exceeds the price of the next.

    Args:
        goal: the KPI and its threshold.
        price: of a retrain.
    """

    name = COST

    def __init__(self, goal: Goal, price: Price) -> None:
        self.goal, self.regret = goal, Regret(goal, price)

    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block; see `Rule`."""
        due = self.regret.due_after(self.goal.task.value(errors) if len(errors) else math.nan)
        words = f"{self.regret.lost:.1f} points × blocks lost, a retrain costs {self.regret.price:.1f}"
        return Verdict(due, "performance" if due else "none", self.name, words, statistic=self.regret.lost, threshold=self.regret.price)

    def spent(self, seconds: float, *, promoted: bool) -> None:
        """Note a retrain and its seconds."""
        self.regret.retrained(seconds, promoted=promoted)

    def reset(self) -> None:
        """Nothing to reset: `spent` has done it."""
