"""What the tests of the scripts share: one SQLite store, a small table that drifts, and scripts run inside this process."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

SCRIPTS = ("base_model", "deploy_model", "retrain_model", "lifecycle")
ROWS = 600  # of the small table
KNOWN = 420  # of them the base model trains on: 70 %
FLIP = 460  # from this row on the label means the opposite
FEATURES = ("x1", "x2")
ENVIRONMENT = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
MARK = "DRIFTLOOP_TEST"  # an environment variable by which a test finds the processes that it caused
TOLD_ALWAYS = ("INFO", "training the base model", "serving ")  # progress, no complaint


@dataclass(frozen=True)
class Ran:
    """A script that ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout."""
        return json.loads(self.out.splitlines()[-1])

    def complaint(self, script: str) -> str:
        """The error that the script told, after proving that it is one line, and the last."""
        lines = self.err.splitlines()
        start = f"{script}.py: error: "
        told = [line for line in lines if line.startswith(start)]
        assert len(told) == 1, self.err
        assert lines[-1] == told[0], self.err
        assert "Traceback" not in self.err + self.out
        return told[0].removeprefix(start)


@dataclass(frozen=True)
class Workshop:
    """A folder with an MLflow store of its own, to run scripts in."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, registry_uri=self.uri)

    def run(self, script: str, *flags: object, **environment: str) -> Ran:
        """Call the script's main here, in the workshop's folder; `environment` on top of the workshop's."""
        main = importlib.import_module(script).main
        with self.entered(**environment), contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = main([str(flag) for flag in flags])
            assert mlflow.active_run() is None
        return Ran(code, out.getvalue(), err.getvalue())

    @contextlib.contextmanager
    def entered(self, **environment: str) -> Iterator[None]:
        """The workshop as working folder and MLflow store; afterwards all is as it was before."""
        before, folder, uri = dict(os.environ), Path.cwd(), mlflow.get_tracking_uri()
        for name in ENVIRONMENT:
            os.environ.pop(name, None)
        os.environ.update({"MLFLOW_TRACKING_URI": self.uri, **environment})
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)
            mlflow.set_tracking_uri(uri)

    def runs(self, experiment: str | None = None) -> list[Run]:
        """All runs of an experiment, or of the store, oldest first."""
        known = [found.experiment_id for found in self.client.search_experiments() if experiment in (None, found.name)]
        return self.client.search_runs(known, order_by=["attributes.start_time ASC"], max_results=5000) if known else []

    def statuses(self, experiment: str | None = None) -> set[str]:
        return {run.info.status for run in self.runs(experiment)}

    def children(self, run_id: str) -> list[Run]:
        return [run for run in self.runs() if parent(run) == run_id]


def parent(run: Run) -> str | None:
    """The run that a run hangs under."""
    return run.data.tags.get("mlflow.parentRunId")


def role(run: Run) -> str:
    """What a run is, as its tag says."""
    return run.data.tags.get("driftloop.role", "")


def drifting_table(rows: int = ROWS, flip: int = FLIP) -> pd.DataFrame:
    """Rows whose label says which feature is larger, and from row `flip` on the opposite."""
    x = np.random.default_rng(0).random((rows, len(FEATURES))).round(6)
    labels = (x[:, 0] > x[:, 1]).astype(int)
    labels[flip:] = 1 - labels[flip:]
    times = pd.date_range("2024-01-01", periods=rows, freq="30min")
    return pd.DataFrame({"time": times, "x1": x[:, 0], "x2": x[:, 1], "target": labels})


def data_flags(path: Path | str) -> tuple[str, ...]:
    """The flags that read the small table, for ELEC's learner."""
    return ("--learner", "learner:ELEC", "--data_path", str(path), "--time_column", "time")


def processes_below() -> set[int]:
    """Ids of the processes under this one, dead ones left out."""
    alive = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                alive.add(child.pid)
    return alive


def marked(mark: str) -> list[psutil.Process]:
    """The living processes that were started with this value of the variable `MARK`, their children included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def own_folders() -> set[str]:
    """Temporary folders of servers and archives that this process made."""
    return {path.name for path in Path(tempfile.gettempdir()).glob(f"driftloop-*-{os.getpid()}-*")}


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One store for all tests that run scripts inside this process; each takes an experiment of its own."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def drifting_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small table as a file."""
    path = tmp_path_factory.mktemp("tables") / "drifting.csv"
    drifting_table().to_csv(path, index=False)
    return path
