"""Runs the flow on a schedule, on an external Prefect server."""

from __future__ import annotations

import sys
import warnings
from dataclasses import asdict

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import EntrypointType

from driftloop.errors import DriftloopError, SettingsError
from monitoring.batch import prefect_engine
from monitoring.batch.flow import Options, batch


def serve(stream: str, window: str, *, cron: str, options: Options) -> None:
    """Create the deployment <stream>-<window> and run it on its schedule, each time in a new process.

    Returns on a signal; the schedule is then paused until the next `serve`.

    Raises:
        SettingsError: no server is configured, or the cron expression is invalid.
        DriftloopError: the server does not answer.
    """
    try:
        CronSchedule(cron=cron)
    except ValueError as exc:
        raise SettingsError(f"--cron {cron!a:.60}: give five cron fields, such as '0 6 1 * *'") from exc
    url = prefect_engine.known_url()
    if not url:
        raise SettingsError("serve needs a Prefect server: run prefect server start and set PREFECT_API_URL=http://127.0.0.1:4200/api")
    if not prefect_engine.answers(url):
        raise DriftloopError(f"no Prefect server answers at {url}: start it (prefect server start), or correct PREFECT_API_URL")
    # When a signal ends it, Prefect's runner leaves a coroutine that Python warns about.
    warnings.filterwarnings("ignore", message="coroutine 'Runner.* was never awaited")
    print(f"{stream}, {window}, at {cron!r} (UTC), on {url}; Ctrl-C ends it", flush=True)
    name = f"{stream}-{window}"
    try:
        batch.serve(
            name=name,
            cron=cron,
            parameters={"stream": stream, "window": window, "options": asdict(options)},
            limit=1,
            print_starting_message=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
    finally:
        _pause(f"{batch.name}/{name}")


def _pause(name: str) -> None:
    """Pause a deployment; else the server would queue runs, and the next `serve` would start them all. Prefect does so itself, but not after a signal."""
    try:
        with get_client(sync_client=True) as client:
            client.pause_deployment(client.read_deployment_by_name(name).id)
    except (HTTPError, ObjectNotFound) as exc:
        print(f"{name} could not be paused ({type(exc).__name__}): the next serve will start the runs scheduled until then", file=sys.stderr)
