"""A table that has grown since the base model was trained: read as the base model read it, and judged by its KPI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_fixtures import Workshop

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
