"""Logs a watch to MLflow: each block under `block/…`, the summary under `watch_…`, so that a list of runs shows the summary."""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from driftloop.metrics.kpi_names import KPIS, OWN
from driftloop.metrics.results import BlockScore, SegmentResult, WatchResult
from driftloop.report import descriptions, watch_report
from driftloop.tracking import links, mlflow_store
from driftloop.tracking.mlflow_store import Store
from driftloop.training import mlflow_text

SERIES: Final = (
    *("accuracy", "lower", "upper", "kappa", "kappa_temporal", "no_change", "same_time_yesterday", "majority", "accuracy_unretrained", "threshold"),
    *("evidence", "p_value", "estimated", "forecast_early", "forecast_middle", "forecast_late"),
    *("mae", "mae_unretrained", "bias", "set_aside"),
)
MOST_SEGMENTS: Final = 10  # of a column, as metrics; the table of segments has all
OF_SEGMENT: Final = ("kpi_before", "kpi_after", "gain", "evidence", "rows_after")
SEGMENT_LETTERS: Final = 60
NO_METRIC_NAME: Final = re.compile(r"[^\w\-. ]")  # what MLflow refuses in a metric's name


def log_blocks(store: Store, run_id: str, scores: Sequence[BlockScore]) -> None:
    """Log what was scored to the active run: series with `step` = block, and the table."""
    rows = [score.as_json() for score in scores]
    series = [{name: row[name] for name in (*SERIES, *_chosen(score), *score.baselines, "drift")} for row, score in zip(rows, scores, strict=True)]
    times = [int(np.datetime64(score.timestamp, "ms").astype(int)) for score in scores]
    mlflow_store.log_series(store, run_id, [{f"block/{name}": value for name, value in row.items()} for row in series], times_ms=times)
    mlflow_store.log_table(rows, "blocks")


def log_segments(store: Store, run_id: str, found: SegmentResult) -> None:
    """Log the table of all segments to the active run, and the figures of the worst `MOST_SEGMENTS` of each column as metrics."""
    if found.scores:
        mlflow_store.log_table([dict(vars(score)) for score in found.scores], "segments")
    metrics = {"segments/judged": float(len(found.judged)), "segments/named": float(len(found.named)), "segments/evidence": found.evidence}
    logged: Counter[str] = Counter()
    for score in found.judged:
        name = "/".join(["segment", *(NO_METRIC_NAME.sub("_", part)[:SEGMENT_LETTERS].strip(". ") or "_" for part in (score.column, score.segment))])
        if logged[score.column] < MOST_SEGMENTS and f"{name}/drift" not in metrics:
            logged[score.column] += 1
            metrics |= {f"{name}/{figure}": getattr(score, figure) for figure in OF_SEGMENT} | {f"{name}/drift": float(score.drift)}
    mlflow_store.log_outcome(store, run_id, metrics)


def _chosen(score: BlockScore) -> tuple[str, ...]:
    """The series of a KPI other than the task's own."""
    return (score.kpi_name, f"{score.kpi_name}_unretrained") if score.kpi_name else ()


def log_whole(store: Store, run_id: str, result: WatchResult, *, report_run_id: str) -> None:
    """Log the figures of a whole watch to its deployment or lifecycle, ended or not, and its verdict to the description.

    `report_run_id` is the run with report.html.
    """
    mlflow_store.log_outcome(store, run_id, {f"watch_{name}": value for name, value in figures(result).items()})
    report = links.artifact(store.experiment_id, report_run_id, "report.html")
    mlflow_text.add_section(store, run_id, title=descriptions.WATCHED, words=descriptions.watched(result, report=report))


def log_report(store: Store, result: WatchResult, *, deployment_run_id: str, report: str) -> None:
    """Log the figures and report.html to the result's run, and the figures to its deployment's; write the report to `report`, if it is a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = watch_report.write_report(result, Path(folder) / "report.html")
        mlflow_store.log_outcome(store, result.run_id, {}, files=[path])
    for run_id in dict.fromkeys((result.run_id, deployment_run_id)):
        log_whole(store, run_id, result, report_run_id=result.run_id)
    if report:
        print(f"report: {watch_report.write_report(result, Path(report))}", file=sys.stderr)


def figures(result: WatchResult) -> dict[str, float]:
    """The figures of a whole watch by name."""
    kpi, own = KPIS[result.kpi_name or OWN[result.task]], {OWN[result.task]: result.task_kpi} if result.kpi_name else {}
    other = result.reference.kpi if result.reference else result.kpi_without_retraining
    gain = result.kpi - other
    return {
        kpi.name: result.kpi,
        f"{kpi.name}_{'of_reference' if result.reference else 'without_retraining'}": other,
        **own,
        "gain": gain if kpi.higher else -gain,
        "kappa": result.kappa,
        "kappa_temporal": result.kappa_temporal,
        **result.baselines,
        "rows": result.rows,
        "drifted_blocks": sum(score.drift for score in result.scores),
        **_of_our_model(result),
        "seconds": result.seconds,
    }


def _of_our_model(result: WatchResult) -> dict[str, float]:
    """The figures of a model that we retrain."""
    return {} if result.reference else {"retrains": len(result.retrains), "promotions": sum(record.promoted for record in result.retrains)}
