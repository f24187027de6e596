"""The policy `cost` of a back-test, and at which price of a retrain which policy wins.

A price is in points of KPI × blocks, see `driftloop.drift.regret`. What a policy costs at a price is what it loses against the most accurate one,
plus the price for each retrain that its seconds of training are worth: an update of a last layer is worth a small part of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.backtest.outcome import PolicyResult
from driftloop.drift.regret import Price, Regret
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics.goal import Goal

PRICES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # at which the policy `cost` is played beside its own


class ByCost(Rule):
    """Retrains when what was lost since the last retrain exceeds the price of the next.

    Args:
        goal: the KPI and its threshold.
        price: of a retrain.
    """

    name = "cost"

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


@dataclass(frozen=True)
class Wins:
    """The policy that costs least at prices `low`..`high` of a retrain, in points × blocks."""

    policy: str
    low: float
    high: float


@dataclass(frozen=True)
class AtPrice:
    """The policy `cost` at a price, and the cheapest of the other policies there; costs in points × blocks over all blocks, less is better."""

    price: float
    kpi: float
    retrains: int
    cost: float
    best_other: str
    best_other_cost: float


def lost(policies: Sequence[PolicyResult], blocks: int, point: float) -> dict[str, float]:
    """What each policy loses against the best one, in points × blocks."""
    best = max(policy.merit for policy in policies)
    return {policy.name: (best - policy.merit) / point * blocks for policy in policies}


def worth(policies: Sequence[PolicyResult]) -> dict[str, float]:
    """How many retrains each policy's seconds are worth; the seconds of a retrain are the mean over all."""
    fits = [policy for policy in policies if policy.kind != "continuous" and policy.retrains and policy.seconds > 0]
    one = sum(policy.seconds for policy in fits) / sum(policy.retrains for policy in fits) if fits else math.nan
    return {policy.name: policy.seconds / one if policy.kind == "continuous" and one > 0 else float(policy.retrains) for policy in policies}


def winners(policies: Sequence[PolicyResult], *, blocks: int, point: float) -> tuple[Wins, ...]:
    """Which policy costs least from which price to which, from 0 to infinity; the control "random" takes no part.

    The lower envelope of one line a policy: what it loses, plus the price times its retrains.
    """
    open_ones = [policy for policy in policies if policy.kind != "control" and math.isfinite(policy.merit)]
    if not open_ones:
        return ()
    losses, retrains = lost(open_ones, blocks, point), worth(open_ones)
    at, found = 0.0, list[Wins]()
    now = min(losses, key=lambda name: (losses[name], retrains[name]))
    while True:
        meets = {
            name: (losses[name] - losses[now]) / (retrains[now] - retrains[name])
            for name in losses
            if retrains[name] < retrains[now] and losses[name] >= losses[now]
        }
        following = min(meets, key=lambda name: (meets[name], retrains[name]), default=None)
        if following is None:
            return (*found, Wins(now, at, math.inf))
        if meets[following] > at:
            found.append(Wins(now, at, meets[following]))
        at, now = max(at, meets[following]), following


def at_price(price: float, own: PolicyResult, others: Sequence[PolicyResult], *, blocks: int, point: float) -> AtPrice:
    """The policy `cost`, played at a price, beside the other policies at that price."""
    beside = [policy for policy in others if policy.kind != "control" and policy.name != ByCost.name and math.isfinite(policy.merit)]
    losses, retrains = lost([*beside, own], blocks, point), worth([*beside, own])
    costs = {name: losses[name] + price * retrains[name] for name in losses}
    best = min((name for name in costs if name != own.name), key=lambda name: costs[name], default="")
    return AtPrice(price, own.kpi, own.retrains, costs[own.name], best, costs.get(best, math.nan))
