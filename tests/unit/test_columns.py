"""Feature columns: every digit is kept, a number written in one way only is read, and what is left out is named with the reason."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop.data import streams
from driftloop.data.schema import columns, numerals
from driftloop.errors import DataError

TIMES = pd.date_range("2024-01-01", periods=4, freq="h")


def written(folder: Path, values: list, name: str = "x") -> Path:
    """A CSV of four rows with a column of these texts, and a plain one."""
    quoted = [f'"{value}"' if "," in str(value) else value for value in values]
    lines = [f"{time},{value},{row},{row % 2}" for row, (time, value) in enumerate(zip(TIMES, quoted, strict=True))]
    path = folder / "own.csv"
    path.write_text("\n".join([f"time,{name},plain,target", *lines]) + "\n")
    return path


def parquet(folder: Path, values: object) -> Path:
    path = folder / "own.parquet"
    pd.DataFrame({"time": TIMES, "x": values, "plain": range(4), "target": [0, 1, 0, 1]}).to_parquet(path)
    return path


def load(path: Path, **options: object) -> streams.Stream:
    return streams.load(path, time_column="time", target="target", **options)


@pytest.mark.parametrize(
    "values",
    [
        [20_000_000.0, 20_000_000.25, 20_000_000.5, 20_000_001.0],
        [1_700_000_512, 1_700_000_950, 1_700_000_144, 1_700_000_949],
        [1e39, -1e39, 1e308, -1e308],
        [5e-324, 1e-310, 0.1, 0.3],
        [2**53 - 1, -(2**53) + 1, 1, 2],
        [2**62, 2**61, 0, 1],
        [1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 1_700_000_002_000_000_000, 1_700_000_003_000_000_000],
    ],
)
def test_numbers_keep_every_digit_in_csv_and_parquet(tmp_path: Path, values: list) -> None:
    for path in (written(tmp_path, values), parquet(tmp_path, values)):
        stream = load(path)
        assert stream.features == ("x", "plain")
        assert stream.rows[:, 0].tolist() == [float(value) for value in values]
        assert stream.notes == ()


@pytest.mark.parametrize(
    ("texts", "numbers", "note"),
    [
        (["0,5", "0,25", "1", "-3,125"], [0.5, 0.25, 1, -3.125], "'-3,125' is read as -3.125"),
        (["0,512", "0,587", "0,95", "0,001"], [0.512, 0.587, 0.95, 0.001], "'0,512' is read as 0.512"),
        (["1,234", "12", "1,234,567", "5"], [1234, 12, 1234567, 5], "'1,234,567' is read as 1234567"),
        (["1,234.5", "2,000", "7", "0.5"], [1234.5, 2000, 7, 0.5], "'1,234.5' is read as 1234.5"),
        (["1.234,5", "2.000", "7", "0,5"], [1234.5, 2000, 7, 0.5], "'1.234,5' is read as 1234.5 and '2.000' as 2000"),
        (["1.234", "5,6", "0,5", "7"], [1234, 5.6, 0.5, 7], "'5,6' is read as 5.6 and '1.234' as 1234"),
        (["1 234", "12", "1\u202f000", "5"], [1234, 12, 1000, 5], "'1 234' is read as 1234"),
        (["1'234.5", "12", "1’000", "5"], [1234.5, 12, 1000, 5], '"1\'234.5" is read as 1234.5'),
        (["5%", "12.5%", "0 %", "-1%"], [5, 12.5, 0, -1], "'12.5%' is read as 12.5"),
        (["$1,234.50", "$2", "-$3", "$0.99"], [1234.5, 2, -3, 0.99], "'$1,234.50' is read as 1234.5"),
        (["1.234,50 €", "2 €", "3,5 €", "0,99 €"], [1234.5, 2, 3.5, 0.99], "'1.234,50 €' is read as 1234.5"),
        (["\u22125", "5", "6", "7"], [-5, 5, 6, 7], ""),
        (["True", "False", "True", "False"], [1, 0, 1, 0], "True is read as 1, False as 0"),
    ],
)
def test_a_column_whose_texts_are_numbers_in_one_way_only_is_read_and_named(tmp_path: Path, texts: list, numbers: list, note: str) -> None:
    stream = load(written(tmp_path, texts))
    assert stream.rows[:, 0].tolist() == numbers
    assert stream.notes == ((f"x: {note}",) if note else ())


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["1,234", "5,678", "9,999", "9"], "text: '1,234' may be 1234 or 1.234"),
        (["5%", "0.05", "7%", "6%"], "text: '5%'"),
        (["$5", "€5", "$6", "€6"], "text: '$5'"),
        (["12:30", "13:30", "14:30", "15:30"], "text: '12:30'"),
        (["yes", "no", "yes", "no"], "text: 'yes'"),
        (["1.2.3", "1.2.4", "1.3.0", "2.0.0"], "text: '1.2.3'"),
        (["(1,234)", "(5)", "6%", "7"], "text: '(1,234)'"),
        (["", "", "", ""], "empty"),
        ([2**53 + 1, 2**53 + 3, 2**60 + 1, 5], "whole numbers beyond 2^53 such as 9007199254740993, whose last digits float64 loses"),
        ([2**53, 2**53 + 1, 2**53 + 2, 2**53 + 3], "whole numbers beyond 2^53 such as 9007199254740993, whose last digits float64 loses"),
        ([2**53 + 1, "", 2**60 + 1, 2**53 + 7], "whole numbers beyond 2^53 such as 9007199254740993, whose last digits float64 loses"),
    ],
)
def test_a_column_left_out_is_named_with_the_reason_and_refused_when_asked_for(tmp_path: Path, texts: list, reason: str) -> None:
    path = written(tmp_path, texts)
    stream = load(path)
    assert stream.features == ("plain",)
    (note,) = stream.notes
    assert note.startswith(f"left out: x ({reason}")
    with pytest.raises(DataError, match="feature 'x' is not numeric") as refused:
        load(path, features=["x"])
    assert reason in str(refused.value)


def test_a_single_number_too_long_for_float64_is_a_bad_row(tmp_path: Path) -> None:
    for path in (
        written(tmp_path, [1, 2**53 + 1, 3, 4]),
        parquet(tmp_path, [1, 2**53 + 1, 3, 4]),
        parquet(tmp_path, pd.array([1, 2**53 + 1, None, 4], "Int64")),
    ):
        told = load(path, bad_rows="set_aside").set_aside
        assert told[0][1].startswith("x is 9007199254740993,") and "float64 loses" in told[0][1]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (pd.array([1, None, 3, 4], "Int64"), [1, 3, 4]),
        (pd.array([1, 2, 3, 255], "uint8"), [1, 2, 3, 255]),
        (np.array([2**63, 0, 1, 2], np.uint64), [2.0**63, 0, 1, 2]),
        ([Decimal("1.10"), Decimal("2.25"), None, Decimal("3")], [1.1, 2.25, 3]),
        (pd.Categorical(["1.5", "2.5", "1.5", "3"]), [1.5, 2.5, 1.5, 3]),
        ([b"1.5", b"2", b"3", b"4"], [1.5, 2, 3, 4]),
        (np.array([0.6, 0.1, 0.2, 0.3], np.float32), [float(np.float32(value)) for value in (0.6, 0.1, 0.2, 0.3)]),
        (pd.array([True, False, None, True], "boolean"), [1, 0, 1]),
    ],
)
def test_the_types_of_parquet_are_read_exactly(tmp_path: Path, values: object, numbers: list) -> None:
    assert load(parquet(tmp_path, values), bad_rows="set_aside").rows[:, 0].tolist() == numbers


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_whole_number_beyond_float64_among_texts_is_not_finite(digits: int) -> None:
    values = numerals.read(pd.Series(["9" * digits, "1", "2"])).values
    assert values.tolist() == [float("inf"), 1, 2]


def test_a_column_without_a_name_is_named_as_left_out(tmp_path: Path) -> None:
    assert load(written(tmp_path, [1, 2, 3, 4], name="")).notes == ("left out: Unnamed: 1 (it has no name)",)


def test_text_among_numbers_is_a_bad_row_named_by_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: x is 'abc', not a number"):
        load(written(tmp_path, [1, "abc", 3, 4]))


def test_a_table_whose_every_column_is_text_says_why(tmp_path: Path) -> None:
    pd.DataFrame({"time": TIMES, "x": ["1,234"] * 4, "target": [0, 1, 0, 1]}).to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(DataError, match=r"there is no numeric feature column.*may be 1234 or 1\.234"):
        load(tmp_path / "own.csv")


def test_a_value_of_a_regression_is_read_as_a_feature_is() -> None:
    found = columns.target_values(pd.Series(["0,5", "1,5", "x", None], name="y"))
    assert found.values[:2, 0].tolist() == [0.5, 1.5]
    assert (found.faults, found.notes) == ({2: "the label is 'x', not a number", 3: "the label is missing"}, ("y: '0,5' is read as 0.5",))


def test_lists_and_times_are_not_numbers() -> None:
    assert numerals.read(pd.Series([[1], [2]])).fault == "lists or the like"
    assert numerals.read(pd.Series(TIMES)).fault == "times"


def test_truth_values_are_told_also_beside_missing_ones() -> None:
    found = numerals.read(pd.Series([True, False, None], dtype=object))
    assert found.values[:2].tolist() == [1, 0] and found.note == "True is read as 1, False as 0"
