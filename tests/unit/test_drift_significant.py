"""The significant rule: rare alarms without drift whatever the rows have in common, quick ones with it, and defined answers to bad input."""

import math

import numpy as np
import pytest

from driftloop.drift.rules.bets import MOST
from driftloop.drift.rules.significant import Significant
from driftloop.drift.rules.variance import DependenceEstimate
from driftloop.errors import SettingsError


def chain(rng: np.random.Generator, *, rows: int, error: float, correlation: float) -> np.ndarray:
    """Errors of a two-state Markov chain."""
    fresh = rng.random(rows) < error
    drawn = np.maximum.accumulate(np.where(rng.random(rows) >= correlation, np.arange(rows), 0))
    return fresh[drawn]


def alarms(rule: Significant, errors: np.ndarray, *, block: int) -> list[bool]:
    return [rule.update(errors[start : start + block]).drift for start in range(0, len(errors), block)]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_few_watches_of_a_model_exactly_at_the_threshold_raise_an_alarm(correlation: float) -> None:
    streams = [chain(np.random.default_rng(seed), rows=100 * 20, error=0.3, correlation=correlation) for seed in range(40)]
    assert sum(any(alarms(Significant(threshold=0.7), errors, block=20)) for errors in streams) <= 3


@pytest.mark.parametrize(("correlation", "blocks"), [(0.0, 6), (0.5, 12), (0.8, 25)])
def test_a_fall_of_twenty_points_is_found_the_later_the_more_the_errors_come_together(correlation: float, blocks: int) -> None:
    rng = np.random.default_rng(3)
    errors = np.concatenate([chain(rng, rows=100 * 48, error=0.2, correlation=correlation), chain(rng, rows=40 * 48, error=0.4, correlation=correlation)])
    verdicts = alarms(Significant(threshold=0.8), errors, block=48)
    assert not any(verdicts[:100])
    assert any(verdicts[100 : 100 + blocks])


def test_a_model_better_than_the_threshold_is_left_alone() -> None:
    errors = np.random.default_rng(0).random(300 * 48) < 0.1
    assert not any(alarms(Significant(threshold=0.8), errors, block=48))


def test_the_verdict_states_the_evidence_in_figures_and_in_words() -> None:
    rule = Significant(threshold=0.7, alpha=0.05)
    errors = np.array([1, 0] * 24)
    for _ in range(60):
        verdict = rule.update(errors)
    assert (verdict.drift, verdict.kind, verdict.rule) == (True, "performance", "significant")
    assert (verdict.threshold, verdict.false_alarm_rate) == (20, 0.05)
    assert verdict.statistic >= 20
    assert verdict.p_value == pytest.approx(1 / verdict.statistic)
    assert verdict.lower < 0.5 < verdict.upper
    assert verdict.message.startswith("accuracy 0.500 on 48 rows; e-value ")
    assert " against 'right at least 0.7 of the time'; alarm at 20 (α = 5 %)" in verdict.message


def test_the_p_value_never_rises() -> None:
    rule, rng = Significant(threshold=0.8), np.random.default_rng(1)
    values = [rule.update(rng.random(48) < error).p_value for error in [0.2] * 30 + [0.5] * 10 + [0.1] * 30]
    assert values == sorted(values, reverse=True)


def test_the_alarm_ends_when_the_model_is_good_again_for_long() -> None:
    rule, rng = Significant(threshold=0.8), np.random.default_rng(1)
    falling = [rule.update(rng.random(48) < 0.6) for _ in range(60)]
    assert falling[-1].drift
    assert falling[-1].statistic <= MOST / 0.05
    assert not [rule.update(rng.random(48) < 0.05) for _ in range(60)][-1].drift


def test_a_lower_alpha_needs_more_evidence() -> None:
    rng = np.random.default_rng(5)
    errors = np.concatenate([rng.random(50 * 48) < 0.2, rng.random(60 * 48) < 0.4])
    first = [alarms(Significant(threshold=0.8, alpha=alpha), errors, block=48).index(True) for alpha in (0.2, 0.05, 1e-6)]
    assert first == sorted(first)
    assert first[0] < first[2]


def test_reset_forgets_the_evidence_but_not_how_errors_come_together() -> None:
    said = []
    for correlation in (0.0, 0.9):
        rule = Significant(threshold=0.8)
        alarms(rule, chain(np.random.default_rng(2), rows=100 * 48, error=0.2, correlation=correlation), block=48)
        assert rule.update(np.zeros(48)).statistic > 0
        rule.reset()
        said.append([rule.update(np.tile([1, 1, 0, 0], 12)) for _ in range(3)][-1])
    assert said[0].statistic > 20 * said[1].statistic
    assert "errors are autocorrelated" in said[1].message
    assert "errors are autocorrelated" not in said[0].message


