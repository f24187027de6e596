"""`make ui`: MLflow's UI on what was run, opened at the newest run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
import requests
from script_fixtures import ENVIRONMENT, Workshop, processes_below

from driftloop import ui
from driftloop.settings import ROOT
from driftloop.system import loopback, processes
from driftloop.system.ports import free_ports, port_fault
from driftloop.tracking import mlflow_store


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A store with a base model that has a child, and an older one in another experiment."""
    made = Workshop(tmp_path_factory.mktemp("shown"))
    for experiment in ("older", "newer"):
        with made.entered():
            store = mlflow_store.open_store(experiment)
            with mlflow_store.run(store, f"{experiment} lifecycle", role="base"), mlflow_store.run(store, "trial-00", role="trial"):
                pass
    return made


def run_of(shown: Workshop, name: str) -> str:
    (run,) = [run for run in shown.runs() if run.info.run_name == name]
    return f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


@contextmanager
def started(folder: Path, *flags: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    env = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT} | {"PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "driftloop.ui", *map(str, flags)]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_serves_the_store_prints_the_newest_runs_address_and_ends_with_ctrl_c(shown: Workshop) -> None:
    before = processes_below()
    with started(shown.folder) as process:
        assert process.stdout is not None
        first, second, last = (process.stdout.readline().strip() for _ in range(3))
        url, _, place = first.removeprefix("newer lifecycle: ").partition("/#")
        assert f"#{place}" == run_of(shown, "newer lifecycle") + "?workflowType=machine_learning"
        assert second.startswith(f"all runs: {url}/#/experiments/") and last == "Ctrl-C ends it"
        assert requests.get(f"{url}/health", timeout=10).ok
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/health", timeout=2)
    time.sleep(0.1)
    assert processes_below() <= before


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr(ui, "_served", refuse)


def said(shown: Workshop, capsys: pytest.CaptureFixture[str], *flags: str, **environment: str) -> tuple[int, str]:
    with shown.entered(**environment):
        code = ui.main(list(flags))
    printed = capsys.readouterr()
    return code, (printed.out + printed.err).strip()


@pytest.mark.usefixtures("no_server")
def test_an_experiment_that_does_not_exist_is_refused_with_those_that_do(shown: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = said(shown, capsys, "--mlflow_experiment_name", "nope")
    assert (code, told) == (4, "driftloop.ui: error: there is no experiment 'nope': give one of Default, newer, older")


@pytest.mark.usefixtures("no_server")
def test_an_experiment_without_a_run_of_ours_is_said(shown: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = said(shown, capsys, "--mlflow_experiment_name", "Default")
    assert (code, "has no driftloop runs yet" in told, "\n" in told) == (5, True, False)


@pytest.mark.usefixtures("no_server")
def test_without_a_store_it_says_what_to_run_and_makes_none(shown: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "none.db"
    code, told = said(shown, capsys, MLFLOW_TRACKING_URI=f"sqlite:///{place}")
    assert (code, "there is no MLflow store" in told, place.exists()) == (5, True, False)


@pytest.mark.usefixtures("no_server")
def test_looking_makes_no_experiment(shown: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    said(shown, capsys, "--mlflow_experiment_name", "nope", MLFLOW_EXPERIMENT_NAME="looked at")
    assert "looked at" not in said(shown, capsys, "--mlflow_experiment_name", "nope")[1]


def test_no_password_is_printed_or_stands_on_a_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ui._show("http://me:secret@host:5000", {"newest": "#/x"}, ui.UiFlags(json=False, mlflow_experiment_name="", port=0, browser=False))
    assert capsys.readouterr().out == "newest: http://host:5000/#/x\n"
    begun = mock.Mock(side_effect=OSError)
    monkeypatch.setattr(processes, "Server", begun)
    with pytest.raises(OSError), ui._served("postgresql://me:secret@host/mlflow", 5000):
        pass
    assert "secret" not in str(begun.call_args.args) and begun.call_args.kwargs["env"] == {"MLFLOW_BACKEND_STORE_URI": "postgresql://me:secret@host/mlflow"}


@pytest.mark.usefixtures("no_server")
def test_a_port_that_is_taken_is_refused_by_name(shown: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_fault(port)
        code, told = said(shown, capsys, "--port", str(port))
    assert (code, told) == (
        2,
        f"driftloop.ui: error: --port {port}: another program listens there; give another port, or omit the flag for a free one",
    )


@pytest.mark.usefixtures("no_server")
@pytest.mark.slow
def test_with_a_tracking_server_its_own_address_is_printed(shown: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    port = free_ports()[0]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", shown.uri, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with processes.Server(command, log=tmp_path / "log") as server:
        end = time.monotonic() + 60
        while not loopback.answers(f"http://127.0.0.1:{port}/health", timeout_s=5):
            assert server.code is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.2)
        code, told = said(shown, capsys, "--mlflow_experiment_name", "older", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}/")
    assert code == 0
    assert told.splitlines()[0] == f"older lifecycle: http://127.0.0.1:{port}/{run_of(shown, 'older lifecycle')}?workflowType=machine_learning"
