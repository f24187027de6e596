"""The learner of the policy `continuous`: it follows a stream block by block and never sees what comes later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftloop.backtest import online_learner
from driftloop.backtest.online_learner import OnlineLearner, OnlineRegression
from driftloop.data import streams, synthetic

HALF_HOUR = np.timedelta64(30, "m")


def moving_border(rows: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, labels and times; label 1 above a border that jumps half-way."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 3))
    border = np.where(np.arange(rows) < rows // 2, -0.7, 0.7)
    return values, (values[:, 0] > border).astype(int), np.datetime64("2024-01-01T00:00") + HALF_HOUR * np.arange(rows)


def played(learner: OnlineLearner, rows: np.ndarray, labels: np.ndarray, times: np.ndarray, *, block: int) -> np.ndarray:
    """Which rows were predicted rightly, each block before its labels came."""
    right = np.zeros(len(rows), bool)
    for start in range(0, len(rows), block):
        at = slice(start, start + block)
        right[at] = learner.predict(rows[at], times[at]) == labels[at]
        learner.learn(rows[at], labels[at], times[at])
    return right


def test_it_follows_a_border_that_moves() -> None:
    rows, labels, times = moving_border(4000, seed=1)
    right = played(OnlineLearner(features=3, classes=2, period=48), rows, labels, times, block=48)
    assert right[1000:2000].mean() > 0.93
    assert right[2000:2096].mean() < 0.8
    assert right[3000:].mean() > 0.93


def test_a_prediction_depends_on_no_later_row() -> None:
    rows, labels, times = moving_border(480, seed=2)
    changed = rows.copy()
    changed[240:] *= -5
    learners = [OnlineLearner(features=3, classes=2, period=48) for _ in range(2)]
    for learner, table in zip(learners, (rows, changed), strict=True):
        played(learner, table[:240], labels[:240], times[:240], block=48)
    np.testing.assert_array_equal(learners[0].probabilities(rows[:50], times[:50]), learners[1].probabilities(rows[:50], times[:50]))


def test_taking_a_block_into_the_scale_alone_changes_no_prediction() -> None:
    rows, labels, times = moving_border(480, seed=3)
    learner = OnlineLearner(features=3, classes=2, period=None)
    learner.learn(rows, labels, times)
    before = learner.probabilities(rows[:100], times[:100])
    learner._rescale(rows * 3 + 1)
    np.testing.assert_allclose(learner.probabilities(rows[:100], times[:100]), before, atol=1e-6)


def test_three_classes_are_learnt_one_against_the_rest() -> None:
    random = np.random.default_rng(4)
    rows = random.normal(size=(3000, 2))
    labels = np.digitize(rows[:, 0], [-0.5, 0.5])
    times = np.datetime64("2024-01-01T00:00") + HALF_HOUR * np.arange(3000)
    learner = OnlineLearner(features=2, classes=3, period=None)
    right = played(learner, rows, labels, times, block=100)
    assert right[1500:].mean() > 0.75
    np.testing.assert_allclose(learner.probabilities(rows, times).sum(axis=1), 1)


def a_price(rows: int, *, seed: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, values and times; what raises the value lowers it from half-way on. Some values are far off."""
    random = np.random.default_rng(seed)
    found = random.normal(size=(rows, 3))
    values = 5 + np.where(np.arange(rows) < rows // 2, 1, -1) * found[:, 0] + 0.1 * random.normal(size=rows)
    values[random.random(rows) < 0.01] += 30
    values = np.exp(values) if kind == "skewed" else -1e6 * values if kind == "large and negative" else values
    return found, values, np.datetime64("2024-01-01T00:00") + HALF_HOUR * np.arange(rows)


@pytest.mark.parametrize("kind", ["plain", "skewed", "large and negative"])
def test_values_are_followed_when_they_turn_and_whatever_their_size(kind: str) -> None:
    rows, values, times = a_price(4000, seed=5, kind=kind)
    learner, errors = OnlineRegression(features=3, period=48, labels=values[:100]), np.empty(4000)
    for start in range(0, 4000, 48):
        at = slice(start, start + 48)
        errors[at] = np.abs(learner.outputs(rows[at], times[at]) - values[at])
        learner.learn(rows[at], values[at], times[at])
    constant = np.abs(values - np.median(values))
    assert np.median(errors[1000:2000]) < 0.35 * np.median(constant[1000:2000])
    assert np.median(errors[2000:2048]) > np.median(constant[2000:2048])
    assert np.median(errors[3000:]) < 0.4 * np.median(constant[3000:])


def test_a_value_is_predicted_from_no_later_row_and_is_the_median_before_the_first() -> None:
    rows, values, times = a_price(480, seed=6, kind="plain")
    learners = [OnlineRegression(features=3, period=48, labels=values[:100]) for _ in range(2)]
    assert learners[0].outputs(rows[:9], times[:9]).tolist() == pytest.approx([float(np.median(values[:100]))] * 9)
    for learner, table in zip(learners, (rows, np.concatenate([rows[:240], -5 * rows[240:]])), strict=True):
        for start in range(0, 240, 48):
            learner.learn(table[start : start + 48], values[start : start + 48], times[start : start + 48])
    np.testing.assert_array_equal(learners[0].outputs(rows[:50], times[:50]), learners[1].outputs(rows[:50], times[:50]))


@pytest.mark.parametrize("labels", [np.zeros(48), np.full(48, 1e300), np.full(48, -7.0), np.r_[np.full(47, 1e-300), 1e300], np.tile([1e-3, 1e9], 24)])
@pytest.mark.parametrize("later", [np.zeros(48), np.full(48, -1e300), np.geomspace(1, 1e9, 48)])
def test_odd_values_give_finite_predictions_and_no_warning(labels: np.ndarray, later: np.ndarray) -> None:
    times, rows = np.datetime64("2024-01-01T00:00") + HALF_HOUR * np.arange(48), np.random.default_rng(1).normal(size=(48, 2))
    learner = OnlineRegression(features=2, period=48, labels=labels)
    for block in (labels, later, labels):
        learner.learn(rows, block, times)
        assert np.isfinite(learner.outputs(1e30 * rows, times)).all()


@pytest.mark.parametrize(
    "rows",
    [np.zeros((48, 2)), np.full((48, 2), 1e30), np.tile([[0.0, 1e-30]], (48, 1))],
    ids=["all zero", "huge", "constant"],
)
def test_odd_columns_give_finite_probabilities_and_no_warning(rows: np.ndarray) -> None:
    times = np.datetime64("2024-01-01T00:00") + HALF_HOUR * np.arange(48)
    learner = OnlineLearner(features=2, classes=2, period=48)
    learner.learn(rows, np.ones(48, int), times)
    learner.learn(rows[:0], np.ones(0, int), times[:0])
    learner.learn(rows + 1, np.zeros(48, int), times)
    assert np.isfinite(learner.probabilities(rows, times)).all()
    assert learner.predict(rows[:0], times[:0]).shape == (0,)


def test_on_elec_it_is_right_on_more_than_81_percent_in_day_blocks() -> None:
    elec = streams.load()
    right = played(OnlineLearner(features=6, classes=2, period=elec.period), elec.rows, elec.labels, elec.times, block=48)
    assert right[48:].mean() > 0.81


def test_categories_and_missing_values_are_numbers_to_it_and_a_later_row_changes_no_earlier_one() -> None:
    codes = np.array([0.0, 1, 1, np.nan, 2, 0])  # 2 comes after the first three rows
    sizes = np.array([1.0, 3.0, 8.0, np.nan, 5.0, 6.0])
    made = synthetic.make("sea", rows=6, seed=1, drift="none").stream
    some = replace(made, rows=np.column_stack([codes, sizes]), features=("colour", "size"), vocabulary={"colour": ("red", "green", "blue")})
    rows = online_learner.numeric(some, 3)
    assert rows.tolist() == [[0, 1, 0, 1, 0], [1, 0, 0, 3, 0], [1, 0, 0, 8, 0], [0, 0, 0, 4, 1], [0, 0, 1, 5, 0], [0, 1, 0, 6, 0]]
    later = some.rows.copy()
    later[3:] = [[2, 9.0]] * 3
    assert np.array_equal(online_learner.numeric(replace(some, rows=later), 3)[:3, :4], rows[:3, :4])


def test_numbers_alone_stay_as_they_are() -> None:
    made = streams.load()
    assert np.array_equal(online_learner.numeric(made, 1000), made.rows)
