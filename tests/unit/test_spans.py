"""Histograms of the training rows by day, and how far stretches of them lie from the rest."""

from pathlib import Path

import numpy as np
import pytest

from driftloop.drift.inputs import spans
from driftloop.errors import DataError

HOURS = np.arange("2020-01-01", "2020-07-19", dtype="datetime64[h]")  # 200 days


def some(seed: int = 0) -> spans.Spans:
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.standard_normal(len(HOURS)), rng.integers(1, 5, len(HOURS)), np.full(len(HOURS), np.nan)])
    return spans.of_rows(HOURS, rows, bad_times=np.array(["2020-01-02T05", "NaT", "1999-01-01"], "datetime64[h]"))


def test_every_row_with_a_value_is_counted_once() -> None:
    made = some()
    assert [int(column.counts.sum()) for column in made.columns] == [len(HOURS), len(HOURS), 0]
    assert (made.days, int(made.bad.sum()), int(made.bad[1])) == (200, 1, 1)


def test_spans_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    made = some()
    spans.write(made, tmp_path)
    found = spans.read(tmp_path)
    assert found is not None
    assert found.first == made.first
    for one, other in zip(found.columns, made.columns, strict=True):
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("tops", "drawn", "counts"))


def test_a_reference_without_the_file_has_none_and_a_broken_file_is_told(tmp_path: Path) -> None:
    assert spans.read(tmp_path) is None
    (tmp_path / spans.FILE).write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match="log it again"):
        spans.read(tmp_path)


def test_a_value_that_training_never_had_lies_in_a_bin_of_its_own_above_or_below() -> None:
    zones = some().columns[1]
    assert zones.counted(np.array([1, 2, 2, 9])).tolist() == [1, 2, 0, 0, 1]


@pytest.mark.parametrize("days", [1, 7, 14])
def test_one_more_stretch_of_the_same_kind_is_called_far_as_often_as_stated(days: int) -> None:
    far = trials = 0
    for seed in range(40):
        made = some(seed)
        everything = np.ones(made.days, bool)
        column = made.columns[0]
        stretches = made.stretches(days, everything)
        apart = spans.usual(column, stretches, everything)
        for left_out in range(0, len(apart), max(1, len(apart) // 10)):
            others = np.delete(apart, left_out)
            far += spans.chance(apart[left_out], others, rows=24 * days, level=0.05) <= 0.05
            trials += 1
    assert 0.02 <= far / trials <= 0.08


def test_with_fewer_than_six_stretches_nothing_is_told() -> None:
    assert np.isnan(spans.chance(0.9, np.full(5, 0.1), rows=100, level=0.05))


def test_equal_distances_make_no_warning_and_a_larger_one_stands_out() -> None:
    same = np.zeros(12)
    assert spans.chance(0.0, same, rows=100, level=0.01) == pytest.approx(0.5, abs=1e-3)
    assert spans.chance(0.2, same, rows=100, level=0.01) < 1e-6
