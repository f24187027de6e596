"""Finds or creates the experiment to log to, even if another process creates it at the same time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from driftloop.errors import SettingsError, TrackingError
from driftloop.settings import DEFAULT_EXPERIMENT
from driftloop.system.names import experiment_fault
from driftloop.tracking import stores

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient


def choose(client: MlflowClient, *, name: str | None, made_in: str | None, uri: str) -> Experiment:
    """The experiment to work in: the named one, else that of the run which `mlflow run` made, else the environment's, else Default.

    `made_in` is the id of the launcher's experiment; a new experiment on a SQLite file (`uri`) keeps its artifacts next to it.

    Raises:
        SettingsError: the environment names an invalid or unknown experiment.
        TrackingError: the experiment is deleted, or its artifacts cannot be written.
    """
    if name:
        found = named(client, name, uri=uri)
    elif made_in:
        found = client.get_experiment(made_in)
    elif given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        found = _numbered(client, given)
    else:
        found = named(client, os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT, uri=uri)
    if found.lifecycle_stage == "deleted":
        raise TrackingError(f"experiment {found.name!r} is deleted: restore it (mlflow experiments restore -x {found.experiment_id}) or use another name")
    stores.check_artifacts(found.artifact_location, found.name)
    return found


def named(client: MlflowClient, name: str, *, uri: str) -> Experiment:
    """The experiment of that name, created if missing.

    Raises:
        SettingsError: the name is invalid.
    """
    if fault := experiment_fault(name):
        raise SettingsError(f"invalid experiment name {name!a:.80}: {fault}")
    found = client.get_experiment_by_name(name)
    if found:
        return found
    root = stores.artifact_root(uri)
    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=stores.artifact_folder(root, name).as_uri() if root else None))
    except MlflowException as exc:
        found = client.get_experiment_by_name(name) if exc.error_code == "RESOURCE_ALREADY_EXISTS" else None
        if found is None:
            raise
        return found


def _numbered(client: MlflowClient, experiment_id: str) -> Experiment:
    try:
        return client.get_experiment(experiment_id)
    except (MlflowException, ValueError) as exc:
        if isinstance(exc, MlflowException) and exc.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise TrackingError(f"MLFLOW_EXPERIMENT_ID is {experiment_id!a:.80}: the store has no such experiment; unset it, or give the id of one") from exc
