"""The whole system with real processes: traffic that drifts, labels, an alert, a retrain, the new version served, with nobody touching anything."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from board_fixtures import Asked, asked
from script_fixtures import MARK, drifting_table, marked

from driftloop.data import streams
from driftloop.serving.torchserve import TorchServeClient
from driftloop.settings import ROOT
from monitoring.local.parts import find_alertmanager
from monitoring.local.replay import blocks, post
from monitoring.log.embedded_mongo import program

ROWS, FLIP = 3000, 2600  # the base model trains on the first 2100
SIZE, SCRAPE_S = 20, 1
DEFINITION = {
    "task": "classification",
    "kpi": "accuracy",
    "model": "small_model",
    "labels": [0, 1],
    "block_size": SIZE,
    "threshold": 0.8,
    "alpha": 0.05,
    "fallback_by": [],
    "features": {"x1": {"low": 0, "high": 1}, "x2": {"low": 0, "high": 1}},
}
FLAGS = [
    *("--stream", "small", "--data_path", "t.csv", "--time_column", "time", "--idle", "--free_ports", "--scrape_s", str(SCRAPE_S), "--cool_down_s", "0"),
    *("--deploy_flags", "--max_epochs 20", "--retrain_flags", "--history 0 --total_trials 2 --max_epochs 20 --judge_rows 20 --validation_rows 40"),
]
PATIENCE_S = 900.0  # for a moment to come, on a busy machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed: apt-get install prometheus"),
    pytest.mark.skipif(not find_alertmanager(), reason="Alertmanager is not installed: apt-get install prometheus-alertmanager"),
    pytest.mark.skipif(program() is None, reason="the embedded MongoDB is not installed: pip install -r requirements-embedded.txt"),
]


def wait(found: Callable[[], Any], what: str, *, patience_s: float = PATIENCE_S) -> Any:
    end = time.monotonic() + patience_s
    while not (value := found()):
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.1)
    return value


@dataclass
class System:
    """Everything that monitoring local runs, and a way to send it traffic."""

    folder: Path
    process: subprocess.Popen[bytes]
    addresses: dict[str, Any] = field(default_factory=dict)
    row: int = 0  # the next to be sent
    answered: str = ""  # start of the retrain after which a block was sent

    def get(self, part: str, path: str, **query: str) -> Any:
        response = requests.get(f"{self.addresses[part]}{path}", params=query, timeout=10)
        response.raise_for_status()
        return response.json()

    def known(self) -> dict[str, Any]:
        return self.get("monitor", "/streams/small")

    def firing(self) -> dict[str, Any] | None:
        alerts = self.get("prometheus", "/api/v1/alerts")["data"]["alerts"]
        return next((alert for alert in alerts if alert["labels"]["alertname"] == "KpiBelowThreshold" and alert["state"] == "firing"), None)

    def query(self, expr: str) -> list[float]:
        answer = self.get("prometheus", "/api/v1/query", query=expr)
        return [float(sample["value"][1]) for sample in answer["data"]["result"]]

    def block(self) -> tuple[list[dict[str, Any]], float]:
        """Send the next block and its labels; the answers, and when the labels had been taken."""
        stream = streams.load(self.folder / "t.csv", time_column="time")
        ((asked, told),) = blocks(stream, self.row, self.row + SIZE, size=SIZE, prefix="e2e", name="small")
        with requests.Session() as session:
            answers = post(session, f"{self.addresses['prediction_service']}/predict", asked)["predictions"]
            post(session, f"{self.addresses['prediction_service']}/labels", told)
        self.row += SIZE
        return answers, time.time()

    def left(self) -> list[psutil.Process]:
        """Processes that it started and that still run: they all inherited our mark."""
        return marked(str(self.folder))


def launched(folder: Path, **environment: str) -> System:
    drifting_table(ROWS, FLIP).to_csv(folder / "t.csv", index=False)
    (folder / "s.yaml").write_text(yaml.safe_dump({"small": DEFINITION}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "MONGODB_"))}
    env = {**clean, "PYTHONPATH": str(ROOT), MARK: str(folder), **environment}
    with (folder / "local.log").open("wb") as out:
        command = [sys.executable, "-m", "monitoring", "local", *FLAGS, "--streams_file", "s.yaml"]
        return System(folder, subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out), row=int(ROWS * 0.7))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """All parts, ready, and healthy traffic sent; the tests below continue from each other's state, in order."""
    one = launched(tmp_path_factory.mktemp("e"))
    told = one.folder / ".driftloop" / "monitor-small" / "addresses.json"
    try:
        wait(lambda: told.exists() or one.process.poll() is not None, "the parts")
        assert one.process.poll() is None, (one.folder / "local.log").read_text()
        one.addresses = json.loads(told.read_text())
        while one.row < FLIP - 3 * SIZE:
            one.block()
        requests.post(f"{one.addresses['prediction_service']}/predict", json={"stream": "small", "features": {"x1": 7, "x2": 0}}, timeout=10)
        judged = (one.row - int(ROWS * 0.7)) // SIZE
        wait(lambda: one.known()["blocks"] >= judged, "the blocks to be judged")
        yield one
    finally:
        for process in one.left():
            process.kill()


