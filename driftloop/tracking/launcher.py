"""The run that MLFLOW_RUN_ID names: taken where `mlflow run` or an orchestrator made it for us, refused where it is anyone else's."""

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
    """The run, if it is running and holds nothing but what its launcher wrote for us.

    Raises:
        TrackingError: there is none, it has ended, or it holds the work of others; nothing of it was changed.
    """
    what = f"MLFLOW_RUN_ID is {run_id!a:.80}"
    try:
        run = client.get_run(run_id)
    except MlflowException as exc:
        if exc.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise TrackingError(f"{what}: the store has no such run; unset it") from exc
    if fault := _fault(client, run):
        raise TrackingError(f"{what}, run {run.info.run_name!r} {fault}: it is left as it is; unset MLFLOW_RUN_ID, `mlflow run` sets it itself")
    return run


def _fault(client: MlflowClient, run: Run) -> str:
    """Why the run is not to be touched; "" when it is for us."""
    if run.info.lifecycle_stage == "deleted":
        return "which is deleted"
    if run.info.status != "RUNNING":
        return f"which has ended ({run.info.status})"
    if any(name.startswith(OURS) for name in run.data.tags):
        return ""  # a script of ours has begun to work in it; the next one makes a run of its own
    return _of_others(run) or ("which holds artifacts of others" if client.list_artifacts(run.info.run_id) else "")


def _of_others(run: Run) -> str:
    tags, params = run.data.tags, run.data.params
    by_project, user = tags.get(SOURCE_TYPE) == "PROJECT", _user()
    if by_project and FLAG not in params:
        return "which `mlflow run` made for another project"
    if not by_project and (SOURCE_TYPE in tags or tags.get(USER, user) != user):
        return f"which is the work of {tags.get(USER, 'another')} ({tags.get('mlflow.source.name', 'source unknown')})"
    if run.data.metrics or (params and not by_project) or any(not name.startswith("mlflow.") for name in tags):
        return "which holds parameters, metrics or tags of others"
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
