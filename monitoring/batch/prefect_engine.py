"""Prefect's environment for a flow: its settings, and a server.

Prefect needs a server for the states of runs: the one in PREFECT_API_URL or Prefect's profile, else a temporary one on the loopback. Ours ends with
this process, however that ends; the one that Prefect itself would start does not. Analytics are off: nothing leaves the machine.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from driftloop.errors import DriftloopError, SettingsError
from driftloop.serving.torchserve_log import tail
from driftloop.system import loopback, processes
from driftloop.system.ports import free_ports

START_S: Final = 180.0  # the first start creates the database's tables
POLL_S: Final = 0.1
APP: Final = "prefect.server.api.server:create_app"


def check() -> None:
    """Raise a SettingsError unless Prefect is installed."""
    if importlib.util.find_spec("prefect") is None:
        raise SettingsError("Prefect is not installed: pip install -r requirements-batch.txt")


def settle(folder: Path) -> None:
    """Set the environment before Prefect is imported; the user's own settings win. `folder` becomes PREFECT_HOME if nothing else is set."""
    for name, value in {
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # `server` starts one that ends with this process
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # errors are one line of ours; Prefect's log goes to its server
        "PREFECT_CLIENT_MAX_RETRIES": "2",
    }.items():
        os.environ.setdefault(name, value)
    if "PREFECT_API_URL" not in os.environ and not (Path.home() / ".prefect" / "profiles.toml").exists():
        os.environ.setdefault("PREFECT_HOME", str(folder.absolute()))


def known_url() -> str:
    """The server in Prefect's settings; "" for none."""
    from prefect.settings import get_current_settings

    return str(get_current_settings().api.url or "")


@contextmanager
def server(folder: Path, *, meanwhile: Callable[[], None]) -> Iterator[str]:
    """Yield the URL of a server for the flows: the configured one, else a temporary one.

    Args:
        folder: for the temporary server's database and log.
        meanwhile: called while the server starts.

    Raises:
        DriftloopError: the configured server does not answer, or the temporary one does not start.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    named = known_url()
    if named:
        if not answers(named):
            raise DriftloopError(f"no Prefect server answers at {named}: start it (prefect server start), or unset PREFECT_API_URL to run without one")
        meanwhile()
        yield named
        return
    folder.mkdir(parents=True, exist_ok=True)
    port = free_ports()[0]
    url = f"http://127.0.0.1:{port}/api"
    log = folder / "server.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "uvicorn", "--factory", APP, "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    env = {"PREFECT_HOME": str(folder.absolute()), "PREFECT_UI_ENABLED": "false", "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"}
    # Nobody reads this server's log of the run, and the last messages would come after its end.
    settings = {PREFECT_API_URL: url, PREFECT_LOGGING_TO_API_ENABLED: False}
    with processes.Server(command, log=log, env=env) as started, temporary_settings(settings):
        meanwhile()
        _wait(started, url)
        yield url


def _wait(started: processes.Server, url: str) -> None:
    end = time.monotonic() + START_S
    while not answers(url):
        if started.code is not None or time.monotonic() > end:
            said = [line for line in tail(started.log) if line.strip()]
            raise DriftloopError(f"Prefect's server did not start; {started.log} ends with: {said[-1][:300] if said else 'nothing'}")
        time.sleep(POLL_S)


def answers(url: str) -> bool:
    """True when a healthy server answers."""
    return loopback.answers(f"{url.rstrip('/')}/health", timeout_s=5)
