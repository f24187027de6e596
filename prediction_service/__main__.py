"""Serve predictions under gunicorn, one worker process with threads, and log each into a local spool.

    python -m prediction_service --streams elec --torchserve_url http://127.0.0.1:8080 --spool .driftloop/spool
    python -m prediction_service --streams elec,taxi --torchserve_url http://127.0.0.1:8080 --spool .driftloop/spool \\
        --monitor_url http://127.0.0.1:8010 --port 8000

A stream without features has those of its model's champion in MLflow. The fallback tables come from the training references
of the registered models there and follow the served version; with --reference both come from a folder,
<folder>/<stream>/reference.json, and stay the same.

The model of a stream with `model_uri` is loaded from MLflow's registry (MLFLOW_TRACKING_URI) into this process, and follows its alias.
A stream with `served: elsewhere` has no model here: what another system predicted for it comes by POST /log.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.cli.flag_types import address, torchserve_address
from driftloop.cli.parsing import whole
from driftloop.errors import SettingsError

if TYPE_CHECKING:
    from monitoring.fallback import Fallback
    from monitoring.stream_settings import StreamConfig


@dataclass(frozen=True)
class ServiceFlags(Flags):
    """The flags of the service."""

    streams: str = flag("elec", "streams to serve, separated by commas")
    streams_file: str = flag("", "YAML file that describes them; empty: the bundled monitoring/streams.yaml")
    torchserve_url: str = flag("http://127.0.0.1:8080", "TorchServe with the models", type=torchserve_address)
    spool: str = flag(".driftloop/spool", "folder for the records; empty: nothing is logged, labels are refused")
    monitor_url: str = flag("", "the monitor; the fallback answers for versions it finds unacceptable; empty: none", type=address)
    reference: str = flag("", "folder with each stream's training reference; empty: from MLflow")
    host: str = flag("127.0.0.1", "address to listen on")
    port: int = flag(8000, "port to listen on", type=whole(1, 65535))
    threads: int = flag(16, "requests handled concurrently", type=whole(2, 256))
    model_timeout_ms: int = flag(2000, "timeout for the model; then the fallback answers", type=whole(10, 60_000))
    resolve_every_s: int = flag(60, "pause between two looks at where the alias of a model_uri points", type=whole(1, 86_400))
    look_every_ms: int = flag(2000, "pause between two checks of the models and the monitor", type=whole(50, 600_000))


def build_parser() -> parsing.Parser:
    """The parser of the service."""
    return parsing.parser("prediction_service", __doc__, ServiceFlags)


def work(args: ServiceFlags) -> tuple[dict[str, Any], int]:
    """Serve until SIGTERM or Ctrl-C."""
    from monitoring import described, stream_settings
    from monitoring.http.gunicorn import Application, check_port
    from prediction_service.app import create_app
    from prediction_service.registry_model import first_look
    from prediction_service.service_settings import Settings

    known = stream_settings.load(args.streams_file or None)
    names = [name.strip() for name in args.streams.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise SettingsError(f"--streams {args.streams!r}: unknown {', '.join(unknown) or 'nothing'}; known are {', '.join(known)}")
    check_port(args.host, args.port)
    folder = Path(args.reference) if args.reference else None
    streams = described.complete({name: known[name] for name in names}, folder=folder)
    first_look.check([stream for stream in streams.values() if stream.model_uri])
    served = {name: stream for name, stream in streams.items() if not stream.elsewhere}
    settings = Settings(
        streams=streams,
        fallbacks={name: _fallback(stream, folder) for name, stream in served.items()},
        torchserve_url=args.torchserve_url,
        spool=Path(args.spool) if args.spool else None,
        monitor_url=args.monitor_url,
        renew=folder is None,
        model_timeout_s=args.model_timeout_ms / 1000,
        resolve_every_s=args.resolve_every_s,
        look_every_s=args.look_every_ms / 1000,
    )
    Application(partial(create_app, settings), host=args.host, port=args.port, threads=args.threads, told=f"serving {', '.join(names)}").run()
    return {}, 0


def _fallback(stream: StreamConfig, folder: Path | None) -> Fallback:
    from prediction_service import fallback_tables

    if stream.model_uri:
        return fallback_tables.constant(stream)
    return fallback_tables.read(stream, folder) if folder else fallback_tables.fetch(stream)


def main(argv: list[str] | None = None) -> int:
    """Run the service; return its exit code."""
    return runner.run(work, build_parser(), argv, ServiceFlags)


if __name__ == "__main__":
    sys.exit(main())
