"""The domain classifier: calibrated, sees joint changes, and its weights turn old rows into new ones."""

import math
import re

import numpy as np
import pytest

from driftloop.data import synthetic
from driftloop.drift.inputs.domain import Folds, classify


def test_without_drift_alarms_stay_near_alpha_on_rows_with_many_ties() -> None:
    alarms = 0
    for seed in range(60):
        rows = synthetic.make("stagger", rows=400, seed=seed).stream.rows
        alarms += classify(rows[:200], rows[200:], permutations=99).p_value <= 0.05
    assert alarms <= 8


def test_without_drift_alarms_stay_near_alpha_under_autocorrelation() -> None:
    alarms = 0
    for seed in range(40):
        rows = synthetic.make("sea", rows=600, seed=seed, autocorrelation=0.5).stream.rows
        alarms += classify(rows[:300], rows[300:], permutations=99).p_value <= 0.05
    assert alarms <= 6


def test_a_correlation_that_turns_is_seen_though_no_single_feature_moves() -> None:
    rng = np.random.default_rng(0)
    old, new = (rng.multivariate_normal([0, 0], [[1, r], [r, 1]], 500) for r in (0.6, -0.6))
    found = classify(old, new)
    assert found.auc > 0.65
    assert found.p_value < 0.01


def test_the_weights_give_the_old_rows_the_mean_of_the_new_ones() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((4000, 2)), rng.standard_normal((3000, 2)) + np.array([0.7, 0])
    found = classify(old, new)
    assert found.weights @ old / len(old) == pytest.approx([0.7, 0], abs=0.08)
    assert found.weights.mean() == pytest.approx(1)
    # The truth is exp(-0.49): the rows' worth under a shift of 0.7 standard deviations.
    assert found.effective_rows / len(old) == pytest.approx(math.exp(-0.49), abs=0.1)
    assert found.reached > 0.9


def test_without_drift_the_weights_are_near_one() -> None:
    rows = np.random.default_rng(0).standard_normal((3000, 3))
    found = classify(rows[:1000], rows[1000:])
    assert found.effective_rows > 900
    assert found.reached > 0.9


def test_inputs_without_overlap_are_not_reached() -> None:
    rows = np.random.default_rng(0).random((600, 2))
    found = classify(rows[:300], rows[300:] + 5)
    assert found.auc == 1.0
    assert found.reached < 0.5
    assert found.effective_rows < 60


def test_reference_equal_to_current_has_not_moved() -> None:
    rows = np.random.default_rng(0).random((300, 2))
    found = classify(rows, rows)
    assert found.p_value > 0.05
    assert found.auc == pytest.approx(0.5, abs=0.05)


def test_constant_features_have_not_moved_until_their_value_changes() -> None:
    assert classify(np.ones((60, 2)), np.ones((60, 2))).p_value > 0.05
    assert classify(np.ones((60, 2)), np.full((60, 2), 2.0)).p_value < 0.05


@pytest.mark.parametrize(("old", "new"), [(0, 50), (50, 0), (0, 0), (5, 50)])
def test_too_few_rows_cannot_be_told_and_the_least_that_works_is_named(old: int, new: int) -> None:
    rng = np.random.default_rng(0)
    found = classify(rng.random((old, 2)), rng.random((new, 2)))
    assert math.isnan(found.auc)
    assert math.isnan(found.p_value)
    assert found.weights.tolist() == [1.0] * old
    assert f"{old} reference and {new} current rows" in found.message
    assert re.search(r"needs at least \d+ rows of each$", found.message)


def test_eight_rows_of_each_are_enough_for_an_answer() -> None:
    rng = np.random.default_rng(0)
    assert 0 < classify(rng.random((8, 1)), rng.random((8, 1))).p_value <= 1


@pytest.mark.parametrize("change", [{"folds": 3}, {"permutations": 0}, {"block_rows": 0}])
def test_bad_arguments_are_refused(change: dict[str, int]) -> None:
    rows = np.zeros((10, 1))
    with pytest.raises(ValueError, match="at least 4, 1 and 1"):
        classify(rows, rows, **change)


@pytest.mark.parametrize(("current", "message"), [(np.zeros((5, 3)), "current has shape"), (np.full((5, 2), np.nan), "current row 0"), (np.zeros(5), "shape")])
def test_bad_rows_are_refused(current: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classify(np.zeros((5, 2)), current)


def test_no_row_is_fitted_on_that_lies_in_or_beside_its_fold() -> None:
    folds = Folds.cut(50, 33, block_rows=3, most=4)
    seen = []
    for fitted, held in folds.splits():
        sides = [np.unique(folds.block[rows]) for rows in (fitted, held)]
        apart = np.abs(np.subtract.outer(*sides))
        across = np.not_equal.outer(sides[0] < folds.first, sides[1] < folds.first)
        assert np.all((apart > 1) | (across & (apart > 0)))
        seen.append(held)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(83))


def test_only_the_folds_that_many_steps_further_on_are_fitted_on() -> None:
    folds = Folds.cut(40, 40, block_rows=2, most=5)
    for fold, (fitted, held) in enumerate(folds.splits((1, 4))):
        assert set(folds.of_block[folds.block[held]]) == {fold}
        assert set(folds.of_block[folds.block[fitted]]) == {(fold + 1) % 5, (fold + 4) % 5}
