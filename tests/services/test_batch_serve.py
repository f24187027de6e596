"""Batch monitoring by the clock: a Prefect server as `prefect server start` makes it, `serve` with a cron line, and the deployment file with a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from mongo_fixtures import Mongo, label, needs_mongodb, prediction

pytest.importorskip("prefect", reason="Prefect is not installed: pip install -r requirements-batch.txt")

from driftloop.settings import ROOT
from driftloop.system import processes
from driftloop.system.ports import free_ports
from monitoring.batch import measure_store, prefect_engine
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog

pytestmark = [needs_mongodb, pytest.mark.slow]
PREFECT = str(Path(sys.executable).with_name("prefect"))
PATIENCE_S = 300.0
ROWS = 96  # half-hours of April 2020


def wait(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.5)
    return value


class Place:
    """A folder with a Prefect server, a log with rows, and the environment in which both are found."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder, uri
        (port,) = free_ports()
        self.url = f"http://127.0.0.1:{port}/api"
        self.port = port
        self.env = {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_API_URL": self.url,
            "DO_NOT_TRACK": "true",
            "MONGODB_URI": uri,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *words: str, log: str, folder: Path | None = None) -> processes.Server:
        return processes.Server(list(words), log=self.folder / log, env=self.env, folder=folder or self.folder)

    def asked(self, path: str, body: dict[str, Any]) -> Any:
        answer = requests.post(f"{self.url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def runs(self) -> list[dict[str, Any]]:
        """The flow's runs that have begun."""
        return [run for run in self.asked("flow_runs/filter", {}) if run["start_time"]]

    def documents(self) -> list[dict[str, Any]]:
        with PredictionLog(Database(self.uri)) as log:
            return log.database.find(measure_store.COLLECTION, {})


@pytest.fixture
def place(tmp_path: Path, mongo: Mongo) -> Iterator[Place]:
    made = Place(tmp_path, mongo.fresh_uri())
    with PredictionLog(Database(made.uri)) as log:
        log.ready()
        log.add([prediction(number) for number in range(ROWS)])
        log.add([label(number, number % 2) for number in range(ROWS)])
    with made.start(PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(made.port), log="server.log"):
        wait(lambda: prefect_engine.answers(made.url), "Prefect's server")
        yield made


def test_the_clock_starts_the_flow_and_ctrl_c_ends_what_waits_for_it(place: Place) -> None:
    words = ("serve", "--stream", "elec", "--window", "last-day", "--cron", "* * * * *")
    process = subprocess.Popen([sys.executable, "-m", "monitoring", "batch", *words], cwd=place.folder, env=os.environ | place.env, start_new_session=True)
    try:
        run = wait(lambda: next((run for run in place.runs() if run["state_type"] == "COMPLETED"), None), "a run by the clock to end")
        assert run["auto_scheduled"]
        assert run["parameters"]["window"] == "last-day"
        (document,) = place.documents()
        assert document["window"]["name"] == "2020-04-01"  # the day before the newest row
        assert document["report"]
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in {0, 130}
        wait(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in below), "its processes to end")
    finally:
        process.kill()
    (deployment,) = place.asked("deployments/filter", {})
    assert (deployment["name"], deployment["paused"]) == ("elec-last-day", True)


def test_the_deployment_file_deploys_both_streams_and_a_worker_runs_one(place: Place) -> None:
    def done(*words: str) -> None:
        ran = processes.run([PREFECT, *words], timeout_s=PATIENCE_S, env=place.env, folder=ROOT)
        assert ran.code == 0, ran.output

    done("work-pool", "create", "--type", "process", "local")
    done("--no-prompt", "deploy", "--prefect-file", "ops/prefect/prefect.yaml", "--all")
    found = {one["name"]: one for one in place.asked("deployments/filter", {})}
    assert set(found) == {"elec-last-month", "taxi-last-month"}
    assert [one["schedules"][0]["schedule"]["cron"] for one in found.values()].count("0 6 1 * *") == 1
    options = {"on_drift": "advise", "folder": str(place.folder / "batch")}
    asked = place.asked(
        f"deployments/{found['elec-last-month']['id']}/create_flow_run",
        {"parameters": {"stream": "elec", "window": "last-month", "options": options}, "state": {"type": "SCHEDULED"}},
    )
    with place.start(PREFECT, "worker", "start", "--pool", "local", "--type", "process", log="worker.log", folder=ROOT):
        over = {"COMPLETED", "FAILED", "CRASHED"}
        ended = wait(lambda: next((run for run in place.runs() if run["id"] == asked["id"] and run["state_type"] in over), None), "the worker's run")
    assert ended["state_type"] == "COMPLETED", json.dumps(ended["state"])
    (document,) = place.documents()
    assert document["window"]["name"] == "2020-03"  # the month before the newest row
