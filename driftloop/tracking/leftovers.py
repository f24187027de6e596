"""Ends runs that nobody else will: of killed processes of this machine, in every experiment of the store, and those that a repeated request created twice."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import mlflow
import psutil
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

OWNER: Final = "mlflow.driftloop.process"  # tag: host, pid and start time of the run's process; MLflow hides tags with this prefix
AT_ONCE: Final = 200  # experiments per query


def process_mark(pid: int) -> str:
    """Host, pid and start time: the system reuses pids."""
    return json.dumps([platform.node(), pid, psutil.Process(pid).create_time()])


def end_all(client: MlflowClient) -> None:
    """End the runs of this machine's dead processes; other runs, and runs we may not change, are left alone."""
    for run in list(_running(client)):
        if not _dead(run.data.tags.get(OWNER, "")):
            continue
        try:
            client.set_tag(run.info.run_id, "driftloop.note", "its process died; ended by the next start")
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
        except MlflowException as exc:
            if exc.error_code not in {"PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST"}:
                raise


def delete_twins(client: MlflowClient, run: Run) -> None:
    """Delete what the same request created besides this run; both have its start time."""
    mark = run.data.tags.get(OWNER) or client.get_run(run.info.run_id).data.tags[OWNER]
    for other in client.search_runs([run.info.experiment_id], f"attributes.status = 'RUNNING' and attributes.start_time = {run.info.start_time}"):
        if other.info.run_id != run.info.run_id and other.data.tags.get(OWNER) == mark:
            client.delete_run(other.info.run_id)


def end_unborn(client: MlflowClient, mark: str, *, known: Sequence[str]) -> None:
    """End the run of a process that a signal kept from learning its id: it is none of those that are known."""
    for run in list(_running(client)):
        if run.data.tags.get(OWNER) == mark and run.info.run_id not in known:
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _running(client: MlflowClient) -> Iterator[Run]:
    experiments = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    for at in range(0, len(experiments), AT_ONCE):
        yield from client.search_runs(experiments[at : at + AT_ONCE], f"attributes.status = 'RUNNING' and tags.`{OWNER}` LIKE '[%'")


def _dead(mark: str) -> bool:
    try:
        host, pid, _ = json.loads(mark)
        return host == platform.node() and process_mark(pid) != mark
    except psutil.Error:  # no such process
        return True
    except (ValueError, TypeError):  # no mark of ours
        return False