def test_healthy_traffic_raises_no_alert(system: System) -> None:
    # A rate needs growth between two scrapes: what came before the first one is no traffic to Prometheus.
    for _ in range(3):
        time.sleep(2 * SCRAPE_S)
        system.block()
        requests.post(f"{system.addresses['prediction_service']}/predict", json={"stream": "small", "features": {"x1": 7, "x2": 0}}, timeout=10)
    time.sleep(2 * SCRAPE_S)
    assert system.firing() is None
    assert system.get("retrain_hook", "/retrains") == {"retrains": []}
    assert not system.known()["kinds"]["performance"]


QUERIES = [one for one in asked() if one.part == "panel"]
OF_ALERTS = [one for one in QUERIES if "ALERTS" in one.expr]  # without data before an alert fires
OF_RETRAINS = [one for one in QUERIES if re.search(r"driftloop_(last_)?retrain", one.expr)]
# Of streams with segments, texts, missing values or a model_uri, and of a monitor with --fleet_alpha: tests/services/test_dashboard_queries.py has them.
OF_OTHERS = [one for one in QUERIES if re.search(r"driftloop_(segment|fleet|feature_missing|feature_unseen|unseen_values|model_resolve)_", one.expr)]


def shows_data(system: System, one: Asked) -> None:
    # A quantile of a route that nobody asked is nan: that is no data.
    expr = one.of("small")
    assert wait(lambda: [sample for sample in system.query(expr) if not math.isnan(sample)], f"data of {expr}", patience_s=30)


@pytest.mark.parametrize("one", [one for one in QUERIES if one not in OF_ALERTS + OF_RETRAINS + OF_OTHERS], ids=str)
def test_every_panel_shows_data(system: System, one: Asked) -> None:
    shows_data(system, one)


def promoted(system: System) -> dict[str, Any] | None:
    """The newest retrain, if it has promoted; after one that kept the champion one block is sent, which the next one is to see whole."""
    newest = system.get("retrain_hook", "/retrains")["retrains"][:1]
    if newest and newest[0]["state"] == "promoted":
        return newest[0]
    if newest and newest[0]["state"] == "kept" and newest[0]["started_at"] != system.answered and system.row + 3 * SIZE < ROWS:
        system.answered = newest[0]["started_at"]
        system.block()
    return None


def test_drift_raises_the_alert_and_the_alert_serves_a_new_version(system: System) -> None:
    client = TorchServeClient.from_url(system.addresses["torchserve"])
    before = client.default_version(name="small_model")
    while not system.known()["kinds"]["performance"]:
        judged = system.known()["blocks"]
        _, labelled = system.block()
        wait(lambda judged=judged: system.known()["blocks"] > judged, "the block to be judged")
    alert = wait(system.firing, "the alert")
    for one in OF_ALERTS:
        shows_data(system, one)
    waited_s = datetime.fromisoformat(alert["activeAt"][:26] + "+00:00").timestamp() - labelled
    print(f"alert {waited_s:.2f} s after the labels, {waited_s / SCRAPE_S:.1f} scrape intervals")
    assert waited_s <= 2 * SCRAPE_S
    # The first challengers have hardly seen the new regime and may be kept out: while the alert fires and labels come, it continues by itself.
    retrain = wait(lambda: promoted(system), "a retrain that promotes")
    assert client.default_version(name="small_model") == retrain["version"] != before
    assert retrain["until_time"] == system.known()["newest_labelled_time"] or system.known()["version"] == retrain["version"]


def test_the_new_version_answers_knows_better_and_ends_the_alert(system: System) -> None:
    retrain = promoted(system)
    wait(lambda: {answer["version"] for answer in system.block()[0]} == {retrain["version"]}, "the new version's answers")
    answers, _ = system.block()
    labels = streams.load(system.folder / "t.csv", time_column="time").labels[system.row - SIZE : system.row]
    assert sum(answer["prediction"] == label for answer, label in zip(answers, labels, strict=True)) >= 0.8 * SIZE
    wait(lambda: not system.firing(), "the alert's end")
    assert promoted(system) == retrain
    assert system.known()["champion"] == system.known()["version"] == retrain["version"]


def test_the_panels_of_the_retrains_show_data_once_there_was_one(system: System) -> None:
    assert len(OF_RETRAINS) == 2
    for one in OF_RETRAINS:
        shows_data(system, one)


def test_a_signal_ends_every_process(system: System) -> None:
    assert len(system.left()) > 10
    system.process.send_signal(signal.SIGINT)
    assert system.process.wait(timeout=120) == 130
    assert (system.folder / "local.log").read_text().splitlines()[-1] == "monitoring local: interrupted; runs are closed and servers stopped"
    assert system.left() == []


def test_a_part_that_dies_at_the_start_ends_all_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "prometheus"
    broken.write_text("#!/bin/sh\necho 'no room on the disk'\nexit 3\n")
    broken.chmod(0o755)
    system = launched(tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    try:
        assert system.process.wait(timeout=PATIENCE_S) == 13
        said = (tmp_path / "local.log").read_text()
        (line,) = [line for line in said.splitlines() if "error" in line]
        assert "prometheus ended by itself with exit code 3: no room on the disk" in line
        assert "Traceback" not in said
        assert system.left() == []
    finally:
        for process in system.left():
            process.kill()
