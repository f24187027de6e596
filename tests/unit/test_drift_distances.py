"""Distances from binned counts against the exact ones."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from driftloop.drift.inputs import distances


def binned(statistic: distances.Statistic, reference: np.ndarray, current: np.ndarray, bins: int | None = None) -> float:
    columns, codes = distances.grid(np.concatenate([reference, current]), bins or distances.BINS[statistic])
    counts = [np.bincount(side, minlength=len(columns.means)) for side in (codes[: len(reference)], codes[len(reference) :])]
    return float(distances.distance(statistic, counts[0], counts[1], columns.means))


def pair(shape: str, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    old, new = rng.standard_normal(rows), 0.3 + 1.2 * rng.standard_normal(rows // 2)
    return {"normal": (old, new), "skewed": (np.exp(old), np.exp(new)), "counted": (np.round(2 * old), np.round(2 * new))}[shape]


@pytest.mark.parametrize("shape", ["normal", "skewed", "counted"])
def test_with_a_bin_for_each_value_ks_and_wasserstein_are_exact(shape: str) -> None:
    old, new = pair(shape, 160)
    assert binned("ks", old, new) == pytest.approx(stats.ks_2samp(old, new).statistic, abs=1e-12)
    assert binned("wasserstein", old, new) == pytest.approx(stats.wasserstein_distance(old, new), rel=1e-12)


@pytest.mark.parametrize("shape", ["normal", "skewed", "counted"])
def test_the_binned_ks_is_below_the_exact_one_by_less_than_a_bins_share(shape: str) -> None:
    old, new = pair(shape, 20_000)
    exact = stats.ks_2samp(old, new).statistic
    assert exact - 0.01 < binned("ks", old, new) <= exact + 1e-12


@pytest.mark.parametrize("shape", ["normal", "skewed", "counted"])
def test_the_binned_wasserstein_distance_is_near_the_exact_one(shape: str) -> None:
    old, new = pair(shape, 20_000)
    assert binned("wasserstein", old, new) == pytest.approx(stats.wasserstein_distance(old, new), rel=0.02)


def test_jensen_shannon_of_the_counts_is_scipys() -> None:
    old, new = np.array([3.0, 0.0, 5.0, 2.0]), np.array([1.0, 4.0, 4.0, 0.0])
    assert distances.distance("js", old, new, np.arange(4.0)) == pytest.approx(jensenshannon(old, new, base=2))


def test_jensen_shannon_is_one_for_samples_without_a_common_value() -> None:
    assert binned("js", np.zeros(5), np.ones(7)) == pytest.approx(1.0)


def test_psi_follows_its_formula_with_half_a_row_more_in_each_bin() -> None:
    old, new = np.array([30.0, 70.0]), np.array([60.0, 40.0])
    p, q = (old + 0.5) / 101, (new + 0.5) / 101
    assert distances.distance("psi", old, new, np.arange(2.0)) == pytest.approx(np.sum((p - q) * np.log(p / q)))


def test_psi_of_an_empty_bin_is_finite() -> None:
    assert np.isfinite(binned("psi", np.zeros(50), np.ones(50)))


@pytest.mark.parametrize("statistic", distances.STATISTICS)
def test_equal_samples_are_at_distance_zero(statistic: distances.Statistic) -> None:
    old, _ = pair("normal", 500)
    assert binned(statistic, old, old) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("statistic", distances.STATISTICS)
def test_a_constant_column_is_at_distance_zero_from_itself(statistic: distances.Statistic) -> None:
    assert binned(statistic, np.full(9, 2.0), np.full(4, 2.0)) == 0.0


@pytest.mark.parametrize("statistic", distances.STATISTICS)
def test_many_distances_at_once_equal_one_after_the_other(statistic: distances.Statistic) -> None:
    rng = np.random.default_rng(3)
    old, new, means = rng.integers(1, 9, (5, 6)), rng.integers(1, 9, (5, 6)), np.sort(rng.random(6))
    one_by_one = [distances.distance(statistic, *counts, means) for counts in zip(old, new, strict=True)]
    assert distances.distance(statistic, old, new, means) == pytest.approx(one_by_one)


def test_the_wasserstein_distance_is_in_the_columns_unit() -> None:
    old, new = pair("normal", 400)
    assert binned("wasserstein", 1000 * old, 1000 * new) == pytest.approx(1000 * binned("wasserstein", old, new))


def test_bins_hold_about_equal_counts_and_all_rows() -> None:
    columns, codes = distances.grid(np.random.default_rng(1).standard_normal(10_000), 10)
    counts = np.bincount(codes)
    assert (len(columns.means), counts.sum()) == (10, 10_000)
    assert counts.min() > 990


def test_a_value_that_fills_several_bins_gets_one() -> None:
    values = np.concatenate([np.zeros(900), np.linspace(1, 2, 100)])
    columns, codes = distances.grid(values, 10)
    assert np.bincount(codes)[0] == 900
    assert np.all(np.diff(columns.means) > 0)


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(ValueError, match="one of ks, psi, js, wasserstein"):
        distances.distance("chi", np.ones(2), np.ones(2), np.arange(2.0))  # type: ignore[arg-type]
