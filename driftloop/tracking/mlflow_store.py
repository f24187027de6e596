"""Opens the MLflow store, and logs to its runs. The only module that uses MLflow's client.

Runs form a tree: one parent run per base model; its trials, deployments and retrains are children.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, RunStatus

from driftloop.settings import DEFAULT_STORE
from driftloop.system import signals
from driftloop.tracking import experiments, leftovers, patience, retries, stores
from driftloop.tracking.launcher import check as check_launcher
from driftloop.tracking.translate import translated

NETWORK: Final = "network"  # artifact folder: weights.pt and card.json, the parts of a .mar
ROLE: Final = "driftloop.role"  # base | deployment | retrain | challenger | trial

_open: list[str] = []  # ids of the runs that this process is working inside, the innermost last


@dataclass(frozen=True)
class Store:
    """An open tracking store and this process's experiment."""

    client: MlflowClient
    experiment_id: str
    experiment_name: str
    attached_run_id: str | None  # the run that `mlflow run` created for us, if it is in this experiment
    launcher_run_id: str | None  # that run when it is in another experiment


def open_store(experiment_name: str | None) -> Store:
    """Open the tracking store: MLFLOW_TRACKING_URI if set, else SQLite in the current folder.

    Under `mlflow run` the experiment is that of the run that MLflow created, unless a name is
    given; then the work goes to the named experiment and the launcher's run points there.

    Raises:
        SettingsError: the environment's experiment name is invalid.
        TrackingError: the store is unreachable or read-only, the experiment is deleted, or MLFLOW_RUN_ID names a run that is not for us.
    """
    launcher = os.environ.pop("MLFLOW_RUN_ID", None)  # popped: a later start_run must not attach to it
    uri, client = _connect(write=True)
    with translated(f"MLflow store {stores.shown(uri)}"):
        made_in = check_launcher(client, launcher).info.experiment_id if launcher else None
        experiment = experiments.choose(client, name=experiment_name, made_in=made_in, uri=uri)
        os.environ.pop("MLFLOW_EXPERIMENT_NAME", None)
        os.environ["MLFLOW_EXPERIMENT_ID"] = experiment.experiment_id
        mlflow.set_experiment(experiment_id=experiment.experiment_id)
        same = made_in == experiment.experiment_id
        leftovers.end_all(client)
    return Store(client, experiment.experiment_id, experiment.name, launcher if same else None, None if same else launcher)


def open_reader() -> Store:
    """Open the tracking store read-only for runs and the registry, without an experiment.

    Raises:
        TrackingError: the store is unreachable, or does not exist.
    """
    return Store(_connect(write=False)[1], "", "", None, None)


