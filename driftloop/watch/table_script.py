"""The work of watch_table.py: judge a file of predictions, and log it to MLflow."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from driftloop.cli.flag_types import names
from driftloop.cli.script_flags import WatchTableFlags
from driftloop.errors import EXIT_DRIFT, SettingsError
from driftloop.predictions import frame_watch
from driftloop.predictions.predicted_table import TableColumns
from driftloop.predictions.table_goal import TablePlan
from driftloop.predictions.table_result import TableResult
from driftloop.report import descriptions, terminal, watch_report
from driftloop.system import places

LOGGED: Final = ("target", "prediction", "probability", "segments", "reference_until", "reference_rows", "block_by", "block_size", "kpi", "cost", "alpha")
NEEDED: Final = ("data_path", "target", "prediction")


def watch_table(args: WatchTableFlags) -> tuple[dict[str, Any], int]:
    """Judge, log, report; returns the result as JSON values and the exit code.

    Raises:
        SettingsError, DataError: as `frame_watch.watch`, before anything is logged.
    """
    lacking = [f"--{name}" for name in NEEDED if not getattr(args, name)]
    if lacking:
        raise SettingsError(f"give {' and '.join(lacking)}: the table, its label column and its column of predictions are needed")
    if args.reference_until and args.reference_rows:
        raise SettingsError("--reference_until and --reference_rows are both given: give one of them")
    places.check_temporary()
    if args.report:
        watch_report.check_place(Path(args.report))
    found = _judged(args)
    result = _logged(args, found)
    print(terminal.summary_text(result))
    drift = result.drift or bool(result.segments and result.segments.drift)
    return result.as_json(), EXIT_DRIFT if drift and args.fail_on_drift else 0


def _judged(args: WatchTableFlags) -> TableResult:
    asked = TableColumns(
        target=args.target,
        prediction=args.prediction,
        probability=names(args.probability),
        time=args.time_column,
        time_format=args.time_format,
        time_zone=args.time_zone,
        features=names(args.features) or None,
        leave_out=names(args.leave_out),
        segments=names(args.segments),
        task=args.task,
        unit=args.unit,
    )
    plan = TablePlan(block_by=args.block_by, block_size=args.block_size, kpi=args.kpi, cost=args.cost, threshold=args.threshold, alpha=args.alpha)
    reference = args.reference_until or args.reference_rows
    text = {"encoding": args.encoding, "separator": args.separator}
    return frame_watch.of_file(Path(args.data_path), asked, plan, reference=reference, **text).result


def _logged(args: WatchTableFlags, found: TableResult) -> TableResult:
    from driftloop.tracking import mlflow_store  # loads MLflow: a bad table is reported before
    from driftloop.training import mlflow_text
    from driftloop.watch import mlflow_log

    store = mlflow_store.open_store(args.mlflow_experiment_name or None)
    with mlflow_store.run(store, f"predictions of {found.stream}", role="table") as run_id:
        words = descriptions.judged(table=found.stream, source=args.data_path, prediction=args.prediction, target=args.target)
        mlflow_text.describe_run(store, run_id, words)
        mlflow_store.log_params({"threshold": found.threshold, "drift_rule": found.rule} | {name: getattr(args, name) for name in LOGGED})
        mlflow_log.log_blocks(store, run_id, found.scores)
        if found.segments:
            mlflow_log.log_segments(store, run_id, found.segments)
        if found.why:
            mlflow_store.log_metrics({f"why/{name}": getattr(found.why, name).change for name in ("change", "data", "concept")})
        drifted = next((score for score in found.scores if score.drift), None)
        mlflow_store.set_tags({"driftloop.kind": found.kind} | ({"driftloop.drift_block": str(drifted.block)} if drifted else {}))
        result = replace(found, run_id=run_id, seconds=time.monotonic() - args.call.started)
        mlflow_log.log_report(store, result, deployment_run_id=run_id, report=args.report)
    print(mlflow_text.where(store, run_id), file=sys.stderr)
    return result
