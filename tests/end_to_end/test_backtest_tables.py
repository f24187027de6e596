"""backtest.py on tables of one's own: values and classes, categories, missing values, and the KPI of one's choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from script_fixtures import Ran, Workshop, parent

from driftloop.metrics.task import CLASSIFICATION, REGRESSION
from driftloop.settings import THRESHOLD_SLACK

ROWS, TURN = 900, 700  # 630 rows train; from row 700 on the colours mean the opposite
FIT = ("--max_epochs", 4, "--block_size", 30)
QUICK = (*FIT, "--window", 120, "--jobs", 1)
COLOURS = np.array(["red", "green", "blue"])


def table(folder: Path, *, values: bool) -> Path:
    """A table with a number that is missing at times, a category and a boolean; its label depends on the first two."""
    random = np.random.default_rng(3)
    size, colour = random.normal(size=ROWS), random.integers(3, size=ROWS)
    worth = np.where(np.arange(ROWS) < TURN, 1, -1) * (colour - 1)
    label: Any = (100 + 5 * size + 20 * worth).round(2) if values else np.where(size + 3 * worth > 0, "good, really", "bad")
    frame = pd.DataFrame({"size": np.where(random.random(ROWS) < 0.1, np.nan, size), "colour": COLOURS[colour], "new": random.random(ROWS) < 0.5})
    frame["worth"], frame["at"] = label, pd.date_range("2024-01-01", periods=ROWS, freq="h")
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("prices"), values=True)


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("grades"), values=False)


@pytest.fixture(scope="module")
def regression(workshop: Workshop, prices: Path) -> Ran:
    flags = ("--data_path", prices, "--target", "worth", *QUICK, "--plot", "prices.png", "--json", "--mlflow_experiment_name", "prices")
    return done(workshop.run("backtest", *flags))


@pytest.fixture(scope="module")
def briers(workshop: Workshop, grades: Path) -> Ran:
    flags = ("--data_path", grades, "--target", "worth", *QUICK, "--kpi", "brier", "--json", "--mlflow_experiment_name", "briers")
    return done(workshop.run("backtest", *flags))


def done(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    return ran


def policy(ran: Ran, name: str) -> dict[str, Any]:
    return next(one for one in ran.result["policies"] if one["name"] == name)


def test_a_regression_is_measured_by_its_mae_and_a_smaller_one_is_better(regression: Ran) -> None:
    result, never, always = regression.result, policy(regression, "never"), policy(regression, "always")
    assert (result["task"], result["kpi"]) == ("regression", {"name": "mae", "higher_is_better": False})
    assert always["mae"] < never["mae"] and never["worst_block"] > never["mae"]
    assert never["blocks_under_threshold"] == 7  # of 9: those with rows from TURN on
    assert result["pareto"][0] == "never" and min(result["policies"], key=lambda one: one["mae"])["name"] == result["pareto"][-1]
    assert result["recommended"] != "never"
    assert all(one["retrains"] > 0 for one in (policy(regression, name) for name in ("threshold", "significant", "probation", "proactive")))
    assert policy(regression, "continuous")["mae"] < never["mae"] and policy(regression, "continuous")["retrains"] == 8
    (median,) = result["baselines"].values()
    assert always["ahead_of_baseline"] == pytest.approx(median - always["mae"])
    compared = next(one for one in result["comparisons"] if one["policy"] == "probation")
    assert compared["against_periodic"]["mean"] == pytest.approx(compared["periodic"] - compared["mae"])


def test_what_a_person_reads_names_the_mae_and_fits_a_terminal(regression: Ran, workshop: Workshop) -> None:
    told = " ".join(regression.err.split())
    assert "MAE: lower is better" in told and "Baselines on the same rows: median of the training rows" in told
    assert "ddm, eddm, hddm_a, hddm_w (for 0/1 errors only)" in told and "online is another model" in told
    shown = regression.err[regression.err.index("table: 270 rows in 9 blocks of 30, threshold MAE") :].splitlines()
    assert max(map(len, shown)) <= 100
    assert (workshop.folder / "prices.png").read_bytes().startswith(b"\x89PNG")


def test_mlflow_has_the_mae_of_each_block(regression: Ran, workshop: Workshop) -> None:
    (whole,) = [run for run in workshop.runs("prices") if parent(run) is None and run.info.run_id == regression.result["run_id"]]
    assert whole.data.metrics["recommended_mae"] == pytest.approx(policy(regression, regression.result["recommended"])["mae"])
    (never,) = [run for run in workshop.children(whole.info.run_id) if run.info.run_name == "never"]
    series = workshop.client.get_metric_history(never.info.run_id, "block_mae")
    assert np.mean([point.value for point in series]) == pytest.approx(never.data.metrics["mae"])


def test_never_is_the_base_model_and_the_threshold_that_of_a_watch(regression: Ran, workshop: Workshop, prices: Path) -> None:
    flags = ("--data_path", prices, "--target", "worth", "--max_epochs", 4, "--mlflow_experiment_name", "base of prices", "--json")
    base = done(workshop.run("base_model", *flags)).result
    assert policy(regression, "never")["mae"] == pytest.approx(base["mae"])
    with workshop.entered():
        measured = workshop.client.get_run(base["run_id"]).data.metrics["val_mae"]
    assert regression.result["threshold"] == pytest.approx(REGRESSION.with_slack(measured, share=THRESHOLD_SLACK), rel=1e-3)


def test_categories_missing_values_and_a_chosen_kpi_are_those_of_the_base_model(briers: Ran, workshop: Workshop, grades: Path) -> None:
    flags = ("--data_path", grades, "--target", "worth", "--max_epochs", 4, "--kpi", "brier", "--mlflow_experiment_name", "base of briers", "--json")
    base = done(workshop.run("base_model", *flags)).result
    never, always = policy(briers, "never"), policy(briers, "always")
    assert briers.result["kpi"] == {"name": "brier", "higher_is_better": False}
    assert (never["brier"], never["accuracy"]) == (pytest.approx(base["brier"]), pytest.approx(base["accuracy"]))
    assert always["brier"] < never["brier"] and always["accuracy"] > never["accuracy"]
    assert "class shares of the training rows" in briers.result["baselines"]
    assert policy(briers, "continuous")["accuracy"] > never["accuracy"]  # it takes the colours and the missing sizes as well
    assert "proactive (no forecast for the KPI brier)" in " ".join(briers.err.split())


def test_a_table_of_classes_is_watched_at_a_tenth_more_errors_than_on_its_validation_rows(workshop: Workshop, grades: Path) -> None:
    flags = ("--data_path", grades, "--target", "worth", *QUICK, "--policies", "never,threshold", "--json", "--mlflow_experiment_name", "grades")
    ran = done(workshop.run("backtest", *flags))
    measured = float(ran.err.partition("validation rows (")[2].partition(")")[0])
    assert ran.result["threshold"] == pytest.approx(CLASSIFICATION.with_slack(measured, share=THRESHOLD_SLACK), abs=1e-3)
    assert policy(ran, "threshold")["accuracy"] > policy(ran, "never")["accuracy"]
    assert 0 < policy(ran, "threshold")["kappa_temporal"] <= 1


def test_the_blocks_may_be_the_calendars(workshop: Workshop, prices: Path) -> None:
    flags = ("--data_path", prices, "--target", "worth", *QUICK, "--block_by", "week", "--train_until", "2024-01-29", "--policies", "never", "--json")
    ran = done(workshop.run("backtest", *flags, "--mlflow_experiment_name", "weeks"))
    assert (ran.result["first_row"], ran.result["blocks"], ran.result["block_by"]) == (28 * 24, 2, "week")
    assert "2 blocks, one per calendar week" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("labels", "flags", "words"),
    [
        ("values", ("--kpi", "accuracy"), "--kpi accuracy does not fit a regression: its KPIs are mae, rmse"),
        ("values", ("--policies", "never,ddm"), "--policies: ddm cannot be played here (for 0/1 errors only): leave it out"),
        ("values", ("--threshold", "5", "--threshold_mae", "6"), "--threshold 5 and --threshold_mae 6 are given"),
        ("values", ("--first_rows", "600", "--train_until", "2024-01-20"), "--first_rows 600 and --train_until 2024-01-20 are given"),
        ("values", ("--train_until", "2023-01-01"), "--train_until 2023-01-01 of 900 rows leaves"),
        ("values", ("--task", "classification"), "worth"),
        ("classes", ("--kpi", "rmse"), "--kpi rmse does not fit a classification"),
        ("classes", ("--kpi", "brier", "--threshold", "1.5"), "the Brier score has to lie between 0 and 1"),
        ("classes", ("--kpi", "brier", "--threshold_accuracy", "0.7"), "--threshold_accuracy is given, but the KPI is brier"),
        ("classes", ("--kpi", "f1", "--policies", "proactive"), "proactive cannot be played here (no forecast for the KPI f1)"),
        ("classes", ("--cost", "good=5"), "--cost"),
        ("classes", ("--threshold_accuracy", "1"), "--threshold_accuracy is 1"),
        ("classes", ("--missing", "refuse"), "missing"),
        ("classes", ("--kpi", "roc_auc", "--first_rows", "899", "--block_size", "1"), "--kpi roc_auc is undefined on the rows to score"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_fitted(
    workshop: Workshop, prices: Path, grades: Path, tmp_path: Path, labels: str, flags: tuple[str, ...], words: str
) -> None:
    path = prices if labels == "values" else grades
    ran = workshop.run("backtest", "--data_path", path, "--target", "worth", *flags, "--cache", tmp_path, "--mlflow_experiment_name", "refused tables")
    assert ran.code in (2, 3), ran.err
    assert words in ran.complaint("backtest")
    assert not list(tmp_path.iterdir())
    assert not [run for run in workshop.runs("refused tables") if parent(run) is None]
