"""The work of watch_table.py: judge a file of predictions, and log it to MLflow."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from driftloop.cli.flag_types import names
from driftloop.cli.script_flags import WatchTableFlags
from driftloop.errors import EXIT_DRIFT, SettingsError
from driftloop.predictions import frame_watch
from driftloop.predictions.frame_watch import FrameWatch
from driftloop.predictions.later import label_delay
from driftloop.predictions.predicted_table import TableColumns
from driftloop.predictions.table_goal import TablePlan
from driftloop.predictions.table_result import TableResult
from driftloop.report import descriptions, terminal, watch_report
from driftloop.system import lock, places

LOGGED: Final = (
    *("target", "prediction", "probability", "segments", "reference_until", "reference_rows"),
    *("block_by", "block_size", "kpi", "cost", "alpha", "label_delay"),
)
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
    with _held(args.state):
        watch = _judged(args)
        result = _logged(args, watch.result)
        if args.state:
            watch.save(args.state)
    print(terminal.summary_text(result))
    drift = result.drift or bool(result.segments and result.segments.drift)
    return result.as_json(), EXIT_DRIFT if drift and args.fail_on_drift else 0


def _held(state: str) -> AbstractContextManager[Any]:
    """The lock of a state file, for as long as it is read, continued and written."""
    if not state:
        return nullcontext()
    beside = Path(state).with_name(f"{Path(state).name}.lock")
    try:
        return lock.hold(beside, taken=f"--state {state}: another watch_table.py is continuing it: wait until it has ended")
    except OSError as exc:
        raise SettingsError(f"--state {state}: cannot lock it ({beside}: {exc.strerror or exc})") from exc


def _judged(args: WatchTableFlags) -> FrameWatch:
    asked = TableColumns(
        target=args.target,
        prediction=args.prediction,
        probability=names(args.probability),
        id=args.id_column,
        time=args.time_column,
        time_format=args.time_format,
        time_zone=args.time_zone,
        features=names(args.features) or None,
        leave_out=names(args.leave_out),
        segments=names(args.segments),
        task=args.task,
        unit=args.unit,
    )
    judging: dict[str, Any] = {
        "kpi": args.kpi,
        "cost": args.cost,
        "threshold": args.threshold,
        "alpha": args.alpha,
        "label_delay": label_delay.read(args.label_delay),
    }
    plan = TablePlan(block_by=args.block_by, block_size=args.block_size, **judging)
    text = {"encoding": args.encoding, "separator": args.separator}
    if not args.state or not Path(args.state).exists():
        return frame_watch.of_file(Path(args.data_path), asked, plan, reference=args.reference_until or args.reference_rows, **text)
    watch = frame_watch.load_watch(args.state)
    _check_same(args.state, asdict(watch.state.asked) | asdict(watch.state.plan), asdict(asked) | asdict(plan))
    return frame_watch.update_from_file(watch, Path(args.data_path), **text)


def _check_same(state: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to continue a watch in another way than it was begun.

    Raises:
        SettingsError: a flag differs.
    """
    other = [name for name in now if before[name] != now[name]]
    if other:
        flag = {"id": "id_column", "time": "time_column"}.get(other[0], other[0])
        raise SettingsError(f"--{flag} is not as when --state {state} was begun: give the flags of then, or another --state")


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
