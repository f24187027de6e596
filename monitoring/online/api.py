"""The monitor's HTTP API: ingests records of the prediction services, and reports to Prometheus and people.

    python -m monitoring monitor                                          # only records sent from now on
    python -m monitoring monitor --mongodb_uri mongodb://127.0.0.1:27017  # windows are refilled from the prediction log
    python -m monitoring monitor --tracking_uri sqlite:///mlflow.db       # references and the champion from MLflow
    python -m monitoring monitor --reference references --port 8010       # the reference of stream elec in references/elec
    python -m monitoring monitor --fleet_alpha 0.05                       # one false-alarm rate over all streams: alerts follow it

    POST /ingest/<stream>    {"records": [...]}: at most 1000, all or none; 200 {"taken": number of new ones}
    GET  /streams            the streams' names
    GET  /streams/<stream>   the state of one stream, as JSON
    GET  /fleet              all streams by the evidence against them, at most 200 a page (?page=2&per_page=200); HTML for a browser
    GET  /reports/<stream>   302 to the newest batch report; 404 without one
    GET  /promotions         who decided when, why and on which evidence that a version serves (?stream=elec), newest first
    GET  /metrics            the same for Prometheus
    GET  /                   an overview, as HTML or JSON by the Accept header
    GET  /health             200 while the process is alive
    GET  /ready              200 once the log has been read or tried, else 503

An error is {"error": {"code": "a fixed word", "message": "what is wrong and what to do"}}. One process holds all windows: with a
second one each would see half of the records.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.cli.flag_types import mongodb_uri, rate
from driftloop.cli.parsing import whole
from driftloop.errors import DataError, LogError, SettingsError
from driftloop.system import priority
from monitoring import described, stream_settings
from monitoring.fleet import fleet_view, shared_alpha
from monitoring.http import pages, strict_json
from monitoring.http.answers import RequestError, answer, new_app
from monitoring.http.gunicorn import CLOSE, Application, check_port
from monitoring.log import report_links
from monitoring.log.prediction_log import open_log
from monitoring.online.monitor import Monitor
from monitoring.online.promotions import promotions_view
from monitoring.online.status_page import front
from monitoring.prometheus import CONTENT_TYPE
from monitoring.references import Folder, References, Registered

MOST_RECORDS: Final = 1000
MOST_BYTES: Final = 8 * 1024 * 1024
THREADS: Final = 8


def build_app(monitor: Monitor, *, newest_report: Callable[[str], str | None] = lambda _: None, promotions: promotions_view.Log | None = None) -> Flask:
    """The routes over a monitor, which is not started here.

    Args:
        monitor: all streams.
        newest_report: returns the URL of a stream's newest batch report, or None; may raise LogError.
        promotions: reads the promotion log of a registered model; None without a registry.
    """
    app = new_app("monitoring", max_bytes=MOST_BYTES, at_most=f"{MOST_RECORDS:,} records")
    _add_routes(app, monitor)
    _add_reports(app, monitor, newest_report)
    promotions_view.add_route(app, {name: watcher.config.model for name, watcher in monitor.watchers.items()}, promotions)
    return app


def _add_routes(app: Flask, monitor: Monitor) -> None:
    @app.post("/ingest/<stream>")
    def ingest(stream: str) -> Response:
        _known(monitor, stream)
        try:
            return answer({"taken": monitor.ingest(stream, _records())})
        except DataError as exc:
            raise RequestError(400, "bad_record", str(exc)) from exc

    @app.get("/streams")
    def streams() -> Response:
        return answer({"streams": list(monitor.watchers)})

    @app.get("/streams/<stream>")
    def state(stream: str) -> Response:
        _known(monitor, stream)
        return answer(monitor.watchers[stream].known().as_json())

    @app.get("/fleet")
    def fleet() -> Response:
        return fleet_view.view(monitor.fleet)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(monitor.metrics.text(), content_type=CONTENT_TYPE)

    @app.get("/")
    def root() -> Response:
        return pages.front(front(monitor, url=pages.own_url()))

    @app.get("/health")
    def health() -> Response:
        return answer({"status": "ok", "refilled": monitor.refilled})

    @app.get("/ready")
    def ready() -> Response:
        return answer({"ready": monitor.ready, "refilled": monitor.refilled}, 200 if monitor.ready else 503)


def _add_reports(app: Flask, monitor: Monitor, newest_report: Callable[[str], str | None]) -> None:
    @app.get("/reports/<stream>")
    def report(stream: str) -> Response:
        _known(monitor, stream)
        try:
            url = newest_report(stream)
        except LogError as exc:
            raise RequestError(503, "log_away", str(exc)) from exc
        if url is None or not url.startswith(("http://", "https://")):
            command = f"python -m monitoring batch run --stream {stream} --window last-month"
            raise RequestError(404, "no_report", f"there is no report of {stream} yet: run {command}")
        return Response(status=302, headers={"Location": url})


def _known(monitor: Monitor, stream: str) -> None:
    if stream not in monitor.watchers:
        raise RequestError(404, "unknown_stream", f"there is no such stream; available: {', '.join(monitor.watchers)}")


def _records() -> list[Any]:
    """The records of the request's body."""
    body = strict_json.read_request()
    if not isinstance(body, dict) or set(body) != {"records"} or not isinstance(body["records"], list):
        raise RequestError(400, "bad_body", 'the body must be {"records": [...]}, and nothing else')
    if len(body["records"]) > MOST_RECORDS:
        raise RequestError(413, "too_many", f"{len(body['records'])} records are too many: send at most {MOST_RECORDS} at a time")
    return body["records"]


