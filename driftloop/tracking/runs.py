"""Finds runs in the MLflow store, and reads their contents."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException

from driftloop.data.schema.schema import Schema
from driftloop.errors import DataError, NoBaseRunError, TrackingError
from driftloop.metrics.results import NO_BLOCK
from driftloop.tracking.mlflow_store import NETWORK, ROLE, Store, translated

SCHEMA = "schema.json"  # artifact of a base run: the columns of its table
READING = "reading.json"  # artifact of a base run: the flags that its table was read with
PARENTS = ("base", "backtest")  # roles of top-level runs

if TYPE_CHECKING:
    import torch
    from mlflow.entities import Run


def find_base(store: Store, run_id: str | None = None, *, train: str) -> Run:
    """The base run to use: the given one, else the newest finished one of the experiment. `train` is the command that trains one.

    Raises:
        NoBaseRunError: there is none; the message gives the command to run.
        TrackingError: `run_id` is unknown.
    """
    if run_id:
        with translated(f"--base_run_id {run_id}"):
            return store.client.get_run(run_id)
    newest = _newest_base(store, [store.experiment_id])
    if newest:
        return newest
    cut_off = _newest_base(store, [store.experiment_id], ended="!=")
    with translated("MLflow runs"):
        names = {found.experiment_id: found.name for found in mlflow.search_experiments()}
    elsewhere = None if cut_off else _newest_base(store, list(names))
    hint = f", or --base_run_id {cut_off.info.run_id} for the model of the interrupted run" if cut_off else ""
    if elsewhere:
        hint = f", or --base_run_id {elsewhere.info.run_id} for the newest one, in experiment {names[elsewhere.info.experiment_id]!r}"
    raise NoBaseRunError(f"experiment {store.experiment_name!r} has no base model yet: run {train}{hint}")


def _newest_base(store: Store, experiments: list[str], *, ended: str = "=") -> Run | None:
    wanted = f"tags.`{ROLE}` = 'base' and attributes.status {ended} 'FINISHED' and tags.`driftloop.has_model` = 'true'"
    return _newest(store, experiments, wanted)


def _newest(store: Store, experiments: list[str], wanted: str) -> Run | None:
    with translated("MLflow runs"):
        return next(iter(store.client.search_runs(experiments, wanted, max_results=1)), None)


def newest_parent(store: Store, experiment: str) -> Run:
    """The newest lifecycle, base model or back-test of an experiment, or of the whole store where `experiment` is "".

    Raises:
        NoBaseRunError: there is none.
        TrackingError: there is no such experiment.
    """
    with translated("MLflow runs"):
        known = {found.name: found.experiment_id for found in mlflow.search_experiments()}
        if experiment and experiment not in known:
            raise TrackingError(f"there is no experiment {experiment!r}: give one of {', '.join(sorted(known))}")
        places = [known[experiment]] if experiment else list(known.values())
        newest = [run for role in PARENTS for run in store.client.search_runs(places, f"tags.`{ROLE}` = '{role}'", max_results=1)]
    if not newest:
        raise NoBaseRunError(f"{f'experiment {experiment!r}' if experiment else 'the MLflow store'} has no driftloop runs yet: run python lifecycle.py first")
    return max(newest, key=lambda run: run.info.start_time)


def load_network(store: Store, run_id: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the weights and card of a run.

    Raises:
        TrackingError: the run has none, or they are unreadable.
    """
    import torch

    with translated(f"run {run_id} has no trained model"), tempfile.TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=NETWORK, dst_path=folder))
        try:
            card = json.loads((path / "card.json").read_text(encoding="utf-8"))
            return torch.load(path / "weights.pt", weights_only=True), card
        except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as exc:
            raise TrackingError(f"the model of run {run_id} cannot be read ({type(exc).__name__}): train a new base model") from exc


def schema_of(store: Store, run_id: str) -> Schema:
    """The columns of the table that a base run was trained on; none if it logged none.

    Raises:
        TrackingError: the store did not answer.
        DataError: the file is no schema.
    """
    found = _json(store, run_id, SCHEMA)
    return Schema() if found is None else Schema.from_json(found)


def reading_of(store: Store, run_id: str) -> dict[str, str]:
    """The flags that the table of a base run was read with, by name; none if it logged none.

    Raises:
        TrackingError: the store did not answer.
        DataError: the file is not JSON.
    """
    found = _json(store, run_id, READING)
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _json(store: Store, run_id: str, name: str) -> Any:
    """What a JSON artifact of a run holds; None if there is none."""
    with translated(f"{name} of run {run_id}"), tempfile.TemporaryDirectory() as folder:
        if not any(one.path == name for one in store.client.list_artifacts(run_id)):
            return None
        text = Path(store.client.download_artifacts(run_id, name, folder)).read_bytes()
    try:
        return json.loads(text)
    except ValueError as exc:
        raise DataError(f"{name} of run {run_id} is not JSON ({exc}): train the model again") from exc


def newest_child(store: Store, parent_run_id: str, *, role: str) -> Run | None:
    """The newest child run of that role, or None."""
    return _newest(store, [store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent_run_id}' and tags.`{ROLE}` = '{role}'")


def parent_of(store: Store, run_id: str) -> str | None:
    """The parent of a run, or None when it has none or is deleted.

    Raises:
        TrackingError: the store did not answer.
    """
    with translated(f"run {run_id}"):
        try:
            return store.client.get_run(run_id).data.tags.get("mlflow.parentRunId")
        except MlflowException as exc:
            if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def metric_of(store: Store, run_id: str, name: str) -> float:
    """The newest value of a run's metric; nan when it has none."""
    with translated(f"run {run_id}"):
        return float(store.client.get_run(run_id).data.metrics.get(name, math.nan))


def param_of(store: Store, run_id: str, name: str) -> str:
    """A run's parameter; "" when it has none."""
    with translated(f"run {run_id}"):
        return str(store.client.get_run(run_id).data.params.get(name, ""))


def drift_of(store: Store, base_run_id: str) -> tuple[int, int]:
    """The drifted block of a base run's newest deployment, and the row after it; (NO_BLOCK, 0) when it found none."""
    found = newest_child(store, base_run_id, role="deployment")
    tags = found.data.tags if found else {}
    return int(tags.get("driftloop.drift_block", NO_BLOCK)), int(tags.get("driftloop.drift_row", 0))


def delete(store: Store, run_id: str) -> None:
    """Move a run to MLflow's bin; `mlflow gc` frees its room.

    Raises:
        TrackingError: the store failed.
    """
    with translated(f"run {run_id}"):
        store.client.delete_run(run_id)