def _connect(*, write: bool) -> tuple[str, MlflowClient]:
    """The URI of the store and its client, once it has answered; writers wait for the store from then on."""
    uri = stores.resolved(os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs a traceback in addition to the error that it raises
    stores.check(uri, write=write)
    retries.pace()
    if write:
        patience.begin(stores.sqlite_file(uri))
    with translated(f"MLflow store {stores.shown(uri)}"), patience.opening():
        mlflow.set_tracking_uri(uri)
        client = MlflowClient()
        client.search_experiments(max_results=1)
    return uri, client


@contextmanager
def run(store: Store, name: str, *, role: str, parent_run_id: str | None = None, resumed: str | None = None) -> Iterator[str]:
    """Work inside one MLflow run; yields its id.

    A top-level run continues the ended run `resumed`, or attaches to the run that `mlflow run` created. It is the child
    of `parent_run_id`, or else of the active run. However the body ends, so does the run: FINISHED, FAILED on an
    error, KILLED on Ctrl-C or SIGTERM.
    """
    active = mlflow.active_run()
    parent = parent_run_id or (active.info.run_id if active else None)
    all_tags = {ROLE: role, leftovers.OWNER: leftovers.process_mark(os.getpid())}
    status = RunStatus.FAILED
    try:
        with translated("MLflow", files=False):  # includes the body's calls: the store may become unreachable at any of them
            taken_up = resumed or _made_for_us(store) if active is None else None
            if taken_up:
                mlflow.start_run(run_id=taken_up)
                all_tags["mlflow.runName"] = name
            else:
                _start(store.client, name, all_tags, nested=active is not None)
            # Set afterwards: start_run rejects a parent that is not the innermost active run.
            mlflow.set_tags(all_tags | ({"mlflow.parentRunId": parent} if parent else {}))
            run_id = _active_run_id()
            _open.append(run_id)
            launcher = store.launcher_run_id or (store.attached_run_id if resumed else None)
            if active is None and launcher:
                note = f"The work is in experiment {store.experiment_name!r}, run {run_id}."
                store.client.set_tag(launcher, "mlflow.note.content", note)
            yield run_id
            status = RunStatus.FINISHED
    except (KeyboardInterrupt, SystemExit) as exc:
        status = RunStatus.KILLED
        _let_go(exc)
        raise
    except Exception:
        status = RunStatus.KILLED if signals.came() else RunStatus.FAILED
        raise
    finally:
        now = mlflow.active_run()
        if now and (active is None or now.info.run_id != active.info.run_id):
            if now.info.run_id in _open:
                _open.remove(now.info.run_id)
            with translated("MLflow"):
                mlflow.end_run(RunStatus.to_string(status))


def _start(client: MlflowClient, name: str, tags: Mapping[str, str], *, nested: bool) -> None:
    """Start a run. A server that dies before it answers, and a signal before MLflow knows the answer, would leave one RUNNING."""
    before, began = retries.failed(), mlflow.active_run()
    try:
        made = mlflow.start_run(run_name=name, nested=nested, tags=dict(tags))
    except (KeyboardInterrupt, SystemExit) as exc:
        if mlflow.active_run() is began:  # else the caller ends it
            _let_go(exc)
            leftovers.end_unborn(client, tags[leftovers.OWNER], known=_open)
        raise
    if retries.failed() != before:
        leftovers.delete_twins(client, made)


def _let_go(exc: BaseException) -> None:
    """Release what the interrupted frames hold: a transaction interrupted by Ctrl-C would keep SQLite locked."""
    cause: BaseException | None = exc
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__
    gc.collect()


def _made_for_us(store: Store) -> str | None:
    """The run that `mlflow run` created, while we have not logged to it."""
    made = store.attached_run_id
    return made if made and ROLE not in store.client.get_run(made).data.tags else None


def _active_run_id() -> str:
    active = mlflow.active_run()
    if active is None:
        raise RuntimeError("no MLflow run is active here")
    return str(active.info.run_id)


def autolog() -> None:
    """Turn on MLflow's autologging of Lightning fits: parameters of the optimizer, metrics of each epoch.

    It does not log models: that costs about 11 s a fit, justified only for a winner.
    """
    mlflow.pytorch.autolog(log_models=False, log_datasets=False, checkpoint=False, silent=True)


def log_params(params: Mapping[str, Any]) -> None:
    """Log the parameters that the active run does not have yet.

    `mlflow run` and autologging log theirs first, and MLflow rejects a second value.
    """
    with translated("MLflow parameters"):
        there = mlflow.get_run(_active_run_id()).data.params
        mlflow.log_params({name: value for name, value in params.items() if name not in there})


def log_metrics(metrics: Mapping[str, float], *, step: int | None = None) -> None:
    """Log metrics to the active run; nan is left out, because the UI would draw it as 0."""
    with translated("MLflow metrics"):
        mlflow.log_metrics({name: value for name, value in metrics.items() if not math.isnan(value)}, step=step)


def forget_metrics(names: Iterable[str]) -> None:
    """Set metrics of the active run to nan, because MLflow cannot delete them."""
    with translated("MLflow metrics"):
        mlflow.log_metrics(dict.fromkeys(names, math.nan))


def log_series(store: Store, run_id: str, rows: Sequence[Mapping[str, float]], *, times_ms: Sequence[int]) -> None:
    """Log one row of metrics per block, with `step` = block and the block's own time (ms since 1970); nan and inf are left out."""
    metrics = [
        Metric(name, float(value), time_ms, step)
        for step, (row, time_ms) in enumerate(zip(rows, times_ms, strict=True))
        for name, value in row.items()
        if math.isfinite(value)
    ]
    with translated("MLflow metrics"):
        _log_batches(store.client, run_id, metrics)


def _log_batches(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    for at in range(0, len(metrics), 1000):  # MLflow's largest batch
        client.log_batch(run_id, metrics=metrics[at : at + 1000])


def set_tags(tags: Mapping[str, str]) -> None:
    """Set tags on the active run."""
    mlflow.set_tags(dict(tags))


def tag_run(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Tag a run, also one that has ended."""
    with translated("MLflow tags"):
        for name, value in tags.items():
            store.client.set_tag(run_id, name, value)


def log_json(values: Mapping[str, Any], name: str) -> None:
    """Log JSON values to the active run as a file of that name."""
    with translated(f"MLflow artifact {name}"):
        mlflow.log_dict(dict(values), name)


def log_table(rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """Log rows as an MLflow table (`name`.json, shown in the UI) and as CSV."""
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    with translated(f"MLflow table {name}"), tempfile.TemporaryDirectory() as folder:
        mlflow.log_table(frame, f"{name}.json")
        path = Path(folder) / f"{name}.csv"
        frame.to_csv(path, index=False)
        mlflow.log_artifact(str(path))


def log_outcome(store: Store, run_id: str, metrics: Mapping[str, float], *, files: Sequence[Path] = (), step: int = 0, model_id: str | None = None) -> None:
    """Log final figures, to a logged model as well where one is given, and files to a run, also one that has ended."""
    now_ms = int(time.time() * 1000)
    with translated("MLflow metrics"):
        _log_batches(
            store.client, run_id, [Metric(name, float(value), now_ms, step, model_id=model_id) for name, value in metrics.items() if not math.isnan(value)]
        )
        for path in files:
            store.client.log_artifact(run_id, str(path))
