"""The main paths against every kind of MLflow store: scripts, `mlflow run`, monitor, batch reports, two at once, names.

python -m pytest tests/end_to_end/test_stores.py -m 'slow or not slow'      # with PostgreSQL and basic-auth, too
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from batch_fixtures import elec
from script_fixtures import data_flags, parent, role
from store_fixtures import KINDS, StoreWorkshop, postgresql_programs, store

from driftloop.errors import TrackingError
from driftloop.serving.torchserve import Ports, TorchServe
from driftloop.settings import ROOT
from driftloop.system.ports import free_ports, port_fault
from driftloop.system.processes import Server
from driftloop.tracking import experiments, mlflow_store
from driftloop.tracking.registry import CHAMPION, Registry
from driftloop.training import reference
from monitoring.batch import publish
from monitoring.references import Registered

HERE = ("--mlflow_experiment_name", "it's / ours")  # a name that filters and folders must stand
MODEL = "of-stores"
QUICK = ("--max_epochs", 2)
RETRAIN = ("--total_trials", 1, "--judge_rows", 30, "--validation_rows", 10, "--judge_alpha", 1)


@pytest.fixture(scope="module", params=[pytest.param(kind, marks=() if kind == "http" else pytest.mark.slow) for kind in KINDS])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreWorkshop]:
    """A workshop on a store of each kind."""
    if request.param == "postgresql" and postgresql_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with store(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture(scope="module")
def served(place: StoreWorkshop, drifting_csv: Path) -> dict[str, Any]:
    """What a deployment with a retrain said, of a base model that it trained first."""
    flags = (*data_flags(drifting_csv), *HERE, *QUICK, *RETRAIN, "--register_model_name", MODEL)
    watch = ("--train_base", "--test_data_rows", 120, "--block_size", 40, "--threshold_accuracy", 0.7, "--on_drift", "retrain", "--max_retrains", 1)
    done = place.run("deploy_model", *flags, *watch, "--json")
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    return done.result


def base_run(place: StoreWorkshop) -> Any:
    return next(run for run in place.runs("it's / ours") if role(run) == "base")


def test_a_model_is_deployed_watched_retrained_and_promoted(place: StoreWorkshop, served: dict[str, Any]) -> None:
    base = base_run(place)
    assert served["retrains"][0]["row"] > 420
    assert {role(run) for run in place.children(base.info.run_id)} >= {"deployment", "retrain"}
    with place.entered():
        assert Registry(mlflow_store.open_reader().client, MODEL).holder(CHAMPION) == served["served_version"]
        client = place.client
        files = {file.path for file in client.list_artifacts(served["run_id"])}
        assert {"blocks.json", "blocks.csv", "report.html"} <= files
        assert Path(client.download_artifacts(served["run_id"], "blocks.csv")).read_text().startswith("block,")
    assert place.statuses() == {"FINISHED"}


def test_a_retrain_in_a_process_of_its_own_finds_base_and_champion(place: StoreWorkshop, served: dict[str, Any], drifting_csv: Path) -> None:
    flags = [*data_flags(drifting_csv), *HERE, *QUICK, *RETRAIN, "--register_model_name", MODEL, "--until_row", "600", "--json"]
    with place.entered():
        done = subprocess.run([sys.executable, ROOT / "retrain_model.py", *map(str, flags)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (newest,) = [run for run in place.children(base_run(place).info.run_id) if run.info.run_name == "retrain"][-1:] or [None]
    assert place.statuses() == {"FINISHED"}
    assert newest is None or parent(newest) == base_run(place).info.run_id


STREAMS = {
    "drifting": {
        **{"task": "classification", "kpi": "accuracy", "model": f"{MODEL}-hook", "labels": [0, 1], "block_size": 40, "threshold": 0.7, "fallback_by": ["x1"]},
        "features": {name: {"low": 0, "high": 1} for name in ("x1", "x2")},
    }
}
NEWEST = "2024-01-13T11:30:00.000Z"  # the last row of the small table


@pytest.fixture
def beside(place: StoreWorkshop) -> Iterator[TorchServe]:
    """A TorchServe whose management port is the one that --torchserve_url means: the next."""
    free = Ports.free()
    while port_fault(free.inference + 1):
        free = Ports.free()
    store = place.folder / ".driftloop" / f"127.0.0.1-{free.inference}"  # where our programs put the archives for a server that they are given
    store.mkdir(parents=True)
    with TorchServe(store, ports=replace(free, management=free.inference + 1)) as server:
        yield server


@pytest.fixture
def hook(place: StoreWorkshop, beside: TorchServe, drifting_csv: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a retrain hook that works on the store, beside a TorchServe that serves a base model."""
    flags = [*data_flags(drifting_csv), "--mlflow_experiment_name", "hook", *QUICK]
    watch = ("--train_base", "--test_data_rows", 40, "--block_size", 40, "--on_drift", "ignore")
    deployed = place.run("deploy_model", *flags, *watch, "--register_model_name", f"{MODEL}-hook", "--torchserve_url", beside.client.inference_url, "--json")
    assert deployed.code == 0, deployed.err
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "drifting").write_text(json.dumps({"newest_labelled_time": NEWEST}))  # what the monitor answers
    (tmp_path / "streams.yaml").write_text(yaml.safe_dump(STREAMS))
    free = free_ports(2)
    monitor, address = (f"http://127.0.0.1:{port}" for port in free)
    words = shlex.join(["retrain_model.py", *map(str, flags), *map(str, RETRAIN)])
    command = [sys.executable, "-m", "monitoring", "hook", "--torchserve_url", beside.client.inference_url, "--monitor_url", monitor]
    command += ["--streams_file", tmp_path / "streams.yaml", "--state", tmp_path / "state", "--command", f"drifting={words}", "--port", str(free[1])]
    answers = [sys.executable, "-m", "http.server", str(free[0]), "--bind", "127.0.0.1", "--directory", tmp_path]
    there: dict[str, Any] = {"env": {"PYTHONPATH": str(ROOT)}, "folder": place.folder}
    with place.entered(), Server(answers, log=tmp_path / "monitor.log"), Server(command, log=tmp_path / "hook.log", **there):
        for page in (f"{monitor}/streams/drifting", f"{address}/health"):
            wait(lambda page=page: responds(page))
        yield address


