"""An alert retrains a described stream: its table is read as its base model was trained, has grown since, and the winner is served."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from script_fixtures import Workshop, role

from driftloop.serving.torchserve import Ports, TorchServe, archive_folder
from driftloop.settings import ROOT
from driftloop.system.processes import Server
from driftloop.tracking import mlflow_store, runs
from driftloop.tracking.registry import Registry
from monitoring import stream_table
from monitoring.__main__ import main
from monitoring.local import champion
from monitoring.local.parts import free_torchserve_ports
from monitoring.stream_settings import pick

NAME, CUT = "loans", 2000  # rows of the base model; from there on the label means the opposite
READING = ("--target", "rückzahlung", "--encoding", "cp1252", "--time_column", "when", "--time_zone", "America/Bogota")
PATIENCE_S = 600.0

pytestmark = pytest.mark.slow


def table(rows: int) -> pd.DataFrame:
    found = pd.read_csv(ROOT / "data" / "tables" / "car_loan_dq.csv.gz").head(rows).rename(columns={"repaid": "rückzahlung", "timestamp": "when"})
    found["rückzahlung"] = np.where(np.arange(len(found)) < CUT, found["rückzahlung"], 1 - found["rückzahlung"])
    return found


def wait(found: Callable[[], Any], log: Path) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < end and "error:" not in log.read_text(), log.read_text()
        time.sleep(0.2)
    return value


def ended(url: str) -> list[dict[str, Any]]:
    """The retrains, once none runs any more."""
    known: list[dict[str, Any]] = requests.get(f"{url}/retrains", timeout=10).json()["retrains"]
    return known if all(one["state"] != "running" for one in known) else []


@contextmanager
def hook(folder: Path, torchserve: str, monitor: str) -> Iterator[str]:
    port, log = Ports.free().inference, folder / "hook.log"
    flags = ["--streams_file", "my.yaml", "--torchserve_url", torchserve, "--monitor_url", monitor, "--port", str(port), "--cool_down_s", "0"]
    url = f"http://127.0.0.1:{port}"
    with Server([sys.executable, "-m", "monitoring", "hook", *flags], log=log, env={"PYTHONPATH": str(ROOT)}):
        wait(lambda: _answers(url), log)
        yield url


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def post(url: str, fingerprint: str) -> dict[str, Any]:
    labels = {"alertname": "KpiBelowThreshold", "stream": NAME, "action": "retrain"}
    alert = {"status": "firing", "labels": labels, "startsAt": "2024-01-01T00:00:00Z", "fingerprint": fingerprint}
    answer = requests.post(f"{url}/alerts", data=json.dumps({"version": "4", "status": "firing", "alerts": [alert]}), timeout=30)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()["retrains"][0]
    return found


@contextmanager
def monitor(folder: Path, newest: str) -> Iterator[str]:
    """What answers as the monitor does about the newest label."""
    (folder / "streams").mkdir()
    (folder / "streams" / NAME).write_text(json.dumps({"newest_labelled_time": newest}))
    port = Ports.free().inference
    with Server([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)], log=folder / "monitor.log"):
        yield f"http://127.0.0.1:{port}"


def test_an_alert_retrains_a_described_stream_on_its_table(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    folder, whole = workshop.folder, table(10_000)
    table(4000).to_csv(folder / "loans.csv", index=False, encoding="cp1252")
    flags = ("--data_path", "loans.csv", *READING, "--train_until", whole["when"][CUT], "--kpi", "brier", "--mlflow_experiment_name", "bank")
    assert workshop.run("base_model", *flags).code == 0
    with workshop.entered():
        store = mlflow_store.open_store("bank")
        base = runs.find_base(store, None, train="base_model.py")
        registry = Registry(store.client, NAME)
        registry.promote(registry.register(source=base.data.tags["driftloop.model_uri"], run_id=base.info.run_id), reason="test")
        assert main(["describe", "--model", NAME]) == 0
        Path("my.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
        stream = pick(NAME, "my.yaml")
        assert stream.data == str(folder / "loans.csv")
        whole.to_csv("loans.csv", index=False, encoding="cp1252")
        ports = free_torchserve_ports()
        with (
            TorchServe(archive_folder(ports.url), ports=ports) as server,
            monitor(folder, f"{whole['when'].iloc[-1].replace(' ', 'T')[:19]}.000Z") as near,
        ):
            champion.serve(stream, torchserve_url=server.client.inference_url, flags=stream_table.flags(stream))  # as the keeper does
            assert server.client.default_version(name=NAME) == "1"
            with hook(folder, server.client.inference_url, near) as url:
                assert post(url, "ab")["state"] == "running"
                (done,) = wait(lambda: ended(url), folder / "hook.log")
                assert (done["state"], done["version"]) == ("promoted", "2"), Path(done["log"]).read_text()
                assert server.client.default_version(name=NAME) == "2"
                Path("loans.csv").rename("away.csv")
                refused = [post(url, "cd") for _ in range(2)]
    assert len({one["started_at"] for one in refused}) == 1 and refused[0]["state"] == "failed"
    assert f"the table {folder}/loans.csv does not exist" in refused[0]["message"]
    (run,) = [run for run in workshop.runs("bank") if role(run) == "retrain"]
    assert run.data.tags["mlflow.parentRunId"] == base.info.run_id
    assert "judge_brier_after" in run.data.metrics  # judged by the base model's KPI
