"""Batch monitoring: measure a stretch of the prediction log, report on it, and start the retrain.

    python -m monitoring batch run --stream taxi --window 2020-04
    python -m monitoring batch run --stream taxi --window last-month --on_drift retrain --report april.html
    python -m monitoring batch backfill --stream taxi --first 2018-01 --last 2020-12 --by month
    prefect server start     # then, in another terminal, with PREFECT_API_URL=http://127.0.0.1:4200/api
    python -m monitoring batch serve --stream taxi --window last-month --cron "0 6 1 * *"

A window is a month (2020-04), a day (2020-04-05), two times with .. between them, last-month or last-day before the newest row. What comes of
it: a document in the database (collection `metrics`), report.html, an MLflow run batch/2020-04 below the model's, with the list of all
reports in the run reports/<stream>, and Prefect artifacts. Doing a window again takes the place of what was there.

It is a Prefect flow. Without a Prefect server it brings one of its own for the time it takes, which needs 10 to 30 s to start; `serve`
needs a real one. Nothing leaves the machine.
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
from driftloop.cli.call import Flags
from driftloop.cli.flag_types import address, experiment_name, mongodb_uri, swap_address
from driftloop.errors import EXIT_DRIFT, DataError, DriftloopError, SettingsError
from driftloop.report import wording
from driftloop.report.watch_report import check_place
from driftloop.system import places
from monitoring import stream_settings
from monitoring.batch import prefect_engine
from monitoring.batch.report.measure_words import retraining

if TYPE_CHECKING:
    from monitoring.batch.flow import Options, Outcome

STATE = Path(".driftloop/prefect")  # of a server of our own


@dataclass(frozen=True)
class BatchFlags(Flags):
    """What each of the three commands is given."""

    command: str
    stream: str
    on_drift: str
    fail_on_drift: bool
    with_evidently: bool
    mongodb_uri: str
    tracking_uri: str
    mlflow_experiment_name: str
    reference: str
    folder: str
    torchserve_url: str
    hook_url: str
    retrains: str
    retries: int
    streams_file: str


@dataclass(frozen=True)
class RunFlags(BatchFlags):
    """What `run` is given."""

    window: str
    report: str


@dataclass(frozen=True)
class BackfillFlags(BatchFlags):
    """What `backfill` is given."""

    first: str
    last: str
    by: str


@dataclass(frozen=True)
class ServeFlags(BatchFlags):
    """What `serve` is given."""

    cron: str
    window: str


AnyFlags = RunFlags | BackfillFlags | ServeFlags
KINDS: Final[dict[str, type[AnyFlags]]] = {"run": RunFlags, "backfill": BackfillFlags, "serve": ServeFlags}


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    parser = parsing.parser("monitoring batch", __doc__ or "")
    parts = parser.add_subparsers(dest="command", required=True, metavar="run | backfill | serve", parser_class=parsing.Parser)
    run = parts.add_parser("run", help="one window, now")
    run.add_argument("--window", required=True, help="which rows: 2020-04, 2020-04-05, two times with .. between them, last-month, last-day")
    run.add_argument("--report", default="", help="write the HTML report to this file, too")
    backfill = parts.add_parser("backfill", help="many windows, one after the other, the oldest first")
    backfill.add_argument("--first", required=True, help="the first window")
    backfill.add_argument("--last", required=True, help="the last window")
    backfill.add_argument("--by", choices=["month", "week", "day"], default="month", help="length of the windows")
    serve = parts.add_parser("serve", help="on a schedule, until Ctrl-C; needs PREFECT_API_URL")
    serve.add_argument("--cron", required=True, help='schedule, such as "0 6 1 * *" for six o\'clock on the first of each month, UTC')
    serve.add_argument("--window", default="last-month", help="which rows: last-month or last-day before the newest row")
    for command in (run, backfill, serve):
        _add_flags(command)
    return parser


def _add_flags(to: argparse.ArgumentParser) -> None:
    # SUPPRESS: given before or after the command, and a default here would undo the former.
    to.add_argument(
        "--json", type=parsing.switch, nargs="?", const=True, default=argparse.SUPPRESS, metavar="true|false", help="the result as one JSON object, last"
    )
    to.add_argument("--stream", required=True, help="name of the stream")
    to.add_argument(
        "--on_drift",
        choices=["advise", "retrain", "ignore"],
        default="advise",
        help="advise prints what to do next; retrain starts a retrain, when the KPI has drifted and the window is the newest; ignore prints nothing",
    )
    parsing.add_switch(to, "--fail_on_drift", "exit with code 10 when a window has drifted")
    parsing.add_switch(to, "--with_evidently", "Evidently's own report as well; needs requirements-evidently.txt")
    to.add_argument("--mongodb_uri", type=mongodb_uri, default="", help="the prediction log; empty: MONGODB_URI, else the embedded one in ./prediction-log")
    to.add_argument("--tracking_uri", default="", help="MLflow store with the models and for the reports; empty: MLFLOW_TRACKING_URI, else ./mlflow.db")
    to.add_argument(
        "--mlflow_experiment_name",
        type=experiment_name,
        default="",
        help="experiment of windows whose model is not known; empty: MLFLOW_EXPERIMENT_NAME, or Default",
    )
    to.add_argument("--reference", default="", help="folder with a training reference for each stream; empty: those of MLflow's registry")
    to.add_argument("--folder", default=".driftloop/batch", help="reports are kept here, in <stream>/<window>")
    to.add_argument("--torchserve_url", type=swap_address, default="", help="of a retrain: where a winner is swapped in; empty: the registry alone is updated")
    to.add_argument("--hook_url", type=address, default="", help="of a retrain: a running retrain hook, http://host:port; empty: it runs here")
    to.add_argument("--retrains", default=".driftloop/retrains", help="of a retrain that runs here: folder of its state and logs")
    to.add_argument(
        "--retries", type=parsing.whole(0, 20), default=3, help="retries of a step that fails because the database, MLflow or the hook is unreachable"
    )
    to.add_argument("--streams_file", default="", help="YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")


def work(args: AnyFlags) -> tuple[dict[str, Any], int]:
    """Run the command.

    Raises:
        SettingsError: a flag is wrong, or something optional that it needs is absent.
        DriftloopError: a step failed.
    """
    _check(args)
    prefect_engine.settle(STATE)
    with _connections(args):
        try:
            return _serve(args) if isinstance(args, ServeFlags) else _now(args)
        except TimeoutError as exc:  # a step's time limit, as Prefect tells it
            raise DriftloopError(f"a step took longer than it may: {exc}") from exc


def _kind(*, command: str, **given: Any) -> AnyFlags:
    return KINDS[command](command=command, **given)


def _check(args: BatchFlags) -> None:
    """Say what is wrong before anything is started."""
    known = stream_settings.load(args.streams_file or None)
    if args.stream not in known:
        raise SettingsError(f"there is no stream {args.stream!a:.50}: the streams are {', '.join(known)}")
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
    """The heavy libraries of the steps, 10 s of them."""
    import monitoring.batch.flow
    import monitoring.batch.publish  # noqa: F401


def _serve(args: ServeFlags) -> tuple[dict[str, Any], int]:
    """Run the flow by the clock, each time in a process of its own, until we are ended."""
    from monitoring.batch import schedule

    schedule.serve(args.stream, args.window, cron=args.cron, options=_options(args))
    return {"stream": args.stream}, 0


def measuring(args: Flags, *, stream: str, window: str, retrain: bool = False) -> str:
    """The command that measures a window, with the flags of a call of this or of another monitoring command."""
    parser = argparse.ArgumentParser()
    _add_flags(parser)
    more = {"on_drift": "retrain"} if retrain else {}
    given = printed_commands.flags(parser, args, leave_out={"on_drift"}, always={"stream": stream, **more})
    return f"{printed_commands.of_prog('monitoring batch')} run --window {shlex.quote(window)} {given}"


def _tell(outcomes: list[Outcome], args: BatchFlags) -> None:
    last = outcomes[-1]
    print(last.measures.verdict.sentence)
    print(f"report: {last.report}\nMLflow: {last.url}")
    if last.retrain:
        print(last.retrain)
    elif args.on_drift == "advise":
        window = last.measures.window.name
        print(f"next: {last.measures.next_step.replace(retraining(args.stream, window), measuring(args, stream=args.stream, window=window, retrain=True))}")


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
    """Put the database and the MLflow store where the steps look for them; an embedded database of our own ends with us."""
    from monitoring.log import embedded_mongo, prediction_log

    if args.tracking_uri:
        os.environ["MLFLOW_TRACKING_URI"] = args.tracking_uri
    uri = args.mongodb_uri or os.environ.get("MONGODB_URI") or embedded_mongo.running(prediction_log.FOLDER)
    if uri:
        os.environ["MONGODB_URI"] = uri
        yield
        return
    if not prediction_log.FOLDER.exists():
        raise SettingsError("there is no prediction log: give --mongodb_uri, set MONGODB_URI, or run where ./prediction-log lies")
    with embedded_mongo.Embedded(prediction_log.FOLDER) as started:
        os.environ["MONGODB_URI"] = started.uri
        yield


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, _kind)
