"""The retrain hook: Alertmanager's webhook that starts a retrain: by the lifecycle's script, or by a stream's own command.

    python -m monitoring hook --torchserve_url http://127.0.0.1:8080 --monitor_url http://127.0.0.1:8010
    python -m monitoring hook --torchserve_url … --monitor_url … --command 'elec=retrain_model.py --total_trials 4'

    python -m monitoring hook --streams_file streams.yaml --monitor_url …     # a model that is not ours: its own command, `retrain` in the file

    POST /alerts      Alertmanager's webhook; an alert labelled action="retrain" starts one retrain, however often it is sent
    GET  /retrains    the retrains and their outcomes, newest first
    GET  /health      the hook is alive
    GET  /metrics     for Prometheus

An alert that cannot be handled now (a retrain is running, the stream's cool-down is not over, the monitor is unreachable)
gets 503, and Alertmanager sends it again while it fires. The script trains on the rows before the newest labelled one and
swaps the winner into TorchServe. After a failed retrain the champion keeps serving. A stream whose file names its table (`data`)
is read as its base model was trained; without that table the retrain has failed before it starts.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag, required
from driftloop.cli.flag_types import service_address, torchserve_address
from driftloop.cli.parsing import whole
from driftloop.errors import DataError, SettingsError
from driftloop.system import loopback
from monitoring import stream_settings
from monitoring.http.answers import CODES, answer, error, new_app, read_body
from monitoring.http.gunicorn import CLOSE, Application, check_port
from monitoring.http.strict_json import read_json
from monitoring.prometheus import CONTENT_TYPE, HookMetrics
from monitoring.records import events
from monitoring.retrain import commands
from monitoring.retrain.alerts import MAX_BYTES, MOST_ALERTS, read_webhook
from monitoring.retrain.retrains import BusyError, Retrains

RETRY_AFTER_S = 10
MONITOR_TIMEOUT_S = 3.0


def build_app(retrains: Retrains, streams: Sequence[str]) -> Flask:
    """The routes; `streams` are those that can be retrained."""
    app = new_app("retrain_hook", max_bytes=MAX_BYTES, at_most=f"{MOST_ALERTS} alerts")
    app.extensions[CLOSE] = retrains.close

    @app.post("/alerts")
    def alerts() -> Response:
        wanted = [alert for alert in read_webhook(read_json(read_body())) if alert.firing and alert.action == "retrain"]
        for alert in wanted:
            if alert.stream not in streams:
                raise DataError(f"alert {alert.name}: no retrain command for stream {alert.stream!r}; the hook was started with {', '.join(streams)}")
        return answer({"retrains": [asdict(retrains.ask(alert)) for alert in wanted]}, 202 if wanted else 200)

    @app.get("/retrains")
    def known() -> Response:
        return answer({"retrains": [asdict(one) for one in retrains.known]})

    @app.get("/health")
    def health() -> Response:
        return answer({"status": "ok"})

    measured = HookMetrics(retrains.samples)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(measured.text(), content_type=CONTENT_TYPE)

    _add_errors(app)
    return app


def _add_errors(app: Flask) -> None:
    @app.errorhandler(DataError)
    def refused(exc: DataError) -> Response:
        app.logger.warning("refused: %s", exc)
        return error(400, CODES[400], str(exc))

    @app.errorhandler(BusyError)
    def busy(exc: BusyError) -> Response:
        response = error(503, "busy", f"{exc}: send the alert again")
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response


def newest_labelled(monitor_url: str, stream: str) -> str:
    """The time of a stream's newest labelled row, from the monitor.

    Raises:
        BusyError: the monitor does not report it.
    """
    try:
        with loopback.session() as session:
            response = session.get(f"{monitor_url}/streams/{stream}", timeout=MONITOR_TIMEOUT_S)
        response.raise_for_status()
        return events.time_text(events.parse_time(response.json()["newest_labelled_time"]))
    except (requests.RequestException, DataError, KeyError, TypeError, ValueError) as exc:
        raise BusyError(f"the monitor does not report the newest labelled row of {stream} ({type(exc).__name__})") from exc


@dataclass(frozen=True)
class HookFlags(Flags):
    """The values of this command's flags."""

    monitor_url: str = required("URL of the monitor, http://host:port", type=service_address)
    torchserve_url: str | None = flag(
        None, "URL of the TorchServe on this machine, http://host:port; needed to retrain a model that it serves", type=torchserve_address
    )
    state: str = flag(".driftloop/retrains", "folder for the retrains' state and logs")
    command: list[str] | None = flag(
        None, "script of ours and flags to retrain a stream; default: from the streams file", action="append", metavar="STREAM=WORDS"
    )
    cool_down_s: int = flag(3600, "minimum pause between two retrains of a stream, in seconds", type=whole(0))
    timeout_s: int = flag(6 * 3600, "a longer retrain is stopped, with its children, in seconds", type=whole(1))
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")
    host: str = flag("127.0.0.1", "address to listen on; anyone with access can start a retrain")
    port: int = flag(8020, "port to listen on", type=whole(0, 65535))


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    return parsing.parser("monitoring hook", __doc__, HookFlags)


def work(args: HookFlags) -> tuple[dict[str, Any], int]:
    """Serve until a signal arrives.

    Raises:
        SettingsError: a flag is invalid, no stream can be retrained, a program is not there, or another hook uses the folder.
        DataError: the state in the folder is unreadable.
    """
    streams = stream_settings.load(args.streams_file)
    ours = commands.commands_of(args.command, streams)
    names = commands.retrained(ours, streams)
    if ours and not args.torchserve_url:
        raise SettingsError(f"--torchserve_url is needed to retrain {', '.join(ours)}: give the TorchServe that serves it")
    command = commands.retrain_command(ours, streams, torchserve_url=args.torchserve_url or "")

    def fault(stream: str) -> str:
        return commands.fault(ours, streams[stream])

    def make() -> Retrains:
        until = functools.partial(newest_labelled, args.monitor_url)
        return Retrains(Path(args.state), command=command, until=until, cool_down_s=args.cool_down_s, timeout_s=args.timeout_s, fault=fault)

    check_port(args.host, args.port)
    make().close()  # reports a start failure in one line, not from a worker
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    Application(lambda: build_app(make(), names), host=args.host, port=args.port, threads=4, told="the retrain hook").run()
    return {}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the hook; return its exit code."""
    return runner.run(work, build_parser(), argv, HookFlags)
