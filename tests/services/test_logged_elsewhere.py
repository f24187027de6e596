"""Predictions of another system, from POST /log to the verdicts: a real gunicorn that is killed, and the spool, the log, the monitor and the batch flow."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from hostile import HOSTILE
from mongo_fixtures import Mongo, needs_mongodb
from prediction_fixtures import FEATURES, StandIn, logged, some_settings, wait_for

from driftloop.settings import ROOT
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from monitoring import described
from monitoring.batch import window
from monitoring.batch.measures import measure
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.spool.cursors import Reader
from prediction_service.app import create_app

BATCH = 100
STREAMS = """
churn:
  served: elsewhere
  kpi: accuracy
  labels: ["no", "yes"]
  block_size: 50
  threshold: 0.8
  features: {age: {low: 0, high: 120}, plan: {texts: [free, paid], required: false}}
bare:
  served: elsewhere
  kpi: mae
  block_size: 50
  threshold: 3
"""


@pytest.fixture
def streams_file(tmp_path: Path) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text(STREAMS)
    return path


def record(number: int, **changes: Any) -> dict[str, Any]:
    """A prediction of churn whose time is a minute after that of the one before."""
    day, minute = divmod(number, 1440)
    time = f"2026-01-{1 + day:02}T{minute // 60:02}:{minute % 60:02}:00Z"
    return {"id": f"r{number}", "time": time, "features": {"age": 20 + number % 50, "plan": "paid"}, "prediction": "yes", "probability": 0.9, **changes}


def batch(numbers: range, *, stream: str = "churn", version: str = "7") -> dict[str, Any]:
    return {"stream": stream, "version": version, "records": [record(number) for number in numbers]}


@contextmanager
def service_of(streams_file: Path, folder: Path, *, streams: str = "churn,bare", port: int = 0) -> Iterator[tuple[str, Server]]:
    """A real service that serves no model: no TorchServe, no registry, no reference."""
    port = port or free_ports()[0]
    command = [sys.executable, "-m", "prediction_service", "--streams", streams, "--streams_file", str(streams_file), "--port", str(port)]
    with Server([*command, "--spool", str(folder / "spool")], log=folder / "service.log", folder=ROOT) as server:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url, server), what=f"the service at {url}", timeout_s=120)
        yield url, server


def _answers(url: str, server: Server) -> bool:
    assert server.code is None, server.log.read_text()
    try:
        return requests.get(f"{url}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def spooled(folder: Path) -> list[str]:
    reader, ids = Reader(folder / "spool", "mongodb"), []
    while found := reader.read():
        ids += [one["id"] for one in found.records]
        reader.commit(found)
    return ids


def test_a_service_without_a_model_of_ours_starts_is_ready_and_takes_a_log(streams_file: Path, tmp_path: Path) -> None:
    with service_of(streams_file, tmp_path) as (url, _):
        assert requests.get(f"{url}/ready", timeout=5).json()["streams"]["churn"] == {
            "answers": "elsewhere",
            "version": "",
            "fallback": "",
            "model_error": "",
        }
        answer = requests.post(f"{url}/log", json=batch(range(3)), timeout=30)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 3, "ids": ["r0", "r1", "r2"]})
        assert requests.get(f"{url}/ready", timeout=5).json()["streams"]["churn"]["version"] == "7"
        assert requests.get(f"{url}/health", timeout=5).json()["status"] == "ok"
        refused = requests.post(f"{url}/predict", json={"stream": "churn", "features": {"age": 30, "plan": None}}, timeout=30)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "served_elsewhere")
        metrics = requests.get(f"{url}/metrics", timeout=5).text
        assert 'driftloop_predictions_total{source="elsewhere",stream="churn",version="7"} 3.0' in metrics.splitlines()
    assert [(one["id"], one["model"], one["version"], one["prediction"], one["probabilities"], one["fallback"]) for one in logged(tmp_path)] == [
        (f"r{number}", "churn", "7", "yes", [pytest.approx(0.1), 0.9], "") for number in range(3)
    ]


def test_a_bad_record_leaves_nothing_of_its_batch_in_the_spool(streams_file: Path, tmp_path: Path) -> None:
    with service_of(streams_file, tmp_path) as (url, _):
        body = batch(range(50))
        body["records"][31]["prediction"] = "perhaps"
        answer = requests.post(f"{url}/log", json=body, timeout=30)
        assert answer.status_code == 422
        assert answer.json()["error"]["message"] == "record 31: 'perhaps' is not a label of this stream: no, yes"
        for hostile in HOSTILE:
            told = requests.post(f"{url}/log", data=hostile.body, headers=hostile.headers, timeout=30)
            assert 400 <= told.status_code < 500 and set(told.json()["error"]) == {"code", "message"}, hostile.name
            assert "\n" not in told.json()["error"]["message"]
    assert [one["kind"] for one in logged(tmp_path) if one["kind"] != "rejected"] == []


def test_every_acknowledged_record_is_in_the_spool_once_after_several_sigkills(streams_file: Path, tmp_path: Path) -> None:
    """A client that sends a batch again until it is taken, as it must: the log keeps an id once, however often the spool has it."""
    port = free_ports()[0]
    acknowledged: list[int] = []
    stop = threading.Event()

    def send() -> None:
        for first in itertools.count(step=BATCH):
            while not stop.is_set():
                try:
                    answer = requests.post(f"http://127.0.0.1:{port}/log", json=batch(range(first, first + BATCH)), timeout=10)
                except requests.RequestException:
                    stop.wait(0.05)
                    continue
                assert answer.status_code == 202, answer.text
                acknowledged.append(first)
                break
            if stop.is_set():
                return

    client = threading.Thread(target=send)
    try:
        for kill in range(3):
            with service_of(streams_file, tmp_path, port=port) as (_, server):
                if not kill:
                    client.start()
                before = len(acknowledged)
                wait_for(lambda before=before: len(acknowledged) > before + 5, what="acknowledged batches")
                os.killpg(server.pid, signal.SIGKILL)
                wait_for(lambda server=server: server.code is not None, what="its end")
    finally:
        stop.set()
        client.join()
    ids = spooled(tmp_path)
    assert {f"r{first + at}" for first in acknowledged for at in range(BATCH)} <= set(ids)
    repeated = len(ids) - len(set(ids))  # a batch that was in the spool when the service died before it could say so
    assert repeated % BATCH == 0 and repeated <= 3 * BATCH
    assert len(ids) % BATCH == 0  # no batch is there in part


def test_records_of_another_system_are_taken_for_a_model_of_ours_with_what_the_fallback_says(tmp_path: Path) -> None:
    model = StandIn()
    app = create_app(some_settings(model.url, spool=tmp_path / "spool"))
    try:
        body = {"stream": "elec", "version": "shadow", "features": FEATURES["elec"], "prediction": 1, "probabilities": [0.3, 0.7]}
        assert app.test_client().post("/log", json=body).status_code == 202
        (one,) = logged(tmp_path)
        assert (one["version"], one["probability"], one["fallback"], one["baseline"] in {0, 1}) == ("shadow", 0.7, "", True)
    finally:
        app.extensions["close"]()
        model.close()


def test_a_log_that_cannot_be_written_is_not_acknowledged(streams_file: Path, tmp_path: Path) -> None:
    model = StandIn()
    app = create_app(some_settings(model.url, spool=None))
    try:
        body = {"stream": "elec", "version": "7", "features": FEATURES["elec"], "prediction": 1}
        answer = app.test_client().post("/log", json=body)
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "not_logged")
    finally:
        app.extensions["close"]()
        model.close()


def test_any_number_of_versions_makes_a_bounded_number_of_series(tmp_path: Path) -> None:
    model = StandIn()
    app = create_app(some_settings(model.url, spool=tmp_path / "spool"))
    try:
        records = [{"version": f"v{number}", "features": FEATURES["elec"], "prediction": 1} for number in range(500)]
        assert app.test_client().post("/log", json={"stream": "elec", "records": records}).status_code == 202
        lines = [line for line in app.test_client().get("/metrics").text.splitlines() if line.startswith("driftloop_predictions_total{")]
        assert len(lines) == 51 and sum(float(line.split()[-1]) for line in lines) == 500
    finally:
        app.extensions["close"]()
        model.close()


@needs_mongodb
@pytest.mark.parametrize(("stream", "good", "bad"), [("churn", "yes", "no"), ("bare", 10.0, 20.0)])
def test_the_monitor_and_the_batch_flow_judge_what_was_logged_with_its_labels(
    streams_file: Path, tmp_path: Path, mongo: Mongo, stream: str, good: Any, bad: Any
) -> None:
    uri, monitor_port = mongo.fresh_uri(), free_ports()[0]
    env = dict.fromkeys(("MONGODB_URI", "MLFLOW_TRACKING_URI"), "")
    monitor_url = f"http://127.0.0.1:{monitor_port}"
    monitor = ["monitor", "--streams_file", str(streams_file), "--port", str(monitor_port), "--mongodb_uri", uri]
    shipper = ["shipper", "--spool", str(tmp_path / "spool"), "--mongodb_uri", uri, "--monitor_url", monitor_url]
    with ExitStack() as stack:
        url, _ = stack.enter_context(service_of(streams_file, tmp_path))
        for name, command in (("monitor", monitor), ("shipper", shipper)):
            server = Server([sys.executable, "-m", "monitoring", *command], log=tmp_path / f"{name}.log", folder=tmp_path, env=env | {"PYTHONPATH": str(ROOT)})
            stack.enter_context(server)
            if name == "monitor":
                wait_for(lambda server=server: _answers(monitor_url, server), what="the monitor", timeout_s=120)
        wrong = np.random.default_rng(1).random(1000)
        for first in range(0, 1000, 500):  # right on 95 %, then on 5 % of the rows
            sent = [_of(stream, number, good) for number in range(first, first + 500)]
            assert requests.post(f"{url}/log", json={"stream": stream, "version": "7", "records": sent}, timeout=30).status_code == 202
            labels = [{"id": f"r{number}", "label": bad if wrong[number] < (0.05 if first == 0 else 0.95) else good} for number in range(first, first + 500)]
            assert requests.post(f"{url}/labels", json={"stream": stream, "labels": labels}, timeout=30).status_code == 202
        state = lambda: requests.get(f"{monitor_url}/streams/{stream}", timeout=5).json()  # noqa: E731
        wait_for(lambda: state()["blocks"] == 20, what="all blocks to be judged", timeout_s=60)
        found = state()
        assert (found["version"], found["drift"], found["kinds"]["performance"], found["coverage"]) == ("7", True, True, 1.0)
        with PredictionLog(Database(uri)) as log:
            wait_for(lambda: sum("label" in one for one in log.read(stream)) == 1000, what="all records in the log", timeout_s=60)
            config = described.pick(stream, streams_file)
            measured = measure.measure(log, config, window.parse("2026-01-01T08:20:00Z..2026-01-02T00:00:00Z", newest=log.newest_time(stream)), references=None)
        assert (measured.labels.rows, measured.labels.labelled, measured.verdict.kpi_drift) == (500, 500, True)


def _of(stream: str, number: int, prediction: Any) -> dict[str, Any]:
    one = record(number, prediction=prediction)
    return one if stream == "churn" else {name: value for name, value in one.items() if name not in {"features", "probability"}}
