"""The plain threshold rule: what it calls drift, and how often it does so by chance."""

import dataclasses
import math

import numpy as np
import pytest

from driftloop.drift.rules.threshold import ThresholdRule, threshold_rule


def test_a_block_under_the_threshold_has_drifted() -> None:
    verdict = threshold_rule(10, 20, threshold=0.55)
    assert (verdict.drift, verdict.kind, verdict.rule) == (True, "performance", "threshold")
    assert (verdict.statistic, verdict.threshold) == (0.5, 0.55)
    assert verdict.lower < 0.5 < verdict.upper


@pytest.mark.parametrize(("correct", "rows", "threshold"), [(11, 20, 0.55), (7, 10, 0.7), (29, 100, 0.29), (0, 5, 0.0)])
def test_a_block_exactly_at_the_threshold_has_not_drifted(correct: int, rows: int, threshold: float) -> None:
    verdict = threshold_rule(correct, rows, threshold=threshold)
    assert (verdict.drift, verdict.kind) == (False, "none")


def test_errors_and_the_number_of_hits_give_the_same_verdict() -> None:
    errors = np.array([False, True, False, True])
    assert ThresholdRule(0.55).update(errors) == threshold_rule(2, 4, threshold=0.55)


def test_no_rows_cannot_be_judged() -> None:
    verdict = threshold_rule(0, 0, threshold=0.5)
    assert (verdict.drift, verdict.kind) == (False, "cannot tell")
    assert math.isnan(verdict.statistic)
    assert math.isnan(verdict.false_alarm_rate)


def test_the_false_alarm_rate_is_the_rate_of_alarms_without_drift() -> None:
    counts = np.random.default_rng(0).binomial(20, 0.6, 4000)
    verdicts = [threshold_rule(int(count), 20, threshold=0.55, reference=0.6) for count in counts]
    assert np.mean([verdict.drift for verdict in verdicts]) == pytest.approx(verdicts[0].false_alarm_rate, abs=0.02)


def test_longer_blocks_raise_fewer_false_alarms() -> None:
    rates = [threshold_rule(rows, rows, threshold=0.55, reference=0.6).false_alarm_rate for rows in (20, 100, 1000)]
    assert rates == sorted(rates, reverse=True)


def test_without_a_reference_the_model_is_taken_to_stand_at_the_threshold() -> None:
    at = threshold_rule(9, 20, threshold=0.55, reference=0.55)
    assert threshold_rule(9, 20, threshold=0.55) == threshold_rule(9, 20, threshold=0.55, reference=math.nan) == at


def test_the_message_says_the_figures_and_the_chance_in_one_sentence() -> None:
    assert threshold_rule(10, 20, threshold=0.55, reference=0.6).message == (
        "accuracy 0.500 on 20 rows is under the threshold 0.55; "
        "by chance alone a model that is right 60.0 % of the time falls under it in 24.5 % of such blocks"
    )


@pytest.mark.parametrize(("correct", "rows"), [(5, 4), (-1, 4)])
def test_impossible_counts_are_refused(correct: int, rows: int) -> None:
    with pytest.raises(ValueError, match="correct"):
        threshold_rule(correct, rows, threshold=0.5)


def test_a_verdict_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        threshold_rule(1, 2, threshold=0.5).drift = True  # type: ignore[misc]
