"""Labels: none is lost, merged or turned into another in silence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop.data import classes, streams
from driftloop.errors import DataError

NAMES = ["None", "NA", "null", "nan", "N/A"]


def csv(folder: Path, labels: list[str]) -> Path:
    path = folder / "own.csv"
    path.write_text("time,x,label\n" + "".join(f"2024-01-{row + 1:02d},{row},{label}\n" for row, label in enumerate(labels)))
    return path


def load(path: Path, **options: object) -> streams.Stream:
    return streams.load(path, time_column="time", target="label", **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_csv_label_that_may_mean_missing_is_named_by_line_and_never_lost(tmp_path: Path, name: str) -> None:
    path = csv(tmp_path, ["on", name, "off", "on"])
    with pytest.raises(DataError, match=f"line 3: the label is '{name}', which may be a class or mean missing: rename the class"):
        load(path)
    stream = load(path, bad_rows="set_aside")
    assert stream.label_names == ("off", "on")
    assert [line for line, _ in stream.set_aside] == [3]


@pytest.mark.parametrize("name", NAMES)
def test_where_the_type_declares_it_the_same_text_is_a_class(tmp_path: Path, name: str) -> None:
    pd.DataFrame({"time": pd.date_range("2024-01-01", periods=4), "x": range(4), "label": ["on", name, "off", name]}).to_parquet(tmp_path / "own.parquet")
    arff = tmp_path / "own.arff"
    head = f"@relation r\n@attribute time string\n@attribute x numeric\n@attribute label {{on,off,{name}}}\n@data\n".replace("string", "date 'yyyy-MM-dd'")
    arff.write_text(head + "".join(f"2024-01-0{row + 1},{row},{label}\n" for row, label in enumerate(["on", name, "off", name])))
    for path in (tmp_path / "own.parquet", arff):
        assert sorted(load(path).label_names) == sorted(["on", "off", name])


@pytest.mark.parametrize("text", ["", "?"])
def test_an_empty_field_and_a_question_mark_are_missing(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="line 3: the label is missing"):
        load(csv(tmp_path, ["on", text, "off"]))


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        (["007", "7", "007", "7"], ("007", "7"), "kept as text, because '007' has a leading zero"),
        (["1.0", "1", "0", "0.0"], (0, 1), ""),
        (["+1", "-1", "1", "-1.0"], (-1, 1), ""),
        (["True", "False", "True", "False"], ("False", "True"), ""),
        (["True", "true", "False", "False"], ("False", "True", "true"), "differ in case only"),
        (["Up", "UP", "DOWN", "UP"], ("DOWN", "UP", "Up"), "'Up' (1 rows) and 'UP' (2 rows) differ in case only and are kept apart"),
        (["up ", "up", "down", "down "], ("down", "up"), "label 'up ' is read as 'up'"),
        ([str(2**60), str(2**60 + 1), str(2**60), str(2**60 + 1)], (str(2**60), str(2**60 + 1)), ""),
        (["inf", "flu", "inf", "flu"], ("flu", "inf"), ""),
        (["a", "1", "1.0", "a"], ("1", "1.0", "a"), "labels '1' and '1.0' are one number and are kept apart"),
        (["True", "1", "1.0", "0"], ("0", "1", "1.0", "True"), "labels '1' and '1.0' are one number and are kept apart"),
    ],
)
def test_labels_are_merged_only_where_they_are_the_same(tmp_path: Path, labels: list[str], names: tuple, words: str) -> None:
    stream = load(csv(tmp_path, labels))
    assert stream.label_names == names
    assert bool(stream.notes) == bool(words) and words in "".join(stream.notes)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([b"up", b"down", b"up", b"down"], ("down", "up")),
        (pd.array([2**60, None, 2**60 + 1, 2**60], "Int64"), (str(2**60), str(2**60 + 1))),
        (np.array([2**63, 0, 1, 2], np.uint64), ("0", "1", "2", str(2**63))),
        ([Decimal("1.00"), Decimal("1"), Decimal("2"), None], (1, 2)),
        (pd.Categorical(["b", "a", "b", "a"]), ("a", "b")),
        ([True, False, True, None], ("False", "True")),
        (["007", "7", "7", "007"], ("007", "7")),
    ],
)
def test_the_types_of_parquet_are_read_exactly(tmp_path: Path, values: object, names: tuple) -> None:
    path = tmp_path / "own.parquet"
    pd.DataFrame({"time": pd.date_range("2024-01-01", periods=4), "x": range(4), "label": values}).to_parquet(path)
    assert load(path, bad_rows="set_aside").label_names == names


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        classes.read(pd.Series([b"\xff\xfe", b"up"], name="label"))


@pytest.mark.parametrize("other", ["e\u0301te", "\u200b\u00e9te", "\u00e9te\ufeff"])
def test_labels_that_look_alike_are_two_classes_and_told_apart(tmp_path: Path, other: str) -> None:
    found = load(csv(tmp_path, ["\u00e9te", other, "b"] * 4))
    assert len(found.label_names) == 3
    assert found.notes == (f"labels '\\xe9te' (4 rows) and {other!a} (4 rows) look alike and are kept apart: write them alike if they are one class",)
