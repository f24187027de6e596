"""Which policy is cheapest at which price of a retrain, and the policy that goes by it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from driftloop.backtest.outcome import PolicyResult
from driftloop.backtest.policies import ByCost
from driftloop.backtest.score import Wins, at_price, lost, winners, worth
from driftloop.drift.regret import Price
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION

POINT, BLOCKS = 0.01, 100


def made(name: str, kpi: float, retrains: int, kind: Any = "fixed", *, seconds: float | None = None) -> PolicyResult:
    figures: dict[str, Any] = dict.fromkeys(
        ("lower", "upper", "kappa", "kappa_temporal", "worst_block", "false_alarms", "detected", "missed", "delay"), math.nan
    )
    took = retrains * 0.3 if seconds is None else seconds
    return PolicyResult(
        name=name, kind=kind, kpi=kpi, blocks_under_threshold=0, retrains=retrains, promoted=0, seconds=took, by_block=(), retrained_after=(), **figures
    )


SOME = [made("never", 0.70, 0), made("periodic", 0.78, 10), made("always", 0.80, 100), made("poor", 0.75, 50)]


def test_each_price_has_its_cheapest_policy_from_many_retrains_to_none() -> None:
    found = winners(SOME, blocks=BLOCKS, point=POINT)
    assert [one.policy for one in found] == ["always", "periodic", "never"]
    assert [one.low for one in found] == pytest.approx([0, 200 / 90, 80]) and found[-1].high == math.inf
    assert all(one.high == other.low for one, other in itertools.pairwise(found))


@pytest.mark.parametrize("price", [0.0, 1.0, 2.0, 2.5, 10.0, 79.0, 81.0, 1e6])
def test_the_named_policy_is_the_cheapest_by_brute_force(price: float) -> None:
    losses, retrains = lost(SOME, BLOCKS, POINT), worth(SOME)
    cheapest = min(losses, key=lambda name: losses[name] + price * retrains[name])
    (named,) = [one.policy for one in winners(SOME, blocks=BLOCKS, point=POINT) if one.low <= price < one.high]
    assert named == cheapest


def test_an_update_counts_by_its_seconds() -> None:
    found = worth([*SOME, made("continuous", 0.83, 100, "continuous", seconds=0.6)])
    assert found["continuous"] == pytest.approx(2) and found["always"] == 100
    assert worth([made("continuous", 0.83, 100, "continuous", seconds=0.6)]) == {"continuous": 100}  # nothing to measure it by


def test_a_control_never_wins_and_an_undefined_kpi_takes_no_part() -> None:
    assert [one.policy for one in winners([*SOME, made("random", 0.99, 0, "control"), made("broken", math.nan, 0)], blocks=BLOCKS, point=POINT)] == [
        "always",
        "periodic",
        "never",
    ]
    assert winners([], blocks=BLOCKS, point=POINT) == ()
    assert winners(SOME[:1], blocks=BLOCKS, point=POINT) == (Wins("never", 0.0, math.inf),)


def test_of_equals_the_one_that_retrains_less_wins() -> None:
    assert [one.policy for one in winners([made("always", 0.8, 100), made("never", 0.8, 0)], blocks=BLOCKS, point=POINT)] == ["never"]


def test_the_policy_at_a_price_stands_beside_the_best_other_one_there() -> None:
    found = at_price(10.0, made("cost", 0.79, 20, "triggered"), SOME, blocks=BLOCKS, point=POINT)
    assert (found.best_other, found.cost, found.best_other_cost) == ("periodic", pytest.approx(300), pytest.approx(300))


def test_the_rule_fires_when_the_loss_exceeds_the_price_and_then_starts_over() -> None:
    rule = ByCost(Goal(CLASSIFICATION, threshold=0.8), Price(fixed=45))
    bad = np.repeat([True, False], [40, 60])  # 20 points under the threshold
    assert [rule.update(bad).drift for _ in range(3)] == [False, False, True]
    rule.spent(0.3, promoted=False)
    assert [rule.update(bad).drift for _ in range(3)] == [False, False, True]
    assert not rule.update(np.array([], bool)).drift or rule.regret.lost >= 45
