"""Batch monitoring: measure a window of the prediction log, report on it, and start a retrain.

    python -m monitoring batch run --stream taxi --window 2020-04
    python -m monitoring batch run --stream taxi --window last-month --on_drift retrain --report april.html
    python -m monitoring batch backfill --stream taxi --first 2018-01 --last 2020-12 --by month
    prefect server start     # then, in another terminal, with PREFECT_API_URL=http://127.0.0.1:4200/api
    python -m monitoring batch serve --stream taxi --window last-month --cron "0 6 1 * *"

A window is a month (2020-04), a day (2020-04-05), two times separated by .., or last-month or last-day before the newest row. Its results: a
document in the database (collection `metrics`), report.html, an MLflow run batch/2020-04 below the model's run, the list of all reports in
the MLflow run reports/<stream>, and Prefect artifacts. Measuring a window again replaces them.

It is a Prefect flow. Without a Prefect server it starts a temporary one, which takes 10 to 30 s; `serve` needs a permanent one. Nothing leaves
the machine.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from driftloop.cli import parsing, printed_commands, runner
from driftloop.cli.call import Flags, flag, required
from driftloop.cli.flag_types import address, experiment_name, mongodb_uri, swap_address
from driftloop.cli.parsing import whole
from driftloop.errors import EXIT_DRIFT, DataError, DriftloopError, SettingsError
from driftloop.report import wording
from driftloop.report.watch_report import check_place
from driftloop.system import places
from monitoring import described, stream_settings
from monitoring.batch import prefect_engine
from monitoring.batch.report.measure_words import HOOK_URL, retraining
from monitoring.retrain import commands

if TYPE_CHECKING:
    from monitoring.batch.flow import Options, Outcome

STATE = Path(".driftloop/prefect")  # of the temporary server


@dataclass(frozen=True)
class BatchFlags(Flags):
    """The flags of all three commands."""

    command: str
    stream: str = required("name of the stream")
    on_drift: str = flag(
        "advise",
        "advise: print the next step; retrain: start a retrain if the KPI has drifted and the window is the newest; ignore: do nothing",
        choices=["advise", "retrain", "ignore"],
    )
    fail_on_drift: bool = flag(False, "exit with code 10 when a window has drifted")
    with_evidently: bool = flag(False, "also write Evidently's report; needs requirements-evidently.txt")
    mongodb_uri: str = flag("", "MongoDB with the prediction log; empty: MONGODB_URI, else the embedded one in ./prediction-log", type=mongodb_uri)
    tracking_uri: str = flag("", "MLflow store of the models and reports; empty: MLFLOW_TRACKING_URI, else ./mlflow.db")
    mlflow_experiment_name: str = flag("", "experiment for windows whose model is unknown; empty: MLFLOW_EXPERIMENT_NAME, else Default", type=experiment_name)
    reference: str = flag("", "folder with each stream's training reference; empty: from MLflow's registry")
    folder: str = flag(".driftloop/batch", "folder for the reports, in <stream>/<window>")
    torchserve_url: str = flag("", "for a retrain: TorchServe to swap a promoted model into; empty: update only the registry", type=swap_address)
    hook_url: str = flag("", "for a retrain: a running retrain hook, http://host:port; empty: retrain locally", type=address)
    retrains: str = flag(".driftloop/retrains", "for a local retrain: folder for its state and logs")
    retries: int = flag(3, "retries of a step that fails because the database, MLflow or the hook is unreachable", type=whole(0, 20))
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")


@dataclass(frozen=True)
class RunFlags(BatchFlags):
    """The flags of `run`."""

    window: str = required("which rows: 2020-04, 2020-04-05, two times separated by .., last-month, last-day")
    report: str = flag("", "also write the HTML report to this file")


@dataclass(frozen=True)
class BackfillFlags(BatchFlags):
    """The flags of `backfill`."""

    first: str = required("the first window")
    last: str = required("the last window")
    by: str = flag("month", "length of the windows", choices=["month", "week", "day"])


@dataclass(frozen=True)
class ServeFlags(BatchFlags):
    """The flags of `serve`."""

    cron: str = required('schedule in UTC, such as "0 6 1 * *" for 6:00 on the first of each month')
    window: str = flag("last-month", "which rows: last-month or last-day before the newest row")


AnyFlags = RunFlags | BackfillFlags | ServeFlags
COMMANDS: Final[dict[str, tuple[type[AnyFlags], str]]] = {
    "run": (RunFlags, "one window, now"),
    "backfill": (BackfillFlags, "many windows, oldest first"),
    "serve": (ServeFlags, "on a schedule, until Ctrl-C; needs PREFECT_API_URL"),
}


def build_parser() -> parsing.Parser:
    """The parser of this command."""
    parser = parsing.parser("monitoring batch", __doc__)
    parts = parser.add_subparsers(dest="command", required=True, metavar="run | backfill | serve", parser_class=parsing.Parser)
    for name, (kind, what) in COMMANDS.items():
        command = parts.add_parser(name, help=what)
        parsing.add_flags(command, kind)
        _add_flags(command)
    return parser


def _add_flags(to: argparse.ArgumentParser) -> None:
    # SUPPRESS: --json may come before or after the command, and a default here would undo the former.
    to.add_argument("--json", **parsing.SWITCH, default=argparse.SUPPRESS, help="print the result as one JSON object, last")
    parsing.add_flags(to, BatchFlags)


def work(args: AnyFlags) -> tuple[dict[str, Any], int]:
    """Run the command.

    Raises:
        SettingsError: a flag is wrong, or a library it needs is not installed.
        TrackingError: the stream's features are its model's, which has no champion.
        DriftloopError: a step failed.
    """
    _check(args)
    prefect_engine.settle(STATE)
    with _connections(args):
        described.pick(args.stream, args.streams_file, judged=True)  # a model without a champion is noticed before Prefect starts
        try:
            if not isinstance(args, ServeFlags):
                return _now(args)
            from monitoring.batch import schedule

            schedule.serve(args.stream, args.window, cron=args.cron, options=_options(args))
            return {"stream": args.stream}, 0
        except TimeoutError as exc:  # Prefect's error for a step's time limit
            raise DriftloopError(f"a step exceeded its time limit: {exc}") from exc


def _kind(*, command: str, **given: Any) -> AnyFlags:
    return COMMANDS[command][0](command=command, **given)


def _check(args: BatchFlags) -> None:
    """Check the flags before anything starts."""
    known = stream_settings.load(args.streams_file or None)
    if args.stream not in known:
        raise SettingsError(f"there is no stream {args.stream!a:.50}; available: {', '.join(known)}")
    if args.on_drift == "retrain" and not args.hook_url:
        stream = known[args.stream]
        commands.check_alone(stream, instead="; or give the --hook_url of a retrain hook whose --command names it")
    prefect_engine.check()
    if isinstance(args, RunFlags) and args.report:
        check_place(Path(args.report))
    if reason := places.unwritable(Path(args.folder) / args.stream / "report.html"):
        raise DataError(f"--folder {args.folder}: cannot be written ({reason}); give another folder")
    if args.with_evidently:
        from monitoring.batch.report import evidently_report

        evidently_report.check()


def _options(args: BatchFlags) -> Options:
    from monitoring.batch.flow import Options

    given = {**vars(args), "experiment": args.mlflow_experiment_name}
    return Options(**{field.name: given[field.name] for field in fields(Options) if field.name in given})


def _now(args: RunFlags | BackfillFlags) -> tuple[dict[str, Any], int]:
    began = time.monotonic()
    with prefect_engine.server(STATE, meanwhile=_import_all):
        from monitoring.batch.flow import batch

        ready = time.monotonic()
        if isinstance(args, RunFlags):
            outcomes = batch(args.stream, args.window, options=asdict(_options(args)))
        else:
            outcomes = batch(args.stream, args.first, args.last, args.by, options=asdict(_options(args)))
        ended = time.monotonic()
    if isinstance(args, RunFlags) and args.report:
        _copy(Path(outcomes[-1].report), Path(args.report))
    _tell(outcomes, args)
    print(f"{ended - ready:.1f} s for {wording.count(len(outcomes), 'window')}, after {ready - began:.1f} s for Prefect")
    drifted = any(one.measures.verdict.drift for one in outcomes)
    result = {"stream": args.stream, "windows": [_result(one) for one in outcomes], "seconds": round(ended - ready, 1)}
    return result, EXIT_DRIFT if drifted and args.fail_on_drift else 0


def _import_all() -> None:
    """Import the heavy libraries of the steps, which takes 10 s."""
    import monitoring.batch.flow
    import monitoring.batch.publish  # noqa: F401


def measuring(args: Flags, *, stream: str, window: str, retrain: bool = False, by_hook: bool = False) -> str:
    """The command that measures a window, with the flags of this or another monitoring command; `by_hook`: a retrain goes through the usual hook."""
    parser = argparse.ArgumentParser()
    _add_flags(parser)
    more = ({"on_drift": "retrain"} if retrain else {}) | ({"hook_url": HOOK_URL} if by_hook else {})
    given = printed_commands.flags(parser, args, leave_out={"on_drift"}, always={"stream": stream, **more})
    return f"{printed_commands.of_prog('monitoring batch')} run --window {shlex.quote(window)} {given}"


def _tell(outcomes: list[Outcome], args: BatchFlags) -> None:
    last = outcomes[-1]
    print(last.measures.verdict.sentence)
    print(f"report: {last.report}\nMLflow: {last.url}")
    if last.retrain:
        print(last.retrain)
    elif args.on_drift == "advise":
        window, stream = last.measures.window.name, stream_settings.pick(args.stream, args.streams_file)
        here = measuring(args, stream=stream.name, window=window, retrain=True, by_hook=not (stream.retrains_alone or args.hook_url))
        print(f"next: {last.measures.next_step.replace(retraining(stream, window), here)}")


def _result(one: Outcome) -> dict[str, Any]:
    measures = one.measures
    return {
        "window": measures.window.name,
        "drift": measures.verdict.drift,
        "health": measures.answer.health,
        "kind": measures.answer.kind,
        "verdict": measures.verdict.sentence,
        measures.kpi_name: measures.kpi.value,
        "lower": measures.kpi.lower,
        "upper": measures.kpi.upper,
        "threshold": measures.threshold,
        "rows": measures.labels.rows,
        "labelled": measures.labels.labelled,
        "immature": measures.labels.immature,
        "refused": measures.quality.refused,
        "next": measures.next_step,
        "report": one.report,
        "mlflow": one.url,
        "retrain": one.retrain,
    }


def _copy(report: Path, to: Path) -> None:
    from monitoring.batch.report import batch_page

    try:
        text = report.read_text(encoding="utf-8")
    except OSError as exc:
        raise DataError(f"report {report}: cannot be read: {exc.strerror}") from exc
    batch_page.write(to, text)


@contextmanager
def _connections(args: BatchFlags) -> Iterator[None]:
    """Set the environment variables of the database and the MLflow store; start the embedded database if none runs."""
    from monitoring.log import embedded_mongo, prediction_log

    if args.tracking_uri:
        os.environ["MLFLOW_TRACKING_URI"] = args.tracking_uri
    uri = args.mongodb_uri or os.environ.get("MONGODB_URI") or embedded_mongo.running(prediction_log.FOLDER)
    if uri:
        os.environ["MONGODB_URI"] = uri
        yield
        return
    if not prediction_log.FOLDER.exists():
        raise SettingsError("there is no prediction log: give --mongodb_uri, set MONGODB_URI, or run in the folder that contains ./prediction-log")
    with embedded_mongo.Embedded(prediction_log.FOLDER) as started:
        os.environ["MONGODB_URI"] = started.uri
        yield


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, _kind)