def test_an_empty_block_cannot_be_judged_and_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    blocks = rng.random((30, 20)) < 0.3
    plain, broken = Significant(threshold=0.7), Significant(threshold=0.7)
    for block in blocks:
        empty = broken.update(np.array([]))
        assert (empty.drift, empty.kind) == (False, "cannot tell")
        assert math.isnan(empty.statistic)
        assert plain.update(block) == broken.update(block)


@pytest.mark.parametrize("errors", [np.array([0.0, np.nan]), np.array([0, 2]), np.array([-1]), np.zeros((2, 2)), np.array(1)])
def test_what_is_no_error_flag_is_refused(errors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="errors"):
        Significant(threshold=0.7).update(errors)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, math.nan])
def test_alpha_outside_its_range_is_refused_by_flag(alpha: float) -> None:
    with pytest.raises(SettingsError, match="--alpha"):
        Significant(threshold=0.7, alpha=alpha)


@pytest.mark.parametrize("threshold", [0, 1, -0.1, 1.5, math.nan])
def test_a_threshold_that_leaves_nothing_to_test_is_refused_by_flag(threshold: float) -> None:
    with pytest.raises(SettingsError, match="--threshold_accuracy"):
        Significant(threshold=threshold)


@pytest.mark.parametrize("threshold", [1e-5, 0.5, 0.999, 1 - 1e-5])
@pytest.mark.parametrize("error", [0, 1])
@pytest.mark.parametrize("rows", [1, 7, 3000])
def test_errors_all_alike_give_finite_evidence(threshold: float, error: int, rows: int) -> None:
    rule = Significant(threshold=threshold)
    for _ in range(25):
        verdict = rule.update(np.full(rows, error))
        assert 0 <= verdict.statistic <= MOST / 0.05
        assert 0 < verdict.p_value <= 1
    assert not (error == 0 and verdict.drift)


def test_blocks_of_unequal_length_are_taken_as_they_come() -> None:
    rng = np.random.default_rng(6)
    rule = Significant(threshold=0.8)
    assert not any(rule.update(rng.random(rows) < 0.1).drift for rows in rng.integers(1, 100, 150))
    assert any(rule.update(rng.random(rows) < 0.5).drift for rows in rng.integers(1, 100, 40))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_variance_of_a_sum_of_chained_errors_is_found(correlation: float) -> None:
    estimate = DependenceEstimate()
    for block in chain(np.random.default_rng(8), rows=400 * 48, error=0.3, correlation=correlation).reshape(-1, 48):
        estimate.add(block)
    assert estimate.known(48).inflation == pytest.approx((1 + correlation) / (1 - correlation), rel=0.25)


def test_an_accuracy_that_wanders_from_block_to_block_makes_rows_worth_less() -> None:
    rng = np.random.default_rng(9)
    accuracy = [0.8]
    for _ in range(299):
        accuracy.append(0.8 + 0.8 * (accuracy[-1] - 0.8) + 0.6 * 0.05 * rng.standard_normal())
    estimate = DependenceEstimate()
    for now in accuracy:
        estimate.add(rng.random(48) > now)
    assert 3 < estimate.known(48).inflation < 15  # true: 1 + 48 * 0.05**2 / 0.16 * 1.8 / 0.2 = 7.8


def test_a_fall_of_the_accuracy_is_not_taken_for_dependence_at_once() -> None:
    rng = np.random.default_rng(10)
    estimate = DependenceEstimate()
    for block in rng.random((100, 48)) < 0.2:
        estimate.add(block)
    before = estimate.known(48)
    for block in rng.random((5, 48)) < 0.6:
        estimate.add(block)
    assert estimate.known(48).inflation == pytest.approx(before.inflation, rel=0.1)


def test_errors_from_before_the_watch_make_the_first_blocks_count() -> None:
    random = np.random.default_rng(3)
    blocks = random.random((15, 48)) < 0.6
    alarms = {}
    for prepared in (False, True):
        rule = Significant(threshold=0.7)
        if prepared:
            rule.prepare(random.random(100 * 48) < 0.1, block_size=48)
        alarms[prepared] = next(at for at, errors in enumerate(blocks) if rule.update(errors).drift)
    assert alarms[True] < alarms[False]


def test_errors_from_before_the_watch_tell_nothing_of_how_many_they_are() -> None:
    rule = Significant(threshold=0.7)
    rule.prepare(np.arange(100 * 48) % 2 == 0, block_size=48)  # half of them wrong
    assert rule.update(np.random.default_rng(4).random(48) < 0.3).statistic < 1
