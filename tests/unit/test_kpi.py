"""KPIs against scikit-learn, against simulation, and where they are undefined."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from driftloop.metrics import kpi

NOBODY = np.array([], dtype=np.int64)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_kappa_equal_those_of_scikit_learn(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, 200)
    predicted = np.where(rng.random(200) < 0.6, labels, rng.integers(0, classes, 200))
    assert kpi.accuracy(labels, predicted) == pytest.approx(accuracy_score(labels, predicted))
    assert kpi.kappa(labels, predicted) == pytest.approx(cohen_kappa_score(labels, predicted))


def test_a_constant_prediction_has_kappa_zero() -> None:
    assert kpi.kappa(np.array([0, 1, 1]), np.array([1, 1, 1])) == 0


def test_kappa_is_undefined_without_rows_or_with_one_class_in_all() -> None:
    assert math.isnan(kpi.kappa(NOBODY, NOBODY))
    assert math.isnan(kpi.kappa(np.ones(3, int), np.ones(3, int)))


def test_accuracy_is_undefined_without_rows() -> None:
    assert math.isnan(kpi.accuracy(NOBODY, NOBODY))


def test_rows_without_a_prediction_are_not_scored() -> None:
    labels, predicted = np.array([0, 1, 1, 0]), np.array([kpi.NO_PREDICTION, 1, 1, 1])
    assert kpi.accuracy(labels, predicted) == pytest.approx(2 / 3)
    assert kpi.kappa(labels, predicted) == kpi.kappa(labels[1:], predicted[1:])
    assert math.isnan(kpi.accuracy(labels, np.full(4, kpi.NO_PREDICTION)))


def test_labels_and_predictions_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        kpi.accuracy(np.zeros(3, int), np.zeros((3, 1), int))


def test_kappa_temporal_is_zero_at_no_change_one_when_perfect_and_undefined_where_no_change_is() -> None:
    assert kpi.kappa_temporal(accuracy=0.85, no_change=0.85) == 0
    assert kpi.kappa_temporal(accuracy=1.0, no_change=0.85) == 1
    assert kpi.kappa_temporal(accuracy=0.7, no_change=0.85) == pytest.approx(-1)
    assert math.isnan(kpi.kappa_temporal(accuracy=1.0, no_change=1.0))
    assert math.isnan(kpi.kappa_temporal(accuracy=0.7, no_change=math.nan))


def test_wilson_interval_solves_its_own_equation() -> None:
    z = 1.959963984540054
    for bound in kpi.wilson_interval(30, 100):
        assert abs(0.3 - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / 100))


def test_wilson_interval_ends_at_the_edges_and_is_undefined_without_rows() -> None:
    assert kpi.wilson_interval(0, 7)[0] == 0
    assert kpi.wilson_interval(7, 7)[1] == 1
    assert all(math.isnan(bound) for bound in kpi.wilson_interval(0, 0))


def test_a_higher_confidence_gives_a_wider_interval() -> None:
    narrow, wide = kpi.wilson_interval(50, 100, confidence=0.8), kpi.wilson_interval(50, 100, confidence=0.99)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]


def test_wilson_interval_covers_the_true_accuracy_as_often_as_it_says() -> None:
    counts = np.random.default_rng(0).binomial(200, 0.7, 2000)
    covered = [lower <= 0.7 <= upper for lower, upper in (kpi.wilson_interval(int(count), 200) for count in counts)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("threshold", "true_accuracy", "rows"), [(0.55, 0.6, 20), (0.7, 0.7, 48), (0.5, 0.8, 5)])
def test_chance_below_is_what_simulation_finds(threshold: float, true_accuracy: float, rows: int) -> None:
    blocks = np.random.default_rng(1).binomial(rows, true_accuracy, 100_000) / rows
    assert kpi.chance_below(threshold=threshold, true_accuracy=true_accuracy, rows=rows) == pytest.approx(np.mean(blocks < threshold), abs=0.006)


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_a_block_exactly_at_the_threshold_is_not_below_it(rows: int) -> None:
    """0.55 * 20 is a little over 11 in floats, yet 11 right of 20 are not under 0.55."""
    at = kpi.chance_below(threshold=0.55, true_accuracy=0.55, rows=rows)
    over = kpi.chance_below(threshold=math.nextafter(0.55, 1), true_accuracy=0.55, rows=rows)
    middle = round(0.55 * rows)
    one_count = math.comb(rows, middle) * 0.55**middle * 0.45 ** (rows - middle)
    assert over - at == pytest.approx(one_count)


def test_chance_below_at_the_edges() -> None:
    assert kpi.chance_below(threshold=0, true_accuracy=0.5, rows=10) == 0
    assert kpi.chance_below(threshold=1.1, true_accuracy=0.5, rows=10) == 1
    assert kpi.chance_below(threshold=0.5, true_accuracy=1, rows=10) == 0
    assert math.isnan(kpi.chance_below(threshold=0.5, true_accuracy=0.5, rows=0))
    assert math.isnan(kpi.chance_below(threshold=0.5, true_accuracy=math.nan, rows=10))


def test_paired_p_value_counts_only_rows_on_which_the_two_differ() -> None:
    champion = np.array([1] * 50 + [0] * 50 + [0] * 8 + [1] * 2, bool)
    challenger = np.array([1] * 50 + [0] * 50 + [1] * 8 + [0] * 2, bool)
    expected = sum(math.comb(10, wins) for wins in (8, 9, 10)) / 2**10
    assert kpi.paired_p_value(champion, challenger) == pytest.approx(expected)
    assert kpi.paired_p_value(challenger, champion) > 0.9


def test_two_equal_models_give_no_evidence() -> None:
    same = np.array([True, False, True])
    assert kpi.paired_p_value(same, same) == 1
    assert kpi.paired_p_value(NOBODY.astype(bool), NOBODY.astype(bool)) == 1


def test_paired_p_value_errs_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(2)
    values = [kpi.paired_p_value(*(rng.random((2, 300)) < 0.7)) for _ in range(1000)]
    assert np.mean(np.array(values) <= 0.05) <= 0.06


def test_models_scored_on_different_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="same rows"):
        kpi.paired_p_value(np.ones(3, bool), np.ones(4, bool))
