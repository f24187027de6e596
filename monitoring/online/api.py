"""The monitor's HTTP API: ingests records of the prediction services, and reports to Prometheus and people.

    python -m monitoring monitor                                          # nothing but what is sent from now on
    python -m monitoring monitor --mongodb_uri mongodb://127.0.0.1:27017  # windows are refilled from the prediction log
    python -m monitoring monitor --tracking_uri sqlite:///mlflow.db       # references and the champion from MLflow
    python -m monitoring monitor --reference references --port 8010       # the reference of stream elec in references/elec

    POST /ingest/<stream>    {"records": [...]}: at most 1000; 200 {"taken": new ones}, all or none
    GET  /streams            the streams' names
    GET  /streams/<stream>   all that is known of one, as JSON
    GET  /reports/<stream>   302 to the newest batch report; 404 when there is none
    GET  /metrics            the same for Prometheus
    GET  /                   what there is, for people; JSON for a client that accepts that alone
    GET  /health             200 when the process lives
    GET  /ready              200 when the log has been read or tried, else 503

An error is {"error": {"code": "a fixed word", "message": "what is wrong and what to do"}}. One process holds all windows: a second one
beside it would see half of the records.
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
from driftloop.cli.flag_types import mongodb_uri
from driftloop.cli.parsing import whole
from driftloop.errors import DataError, LogError, SettingsError
from driftloop.system import priority
from monitoring import stream_settings
from monitoring.http import pages, strict_json
from monitoring.http.answers import RequestError, answer, new_app
from monitoring.http.gunicorn import CLOSE, Application, check_port
from monitoring.log import report_links
from monitoring.log.prediction_log import PredictionLog, open_log
from monitoring.online.monitor import Monitor
from monitoring.online.status_page import front
from monitoring.prometheus import CONTENT_TYPE
from monitoring.references import Folder, References, Registered

MOST_RECORDS: Final = 1000
MOST_BYTES: Final = 8 * 1024 * 1024
THREADS: Final = 8


def build_app(monitor: Monitor, *, newest_report: Callable[[str], str | None] = lambda _: None) -> Flask:
    """The routes over a monitor; nothing is started.

    Args:
        monitor: what is asked.
        newest_report: gives the address of the newest batch report of a stream, None when there is none; may raise LogError.
    """
    app = new_app("monitoring", max_bytes=MOST_BYTES, at_most=f"{MOST_RECORDS:,} records")
    _add_routes(app, monitor)
    _add_reports(app, monitor, newest_report)
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
    def told(stream: str) -> Response:
        _known(monitor, stream)
        return answer(monitor.watchers[stream].known().as_json())

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
            raise RequestError(
                404, "no_report", f"there is no report of {stream} yet: run python -m monitoring batch run --stream {stream} --window last-month"
            )
        return Response(status=302, headers={"Location": url})


def _known(monitor: Monitor, stream: str) -> None:
    if stream not in monitor.watchers:
        raise RequestError(404, "unknown_stream", f"there is no such stream: the streams are {', '.join(monitor.watchers)}")


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
    """What the service is given."""

    host: str = flag("127.0.0.1", "address to listen on")
    port: int = flag(8010, "port to listen on", type=whole(1, 65535))
    streams: str = flag("", "streams to watch, separated by commas; empty: all of the file")
    streams_file: str = flag("", "YAML file with the streams; empty: the bundled elec and taxi")
    mongodb_uri: str = flag("", "the prediction log; empty: MONGODB_URI, else none", type=mongodb_uri)
    tracking_uri: str = flag("", "MLflow store with the training references and the champion; empty: MLFLOW_TRACKING_URI, else none")
    reference: str = flag("", "folder with a training reference for each stream, in <folder>/<stream>; empty: those in MLflow")


def build_parser() -> parsing.Parser:
    """The flags of the service."""
    parser = parsing.parser("monitoring monitor", __doc__)
    parsing.add_flags(parser, MonitorFlags, mongodb_uri=os.environ.get("MONGODB_URI", ""))
    return parser


def app_of(args: MonitorFlags) -> Callable[[], Flask]:
    """What makes the app that the flags ask for, and starts its monitor.

    Raises:
        SettingsError: the streams cannot be read, or flags are wrong or contradict each other.
    """
    known = stream_settings.load(args.streams_file or None)
    names = [name.strip() for name in args.streams.split(",") if name.strip()] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"--streams {args.streams!r}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    if args.tracking_uri and args.reference:
        raise SettingsError("--tracking_uri and --reference both say where references are: give one of them")
    if args.reference and not Path(args.reference).is_dir():
        raise SettingsError(f"--reference {args.reference} is not a folder: give one that holds <stream>/reference.json")
    if args.tracking_uri:
        os.environ["MLFLOW_TRACKING_URI"] = args.tracking_uri
    registered = not args.reference and bool(os.environ.get("MLFLOW_TRACKING_URI"))

    def make() -> Flask:
        references: References | None = Registered() if registered else Folder(Path(args.reference)) if args.reference else None
        log = _log(args.mongodb_uri)
        monitor = Monitor({name: known[name] for name in names}, references=references, log=log)
        monitor.start()
        app = build_app(monitor, newest_report=functools.partial(report_links.newest, log)) if log else build_app(monitor)
        app.extensions[CLOSE] = monitor.stop
        return app

    return make


def _log(uri: str) -> PredictionLog | None:
    return open_log(uri) if uri else None


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""

    def serve(args: MonitorFlags) -> tuple[dict[str, Any], int]:
        make = app_of(args)
        check_port(args.host, args.port)
        priority.step_back()
        Application(make, host=args.host, port=args.port, threads=THREADS, told="monitoring").run()
        return {}, 0

    # A stream is judged and the registry asked in one thread: a tracking server that is down must not hold up the judging for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return runner.run(serve, build_parser(), argv, MonitorFlags)