def responds(page: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(page, timeout=5).ok
    return False


def wait(found: Callable[[], Any], *, patience_s: float = 180) -> Any:
    end = time.monotonic() + patience_s
    while not (value := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return value


def test_the_hooks_retrain_finds_base_and_champion_and_swaps_its_winner_in(place: StoreWorkshop, hook: str, beside: TorchServe) -> None:
    labels = {"alertname": "KpiBelowThreshold", "stream": "drifting", "action": "retrain"}
    alert = {"status": "firing", "labels": labels, "startsAt": "2024-01-13T12:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "ab12"}
    message = {"version": "4", "status": "firing", "receiver": "hook", "alerts": [alert]}
    assert requests.post(f"{hook}/alerts", json=message, timeout=30).status_code == 202
    ended = wait(lambda: next((one for one in requests.get(f"{hook}/retrains", timeout=5).json()["retrains"] if one["state"] != "running"), None))
    log = Path(ended["log"]).read_text()
    assert (ended["state"], ended["version"]) == ("promoted", "2"), log
    with place.entered():
        assert Registry(mlflow_store.open_reader().client, f"{MODEL}-hook").holder(CHAMPION) == "2"
    assert beside.client.default_version(name=f"{MODEL}-hook") == "2"
    assert place.statuses("hook") == {"FINISHED"}
    assert (f"in MLflow: {place.uri}/#/experiments/" in log) == place.uri.startswith("http")


def test_the_whole_lifecycle_is_one_tree(place: StoreWorkshop, drifting_csv: Path) -> None:
    here = ("--mlflow_experiment_name", "cycle", "--register_model_name", f"{MODEL}-cycle")
    watch = ("--test_data_rows", 80, "--block_size", 40, "--on_drift", "ignore", "--drift_rule", "threshold")
    done = place.run("lifecycle", *data_flags(drifting_csv), *here, *QUICK, *watch, "--json")
    assert done.code == 0, done.err
    (top,) = [run for run in place.runs("cycle") if parent(run) is None]
    assert top.data.metrics["watch_accuracy"] == pytest.approx(done.result["accuracy"])
    assert place.statuses("cycle") == {"FINISHED"}


def test_a_back_test_is_kept_and_resumed(place: StoreWorkshop, drifting_csv: Path) -> None:
    flags = ("--block_size", 60, "--window", 100, "--policies", "never,periodic-2", "--max_epochs", 1, "--mlflow_experiment_name", "back", "--json")
    done = place.run("backtest", *data_flags(drifting_csv), *flags, "--cache", place.folder / "fits")
    assert done.code == 0, done.err
    (top,) = [run for run in place.runs("back") if parent(run) is None]
    place.client.set_terminated(top.info.run_id, "KILLED")  # as a killed one is left
    again = place.run("backtest", *data_flags(drifting_csv), *flags, "--cache", place.folder / "fits", "--resume")
    assert again.code == 0, again.err
    assert [run.info.run_id for run in place.runs("back") if parent(run) is None] == [top.info.run_id]


def test_the_monitor_reads_the_champion_and_what_it_was_trained_on(place: StoreWorkshop, served: dict[str, Any]) -> None:
    with place.entered():
        registered = Registered()
        assert registered.champion(MODEL) == served["served_version"]
        assert registered.champion("nobody") == ""
        assert registered.find("drifting", MODEL, served["served_version"]).about.features == ("x1", "x2")
        with pytest.raises(TrackingError, match="version 99"):
            registered.find("drifting", MODEL, "99")
        with pytest.raises(TrackingError, match="training reference"):
            reference.load(mlflow_store.open_reader(), served["run_id"])  # a deployment has none


def test_a_windows_report_is_kept_once_and_linked(place: StoreWorkshop, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>found</p>")
    measures = replace(elec(), versions=())
    with place.entered():
        kept = publish.keep(measures, [report], experiment="windows")
        assert publish.keep(measures, [report], experiment="windows") == kept
        listed = publish.list_place(measures.stream, measures=measures, experiment="windows")
        publish.keep_list(listed, measures.stream, [measures], {})
        assert kept.url("report.html").startswith(place.uri if place.uri.startswith("http") else publish.UI)
        assert Path(place.client.download_artifacts(kept.run_id, "report.html")).read_text() == "<p>found</p>"
        assert "index.html" in {file.path for file in place.client.list_artifacts(listed.run_id)}
    assert sorted(role(run) for run in place.runs("windows")) == ["batch", "reports"]


def test_mlflow_run_works_in_the_run_that_mlflow_made(place: StoreWorkshop, drifting_csv: Path) -> None:
    parameters = [word for name, value in (("data_path", drifting_csv), ("time_column", "time"), ("max_epochs", 1)) for word in ("-P", f"{name}={value}")]
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager", "local", "-e", "base_model", "--experiment-name", "by mlflow run"]
    with place.entered(PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin"):
        done = subprocess.run([*command, *parameters], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (base,) = [run for run in place.runs("by mlflow run") if parent(run) is None]
    assert (role(base), base.info.status, base.data.tags["mlflow.source.type"]) == ("base", "FINISHED", "PROJECT")


def both_at_once(work: Callable[[], Any]) -> list[Any]:
    """What four threads get that begin together."""
    ready, found = threading.Barrier(4), []

    def begin() -> None:
        ready.wait()
        try:
            found.append(work())
        except Exception as exc:  # noqa: BLE001 - compared below
            found.append(exc)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_those_who_make_one_experiment_at_once_get_the_same(place: StoreWorkshop) -> None:
    with place.entered():
        client = mlflow_store.open_store(None).client
        for name in ("raced", "raced again"):
            found = both_at_once(lambda name=name: experiments.named(client, name, uri=place.uri).experiment_id)
            assert found == [client.get_experiment_by_name(name).experiment_id] * 4


def test_those_who_register_one_new_model_at_once_get_a_version_each(place: StoreWorkshop, served: dict[str, Any]) -> None:
    base = base_run(place)
    with place.entered():
        registry = Registry(mlflow_store.open_reader().client, f"{MODEL}-raced")
        found = both_at_once(lambda: registry.register(source=base.data.tags["driftloop.model_uri"], run_id=base.info.run_id))
        assert sorted(found) == ["1", "2", "3", "4"]


def test_a_wrong_password_is_named_before_the_work(place: StoreWorkshop, drifting_csv: Path) -> None:
    if "MLFLOW_TRACKING_PASSWORD" not in place.credentials:
        return  # this store asks for none
    done = place.run("base_model", *data_flags(drifting_csv), MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD="not that one")
    assert (done.code, "set MLFLOW_TRACKING_USERNAME" in done.complaint("base_model")) == (4, True)


@pytest.mark.parametrize("experiment_id", ["987654", "nonsense"])
def test_an_experiment_id_of_nothing_is_named(place: StoreWorkshop, drifting_csv: Path, experiment_id: str) -> None:
    done = place.run("base_model", *data_flags(drifting_csv), MLFLOW_EXPERIMENT_ID=experiment_id)
    assert (done.code, "MLFLOW_EXPERIMENT_ID" in done.complaint("base_model")) == (4, True)


LEFT_RUNNING = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from driftloop.tracking import mlflow_store
with mlflow_store.run(mlflow_store.open_store("elsewhere"), "killed", role="base") as run_id:
    print(run_id, flush=True)
    os._exit(9)
"""


def test_a_run_of_another_experiment_whose_process_died_is_ended_by_the_next_start(place: StoreWorkshop) -> None:
    with place.entered():
        died = subprocess.run([sys.executable, "-c", LEFT_RUNNING], capture_output=True, text=True, check=False, timeout=120)
        assert died.returncode == 9, died.stderr
        dead = died.stdout.split()[-1]
        assert place.client.get_run(dead).info.status == "RUNNING"
        mlflow_store.open_store("here")
        assert place.client.get_run(dead).info.status == "KILLED"
