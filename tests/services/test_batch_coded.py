"""A batch window of coded rows: categories, missing and new values against stretches of the training rows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from batch_records import ELEC, reference

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import spans
from monitoring.batch.measures import input_drift
from monitoring.batch.measures.window_measures import FeatureMeasure, Window
from monitoring.batch.measures.window_rows import WindowRows
from monitoring.stream_settings import Feature

CONFIG = replace(ELEC, features=(Feature(ELEC.features[0].name, low=0, high=9, categorical=True), *ELEC.features[1:]))
COLUMNS = [Column(name, "feature", "number" if at else "category") for at, name in enumerate(CONFIG.feature_names)]
TRAINED = reference(with_spans=False)
WINDOW = Window("w", "2030-01-01T00:00:00Z", "2030-01-08T00:00:00Z")
ROWS = 336


def coded(rows: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.choice(4, size=len(rows), p=[0.1, 0.2, 0.4, 0.3]), np.where(rng.random(len(rows)) < 0.02, np.nan, rows[:, 1]), rows[:, 2:]])


def compared(given: np.ndarray, *, first: str = "2030-01-01", window: Window = WINDOW) -> dict[str, FeatureMeasure]:
    """The features of half-hourly rows from `first` on."""
    times = np.datetime64(first, "ms") + np.arange(len(given)) * np.timedelta64(30, "m")
    nothing = np.full(len(given), np.nan)
    rows = WindowRows(
        features=given,
        faults=np.zeros(given.shape, np.uint8),
        times=times,
        predictions=nothing,
        labels=nothing,
        baselines=nothing,
        probabilities=np.full((len(given), 2), np.nan),
        versions=np.full(len(given), "1", object),
        by_model=np.ones(len(given), bool),
        latency_ms=nothing,
        labelled_at=times,
    )
    made = replace(TRAINED, rows=coded(TRAINED.rows, 0))
    found = input_drift.compare(rows, CONFIG, window, made, alpha=0.05, columns=COLUMNS, known=[4] + [0] * (len(COLUMNS) - 1))
    return {one.feature: one for one in found}


@pytest.fixture
def given() -> np.ndarray:
    return coded(TRAINED.rows[:ROWS], 1)


FIRST, SECOND = CONFIG.feature_names[:2]


def test_a_window_like_the_training_rows_has_not_moved_and_the_frequent_categories_are_drawn_first(given: np.ndarray) -> None:
    found = compared(given)
    assert not any(one.moved for one in found.values())
    assert found[FIRST].statistic == "tv"
    assert found[FIRST].edges == (2.0, 3.0, 1.0, 0.0)
    assert {one.statistic for name, one in found.items() if name != FIRST} == {"ks"}


def test_a_category_that_grows_is_told_by_its_shares(given: np.ndarray) -> None:
    given[: ROWS // 2, 0] = 0.0
    found = compared(given)[FIRST]
    assert found.moved
    assert "(code 0 11 % → 59 %" in found.message
    assert found.distance > found.usual


def test_a_missing_share_that_grows_moves_the_feature(given: np.ndarray) -> None:
    given[np.random.default_rng(2).random(ROWS) < 0.2, 1] = np.nan
    found = compared(given)[SECOND]
    assert found.moved
    assert "(missing 2 % → 2" in found.message
    assert found.p_noise < 0.01 > found.p_wobble
    assert ", p (noise) 0.00" in found.message and ", p (season) 0.00" in found.message


def test_values_that_training_never_had_move_the_feature(given: np.ndarray) -> None:
    given[::20, 0] = 7.0
    found = compared(given)[FIRST]
    assert found.moved
    assert "5 % of values are new: code 7" in found.message


def test_a_window_that_begins_before_its_rows_is_compared_with_the_training_rows_before_these(given: np.ndarray) -> None:
    found = compared(given, window=Window("w", "1990-01-01T00:00:00Z", WINDOW.stop))
    assert not any(one.moved for one in found.values()) and all(sum(one.reference) > 0.99 for one in found.values())


def test_rows_as_old_as_all_training_rows_are_compared_with_nothing(given: np.ndarray) -> None:
    first = str(TRAINED.times[0].astype("datetime64[D]"))
    halves = (TRAINED.times[-1] - TRAINED.times[0]) // np.timedelta64(30, "m") + 48
    rows = np.tile(given, (halves // len(given) + 1, 1))
    found = compared(rows, first=first, window=Window("w", f"{first}T00:00:00Z", WINDOW.stop))
    assert not any(one.moved for one in found.values()) and all("covers all training rows: not compared" in one.message for one in found.values())
    assert input_drift.message(list(found.values()), alpha=0.05) == "The inputs were not tested: no reference, or too few rows."


def test_a_window_without_a_value_of_a_feature_is_defined(given: np.ndarray) -> None:
    given[:, :2] = np.nan
    found = compared(given)
    assert found[FIRST].moved
    assert found[SECOND].moved
    assert "(missing 0 % → 100 %)" in found[FIRST].message


def test_all_new_values_that_are_drawn_are_told_to_be_new(given: np.ndarray) -> None:
    given[::2, 0] = np.arange(4, 12)[np.arange(len(given[::2])) % 8]
    found = compared(given)[FIRST]
    assert set(found.edges) == set(range(12))
    assert sorted(found.new, key=int) == [str(code) for code in range(4, 12)]


@pytest.mark.parametrize(("categories", "unknown"), [(300, False), (400, True)])
def test_where_rare_categories_were_counted_as_one_it_is_unknown_how_many_new_ones_are_usual(categories: int, unknown: bool) -> None:
    times = np.datetime64("2020-01-01") + np.arange(24 * 90) * np.timedelta64(1, "h")
    codes = np.random.default_rng(0).permutation(np.resize(np.arange(categories, dtype=np.float64), len(times)))
    known = spans.of_rows(times, codes[:, None], columns=COLUMNS[:1])
    allowed = np.full(90, True)
    stretches = input_drift._Stretches(known, allowed, known.stretches(7, allowed))
    chances = [input_drift._new_chance(stretches, known.columns[0], np.append(codes[:95], new), 0.05) for new in ([], np.full(95, categories))]
    if unknown:
        assert all(map(math.isnan, chances))
    else:
        assert chances[0] > 0.05 > chances[1]
