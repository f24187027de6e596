"""Tests of single features: calibrated at few rows and under autocorrelation, and defined on bad input."""

import math

import numpy as np
import pytest
from scipy import signal

from driftloop.drift.inputs import dependence
from driftloop.drift.inputs.distances import STATISTICS, Statistic
from driftloop.drift.inputs.distribution import compare, holm


def autocorrelated(rng: np.random.Generator, rows: int, features: int, correlation: float) -> np.ndarray:
    fresh = rng.standard_normal((rows, features))
    fresh[1:] *= math.sqrt(1 - correlation**2)
    return signal.lfilter([1.0], [1.0, -correlation], fresh, axis=0)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize(("rows", "correlation"), [(20, 0.0), (100, 0.0), (300, 0.5)])
def test_without_drift_alarms_stay_near_alpha(statistic: Statistic, rows: int, correlation: float) -> None:
    alarms = 0
    for seed in range(60):
        sample = autocorrelated(np.random.default_rng(seed), 2 * rows, 2, correlation)
        alarms += any(test.moved for test in compare(sample[:rows], sample[rows:], names=("a", "b"), permutations=199))
    assert alarms <= 8  # 5 % of 60 is 3; 9 or more have a chance of 0.3 %


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_feature_that_moved_is_named_and_the_others_are_not(statistic: Statistic) -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((400, 3)), rng.standard_normal((400, 3)) * [1, 1, 1.8]
    tests = compare(old, new, names=("a", "b", "c"), statistic=statistic)
    assert [test.moved for test in tests] == [False, False, True]
    assert [test.feature for test in tests] == ["a", "b", "c"]
    assert all(test.corrected >= test.p_value for test in tests)


def test_a_message_names_the_distance_and_how_the_p_value_was_had() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 1))
    (test,) = compare(rows[:100], rows[100:], names=["load"])
    assert test.message.startswith(f"load: ks {test.distance:.3g}, p ")
    assert "permutations of 200 blocks of 1 rows" in test.message


def test_too_few_rows_cannot_be_told_and_the_least_that_works_is_named() -> None:
    rng = np.random.default_rng(0)
    (test,) = compare(rng.random((3, 1)), 5 + rng.random((3, 1)), names=["a"])
    assert (test.moved, test.distance) == (False, 1.0)
    assert math.isnan(test.p_value)
    assert "needs at least 4 rows of each" in test.message
    (enough,) = compare(rng.random((4, 1)), 5 + rng.random((4, 1)), names=["a"])
    assert enough.moved


def test_blocks_given_by_hand_need_more_rows() -> None:
    rng = np.random.default_rng(0)
    (test,) = compare(rng.random((30, 1)), rng.random((30, 1)), names=["a"], block_rows=10)
    assert "cannot tell" in test.message
    assert "needs at least 40 rows of each" in test.message


def test_one_block_is_compared_with_stretches_as_long_as_it() -> None:
    rng = np.random.default_rng(2)
    old = autocorrelated(rng, 3000, 1, 0.9)
    (test,) = compare(old, autocorrelated(rng, 25, 1, 0.9) + 6, names=["a"])
    assert "blocks of 25 rows" in test.message
    assert test.moved


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_constant_feature_has_not_moved_until_its_value_changes(statistic: Statistic) -> None:
    same, other = compare(np.ones((50, 2)), np.ones((50, 2)) * [1, 2], names=("same", "other"), statistic=statistic)
    assert (same.distance, same.p_value, same.moved) == (0.0, 1.0, False)
    assert other.moved


def test_reference_equal_to_current_has_not_moved() -> None:
    rows = np.random.default_rng(0).standard_normal((300, 2))
    assert [(test.distance, test.p_value) for test in compare(rows, rows, names=("a", "b"))] == [(0.0, 1.0), (0.0, 1.0)]


@pytest.mark.parametrize(("old", "new"), [(0, 10), (10, 0), (0, 0)])
def test_without_rows_nothing_can_be_told(old: int, new: int) -> None:
    (test,) = compare(np.zeros((old, 1)), np.zeros((new, 1)), names=["a"])
    assert (test.moved, math.isnan(test.distance), math.isnan(test.p_value), math.isnan(test.corrected)) == (False, True, True, True)
    assert "cannot tell" in test.message


def test_whole_numbers_and_booleans_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.random((200, 1)) < 0.5, rng.random((200, 1)) < 0.9
    assert compare(old, new, names=["a"]) == compare(old.astype(int), new.astype(float), names=["a"])
    assert compare(old, new, names=["a"])[0].moved


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.0}, r"alpha is 0: it must lie in \(0, 1\)"),
        ({"alpha": 1.0}, "alpha is 1"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"statistic": "chi"}, "give one of ks, psi, js, wasserstein"),
        ({"permutations": 0}, "permutations is 0"),
        ({"block_rows": 0}, "block_rows is 0"),
        ({"names": ()}, "at least one feature"),
        ({"names": ("a",)}, r"\(rows, 1\) is needed"),
        ({"current": np.zeros((5, 3))}, r"current has shape \(5, 3\)"),
        ({"current": np.array([[0.0, 1.0], [np.nan, 1.0]])}, "current row 1, column 0 is nan"),
        ({"reference": np.array([[0.0, np.inf]])}, "reference row 0, column 1 is inf"),
        ({"reference": np.array([["x", "y"]])}, "numbers are needed"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(change: dict[str, object], message: str) -> None:
    arguments = {"reference": np.zeros((5, 2)), "current": np.zeros((5, 2)), "names": ("a", "b")} | change
    with pytest.raises(ValueError, match=message):
        compare(arguments.pop("reference"), arguments.pop("current"), **arguments)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_answer() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.random((100, 2)), rng.random((90, 2))
    assert compare(old, new, names=("a", "b"), seed=1) == compare(old, new, names=("a", "b"), seed=1)


def test_holm_keeps_what_cannot_be_told_and_counts_it() -> None:
    corrected = holm([0.01, math.nan, 0.04])
    assert corrected[0] == pytest.approx(0.03)
    assert math.isnan(corrected[1])
    assert corrected[2] == pytest.approx(0.08)


@pytest.mark.parametrize(("correlation", "least", "most"), [(0.0, 1, 3), (0.5, 7, 30), (0.9, 50, 300)])
def test_a_block_is_as_long_as_the_autocorrelation_asks(correlation: float, least: int, most: int) -> None:
    series = autocorrelated(np.random.default_rng(4), 4000, 1, correlation)[:, 0]
    assert least <= dependence.memory([series[:2000], series[2000:] + 9]).length <= most


def test_a_daily_cycle_asks_for_blocks_of_a_day_at_least() -> None:
    assert dependence.memory([np.sin(np.arange(2000) * 2 * np.pi / 48)]).length >= 48


def test_a_constant_or_empty_series_asks_for_no_blocks() -> None:
    assert dependence.memory([np.full(100, 0.1), np.empty(0)]) == dependence.memory([]) == dependence.Memory(1, 0.0)
