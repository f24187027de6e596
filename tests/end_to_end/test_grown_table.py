"""A table that has grown since the base model was trained: read as the base model read it, and judged by its KPI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from script_fixtures import Workshop

from driftloop.data import streams
from driftloop.tracking import mlflow_store
from driftloop.training import fitting, trained_model
from driftloop.training.table.table_learner import TABLE

ROWS, LATER = 600, 500
SPANS = ("--until_row", ROWS + 400, "--judge_rows", 100, "--validation_rows", 100)
NAME = ("--register_model_name", "grown")


def table(rows: int) -> pd.DataFrame:
    """Column `later` is constant in the first rows, and `fuel` has a third text that sorts first after them."""
    rng = np.random.default_rng(0)
    new = np.arange(ROWS + LATER) >= ROWS
    x, fuel = rng.normal(size=ROWS + LATER), np.where(new & (rng.random(ROWS + LATER) < 0.5), "coal", rng.choice(["diesel", "gas"], ROWS + LATER))
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=ROWS + LATER, freq="h"), "x": x, "fuel": fuel, "later": np.where(new, x, 0.0)})
    return frame.assign(y=np.where(x + (fuel == "gas") - 2 * (fuel == "coal") > 0, "up", "down"))[:rows]


@pytest.fixture(scope="module")
def flags(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Of a table that was shorter when its base model was trained with --kpi brier."""
    path = tmp_path_factory.mktemp("grown") / "own.csv"
    found = ("--data_path", path, "--target", "y", "--mlflow_experiment_name", "grown")
    table(ROWS).to_csv(path, index=False)
    assert workshop.run("base_model", *found, "--kpi", "brier").code == 0
    table(ROWS + LATER).to_csv(path, index=False)
    return found


def test_a_retrain_reads_the_columns_as_the_base_model_did_and_judges_by_its_kpi(workshop: Workshop, flags: tuple[object, ...], tmp_path: Path) -> None:
    done = workshop.run("retrain_model", *flags, *NAME, *SPANS, "--json")
    assert done.code == 0, done.err
    assert done.result["brier_after"] <= done.result["brier_before"] or not done.result["promoted"], done.result
    run = workshop.client.get_run(done.result["run_id"])
    assert run.data.params["train_stop"] and int(run.data.params["train_stop"]) > ROWS


def test_another_kind_for_a_column_than_the_base_models_is_refused(workshop: Workshop, flags: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("columns: {x: {kind: category}}")
    told = workshop.run("retrain_model", *flags, *NAME, "--schema", tmp_path / "my.yaml", *SPANS).complaint("retrain_model")
    assert "was trained with 'x' as a number, here it is a category: give the same --schema" in told


def test_a_threshold_that_follows_from_the_validation_rows_needs_a_base_model_of_the_same_kpi(workshop: Workshop, flags: tuple[object, ...]) -> None:
    told = workshop.run("deploy_model", *flags, *NAME, "--kpi", "accuracy").complaint("deploy_model")
    assert "--threshold is not given, and the base model was not measured by accuracy on its validation rows" in told


def test_a_retrain_on_rows_without_a_value_of_a_column_is_logged_and_read_back(workshop: Workshop, tmp_path: Path) -> None:
    frame = table(ROWS + LATER).assign(paid=np.tile(["yes", "no"], (ROWS + LATER) // 2), new=np.tile([True, False, False, True], (ROWS + LATER) // 4))
    frame = frame.astype({"new": "boolean"})
    frame.loc[ROWS:, ["fuel", "paid", "new", "later"]] = None
    frame.to_parquet(tmp_path / "own.parquet")
    stream = streams.load(tmp_path / "own.parquet", target="y", features=["x", "fuel", "paid", "new", "later"], values_as_they_are=True, task_name="")
    fitted = fitting.fit(TABLE, stream, {**TABLE.retrain_params, "window": 300}, train=(0, ROWS + 350), max_epochs=1, seed=1)
    with workshop.entered():
        store = mlflow_store.open_store("emptied")
        with mlflow_store.run(store, "base", role="base") as run_id:
            trained_model.record(fitted, learner=TABLE, stream=stream, run_id=run_id)
        known = trained_model.restore(store, run_id, learner=TABLE, stream=stream)
        served = mlflow.pyfunc.load_model(known.uri).predict(frame.drop(columns=["time", "y"]))
    assert {one["name"]: one["categories"] for one in known.card["columns"] if one["categories"]} == {"fuel": ["diesel", "gas"], "paid": ["no", "yes"]}
    here = trained_model.predict(known.model, stream, 0, len(stream))
    assert np.allclose(served["probability_up"], here[:, 1], atol=1e-6)
    emptied = replace(stream, rows=np.where(np.arange(5) > 0, np.nan, stream.rows))
    assert np.array_equal(trained_model.predict(known.model, emptied, 0, len(stream)), here)


def test_a_trial_on_rows_of_one_class_does_not_end_the_retrain(workshop: Workshop, tmp_path: Path) -> None:
    frame = table(ROWS + LATER)
    frame.loc[ROWS // 2 :, "y"] = "up"
    frame.to_csv(tmp_path / "own.csv", index=False)
    (tmp_path / "space.yaml").write_text("window: {choices: [50, 60]}")
    given = ("--data_path", tmp_path / "own.csv", "--target", "y", "--mlflow_experiment_name", "one_class")
    assert workshop.run("base_model", *given).code == 0
    done = workshop.run("retrain_model", *given, "--register_model_name", "one_class", *SPANS, "--search_space", tmp_path / "space.yaml", "--total_trials", 2)
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
