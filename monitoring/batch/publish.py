"""Publishes windows to MLflow: the measures and report of each, and a stream's list of reports.

A window has one run, a child of the run that trained the version which answered most of its rows; a stream has one run with its list of
reports. Tags identify them, so publishing again updates the runs and creates no duplicates. All functions that call MLflow raise a
TrackingError when it is unreachable.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from driftloop.system.files import replace_file
from driftloop.tracking import mlflow_store
from driftloop.tracking.mlflow_store import Store
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import index

BATCH, REPORTS = "batch", "reports"  # roles of the runs
WINDOW_TAG: Final = "driftloop.window"  # Measures.id
STREAM_TAG: Final = "driftloop.reports"  # stream whose reports the run lists
REPORT, DOCUMENT = "report.html", "measures.json"
UI: Final = "http://127.0.0.1:5000"  # of `make ui`, for a store without a server


@dataclass(frozen=True)
class ReportPlace:
    """A run and its experiment."""

    experiment_id: str
    run_id: str

    def url(self, artifact: str) -> str:
        """URL of an artifact in MLflow's pages: on DRIFTLOOP_MLFLOW_UI, else on the tracking server, else on `make ui`.

        >>> ReportPlace("3", "abc").url("report.html").partition("/#/")[2]
        'experiments/3/runs/abc/artifacts/report.html'
        """
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        base = os.environ.get("DRIFTLOOP_MLFLOW_UI") or (uri if uri.startswith(("http://", "https://")) else UI)
        return f"{base.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{self.run_id}/artifacts/{quote(artifact)}"


def model_run(measures: Measures) -> str:
    """The run that trained the version which answered most rows of the window; "" when unknown."""
    known = [version for version in measures.versions if version.run_id]
    return max(known, key=lambda version: version.rows).run_id if known else ""


def keep(measures: Measures, files: Sequence[Path], *, experiment: str) -> ReportPlace:
    """Log the measures and files of a window to its run.

    Args:
        measures: of the window; written to measures.json.
        files: report.html and further reports.
        experiment: for a window whose model's run is unknown; "": the one from the environment.

    Raises:
        TrackingError: the model's run no longer exists.
    """
    parent = model_run(measures)
    store = _store(parent, experiment)
    there = _found(store, WINDOW_TAG, measures.id)
    with mlflow_store.run(store, f"batch/{measures.window.name}", role=BATCH, parent_run_id=parent or None, resumed=there) as run_id:
        mlflow_store.set_tags({WINDOW_TAG: measures.id, **_tags(measures)})
        known = store.client.get_run(run_id).data.metrics
        now = figures(measures)
        mlflow_store.log_metrics({name: value for name, value in now.items() if known.get(name) != value})
        mlflow_store.forget_metrics(name for name, value in known.items() if name not in now and not math.isnan(value))
        with tempfile.TemporaryDirectory() as folder:
            document = Path(folder) / DOCUMENT
            document.write_text(json.dumps(measures.as_json(), indent=1, allow_nan=False), encoding="utf-8")
            mlflow_store.log_outcome(store, run_id, {}, files=[*files, document])
    return ReportPlace(store.experiment_id, run_id)


def list_place(stream: str, *, measures: Measures, experiment: str) -> ReportPlace:
    """The run that lists the reports of a stream, in the experiment of the window's model; created if needed."""
    store = _store(model_run(measures), experiment)
    there = _found(store, STREAM_TAG, stream)
    if there:
        return ReportPlace(store.experiment_id, there)
    with mlflow_store.run(store, f"reports/{stream}", role=REPORTS) as run_id:
        mlflow_store.set_tags({STREAM_TAG: stream})
    return ReportPlace(store.experiment_id, run_id)


def keep_list(place: ReportPlace, stream: str, measures: Sequence[Measures], links: Mapping[str, str]) -> None:
    """Write the list of reports, index.html and reports.csv, into its run."""
    with tempfile.TemporaryDirectory() as folder:
        page, table = Path(folder) / "index.html", Path(folder) / "reports.csv"
        replace_file(page, index.html(stream, measures, links))
        replace_file(table, index.table(measures, links))
        mlflow_store.log_outcome(mlflow_store.open_store(None), place.run_id, {}, files=[page, table])


def figures(measures: Measures) -> dict[str, float]:
    """A window's metrics in MLflow, by name; undefined ones are left out."""
    labels, quality, kpi = measures.labels, measures.quality, measures.kpi
    found = {
        measures.kpi_name: kpi.value,
        f"{measures.kpi_name}_lower": kpi.lower,
        f"{measures.kpi_name}_upper": kpi.upper,
        "threshold": measures.threshold,
        "kappa_temporal": measures.kappa_temporal,
        "rows": labels.rows,
        "labelled": labels.labelled,
        "label_coverage": labels.coverage,
        "in_sample": sum(version.in_sample for version in measures.versions),
        "by_fallback": measures.by_fallback,
        "refused": quality.refused,
        "drift": float(measures.verdict.drift),
        "bad_quality": float(quality.bad),
        "features_moved": len(measures.moved),
        **{f"baseline_{name}": baseline.value for name, baseline in measures.baselines.items()},
        **{f"latency_ms_{name}": value for name, value in measures.latency_ms.items()},
    }
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _tags(measures: Measures) -> dict[str, str]:
    return {
        "driftloop.stream": measures.stream,
        "driftloop.health": measures.answer.health,
        "driftloop.kind": measures.answer.kind,
        "driftloop.versions": " ".join(version.version for version in measures.versions)[:500],
        "mlflow.note.content": f"{measures.verdict.sentence}\n\n{measures.next_step}",
    }


def _store(run_id: str, experiment: str) -> Store:
    """The store, open in the experiment of the run, because MLflow shows a child below its parent only there."""
    store = mlflow_store.open_store(experiment or None)
    if not run_id:
        return store
    with mlflow_store.translated(f"run {run_id} of the model"):
        home = store.client.get_run(run_id).info.experiment_id
        if home == store.experiment_id:
            return store
        name = store.client.get_experiment(home).name
    return mlflow_store.open_store(name)


def _found(store: Store, tag: str, value: str) -> str | None:
    """The oldest run of the experiment with this tag, so that of two created at the same time only one is used."""
    with mlflow_store.translated("MLflow runs"):
        found = store.client.search_runs(
            [store.experiment_id], f"tags.`{tag}` = '{value.replace(chr(39), '')}'", order_by=["attributes.start_time ASC"], max_results=1
        )
    return str(found[0].info.run_id) if found else None
