"""Tables as people have them, for a learner that takes values as they are: types, missing values, times, tasks, odd names."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftloop.data import streams
from driftloop.data.blocks import Block
from driftloop.data.schema import encoding
from driftloop.data.schema.schema import Column
from driftloop.data.streams import Stream
from driftloop.errors import DataError, SettingsError
from driftloop.metrics import data_quality

ROWS = 100
X = np.random.default_rng(0).normal(size=ROWS)
TIMES = pd.date_range("2020-01-01", periods=ROWS, freq="h")
LABELS = np.tile([0, 1, 1, 0], ROWS // 4)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"time": TIMES, "x": X, **columns, "y": columns.get("y", LABELS)})


def load(folder: Path, table: pd.DataFrame | pa.Table, *, csv: bool = False, **options: Any) -> Stream:
    path = folder / f"own.{'csv' if csv else 'parquet'}"
    if csv:
        table.to_csv(path, index=False)
    else:
        pq.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pandas(table), path)
    return streams.load(path, **{"target": "y", "task_name": "", "values_as_they_are": True, **options})


def arrow(values: pa.Array) -> pa.Table:
    return pa.table({"time": pa.array(TIMES), "x": X, "a": values, "y": LABELS})


def column(stream: Stream, name: str = "a") -> Column:
    return next(one for one in stream.columns if one.name == name)


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (pd.array([1, None] * 50, dtype="Int64"), "number", [1.0, None]),
        (pd.array([True, None] * 50, dtype="boolean"), "boolean", [True, None]),
        (pd.array(["u", None] * 50, dtype="string"), "category", ["u", None]),
        (pd.Categorical(["v", "u"] * 50), "category", ["v", "u"]),
        (np.tile(np.array([250, 1], "uint8"), 50), "number", [250.0, 1.0]),
        (["1.5", "2"] * 50, "number", [1.5, 2.0]),
        (["yes", "no"] * 50, "boolean", ["yes", "no"]),
        (["a", "b, c"] * 50, "category", ["a", "b, c"]),
    ],
    ids=["nullable integer", "nullable boolean", "string", "categorical", "unsigned", "numbers as text", "booleans as text", "texts"],
)
def test_a_column_keeps_its_values_whatever_its_type(tmp_path: Path, values: Any, kind: str, first: list) -> None:
    stream = load(tmp_path, frame(a=values))
    assert column(stream).kind == kind
    assert [row[1] for row in encoding.decode(stream.rows[:2], stream.columns)] == first


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (pa.array(["v", "u"] * 50).dictionary_encode(), ["v", "u"]),
        (pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.25")] * 50), [1.5, 2.25]),
        (pa.array([b"v", b"u"] * 50), ["v", "u"]),
    ],
    ids=["dictionary", "decimal", "bytes"],
)
def test_so_does_one_of_a_parquet_file(tmp_path: Path, values: pa.Array, first: list) -> None:
    stream = load(tmp_path, arrow(values))
    assert [row[1] for row in encoding.decode(stream.rows[:2], stream.columns)] == first


@pytest.mark.parametrize("values", [["yes", None] * 50, [True, None] * 50, [1.5, None] * 50], ids=["text", "boolean", "number"])
def test_a_missing_value_is_a_value_in_csv_too(tmp_path: Path, values: list) -> None:
    stream = load(tmp_path, frame(a=values), csv=True)
    assert len(stream) == ROWS and np.isnan(stream.rows[1::2, 1]).all() and np.isfinite(stream.rows[::2]).all()


def test_missing_values_are_refused_or_set_aside_when_asked(tmp_path: Path) -> None:
    table = frame(a=np.where(np.arange(ROWS) == 3, np.nan, X))
    assert load(tmp_path, table, missing="set_aside").set_aside == ((4, "a is missing"),)
    with pytest.raises(DataError, match=r"1 bad row .row 4: a is missing.: fix them, or --missing set_aside"):
        load(tmp_path, table, missing="refuse", bad_rows="set_aside")
    with pytest.raises(DataError, match=r"1 bad row .row 4: a is inf, not finite"):
        load(tmp_path, frame(a=np.where(np.arange(ROWS) == 3, np.inf, X)))


def test_a_learner_of_numbers_only_takes_no_missing_value(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 4: a is missing"):
        load(tmp_path, frame(a=np.where(np.arange(ROWS) == 3, np.nan, X)), values_as_they_are=False)


def test_a_category_that_comes_later_has_a_later_code(tmp_path: Path) -> None:
    stream = load(tmp_path, frame(a=["l", "k"] * 40 + ["a", "z"] * 10))
    assert column(stream).categories == ("k", "l", "a", "z") and stream.schema["a"].categories == ("k", "l")
    assert [one.categories for one in encoding.known(stream.columns, stream.rows[:70])][1] == ("k", "l")


@pytest.mark.parametrize(("texts", "kind"), [(["l", "k", "m", "k"], "category"), (["yes", "no"], "boolean")])
def test_a_model_whose_rows_have_no_value_of_a_column_knows_the_texts_of_the_base_model(tmp_path: Path, texts: list[str], kind: str) -> None:
    values: list[str | None] = (texts * 40)[:80] + [None] * 10 + ["new"] * 10
    stream = load(tmp_path, frame(a=values if kind == "category" else [*values[:90], *texts * 5]))
    for rows in (stream.rows[80:90], stream.rows[:0]):
        (known,) = [one for one in encoding.known(stream.columns, rows, stream.schema) if one.name == "a"]
        assert (known.kind, known.categories) == (kind, tuple(sorted(set(texts)))) and known.categories == stream.schema["a"].categories


def test_a_category_by_the_schema_file_without_a_value_in_the_training_rows_is_refused_unless_its_texts_are_named(tmp_path: Path) -> None:
    table = frame(a=[None] * 80 + ["k", "l"] * 10)
    for named, said in (("", "category without any value in the training rows"), (", categories: [l, k]", "")):
        (tmp_path / "my.yaml").write_text(f"columns: {{a: {{role: feature, kind: category{named}}}}}")
        if said:
            with pytest.raises(DataError, match=said):
                load(tmp_path, table, schema=tmp_path / "my.yaml")
        else:
            stream = load(tmp_path, table, schema=tmp_path / "my.yaml")
            assert [one.categories for one in encoding.known(stream.columns, stream.rows[:70], stream.schema) if one.name == "a"] == [("l", "k")]


def test_a_numeric_column_is_a_category_by_the_schema_file(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("columns: {zone: {kind: category}}")
    stream = load(tmp_path, frame(zone=[161, 9] * 50), schema=tmp_path / "my.yaml")
    assert column(stream, "zone").categories == ("9", "161") and stream.rows[:2, 1].tolist() == [1, 0]


def test_codes_of_a_category_keep_their_leading_zeros(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("columns: {zip: {role: feature, kind: category}}")
    codes = load(tmp_path, frame(zip=["00501", "501", "7", "8"] * 25), csv=True, schema=tmp_path / "my.yaml")
    assert column(codes, "zip").categories == ("00501", "501", "7", "8") and codes.rows[:2, 1].tolist() == [0, 1]
    cards = load(tmp_path, frame(zip=["4000123412341234567", "4000123412341234568", None, "7"] * 25), csv=True, schema=tmp_path / "my.yaml")
    assert column(cards, "zip").categories == ("4000123412341234567", "4000123412341234568", "7")
    plain = load(tmp_path, frame(zip=["1.0", "1", None, "2"] * 25), csv=True, schema=tmp_path / "my.yaml")
    assert column(plain, "zip").categories == ("1", "2")


def test_a_boolean_by_the_schema_file_holds_nothing_but_truths(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("columns: {a: {kind: boolean}}")
    with pytest.raises(DataError, match="'a' is a boolean in --schema and holds 2: give it the kind number or category"):
        load(tmp_path, frame(a=[0, 1] * 40 + [2, None] * 10), schema=tmp_path / "my.yaml")
    assert column(load(tmp_path, frame(a=[0, 1] * 40 + [1, None] * 10), schema=tmp_path / "my.yaml")).kind == "boolean"


def test_a_table_that_has_grown_is_read_with_the_base_models_schema(tmp_path: Path) -> None:
    first = frame(a=["k", "l"] * 50, b=[0] * ROWS)
    known = load(tmp_path, first).schema
    assert known.features == ("x", "a")
    later = first.assign(time=TIMES + dt.timedelta(days=9), a=["l", "j"] * 50, b=X)
    grown = pd.concat([first, later, later.assign(time=TIMES + dt.timedelta(days=18))]).assign(new=7.5)
    assert load(tmp_path, grown).features == ("x", "a", "b")
    found = load(tmp_path, grown, trained_schema=known)
    assert found.features == ("x", "a") and column(found).categories == ("k", "l", "j") and found.schema["a"].categories == ("k", "l")
    assert "left out: new (not in the table that the base model was trained on)" in found.notes
    with pytest.raises(DataError, match="'a'"):
        load(tmp_path, grown.drop(columns="a"), trained_schema=known)


def test_set_aside_rows_are_compared_with_the_values_that_are_there_and_never_by_codes(tmp_path: Path) -> None:
    gaps = np.where(np.arange(ROWS) % 4 == 1, np.nan, X)
    bad = np.where(np.arange(ROWS) < 3, np.inf, gaps)
    stream = load(tmp_path, frame(gap=gaps, bad=bad, text=["z"] * 3 + ["a", "b"] * 48 + ["a"], far=np.where(np.arange(ROWS) < 3, 1e6, X)), bad_rows="set_aside",
                  missing="learn")  # fmt: skip
    found = data_quality.of_block(stream, Block(0, 0, len(stream)))
    assert [jump.feature for jump in found.jumps] == ["far"]
    holes = load(tmp_path, frame(gap=np.where(np.arange(ROWS) < 3, 1e6, gaps), bad=bad), bad_rows="set_aside", missing="learn")
    assert [jump.feature for jump in data_quality.of_block(holes, Block(0, 0, len(holes))).jumps] == ["gap"]


def test_categories_of_the_schema_file_have_the_first_codes_whatever_the_training_rows_hold(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("zone: {kind: category, categories: [7, 9, 161.0]}\na: {kind: category, categories: [z, k]}")
    table = frame(zone=[161, 9] * 45 + [7, 300] * 5, a=["k", "l"] * 50)
    for trained in (50, 95):
        stream = load(tmp_path, table, schema=tmp_path / "my.yaml", trained=lambda _, rows=trained: rows)
        assert column(stream, "zone").categories == ("7", "9", "161", "300")
        assert column(stream).categories == ("z", "k", "l")


def test_a_logged_schema_keeps_the_codes_of_its_categories(tmp_path: Path) -> None:
    first = load(tmp_path, frame(a=["l", "k"] * 40 + ["a", "z"] * 10, b=["yes", "no"] * 50))
    (tmp_path / "my.json").write_text(json.dumps(first.schema.as_json()))
    again = load(tmp_path, frame(a=["a", "l"] * 50, b=["yes", "no"] * 50), schema=tmp_path / "my.json", target=None)
    assert (column(again).categories, column(again, "b").categories) == (("k", "l", "a"), ("no", "yes"))


@pytest.mark.parametrize(
    ("values", "why"),
    [([None] * ROWS, "empty"), ([None] * 80 + ["k"] * 20, "empty in every training row"), (["k"] * 99 + ["z"], "'k' in every row")],
    ids=["empty", "empty in training", "constant in training"],
)
def test_what_the_training_rows_cannot_teach_is_left_out_and_named(tmp_path: Path, values: list, why: str) -> None:
    stream = load(tmp_path, frame(a=values))
    assert stream.features == ("x",) and any(why in note for note in stream.notes)


def test_ten_thousand_texts_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    many = pd.DataFrame({"time": pd.date_range("2020", periods=20_000, freq="min"), "x": np.arange(20_000) % 7})
    many["a"], many["y"] = [f"c{row % 9_000}" for row in range(20_000)], np.arange(20_000) % 3 > 0
    assert load(tmp_path, many).features == ("x",)
    assert len(column(load(tmp_path, many, features=["x", "a"])).categories) == 9_000
    many["a"] = [f"c{row}" for row in range(20_000)]
    with pytest.raises(DataError, match="'a' has 14,000 different texts"):
        load(tmp_path, many, features=["x", "a"])


@pytest.mark.parametrize("labels", [[0, None, 1, 1] * 25, ["a", None, "b", "b"] * 25, [0.5, None, 1.25, 2.5] * 25], ids=["classes", "texts", "values"])
def test_rows_without_a_label_are_counted_and_left_out(tmp_path: Path, labels: list) -> None:
    stream = load(tmp_path, frame(y=labels), csv=True)
    assert len(stream) == 75 and not stream.set_aside and not len(stream.aside.times)
    assert "unlabelled: 25 rows have no label; they are neither trained on nor scored" in stream.notes


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (np.tile([1, 2, 3, 4], 25), "classification"),
        (np.tile([1.0, 2.0, 3.0, 4.5], 25), "regression"),
        (np.arange(ROWS), "regression"),
        ([True, False] * 50, "classification"),
        (["3", "4"] * 50, "classification"),
    ],
)
def test_the_task_follows_from_the_label(tmp_path: Path, labels: Any, task: str) -> None:
    assert load(tmp_path, frame(y=labels)).task == task


@pytest.mark.parametrize(
    "times",
    [
        [dt.date(2020, 1, 1) + dt.timedelta(day) for day in range(ROWS)],
        (1.6e12 + 1000 * np.arange(ROWS)).astype("int64"),
        TIMES.tz_localize("Europe/Berlin"),
        [f"{time:%d %B %Y %H:%M}" for time in TIMES],
    ],
    ids=["dates", "epoch", "zone", "text"],
)
def test_the_time_column_is_found(tmp_path: Path, times: Any) -> None:
    table = frame().assign(time=times).rename(columns={"time": "timestamp"})
    assert load(tmp_path, table).schema["timestamp"].role == "time"


def test_why_its_times_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--time_format"):
        load(tmp_path, frame().assign(time=[f"{time:%d/%m/%Y %H:%M}" for time in TIMES]))


def test_of_two_columns_with_times_the_one_with_a_usual_name_is_taken(tmp_path: Path) -> None:
    two = frame(signup=TIMES + pd.Timedelta("1D"))
    assert load(tmp_path, two).schema["signup"].role == "left_out"
    with pytest.raises(DataError, match="when, signup could: give one as --time_column"):
        load(tmp_path, two.rename(columns={"time": "when"}))


def test_the_task_follows_from_the_labels_of_the_training_rows_alone(tmp_path: Path) -> None:
    later = load(tmp_path, frame(y=[1, 2, 3, 4] * 20 + list(range(20))))
    assert later.task == "classification"
    grown = load(tmp_path, frame(y=[1, 2, 3, 4] * 10 + list(range(30)) * 2), trained_schema=later.schema)
    assert grown.task == "classification" and len(grown.label_names) == 30
    with pytest.raises(DataError, match=r"line 92: the label is 'soon', not a number"):
        load(tmp_path, frame(y=[str(at / 2) for at in range(90)] + ["soon"] * 10), csv=True)


def test_the_format_of_a_time_that_was_found_may_be_given(tmp_path: Path) -> None:
    table = frame().assign(time=TIMES.strftime("%d/%m/%Y %H:%M"))
    assert str(load(tmp_path, table, csv=True, time_format="%d/%m/%Y %H:%M").times[0])[:16] == "2020-01-01T00:00"
    with pytest.raises(SettingsError, match="give that as well"):
        load(tmp_path, table, time_column="row", time_zone="Europe/Berlin")


def test_what_to_give_where_no_column_holds_times(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--time_column row for rows in time order"):
        load(tmp_path, frame().drop(columns="time"))


def test_rows_in_order_need_no_time(tmp_path: Path) -> None:
    stream = load(tmp_path, frame().drop(columns="time"), time_column="row")
    assert len(stream) == ROWS and stream.period is None and (np.diff(stream.times.astype("int64")) > 0).all()


def test_any_name_of_a_column_will_do(tmp_path: Path) -> None:
    names = ["label", "prediction", "with space", 'qu"ote', "it's", "emoji 😀", "comma,name"]
    stream = load(tmp_path, frame(**dict.fromkeys(names, X)), csv=True)
    assert stream.features == ("x", *names)
