"""Serves MLflow's UI and prints the URL of the newest lifecycle or base model.

    python -m driftloop.ui                                    # or: make ui
    python -m driftloop.ui --mlflow_experiment_name elec --port 5050

MLflow's start page is for language models and shows none of our runs. The store is MLFLOW_TRACKING_URI, or else
mlflow.db in the current folder. For a tracking server at http://... nothing is started: it has its own UI. Ctrl-C stops it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.cli.parsing import whole
from driftloop.errors import NoBaseRunError, SettingsError, TrackingError
from driftloop.settings import DEFAULT_STORE
from driftloop.system import loopback, processes
from driftloop.system.ports import free_ports, port_fault
from driftloop.tracking import links

PORT: Final = 5000  # used when free
START_S: Final = 120.0
POLL_S: Final = 0.2


@dataclass(frozen=True)
class UiFlags(Flags):
    """The flags of this module."""

    mlflow_experiment_name: str = flag("", "show the newest run of this experiment; empty: of the whole store")
    port: int = flag(0, f"port of 127.0.0.1; 0: {PORT}, or a free one where that is taken", type=whole(0, 65535))
    browser: bool = flag(True, "open the URL in a browser, if there is a terminal and a desktop")


def build_parser() -> parsing.Parser:
    """The flags of this module."""
    return parsing.parser("driftloop.ui", __doc__, UiFlags, result=False)


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    return runner.run(work, build_parser(), argv, UiFlags)


def work(args: UiFlags) -> tuple[dict[str, Any], int]:
    """Serve, print the addresses, wait."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    places = _newest(uri, args.mlflow_experiment_name)
    if uri.startswith(("http://", "https://")):
        _show(uri, places, args)
        return {}, 0
    with _served(uri, _port(args.port)) as (url, server):
        _show(url, places, args)
        print("Ctrl-C ends it", flush=True)
        try:
            while server.code is None:
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            return {}, 0
    raise TrackingError(f"MLflow's UI exited unexpectedly (exit code {server.code}): try another --port")


def _newest(uri: str, experiment: str) -> dict[str, str]:
    """The paths in the UI of the newest parent run, and of the list of runs."""
    from driftloop.tracking import mlflow_store, runs, stores

    file = stores.sqlite_file(uri)
    if file and os.access(file.parent, os.X_OK) and not file.is_file():
        raise NoBaseRunError(f"there is no MLflow store {uri} here yet: run make run, or python lifecycle.py, in this folder first")
    run = runs.newest_parent(mlflow_store.open_reader(), experiment)
    return {run.info.run_name: links.run(run.info.experiment_id, run.info.run_id), "all runs": links.experiment(run.info.experiment_id)}


def _show(url: str, places: dict[str, str], args: UiFlags) -> None:
    for name, place in places.items():
        print(f"{name}: {links.on_server(url, place)}", flush=True)
    if args.browser and runner.on_terminal() and (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(links.on_server(url, next(iter(places.values()))))


def _port(asked: int) -> int:
    """The port asked for, or the usual one, or a free one.

    Raises:
        SettingsError: the requested one is in use.
    """
    if not port_fault(asked or PORT):
        return asked or PORT
    if asked:
        raise SettingsError(f"--port {asked}: another program listens there; give another port, or omit the flag for a free one")
    return free_ports()[0]


@contextmanager
def _served(uri: str, port: int) -> Iterator[tuple[str, processes.Server]]:
    """MLflow's UI on a local store, ready for requests.

    Raises:
        TrackingError: it does not respond.
    """
    from driftloop.tracking import stores

    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with tempfile.TemporaryDirectory(prefix=f"driftloop-ui-{os.getpid()}-") as folder:
        log = Path(folder) / "mlflow.log"
        with processes.Server(command, log=log, env={"MLFLOW_BACKEND_STORE_URI": uri}) as server:  # the URI may contain a password
            end = time.monotonic() + START_S
            while not loopback.answers(f"{url}/health", timeout_s=5):
                if server.code is not None or time.monotonic() > end:
                    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
                    raise TrackingError(f"MLflow's UI does not start on {stores.shown(uri)}: {said[-1] if said else 'no output'}")
                time.sleep(POLL_S)
            yield url, server


if __name__ == "__main__":
    sys.exit(main())
