"""The schema: what each column is, from the training rows only, and what a person overrules."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop.data import elec as bundled
from driftloop.data import streams
from driftloop.data.schema import inference, schema_file
from driftloop.data.schema.schema import Column, Schema
from driftloop.errors import DataError, SettingsError
from driftloop.settings import ROOT
from examples.nyc_taxi import cleaning, trips

ROWS = 100
random = np.random.default_rng(3)
X = random.random(ROWS)
LABEL = np.where(random.random(ROWS) < 0.5, "bad", "good")
TABLES = ROOT.parent / "shared" / "data" / "tables"


def frame(rows: int = ROWS, **more: object) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=rows, freq="37min").astype(str)
    return pd.DataFrame({"time": times, "x": X[:rows], "y": LABEL[:rows], **more})


def inferred(**more: object) -> Schema:
    return inference.infer(frame(**more), target="y", time_column="time")


def load(folder: Path, table: pd.DataFrame, **options: object) -> streams.Stream:
    table.to_csv(folder / "own.csv", index=False)
    return streams.load(folder / "own.csv", **{"target": "y", "time_column": "time", **options})


def overruling(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# What a column is


@pytest.mark.parametrize(
    ("values", "role", "why"),
    [
        (np.arange(ROWS), "identifier", "counts up by one in every row"),
        (np.arange(ROWS) + 5_000_000.0, "identifier", "counts up by one in every row"),
        (random.permutation(ROWS), "identifier", "another whole number in every row"),
        (np.arange(ROWS) * 3 + 1, "identifier", "another whole number in every row"),
        ([str(uuid.UUID(int=int(value), version=4)) for value in random.integers(0, 2**62, ROWS)], "identifier", "different in every row"),
        ([f"C-{value:05}" for value in range(ROWS)], "identifier", "different in every row"),
        (np.full(ROWS, 5.0), "left_out", "5 in every row"),
        (["same"] * ROWS, "left_out", "text: 'same' in every row"),
        ([None] * ROWS, "left_out", "empty"),
        ([f"a remark {value} in words" for value in range(ROWS)], "left_out", "100 different texts"),
        (["red", "green"] * (ROWS // 2), "feature", "2 different texts"),
        (random.random(ROWS), "feature", ""),
        (random.integers(0, 10**9, ROWS), "feature", ""),
        (np.arange(ROWS) / 4, "feature", ""),
        (np.arange(ROWS) // 2, "feature", ""),
    ],
)
def test_a_column_is_known_by_what_it_holds(values: object, role: str, why: str) -> None:
    found = inferred(z=values)["z"]
    assert found.role == role
    assert why in found.why if why else not found.why


@pytest.mark.parametrize("name", ["id", "ID", "customer_id", "customerId", "uuid"])
def test_whole_numbers_of_a_wide_range_are_an_identifier_by_their_name(name: str) -> None:
    values = random.choice(10**9, ROWS, replace=False)
    assert inferred(**{name: values})[name].role == "identifier"
    assert inferred(paid=values)["paid"].role == "feature"


def test_a_table_of_few_rows_has_no_identifier_by_accident() -> None:
    amounts = random.choice(5_000, 50, replace=False)
    assert inference.infer(frame(50, amount=amounts, share=X[:50] * 2), target="y", time_column="time").features == ("x", "amount", "share")
    assert inference.infer(frame(10, z=range(10), same=1), target="y", time_column="time").features == ("x", "z", "same")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False] * (ROWS // 2), "boolean"),
        (["yes", "no"] * (ROWS // 2), "boolean"),
        (["True", "false"] * (ROWS // 2), "boolean"),
        ([True, None] * (ROWS // 2), "boolean"),
        (["a", "b"] * (ROWS // 2), "category"),
        (pd.Categorical(["a", "b"] * (ROWS // 2)), "category"),
        ([f"{value} %" for value in range(10)] * (ROWS // 10), "number"),
        (pd.array([1, None, 3, 3] * (ROWS // 4), "Int64"), "number"),
        (pd.date_range("2020", periods=ROWS), "time"),
    ],
)
def test_a_kind_is_what_the_values_are(values: object, kind: str) -> None:
    assert inferred(z=values)["z"].kind == kind


def test_ranges_categories_and_missing_shares_are_those_of_the_rows() -> None:
    found = inferred(z=[1.0, None, 3.0, 7.0] * (ROWS // 4), c=["u", "v", None, "u"] * (ROWS // 4))
    assert (found["z"].low, found["z"].high, found["z"].missing) == (1, 7, 0.25)
    assert (found["c"].categories, found["c"].missing) == (("u", "v"), 0.25)
    assert (found["y"].role, found["y"].categories, found["time"].role) == ("label", ("bad", "good"), "time")


def test_two_columns_of_one_name_are_refused() -> None:
    table = frame(z=1.0)
    table.columns = ["time", "x", "y", "x"]
    with pytest.raises(DataError, match="two columns are called 'x'"):
        inference.infer(table, target="y", time_column="time")


# Leaks


def test_a_column_that_gives_the_label_away_is_named_and_stays_a_feature() -> None:
    rows = 1000
    label = np.where(np.random.default_rng(1).random(rows) < 0.4, "bad", "good")
    table = pd.DataFrame(
        {
            "same": label,
            "code": np.where(label == "bad", 7, 3),
            "score": (label == "bad") + random.random(rows) * 0.99,
            "strong": (label == "bad") + random.standard_normal(rows) * 0.5,
            "label": label,
        }
    )
    found = inference.infer(table, target="label")
    assert found["same"].why == "suspected leak: it equals the label in every training row"
    assert "it gives the label of 100.0 % of the training rows" in found["code"].why
    assert found["score"].why.startswith("suspected leak")
    assert not found["strong"].why
    assert found.features == ("same", "code", "score", "strong")
    assert "warning: score is a suspected leak" in found.table()


def test_a_column_that_gives_a_number_away_is_named() -> None:
    value = random.standard_normal(1000) ** 3
    table = pd.DataFrame({"cents": np.round(value * 100), "noisy": value + random.standard_normal(1000) * 0.3, "y": value})
    found = inference.infer(table, target="y", regression=True)
    assert "explains" in found["cents"].why
    assert not found["noisy"].why


def test_the_bundled_streams_have_the_features_they_had_and_no_suspected_leak() -> None:
    elec = streams.load()
    assert elec.features == elec.schema.features == bundled.FEATURES
    assert not any(column.why for column in elec.schema.columns if column.role == "feature")
    assert not elec.notes


@pytest.mark.skipif(not TABLES.is_dir(), reason="the tables are not here")
@pytest.mark.parametrize(("name", "target"), [("car_loan", "repaid"), ("cards", "y_true"), ("car_price", "y_true")])
def test_a_strong_predictor_is_no_leak(name: str, target: str) -> None:
    table = pd.read_csv(TABLES / f"{name}.csv.gz", nrows=20_000)
    found = inference.infer(table, target=target, time_column="timestamp", regression=name == "car_price")
    assert found["id"].role == "identifier"
    assert [column.name for column in found.columns if column.why.startswith("suspected")] == []


# A stream takes what the schema says


def test_identifiers_constants_and_empty_columns_are_left_out_and_named(tmp_path: Path) -> None:
    stream = load(tmp_path, frame(id=range(ROWS), same=1, none=None, text=[f"remark {value}" for value in range(ROWS)], w=1 - X))
    assert stream.features == ("x", "w")
    assert stream.notes[:3] == ("left out: id (counts up by one in every row)", "left out: same (1 in every row)", "left out: none (empty)")


def test_the_training_rows_alone_decide(tmp_path: Path) -> None:
    late, early = np.where(np.arange(ROWS) < 70, 1.0, X), np.where(np.arange(ROWS) < 70, X, 1e6)
    stream = load(tmp_path, frame(late=late, early=early))
    assert stream.features == ("x", "early") and stream.schema["early"].high < 1
    assert load(tmp_path, frame(late=late), trained=len).features == ("x", "late")


def test_missing_values_of_a_column_that_is_left_out_are_no_bad_rows(tmp_path: Path) -> None:
    counted = [None if row == 5 else row for row in range(ROWS)]
    stream = load(tmp_path, frame(order_id=counted))
    assert len(stream) == ROWS and stream.features == ("x",)


def test_features_bring_a_column_back_and_are_exactly_those(tmp_path: Path) -> None:
    table = frame(hour=range(ROWS), w=1 - X)
    assert load(tmp_path, table).features == ("x", "w")
    stream = load(tmp_path, table, features=["hour", "x"])
    assert stream.features == ("hour", "x") and stream.schema["w"].role == "left_out" and not stream.notes


def test_a_feature_asked_for_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="feature 'time' is not numeric"):
        load(tmp_path, frame(), features=["x", "time"])
    with pytest.raises(DataError, match="'x' is in --features and a category in --schema"):
        load(tmp_path, frame(), features=["x"], schema=overruling(tmp_path, "x: {kind: category}"))


def test_columns_to_leave_out_are_left_out(tmp_path: Path) -> None:
    stream = load(tmp_path, frame(w=1 - X), leave_out=["w"])
    assert stream.features == ("x",) and not stream.notes
    assert "left out: w (by --leave_out)" in stream.schema.table()
    assert streams.load(leave_out=["transfer"]).features == bundled.FEATURES[:-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leave_out": ["w "]}, "--leave_out 'w ' is not a column; did you mean 'w'"),
        ({"leave_out": ["y"]}, "--leave_out 'y' is the column of the label"),
        ({"leave_out": ["x"], "features": ["x"]}, "'x' is in --features and in --leave_out"),
        ({"leave_out": ["x", "w"]}, "no numeric feature column"),
    ],
)
def test_what_cannot_be_left_out_is_refused_in_one_line(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(DataError) as refused:
        load(tmp_path, frame(w=1 - X), **options)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["label", "time of day", 'say "so"', "été ☀️", "a,b", "it's", " padded", "prediction"])
def test_a_column_may_have_any_name(tmp_path: Path, name: str) -> None:
    stream = load(tmp_path, frame(**{name: 1 - X, f"{name} id": range(ROWS)}))
    assert stream.features == ("x", name.strip())
    again = Schema.from_json(json.loads(json.dumps(stream.schema.as_json())))
    assert again == stream.schema == Schema.from_yaml(stream.schema.as_yaml())
    assert all(len(line) <= 100 for line in stream.schema.table().splitlines())


# What a person overrules


def test_a_file_overrules_roles_kinds_and_units(tmp_path: Path) -> None:
    text = "columns:\n  hour: {role: feature, unit: h}\n  x: {role: left_out}\n  zone: {kind: category}\n"
    stream = load(tmp_path, frame(hour=range(ROWS), w=1 - X, zone=np.arange(ROWS) % 7), schema=overruling(tmp_path, text))
    assert stream.features == ("hour", "w")
    assert (stream.schema["hour"].unit, stream.schema["zone"].kind) == ("h", "category")
    assert "this learner takes numbers only" in stream.schema["zone"].why


def test_a_file_names_label_and_time(tmp_path: Path) -> None:
    table = frame().rename(columns={"y": "label", "time": "when"})
    path = overruling(tmp_path, "label: {role: label}\nwhen: {role: time}\n")
    assert load(tmp_path, table, target=None, time_column=None, schema=path).features == ("x",)
    with pytest.raises(SettingsError, match="'label' has the role label, --target is 'x': give one column"):
        load(tmp_path, table, target="x", time_column=None, schema=path)


def test_a_schema_as_it_was_logged_gives_the_same_features(tmp_path: Path) -> None:
    table = frame(hour=range(ROWS), w=1 - X, kind=["a", "b"] * (ROWS // 2))
    first = load(tmp_path, table, features=["hour", "w"])
    path = overruling(tmp_path, json.dumps(first.schema.as_json()))
    assert load(tmp_path, table, target=None, time_column=None, schema=path).features == ("hour", "w")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("houre: {role: feature}", "'houre' is not a column; did you mean 'hour'?"),
        ("hour: {role: featur}", "'hour': 'featur' is no role; did you mean 'feature'?"),
        ("hour: {role: 3}", "'hour': 3 is no role; give one of feature"),
        ("hour: {kind: Category}", "'hour': 'Category' is no kind; did you mean 'category'?"),
        ("hour: {roel: feature}", "'hour': 'roel' is no key; did you mean 'role'?"),
        ("hour: feature", "'hour': give its role or kind"),
        ("hour: {role: feature}\nhour: {role: left_out}", "'hour' stands twice"),
        ("yes: {role: feature}", "True is read by YAML as no text"),
        ("y: {role: feature}", "'y' has the role feature and is the column of --target"),
        ("- a\n- b", "give a mapping of columns"),
        ("", "give a mapping of columns"),
        ("hour: {role: [", "cannot be read"),
        ("hour: {low: 3}", "says neither role nor kind nor unit"),
        ("hour: {categories: [1, 2]}", "says neither role nor kind nor unit"),
        ("hour: {kind: category, categories: 7}", "'hour': categories: give a list of texts or numbers"),
        ("hour: {kind: category, categories: [1, no]}", "YAML reads yes, no, on and off as texts only in quotes"),
        ("hour: {kind: category, categories: [1, [2]]}", "'hour': categories: give a list of texts or numbers"),
        ("hour: {kind: category, categories: [1, '1']}", "'hour': categories: '1' stands twice"),
        ("hour: {kind: category, categoreis: [1]}", "'categoreis' is no key; did you mean 'categories'?"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, frame(hour=range(ROWS)), schema=overruling(tmp_path, text))
    assert message in str(refused.value) and "\n" not in str(refused.value)
    assert str(tmp_path / "my.yaml") in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        schema_file.read(tmp_path / "none.yaml")


def test_a_text_that_is_called_a_number_is_refused(tmp_path: Path) -> None:
    path = overruling(tmp_path, "kind: {kind: number}")
    with pytest.raises(DataError, match="feature 'kind' is not numeric"):
        load(tmp_path, frame(kind=["a", "b"] * (ROWS // 2)), schema=path)


# In and out


def test_a_table_says_what_each_column_is_used_as() -> None:
    found = inferred(id=range(ROWS), fuel=["diesel", "petrol"] * (ROWS // 2), comment=[f"remark {value}" for value in range(ROWS)])
    assert found.table().splitlines() == [
        "label: y",
        "time: time",
        "used as number: x",
        "used as category: fuel (2 texts)",
        "left out: id (counts up by one in every row); comment (text: 'remark 0'; 100 different texts)",
    ]


def test_a_wide_table_is_shown_in_few_lines() -> None:
    wide = Schema(tuple(Column(f"a rather long name {number}", "feature", "number") for number in range(1000)))
    lines = wide.table().splitlines()
    assert len(lines) < 15 and "and 960 more" in lines[-1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"columns": [{"name": "x", "role": "feature"}]}, "column 'x' has no kind"),
        ({"columns": [{"name": "x", "role": "feature", "kind": "nummer"}]}, "'nummer' is no kind; did you mean 'number'?"),
        ({"columns": [{"name": "x", "role": "feature", "kind": "number", "lwo": 1}]}, "'lwo' is no key; did you mean 'low'?"),
        ({"columns": [{"name": "x", "role": "feature", "kind": "number"}] * 2}, "two columns are called 'x'"),
        ({"x": 1}, "a list of columns"),
        (None, "a list of columns"),
    ],
)
def test_a_schema_that_is_none_is_refused(given: object, message: str) -> None:
    with pytest.raises(DataError, match=r"column|schema") as refused:
        Schema.from_json(given)
    assert message in str(refused.value)


def test_the_taxi_has_the_features_it_had_and_no_suspected_leak() -> None:
    stream = trips.load()
    assert stream.features == tuple(cleaning.FEATURES) and not stream.notes
    assert not any(column.why for column in stream.schema.columns if column.role == "feature")
