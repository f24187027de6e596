"""Logs a back-test to MLflow: a parent run with a child per policy; finds and resumes an interrupted one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import mlflow
import numpy as np
import pandas as pd

from driftloop.backtest.outcome import BacktestResult, PolicyResult
from driftloop.backtest.plot import copy_picture, draw_picture
from driftloop.errors import TrackingError
from driftloop.tracking import mlflow_store
from driftloop.tracking.mlflow_store import Store, translated

FINGERPRINT: Final = "driftloop.fingerprint"  # tag: hash of the stream and all settings; only parent runs of back-tests have it
POLICY: Final = "driftloop.policy"
RESULT: Final = "result.json"
NAME: Final = "backtest"


@contextmanager
def parent_run(store: Store, *, fingerprint: str, resume: bool) -> Iterator[tuple[str, dict[str, PolicyResult]]]:
    """Work inside the parent run of a back-test; yields its id and its existing results.

    `resume` continues the newest unfinished back-test with the same fingerprint, if there is one.
    """
    unfinished = _unfinished(store, fingerprint) if resume else None
    with mlflow_store.run(store, NAME, role=NAME, resumed=unfinished) as run_id:
        mlflow_store.set_tags({FINGERPRINT: fingerprint})
        yield run_id, _finished_policies(store, run_id) if unfinished else {}


def _unfinished(store: Store, fingerprint: str) -> str | None:
    # A RUNNING run belongs to a live process: those of dead ones were ended when the store was opened.
    wanted = f"tags.`{FINGERPRINT}` = '{fingerprint}' and attributes.status != 'FINISHED' and attributes.status != 'RUNNING'"
    with translated("MLflow"):
        found = store.client.search_runs([store.experiment_id], wanted, max_results=1)
    return str(found[0].info.run_id) if found else None


def _finished_policies(store: Store, run_id: str) -> dict[str, PolicyResult]:
    wanted = f"tags.`mlflow.parentRunId` = '{run_id}' and tags.`{mlflow_store.ROLE}` = 'policy' and attributes.status = 'FINISHED'"
    with translated("MLflow"):
        return {run.data.tags[POLICY]: read_result(run.info.run_id) for run in store.client.search_runs([store.experiment_id], wanted)}


def read_result(run_id: str) -> PolicyResult:
    """The result in a policy's run.

    Raises:
        TrackingError: it has none, or it is unreadable.
    """
    with translated(f"run {run_id} has no {RESULT}"), TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=RESULT, dst_path=folder))
        try:
            return PolicyResult.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as exc:
            raise TrackingError(f"the result in run {run_id} cannot be read ({type(exc).__name__}): run without --resume") from exc


def log_policy(store: Store, run_id: str, result: PolicyResult, *, times_ms: Sequence[int]) -> None:
    """Log a policy's figures, its KPI and retrains by block, and the result itself to the active run `run_id`."""
    figures = result.figures()
    mlflow_store.log_params({name: figures.pop(name) for name in ("name", "kind")})
    mlflow_store.log_metrics(figures)
    retrained = np.isin(np.arange(len(times_ms)), result.retrained_after)
    series = [{f"block_{result.kpi_name}": kpi, "retrained": float(after)} for kpi, after in zip(result.block_kpis, retrained, strict=True)]
    mlflow_store.log_series(store, run_id, series, times_ms=times_ms)
    mlflow_store.set_tags({POLICY: result.name})
    with translated("MLflow artifact"):
        mlflow.log_text(json.dumps(asdict(result)), RESULT)  # not log_dict: it writes nan as null


def log_result(result: BacktestResult, *, plot: Path | None) -> None:
    """Log the tables, the plot, the recommendation to the active run; `plot` is an additional file for the plot.

    Raises:
        SettingsError: `plot` is not writable.
    """
    mlflow_store.log_table([policy.figures() for policy in result.policies], "policies")
    if result.comparisons:
        comparisons = pd.json_normalize([one.figures() for one in result.comparisons], sep="_")
        mlflow_store.log_table(comparisons.to_dict("records"), "equal_retrains")
    chosen = next(policy for policy in result.policies if policy.name == result.recommended)
    mlflow_store.log_metrics({**result.baselines, f"recommended_{chosen.kpi_name}": chosen.kpi, "recommended_retrains": chosen.retrains})
    mlflow_store.set_tags({"driftloop.recommended": result.recommended, "mlflow.note.content": result.reason})
    with translated("MLflow artifact"), TemporaryDirectory() as folder:
        picture = Path(folder) / "backtest.png"
        draw_picture(result, picture)
        mlflow.log_artifact(str(picture))
        if plot:
            copy_picture(picture, plot)