@dataclass(frozen=True)
class MonitorFlags(Flags):
    """The values of this command's flags."""

    host: str = flag("127.0.0.1", "address to listen on")
    port: int = flag(8010, "port to listen on", type=whole(1, 65535))
    streams: str = flag("", "streams to monitor, comma-separated; empty: all in the file")
    streams_file: str = flag("", "YAML file with the streams; empty: the bundled elec and taxi")
    mongodb_uri: str = flag("", "the prediction log; empty: MONGODB_URI, else none", type=mongodb_uri)
    tracking_uri: str = flag(
        "",
        "MLflow store with the training references and the champion; empty: MLFLOW_TRACKING_URI, else ./mlflow.db for described streams",
    )
    fleet_alpha: float | None = flag(
        None,
        "maximum probability that any stream without a change ever alarms, over all streams together; by default each alarms at its own alpha",
        type=rate,
    )
    reference: str = flag("", "folder with a training reference for each stream, in <folder>/<stream>; empty: those in MLflow")


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    parser = parsing.parser("monitoring monitor", __doc__)
    parsing.add_flags(parser, MonitorFlags, mongodb_uri=os.environ.get("MONGODB_URI", ""))
    return parser


def app_of(args: MonitorFlags) -> Callable[[], Flask]:
    """Returns a function that makes the app for these flags and starts its monitor.

    Raises:
        SettingsError: the streams cannot be read, or flags are invalid or contradict each other.
        TrackingError: a stream's features are its model's, and the store has none.
    """
    known = stream_settings.load(args.streams_file)
    names = [name.strip() for name in args.streams.split(",") if name.strip()] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"--streams {args.streams!r}: unknown {', '.join(unknown)}; available: {', '.join(known)}")
    if args.fleet_alpha is not None:
        shared_alpha.each(args.fleet_alpha, len(set(names)))
    if args.tracking_uri and args.reference:
        raise SettingsError("--tracking_uri and --reference both set the source of references: give one of them")
    if args.reference and not Path(args.reference).is_dir():
        raise SettingsError(f"--reference {args.reference} is not a folder: give one with <stream>/reference.json")
    if args.tracking_uri:
        os.environ["MLFLOW_TRACKING_URI"] = args.tracking_uri
    by_model = any(known[name].asks_model for name in names)  # something is read from the champion, in the default store if no other is set
    registered = not args.reference and (by_model or bool(os.environ.get("MLFLOW_TRACKING_URI")))
    streams = described.complete({name: known[name] for name in names}, folder=Path(args.reference) if args.reference else None, judged=True)

    for config in streams.values():
        stream_settings.check_segments(config)

    def make() -> Flask:
        references: References | None = Registered() if registered else Folder(Path(args.reference)) if args.reference else None
        log = open_log(args.mongodb_uri) if args.mongodb_uri else None
        monitor = Monitor(streams, references=references, log=log, fleet_alpha=args.fleet_alpha)
        monitor.start()
        decided = references.promotions if isinstance(references, Registered) else None
        reports = functools.partial(report_links.newest, log) if log else lambda _: None
        app = build_app(monitor, newest_report=reports, promotions=decided)
        app.extensions[CLOSE] = monitor.stop
        return app

    return make


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""

    def serve(args: MonitorFlags) -> tuple[dict[str, Any], int]:
        check_port(args.host, args.port)
        make = app_of(args)
        priority.step_back()
        Application(make, host=args.host, port=args.port, threads=THREADS, told="monitoring").run()
        return {}, 0

    # One thread judges a stream and asks the registry: a tracking server that is down must not delay the judging for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return runner.run(serve, build_parser(), argv, MonitorFlags)
