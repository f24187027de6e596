"""Coded rows, with categories and missing values, through the domain classifier, the kinds of drift, the days' histograms and the services' tests."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from driftloop.data import blocks, synthetic
from driftloop.data.schema.schema import Column
from driftloop.data.streams import Stream
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.inputs import design, spans
from driftloop.drift.inputs.domain import classify, least_rows
from driftloop.drift.kind import trees
from driftloop.drift.kind.decomposition import decompose
from driftloop.drift.kind.kinds import tell
from driftloop.metrics import task
from driftloop.metrics.goal import Goal
from monitoring.online import input_tests

COLUMNS = (
    Column("load", "feature", "number"),
    Column("fuel", "feature", "category", categories=("diesel", "electric", "petrol")),
    Column("insured", "feature", "boolean"),
    Column("zone", "feature", "category", categories=tuple(f"zone {number}" for number in range(100))),
)
NAMES = tuple(column.name for column in COLUMNS)


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def table(seed: int, rows: int, *, electric: float = 0.12, missing: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    fuel = rng.choice(3, size=rows, p=[0.52 - electric, electric, 0.48])
    values = np.column_stack([rng.standard_normal(rows), fuel, rng.random(rows) < 0.3, rng.integers(0, 100, rows)]).astype(float)
    values[:, [0, 1, 3]] = np.where(rng.random((rows, 3)) < missing, np.nan, values[:, [0, 1, 3]])
    return values


def right(rows: np.ndarray, seed: int, *, on_electric: float = 0.6) -> np.ndarray:
    return np.random.default_rng(seed).random(len(rows)) < np.where(rows[:, 1] == 1, on_electric, 0.9)


def test_without_drift_the_classifier_alarms_near_alpha_on_coded_rows() -> None:
    alarms = sum(classify(table(seed, 200), table(seed + 1000, 200), columns=COLUMNS, permutations=99).p_value <= 0.05 for seed in range(60))
    assert alarms <= 8


def test_a_category_that_grows_separates_new_rows_and_the_weights_follow_it() -> None:
    old, new = table(0, 2000), table(1, 2000, electric=0.4)
    found = classify(old, new, columns=COLUMNS)
    assert found.p_value < 0.01
    assert np.isfinite(found.weights).all()
    share = found.weights @ (old[:, 1] == 1) / len(old)
    assert share == pytest.approx((new[:, 1] == 1).mean(), abs=0.06)


def test_values_that_go_missing_together_are_seen_though_each_share_stays() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((2, 800, 2))
    old[rng.random((800, 2)) < 0.3] = np.nan
    new[rng.random(800) < 0.3] = np.nan
    assert classify(old, new, columns=[Column(name, "feature", "number") for name in "ab"]).p_value < 0.01


def test_neither_classifier_nor_trees_depend_on_the_codes() -> None:
    old, new, names = table(0, 400), table(1, 300, electric=0.3), np.random.default_rng(0).permutation(100).astype(float)

    def renamed(rows: np.ndarray) -> np.ndarray:
        rows, there = rows.copy(), ~np.isnan(rows[:, 3])
        rows[there, 3] = names[rows[there, 3].astype(int)]
        return rows

    found, again = classify(old, new, columns=COLUMNS), classify(renamed(old), renamed(new), columns=COLUMNS)
    assert (found.auc, found.p_value) == (again.auc, again.p_value)
    assert np.array_equal(trees.of(old, COLUMNS).values, trees.of(renamed(old), COLUMNS).values, equal_nan=True)
    assert least_rows(old, new, columns=COLUMNS) == least_rows(renamed(old), renamed(new), columns=COLUMNS)


def test_trees_see_at_most_as_many_categories_as_they_have_bins_and_missing_values_as_they_are() -> None:
    rows = table(0, 3000)
    found = trees.of(rows, COLUMNS)
    assert np.nanmax(found.values[:, 3]) == trees.BINS - 1
    assert np.array_equal(np.isnan(found.values), np.isnan(rows))
    assert found.categorical is not None
    assert found.categorical.tolist() == [False, True, True, True]
    assert trees.of(rows, COLUMNS[:1]).values is rows


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[1:], COLUMNS[:1]])
def test_what_the_classifier_sees_is_finite_whatever_is_missing(columns: tuple[Column, ...]) -> None:
    for rows in (table(0, 50)[:, : len(columns)], np.full((50, len(columns)), np.nan), np.zeros((50, len(columns)))):
        assert np.isfinite(design.of(rows, columns)).all()


def test_a_fall_that_a_category_explains_is_data_drift_in_the_words_of_its_kind() -> None:
    old, new = table(0, 2500), table(1, 2500, electric=0.4)
    told = tell(old, right(old, 2), new, right(new, 3), names=NAMES, columns=COLUMNS)
    assert (told.kind, told.features) == ("data", ("fuel",))
    assert "the inputs have moved, category fuel: electric 12 % → 4" in told.message
    assert "KS" not in told.message


def test_a_fall_on_equal_categories_is_concept_drift() -> None:
    old, new = table(0, 2500, electric=0.3), table(1, 2500, electric=0.3)
    told = tell(old, right(old, 2, on_electric=0.9), new, right(new, 3, on_electric=0.4), names=NAMES, columns=COLUMNS)
    assert (told.kind, told.features) == ("concept", ())


def test_a_missing_share_that_grows_is_named_beside_a_number_that_moved() -> None:
    old, new = table(0, 1500, missing=0.02), table(1, 1500, missing=0.02)
    new[:, 0] += 0.5
    new[np.random.default_rng(2).random(1500) < 0.12, 0] = np.nan
    told = tell(old, right(old, 2), new, right(new, 3), names=NAMES, columns=COLUMNS)
    assert "the inputs have moved, load by KS 0.2" in told.message
    assert "missing 2 % → 1" in told.message


def test_the_parts_of_a_change_are_finite_on_losses_of_coded_rows() -> None:
    old, new = table(0, 1200), table(1, 1200, electric=0.4)
    sides = (old, np.where(old[:, 1] == 1, 3.0, 1.0), new, np.where(new[:, 1] == 1, 3.0, 1.0))
    found = decompose(*sides, columns=COLUMNS, losses=True)
    assert found.data.lower < found.total.change < found.data.upper
    assert math.isfinite(found.p_value)


@pytest.mark.parametrize("gone", [slice(0, 1), slice(1, 2), slice(0, 4)])
def test_columns_without_a_value_are_defined(gone: slice) -> None:
    old, new = table(0, 400), table(1, 300)
    new[:, gone] = np.nan
    told = tell(old, right(table(0, 400), 2), new, right(table(1, 300), 3), names=NAMES, columns=COLUMNS)
    assert told.drift
    assert "missing" in told.message
    assert "nan" not in told.message


HOURS = np.arange("2020-01-01", "2020-07-19", dtype="datetime64[h]")  # 200 days


def coded_spans(seed: int = 0) -> tuple[spans.Spans, np.ndarray]:
    rows = table(seed, len(HOURS))
    return spans.of_rows(HOURS, rows, columns=COLUMNS), rows


def test_every_category_has_a_bin_and_missing_values_are_counted_by_day() -> None:
    made, rows = coded_spans()
    fuel = made.columns[1]
    assert fuel.tops.tolist() == [0, 1, 2]
    assert fuel.counted(np.array([0, 2, 2, 7, np.nan])).tolist() == [1, 0, 2, 1]
    assert [int(column.missing.sum()) for column in made.columns if column.missing is not None] == np.isnan(rows).sum(axis=0).tolist()
    assert fuel.absences is not None
    assert int(fuel.absences.counts.sum()) == len(HOURS)


def test_a_category_that_is_none_of_the_most_frequent_lies_in_the_last_bin() -> None:
    values = np.concatenate([np.arange(0, 2 * spans.MOST_VALUES, 2.0)] * 2 + [[1.0]])
    made = spans.of_rows(np.repeat(HOURS[:1], len(values)), values[:, None], columns=[replace(COLUMNS[3], categories=())])
    (column,) = made.columns
    assert len(column.tops) == spans.MOST_VALUES
    assert column.counted(np.array([0.0, 1.0, 2.0, 999.0]))[-1] == 2


def test_spans_of_categories_come_back_and_older_files_are_read(tmp_path: Path) -> None:
    made, _ = coded_spans()
    spans.write(made, tmp_path)
    found = spans.read(tmp_path)
    assert found is not None
    for one, other in zip(found.columns, made.columns, strict=True):
        assert one.category == other.category
        assert np.array_equal(one.missing, other.missing)
    arrays = dict(np.load(tmp_path / spans.FILE))
    np.savez(tmp_path / spans.FILE, **{name: array for name, array in arrays.items() if not name.startswith(("missing", "category"))})
    older = spans.read(tmp_path)
    assert older is not None
    assert (older.columns[1].category, older.columns[1].missing, older.columns[1].absences) == (False, None, None)


def test_the_usual_share_of_new_values_is_that_of_days_whose_category_no_other_day_has() -> None:
    values = np.zeros((len(HOURS), 1))
    values[24:48] = 5.0
    made = spans.of_rows(HOURS, values, columns=[replace(COLUMNS[3], categories=())])
    everything = np.ones(made.days, bool)
    assert spans.usually_new(made.columns[0], [slice(0, 1), slice(1, 2)], everything).tolist() == [0.0, 1.0]


def test_the_monitor_widens_its_window_until_values_and_missing_ones_can_be_told() -> None:
    old, new = table(0, 3000), table(5, 400, electric=0.5)
    new[-200:, 3] = np.nan
    found = dict(zip(NAMES, input_tests.compare(old, new, names=NAMES, alpha=0.05, rows=100, columns=COLUMNS, known=[0, 3, 0, 100]), strict=True))
    assert [name for name, test in found.items() if test.moved] == ["fuel", "zone"]
    assert found["fuel"].words.startswith("category fuel: electric 1")
    assert found["zone"].words == "category zone: missing 10 % → 100 %"


def test_a_feature_of_missing_values_only_is_found_by_the_monitor() -> None:
    old, new = table(0, 1000), table(1, 300)
    new[:, 0] = np.nan
    found = input_tests.compare(old, new, names=NAMES, alpha=0.05, rows=100, columns=COLUMNS)
    assert found[0].words == "load: missing 12 % → 100 %"


def watched(stream: Stream) -> Diagnosis:
    """A watch of a model that is wrong on every electric car."""
    diagnosis = Diagnosis(stream, Goal(task.of(stream.task), 0.8))
    for block in blocks.cut(1000, len(stream.rows), block_size=100):
        wrong = stream.rows[block.start : block.stop, 1] == 1
        probability = np.where(stream.labels[block.start : block.stop] ^ wrong, 0.9, 0.1)
        diagnosis.learn(block, np.column_stack([1 - probability, probability]))
    return diagnosis


def test_the_watch_names_what_moved_in_the_words_of_its_kind() -> None:
    rows = np.concatenate([table(0, 2000), table(1, 600, electric=0.5)])
    rows[2100::20, 3] = 99.0
    rows[:2000, 3] = np.minimum(rows[:2000, 3], 98.0)
    base = synthetic.make("sea", rows=2600, seed=1).stream
    vocabulary = {column.name: column.categories for column in COLUMNS if column.categories}
    stream = replace(base, rows=rows, features=NAMES, vocabulary=vocabulary, schema=replace(base.schema, columns=COLUMNS))
    told = watched(stream).kind()
    assert told.kind in ("data", "both")
    assert "the inputs have moved, category fuel: diesel " in told.message or "the inputs have moved, category fuel: electric " in told.message
    assert "new values 0.7 % → 6 %: zone 99" in told.message
