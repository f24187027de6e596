"""The drift rules for absolute errors: what they alarm about, what they do not, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.loss_streams import KINDS, ROWS, Draw, alarmed, by_day, exponential, heavy, together, wandering
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.loss_rules import REAL, LossThreshold, make
from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.significant_loss import SignificantLoss, profile, rows_in_one
from driftloop.errors import SettingsError
from driftloop.metrics.goal import Goal
from driftloop.metrics.row_kpis import BalancedAccuracyKpi
from driftloop.metrics.task import REGRESSION

WATCHES = 120


@pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)
def test_a_model_exactly_at_the_threshold_is_alarmed_about_in_at_most_alpha_of_the_watches(draw: Draw) -> None:
    alarms = sum(alarmed(draw, seed=seed) is not None for seed in range(WATCHES))
    assert alarms <= 0.05 * WATCHES + 2 * (WATCHES * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize("draw", [exponential, heavy, by_day, wandering])
def test_a_mean_half_as_large_again_is_found_in_the_first_blocks(draw: Draw) -> None:
    assert all((found := alarmed(draw, seed=seed, factor=1.5, blocks=6)) is not None and found <= 4 for seed in range(10))


def test_errors_that_come_together_make_the_rule_wait_longer() -> None:
    rng = np.random.default_rng(1)
    found = [rows_in_one(map(profile, np.split(draw(rng, 40 * ROWS), 40))) for draw in (together, exponential)]
    assert found[0] > 2 * found[1]


def test_the_cap_is_stated_from_the_rows_before_the_watch_and_told() -> None:
    rule = SignificantLoss(threshold=1.0)
    assert rule.cap == 4.0
    rule.prepare(heavy(np.random.default_rng(0), 20_000), block_size=ROWS)
    assert rule.cap > 4.0
    assert f"errors are capped at {rule.cap:.3g}" in rule.update(np.ones(ROWS)).message


def test_one_huge_error_is_no_proof() -> None:
    rule = SignificantLoss(threshold=1.0)
    assert not rule.update(np.r_[np.full(ROWS - 1, 0.5), 1e6]).drift


def test_probation_ends_when_the_errors_are_proven_smaller_than_the_threshold() -> None:
    rng = np.random.default_rng(3)
    rule = catalogue.for_goal("significant", Goal(REGRESSION, threshold=1.0), probation=True)
    assert isinstance(rule, Probation)
    rule.prepare(rng.exponential(0.9, 20 * ROWS), block_size=ROWS)
    while not rule.update(rng.exponential(2.0, ROWS)).drift:
        pass
    rule.reset()
    verdict = rule.update(rng.exponential(1.3, ROWS))
    assert verdict.drift and "on probation" in verdict.message
    told = [rule.update(rng.exponential(0.5, ROWS)) for _ in range(10)]
    assert any(verdict.message == "the model's mean absolute error is proven to be under 1: its probation is over" for verdict in told)
    assert not told[-1].drift


def test_a_balanced_accuracy_exactly_at_its_threshold_is_no_drift() -> None:
    goal = Goal(BalancedAccuracyKpi(np.array([0.5, 0.5])), 0.8)
    right = np.repeat([True, False, True, False], [4, 1, 4, 1])
    labels = np.repeat([0, 1], 5)
    losses = goal.task.losses_of(labels, np.eye(2)[np.where(right, labels, 1 - labels)])
    assert goal.met(goal.task.value(losses)) and not catalogue.for_goal("threshold", goal).update(losses).drift


def test_the_plain_rule_alarms_over_the_threshold_only_and_says_how_often_chance_would() -> None:
    rule, rng = LossThreshold(1.0), np.random.default_rng(5)
    rule.prepare(rng.exponential(0.95, 20 * ROWS), block_size=ROWS)
    assert not rule.update(np.ones(ROWS)).drift
    verdict = rule.update(rng.exponential(1.4, ROWS))
    assert verdict.drift and 0 < verdict.false_alarm_rate <= 0.5
    assert "over the threshold 1" in verdict.message


@pytest.mark.parametrize("name", REAL)
def test_a_detector_of_real_values_flags_a_rise_and_no_fall(name: str) -> None:
    rng = np.random.default_rng(2)
    rule = make(name, threshold=1.0, alpha=0.05, seed=7)
    assert not any(rule.update(rng.exponential(0.8, 500)).drift for _ in range(2))
    assert not any(rule.update(rng.exponential(0.1, 500)).drift for _ in range(2))
    assert any(rule.update(rng.exponential(3.0, 2000)).drift for _ in range(3))


@pytest.mark.parametrize("name", ["ddm", "eddm", "hddm_a", "hddm_w"])
def test_a_detector_of_rights_and_wrongs_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(SettingsError, match=r"takes 0/1 errors only.*adwin"):
        make(name, threshold=1.0, alpha=0.05, seed=7)


@pytest.mark.parametrize("name", ["threshold", "significant", "adwin", "never", "every", "random"])
def test_an_empty_block_gives_cannot_tell(name: str) -> None:
    verdict = make(name, threshold=1.0, alpha=0.05, seed=7).update(np.empty(0))
    assert (verdict.drift, verdict.kind) == (False, "cannot tell")


@pytest.mark.parametrize("losses", [[1.0, -1.0], [np.nan], [np.inf], [[1.0]]])
def test_what_is_no_loss_is_refused(losses: list) -> None:
    with pytest.raises(ValueError, match="errors"):
        SignificantLoss(threshold=1.0).update(np.array(losses))


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_that_no_error_can_be_held_against_is_refused(threshold: float) -> None:
    for name in ("threshold", "significant"):
        with pytest.raises(SettingsError, match="--threshold_mae"):
            make(name, threshold=threshold, alpha=0.05, seed=7)
