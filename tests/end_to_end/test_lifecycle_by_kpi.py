"""A lifecycle whose models are measured by a KPI chosen with --kpi: searched, watched, retrained and logged by it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from script_fixtures import Ran, Workshop

ROWS, FLIP = 900, 700  # 70 % train the base model; from row 700 on the label means the opposite


@pytest.fixture(scope="module")
def done(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    path, rng = tmp_path_factory.mktemp("by_kpi") / "own.csv", np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    up = (x + 0.3 * rng.normal(size=ROWS) > 0) == (np.arange(ROWS) < FLIP)
    pd.DataFrame({"time": pd.date_range("2024-01-01", periods=ROWS, freq="h"), "x": x, "y": np.where(up, "up", "down")}).to_csv(path, index=False)
    own = ("--mlflow_experiment_name", "by_kpi", "--register_model_name", "by_kpi", "--judge_rows", 40, "--validation_rows", 40)
    return workshop.run("lifecycle", "--data_path", path, "--target", "y", "--kpi", "brier", "--report", path.with_suffix(".html"), "--json", *own)


def test_the_drift_is_found_and_answered_by_the_chosen_kpi(done: Ran) -> None:
    assert done.code == 0, done.err
    found = done.result
    assert found["kpi"]["name"] == "brier" and not found["kpi"]["higher_is_better"] and found["kpi"]["value"] == found["brier"]
    assert 0 < found["brier"] < found["brier_without_retraining"] < 1 and found["drifted_blocks"]
    promoted = [record for record in found["retrains"] if record["promoted"]]
    assert promoted and all(record["brier_after"] < record["brier_before"] for record in promoted)


def test_the_threshold_follows_from_the_base_models_own_brier_score(done: Ran, workshop: Workshop) -> None:
    measured = workshop.client.get_run(done.result["run_id"]).data.metrics
    assert done.result["threshold"] == pytest.approx(1.1 * measured["val_brier"], rel=1e-3)
    assert "10 % more loss than on the base model's validation rows" in done.err


def test_the_progress_and_the_summary_are_in_the_chosen_kpi(done: Ran) -> None:
    assert "Brier score of the served model" in done.err and "class shares of the training rows" in done.err
    assert "Brier score on 40 judge rows, version 2 promoted" in done.err
