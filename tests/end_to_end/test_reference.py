"""The training reference is logged with the run that trained a model, and read back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from script_fixtures import KNOWN, Workshop, data_flags

from driftloop.data import streams
from driftloop.data.schema import encoding
from driftloop.data.schema.schema import Column
from driftloop.errors import DataError, TrackingError
from driftloop.tracking import mlflow_store
from driftloop.training import reference, trained_model
from driftloop.training.reference import About, Reference
from learner import ELEC

ABOUT = About(stream="s", task="classification", features=("a", "label"), labels=("DOWN", "UP"), run_id="r", trained=(3, 6))


def small(about: About = ABOUT) -> Reference:
    labels = np.array(["DOWN", "UP", "UP"], dtype=object)
    times = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[ns]")
    return Reference(about, np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]]), labels, labels[::-1], np.array([0.6, 0.7, 0.8]), times)


def assert_same(one: Reference, other: Reference) -> None:
    assert one.about == other.about
    for name in ("rows", "labels", "predictions", "probabilities", "times"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_what_is_written_is_read_back_also_with_a_feature_called_label(tmp_path: Path) -> None:
    reference.write(small(), tmp_path)
    assert_same(reference.read(tmp_path), small())


def test_a_regressions_reference_has_numbers_and_no_probabilities(tmp_path: Path) -> None:
    numbers = replace(small(replace(ABOUT, task="regression", labels=())), labels=np.arange(3.0), predictions=np.arange(3.0), probabilities=np.full(3, np.nan))
    reference.write(numbers, tmp_path)
    assert_same(reference.read(tmp_path), numbers)


COLUMNS = (Column("a", "feature", "category", categories=("é", "🔌")), Column("label", "feature", "boolean", missing=0.5))


def test_the_columns_of_coded_rows_are_read_back_and_an_early_reference_has_none(tmp_path: Path) -> None:
    coded = small(replace(ABOUT, columns=COLUMNS))
    coded.rows[:] = [[0, 1], [np.nan, 0], [1, np.nan]]
    reference.write(coded, tmp_path)
    found = reference.read(tmp_path)
    assert_same(found, coded)
    assert encoding.decode(found.rows, found.about.columns) == [["é", True], [None, False], ["🔌", None]]
    reference.write(small(), tmp_path)
    assert "columns" not in json.loads((tmp_path / "reference.json").read_text()) and reference.read(tmp_path).about.columns == ()


@pytest.mark.parametrize("columns", [5, [5], [{}], [{"name": "a", "role": "feature", "kind": "colour"}], [{"name": "b", "role": "feature", "kind": "number"}]])
def test_columns_that_are_none_of_the_features_are_one_line(tmp_path: Path, columns: object) -> None:
    reference.write(small(), tmp_path)
    path = tmp_path / "reference.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"columns": columns}))
    with pytest.raises(DataError, match=f"reference {tmp_path}: ") as told:
        reference.read(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("broken", ["reference.json", "reference.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]"])
def test_a_broken_reference_is_one_line_that_names_the_folder(tmp_path: Path, broken: str, content: bytes | None) -> None:
    reference.write(small(), tmp_path)
    (tmp_path / broken).unlink() if content is None else (tmp_path / broken).write_bytes(content)
    with pytest.raises(DataError, match=str(tmp_path)) as told:
        reference.read(tmp_path)
    assert "\n" not in str(told.value)


@pytest.fixture(scope="module")
def base_run(workshop: Workshop, drifting_csv: Path) -> str:
    ran = workshop.run("base_model", *data_flags(drifting_csv), "--mlflow_experiment_name", "reference", "--json")
    assert ran.code == 0, ran.err
    return workshop.runs("reference")[0].info.run_id


def test_the_base_models_run_holds_its_training_rows_and_what_it_says_of_them(workshop: Workshop, drifting_csv: Path, base_run: str) -> None:
    stream = streams.load(drifting_csv, time_column="time")
    with workshop.entered():
        store = mlflow_store.open_store("reference")
        found, known = reference.load(store, base_run), trained_model.restore(store, base_run, learner=ELEC, stream=stream)
    shares = (float(np.mean(stream.labels[:KNOWN] == 0)), float(np.mean(stream.labels[:KNOWN] == 1)))
    assert found.about == About("drifting", "classification", ("x1", "x2"), (0, 1), base_run, (0, KNOWN), shares=shares)
    np.testing.assert_array_equal(found.rows, stream.rows[:KNOWN].astype(np.float64))
    np.testing.assert_array_equal(found.labels, stream.labels[:KNOWN])
    np.testing.assert_array_equal(found.predictions, trained_model.predict(known.model, stream, 0, KNOWN).argmax(axis=1))
    np.testing.assert_array_equal(found.times, stream.times[:KNOWN])


def test_a_run_without_a_reference_says_so(workshop: Workshop) -> None:
    with workshop.entered():
        store = mlflow_store.open_store("reference-none")
        with mlflow_store.run(store, "bare", role="base") as run_id:
            pass
        with pytest.raises(TrackingError, match="has no training reference"):
            reference.load(store, run_id)
        with pytest.raises(TrackingError):
            reference.load(store, "0" * 32)
