"""Tables as people have them, from the file to a served model, a watch and a report, with no flag but the table and its label."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from script_fixtures import Ran, Workshop

from driftloop.settings import ROOT

TABLES = ROOT / "data" / "tables"
EXPECTED = {  # label, task, features, by how much the served model's KPI is at least better than a constant's
    "car_loan": ("repaid", "classification", 7, 0.2),
    "car_loan_dq": ("repaid", "classification", 7, 0.2),
    "cards": ("y_true", "classification", 7, 0.1),
    "car_price": ("y_true", "regression", 7, 1500.0),
}
SLOW = ("car_loan", "cards")  # the other two cover both tasks, texts, booleans and missing values


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in EXPECTED])
def ran(request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Ran, Path]:
    report = tmp_path_factory.mktemp("report") / "report.html"
    flags = ("--data_path", TABLES / f"{request.param}.csv.gz", "--target", EXPECTED[request.param][0], "--report", report, "--json")
    return request.param, workshop.run("lifecycle", *flags, "--mlflow_experiment_name", request.param, "--register_model_name", request.param), report


def test_a_table_is_learned_served_watched_and_reported(ran: tuple[str, Ran, Path]) -> None:
    name, done, report = ran
    _, task, _, ahead = EXPECTED[name]
    assert done.code == 0, done.err
    assert done.result["rows"] == 3000 and "Traceback" not in done.err and "Warning" not in done.err
    kpi, constant = ("mae", "median of the training rows") if task == "regression" else ("accuracy", "majority")
    better = -1 if task == "regression" else 1
    assert better * (done.result[kpi] - done.result["baselines"][constant]) > ahead, done.result
    assert report.stat().st_size > 100_000


def test_what_each_column_is_used_for_is_shown_first_and_logged(ran: tuple[str, Ran, Path], workshop: Workshop) -> None:
    name, done, _ = ran
    told = done.err.splitlines()
    assert told[0] == f"label: {EXPECTED[name][0]}" and told[1] == "time: timestamp" and "left out: id (another whole number in every row)" in told
    with workshop.entered():
        mlflow.set_tracking_uri(workshop.uri)
        schema = json.loads(mlflow.artifacts.load_text(f"runs:/{done.result['run_id']}/schema.json"))
    roles = [column["role"] for column in schema["columns"]]
    assert (roles.count("feature"), roles.count("label"), roles.count("time"), roles.count("identifier")) == (EXPECTED[name][2], 1, 1, 1)


def test_the_threshold_follows_from_the_validation_rows(ran: tuple[str, Ran, Path], workshop: Workshop) -> None:
    name, done, _ = ran
    (said,) = [line for line in done.err.splitlines() if line.startswith("threshold: ")]
    assert "10 % more errors than on the base model's validation rows" in said
    run = workshop.client.get_run(done.result["run_id"])
    measured = run.data.metrics["val_mae" if name == "car_price" else "val_accuracy"]
    assert done.result["threshold"] == pytest.approx(1.1 * measured if name == "car_price" else 1 - 1.1 * (1 - measured), rel=1e-3)


def test_the_registered_model_takes_the_table_as_it_is(ran: tuple[str, Ran, Path], workshop: Workshop) -> None:
    import pandas as pd

    name, _, _ = ran
    table = pd.read_csv(TABLES / f"{name}.csv.gz").tail(200)
    source = workshop.client.get_model_version_by_alias(name, "champion").source
    with workshop.entered():
        mlflow.set_tracking_uri(workshop.uri)
        answers = mlflow.pyfunc.load_model(source).predict(table)
    assert len(answers) == 200 and answers["prediction"].notna().all()
