"""The prediction service as it runs: gunicorn in a process of its own, killed under load; a real TorchServe; a real registry."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prediction_fixtures import ELEC, STREAMS, StandIn, row, running, some_reference, some_settings, wait_for
from serving_fixtures import HANDLER

from driftloop.errors import TrackingError
from driftloop.serving.archive import build_mar
from driftloop.serving.torchserve import TorchServe
from driftloop.settings import ROOT
from driftloop.system.processes import Server
from driftloop.tracking import mlflow_store
from driftloop.tracking.registry import Registry
from driftloop.training import reference
from elec_model import ElecModel
from monitoring.spool.cursors import Reader
from prediction_service import fallback_tables
from prediction_service.app import create_app

CLIENTS = 8


@pytest.fixture
def model() -> Iterator[StandIn]:
    served = StandIn()
    yield served
    served.close()


@contextmanager
def load(url: str) -> Iterator[tuple[set[str], list[int]]]:
    """Clients that send rows and labels as fast as they are answered; what was acknowledged, and the statuses of what was not."""
    acknowledged: set[str] = set()
    others: list[int] = []
    stop = threading.Event()

    def send(client: int) -> None:
        session = requests.Session()
        for at in itertools.count():
            if stop.is_set():
                return
            name = f"{client}-{at}"
            path, body, taken = ("/labels", {"stream": "elec", "id": name, "label": 1}, 202) if at % 4 == 3 else ("/predict", row(id=name), 200)
            try:
                status = session.post(url + path, json=body, timeout=30).status_code
            except requests.RequestException:
                if stop.wait(0.02):
                    return
                continue
            if status == taken:
                acknowledged.add(name)
            else:
                others.append(status)

    threads = [threading.Thread(target=send, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged, others
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def spooled(folder: Path) -> list[str]:
    """The ids in the spool, in both kinds of records."""
    reader, ids = Reader(folder / "spool", "mongodb"), []
    while batch := reader.read():
        ids += [record["id"] for record in batch.records]
        reader.commit(batch)
    return ids


def worker_of(server: Server) -> psutil.Process:
    """gunicorn's one worker: the child that listens."""
    return next(child for child in psutil.Process(server.pid).children() if child.net_connections("tcp"))


def test_what_was_acknowledged_before_sigkill_is_in_the_spool_once(model: StandIn, tmp_path: Path) -> None:
    with running(model.url, tmp_path) as (url, server), load(url) as (acknowledged, others):
        wait_for(lambda: len(acknowledged) > 300, what="300 acknowledged requests")
        os.killpg(server.pid, signal.SIGKILL)
        wait_for(lambda: server.code is not None, what="its end")
    ids = spooled(tmp_path)
    assert acknowledged - set(ids) == set()
    assert len(ids) == len(set(ids))
    assert others == []
    with running(model.url, tmp_path) as (url, _):  # the same spool
        assert requests.post(f"{url}/predict", json=row(id="after"), timeout=30).status_code == 200
    assert spooled(tmp_path) == ["after"]


def test_a_worker_that_is_killed_is_followed_by_another_and_nothing_acknowledged_is_lost(model: StandIn, tmp_path: Path) -> None:
    with running(model.url, tmp_path) as (url, server):
        first = worker_of(server)
        with load(url) as (acknowledged, others):
            wait_for(lambda: len(acknowledged) > 100, what="100 acknowledged requests")
            first.send_signal(signal.SIGKILL)
            before = len(acknowledged)
            wait_for(lambda: len(acknowledged) > before + 100, what="answers of the next worker")
        assert worker_of(server).pid != first.pid
    assert acknowledged - set(spooled(tmp_path)) == set()
    assert others == []


def test_sigterm_lets_requests_in_flight_end_and_exits_with_0(model: StandIn, tmp_path: Path) -> None:
    with running(model.url, tmp_path) as (url, server):
        with load(url) as (acknowledged, others):
            wait_for(lambda: len(acknowledged) > 50, what="50 acknowledged requests")
            os.kill(server.pid, signal.SIGTERM)
            wait_for(lambda: server.code is not None, what="its end")
        assert (server.code, others) == (0, [])
        assert "Traceback" not in server.log.read_text()
    assert acknowledged - set(spooled(tmp_path)) == set()


def test_a_worker_does_not_outlive_its_master(model: StandIn, tmp_path: Path) -> None:
    with running(model.url, tmp_path) as (_, server):
        worker = worker_of(server)
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, what="the worker's end")


def test_gunicorn_takes_no_settings_from_elsewhere_and_leaves_no_file(model: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers=3")
    monkeypatch.setenv("HOME", str(tmp_path))
    with running(model.url, tmp_path) as (_, server):
        assert len([child for child in psutil.Process(server.pid).children() if child.net_connections("tcp")]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["references", "service.log", "spool"]


def test_through_a_real_torchserve_the_answer_is_the_models(torchserve: TorchServe, model_store: Path, tmp_path: Path) -> None:
    features = list(STREAMS["elec"].feature_names)
    network = ElecModel(features=len(features), classes=2, history=2)
    rows = [{**ELEC, "period": at / 8, "nswprice": at / 100} for at in range(6)]
    network.learn_scale(_matrix(rows))
    name = STREAMS["elec"].model
    card = {"class": "ElecModel", "module": "elec_model.py", "arguments": dict(network.hparams), "features": features, "labels": [0, 1], "version": "7"}
    mar = build_mar(
        name=name, version="7", store=model_store, card=card, state_dict=network.state_dict(), model_file=ROOT / "elec_model.py", handler_file=HANDLER
    )
    torchserve.client.register(mar, name=name, version="7")
    app = create_app(some_settings(torchserve.client.inference_url, spool=tmp_path / "spool", streams=("elec",), model_timeout_s=30))
    try:
        client = app.test_client()
        body = {"rows": [{"features": one} for one in rows[2:]], "context": rows[:2]}
        answers = client.post("/predict", json=body).json["predictions"]
        local = network.probabilities(_matrix(rows), first=2)
        assert [(answer["fallback"], answer["version"]) for answer in answers] == [("", "7")] * 4
        assert [answer["probability"] for answer in answers] == pytest.approx(local.max(axis=1).tolist(), abs=1e-6)
        assert [answer["prediction"] for answer in answers] == local.argmax(axis=1).tolist()
        assert Reader(tmp_path / "spool", "mongodb").read().records[0]["probabilities"] == pytest.approx(local[0].tolist(), abs=1e-6)
        torchserve.client.unregister(name=name, version="7")
        assert client.post("/predict", json={"features": ELEC}).json["fallback"] == "model_unavailable"
    finally:
        torchserve.client.unregister(name=name, version="7")
        app.extensions["close"]()


def _matrix(rows: list[dict[str, float]]) -> Any:
    import numpy as np

    return np.array([list(one.values()) for one in rows], dtype=np.float32)


def test_the_table_of_a_registered_version_comes_from_the_run_that_trained_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    elec = STREAMS["elec"]
    with pytest.raises(TrackingError, match=r"there is no registered model .drift_model.: none is registered: .*, or give --reference"):
        fallback_tables.fetch(elec)
    store = mlflow_store.open_store("tables")
    with mlflow_store.run(store, "base", role="base") as run_id:
        reference.log(some_reference(elec))
    registry = Registry(store.client, elec.model)
    version = registry.register(source=store.client.get_run(run_id).info.artifact_uri, run_id=run_id)
    registry.promote(version, reason="first")
    assert fallback_tables.fetch(elec) == fallback_tables.table(some_reference(elec), elec, version=version)
