"""The run in MLFLOW_RUN_ID: used if `mlflow run` or an orchestrator created it for us, refused otherwise."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException

from driftloop.errors import TrackingError

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

OURS: Final = "driftloop."  # our tags begin so
FLAG: Final = "mlflow_experiment_name"  # a parameter of all entry points of MLproject; `mlflow run` logs them, with their defaults
SOURCE_TYPE, USER = "mlflow.source.type", "mlflow.user"


def check(client: MlflowClient, run_id: str) -> Run:
    """The run, if it is running and contains only what its launcher wrote for us.

    Raises:
        TrackingError: it does not exist, has ended, or contains others' work; it is unchanged.
    """
    what = f"MLFLOW_RUN_ID is {run_id!a:.80}"
    try:
        run = client.get_run(run_id)
    except MlflowException as exc:
        if exc.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise TrackingError(f"{what}: the store has no such run; unset it") from exc
    if fault := _fault(client, run):
        raise TrackingError(f"{what}, run {run.info.run_name!r} {fault}: it is left unchanged; unset MLFLOW_RUN_ID, `mlflow run` sets it itself")
    return run


def _fault(client: MlflowClient, run: Run) -> str:
    """Why the run must not be used; "" when it is for us."""
    if run.info.lifecycle_stage == "deleted":
        return "which is deleted"
    if run.info.status != "RUNNING":
        return f"which has ended ({run.info.status})"
    if any(name.startswith(OURS) for name in run.data.tags):
        return ""  # a script of ours already uses it; the next one creates its own
    return _of_others(run) or ("which has others' artifacts" if client.list_artifacts(run.info.run_id) else "")


def _of_others(run: Run) -> str:
    tags, params = run.data.tags, run.data.params
    by_project, user = tags.get(SOURCE_TYPE) == "PROJECT", _user()
    if by_project and FLAG not in params:
        return "which `mlflow run` created for another project"
    if not by_project and (SOURCE_TYPE in tags or tags.get(USER, user) != user):
        return f"which belongs to {tags.get(USER, 'another')} ({tags.get('mlflow.source.name', 'source unknown')})"
    if run.data.metrics or (params and not by_project) or any(not name.startswith("mlflow.") for name in tags):
        return "which has others' parameters, metrics or tags"
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
