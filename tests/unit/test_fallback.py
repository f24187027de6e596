"""The fallback's table: majority or mean by cell, pulled towards all rows where a cell has few."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.data import streams
from monitoring.fallback import PRIOR_ROWS, Fallback, build


def test_a_cell_with_many_rows_answers_with_its_own_majority() -> None:
    table = build({"period": [0.0] * 100 + [0.5] * 100}, [0] * 90 + [1] * 10 + [1] * 90 + [0] * 10, by=["period"], classification=True)
    assert (table.predict({"period": 0.0}), table.predict({"period": 0.5})) == (0, 1)


def test_a_cell_with_few_rows_answers_as_all_rows_do() -> None:
    table = build({"period": [0.0] * 200 + [0.5]}, [0] * 200 + [1], by=["period"], classification=True)
    assert table.predict({"period": 0.5}) == 0


def test_a_mean_is_pulled_towards_that_of_all_rows_by_the_stated_number_of_rows() -> None:
    values = [10.0] * 30 + [40.0] * 10
    table = build({"zone": [1] * 30 + [2] * 10}, values, by=["zone"], classification=False)
    overall = np.mean(values)
    assert table.predict({"zone": 2}) == pytest.approx((400.0 + PRIOR_ROWS * overall) / (10 + PRIOR_ROWS))


def test_an_unknown_cell_and_a_missing_value_get_the_answer_over_all_rows() -> None:
    table = build({"zone": [1, 1, 2]}, [2.0, 4.0, 9.0], by=["zone"], classification=False)
    assert table.predict({"zone": 7}) == table.predict({"zone": None}) == table.predict({}) == 5.0


def test_pairs_of_features_make_cells() -> None:
    table = build({"from": [1] * 500 + [1] * 500, "to": [2] * 500 + [3] * 500}, [5.0] * 500 + [9.0] * 500, by=["from", "to"], classification=False)
    assert table.predict({"from": 1, "to": 2}) == pytest.approx(5, abs=0.2)
    assert table.predict({"from": 1, "to": 3}) == pytest.approx(9, abs=0.2)


def test_without_features_to_group_by_there_is_one_answer() -> None:
    table = build({}, ["up", "down", "up"], by=[], classification=True)
    assert table.predict({"anything": 1.0}) == "up"


def test_answers_are_plain_python_values() -> None:
    assert type(build({"a": np.array([1.0])}, np.array([1]), by=["a"], classification=True).predict({"a": 1.0})) is int
    assert type(build({"a": np.array([1.0])}, np.array([1.5]), by=["a"], classification=False).predict({"a": 1.0})) is float


def test_values_that_differ_in_their_last_bits_are_one_cell() -> None:
    table = build({"period": [0.1 + 0.2] * 300 + [0.7] * 300}, [1] * 300 + [0] * 300, by=["period"], classification=True)
    assert table.predict({"period": 0.3}) == 1


def test_the_largest_numbers_have_cells_as_others_do() -> None:
    rows = [1.0] * 300 + [1.7e308] * 300
    table = build({"x": rows}, [0] * 300 + [1] * 300, by=["x"], classification=True)
    assert [table.predict({"x": value}) for value in (1.0, 1.7e308, 1.7e308 * (1 + 2e-16))] == [0, 1, 1]
    assert {table.predict({"x": value}) for value in (1e303, -1.7e308, 10**308)} == {table.overall}


@pytest.mark.parametrize(("features", "labels"), [({"a": []}, []), ({}, [1])])
def test_a_reference_that_cannot_make_a_table_is_refused(features: dict[str, list[float]], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="training reference"):
        build(features, labels, by=["a"], classification=True)


@pytest.fixture(scope="module")
def elec() -> streams.Stream:
    return streams.load(None)


def by_half_hour(elec: streams.Stream, start: int, stop: int) -> Fallback:
    columns = {name: elec.rows[start:stop, at].astype(float) for at, name in enumerate(elec.features)}
    return build(columns, elec.labels[start:stop], by=["period"], classification=True)


def test_on_elec_the_half_hour_beats_the_majority_of_all_rows(elec: streams.Stream) -> None:
    stop = round(0.7 * len(elec.rows))
    table = by_half_hour(elec, stop - 20_000, stop)
    period = elec.features.index("period")
    right = np.array([table.predict({"period": float(row[period])}) for row in elec.rows[stop:]]) == elec.labels[stop:]
    majority = max(np.mean(elec.labels[stop:]), 1 - np.mean(elec.labels[stop:]))
    assert len(table.cells) == 48
    assert right.mean() > majority + 0.03
