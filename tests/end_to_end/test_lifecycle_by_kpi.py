"""A lifecycle whose models are measured by a KPI chosen with --kpi: searched, watched, retrained and logged by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_fixtures import Ran, Workshop

ROWS, FLIP = 900, 700  # 70 % train the base model; from row 700 on the label means the opposite


def ran(workshop: Workshop, folder: Path, kpi: str, *flags: str, rows: int = ROWS, flip: int = FLIP) -> Ran:
    path, rng = folder / "own.csv", np.random.default_rng(0)
    x = rng.normal(size=rows)
    up = (x + 0.3 * rng.normal(size=rows) > 0) == (np.arange(rows) < flip)
    pd.DataFrame({"time": pd.date_range("2024-01-01", periods=rows, freq="h"), "x": x, "y": np.where(up, "up", "down")}).to_csv(path, index=False)
    own = ("--mlflow_experiment_name", f"by_{kpi}", "--register_model_name", f"by_{kpi}", "--judge_rows", 40, "--validation_rows", 40)
    return workshop.run("lifecycle", "--data_path", path, "--target", "y", "--kpi", kpi, *flags, "--report", path.with_suffix(".html"), "--json", *own)


@pytest.fixture(scope="module")
def done(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return ran(workshop, tmp_path_factory.mktemp("by_kpi"), "brier")


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


def test_a_served_model_is_judged_and_replaced_by_what_its_mistakes_cost(workshop: Workshop, tmp_path: Path) -> None:
    costs = ("--cost", "up:down=5,down:up=1", "--train_until", "2024-01-13")  # the base model learns 288 rows
    done = ran(workshop, tmp_path, "cost", *costs, rows=1000, flip=330)
    assert done.code == 0, done.err
    found = done.result
    assert found["kpi"]["name"] == "cost" and 0 < found["cost"] < found["cost_without_retraining"] < 5
    promoted = [record for record in found["retrains"] if record["promoted"]]
    assert promoted and all(record["cost_after"] < record["cost_before"] for record in promoted)
    assert [version["version"] for version in found["versions"]][-1] != "1" and "cost" in done.err
