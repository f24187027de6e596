"""Starts the retrain that a window's verdict calls for: once per window and verdict, and only for the newest window.

Like an alert's retrain (`monitoring.retrain.retrains`), it runs `retrain_model.py` with the stream's learner, tuned, judged and
swapped, or the stream's own command. A retrain hook
is called as Alertmanager would call it, without waiting for the result; without a hook the retrain runs here to its end.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import requests

from driftloop.errors import DriftloopError
from driftloop.system import loopback
from monitoring.batch.measures.window_measures import Measures
from monitoring.retrain import commands
from monitoring.retrain.alerts import Alert
from monitoring.retrain.retrain_outcome import RUNNING
from monitoring.retrain.retrains import BATCH, BusyError, Retrain, Retrains
from monitoring.stream_settings import StreamConfig

POLL_S: Final = 0.2
HOOK_TIMEOUT_S: Final = 10.0


class HookAwayError(DriftloopError):
    """The retrain hook does not answer or cannot start a retrain now; try again later."""


def wanted(measures: Measures, others: Sequence[Measures]) -> str:
    """Why no retrain is due; "" when one is. `others` are all measured windows of the stream."""
    if not measures.verdict.kpi_drift:
        return "the KPI being worse than its threshold is not proven"
    newest = max((one.window.stop for one in others), default="")
    if newest > measures.window.stop:
        return f"newer rows have been measured (up to {newest}); only the newest window starts a retrain"
    return ""


def alert_of(measures: Measures) -> Alert:
    """The window as an alert; the same window with the same verdict is the same alert."""
    known = "\n".join((measures.id, measures.verdict.kind, *(version.version for version in measures.versions)))
    print_ = hashlib.sha256(known.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return Alert(BATCH, measures.stream, "retrain", firing=True, fingerprint=print_, starts_at=measures.window.stop)


def run_here(measures: Measures, config: StreamConfig, *, folder: Path, torchserve_url: str, timeout_s: float) -> Retrain:
    """Run the stream's retrain on the rows before the window's end, or return the one that this window already had.

    Args:
        folder: for the state and logs of retrains.
        torchserve_url: TorchServe to swap a promoted model into; "": only the registry is updated.
        timeout_s: time limit of the retrain.

    Raises:
        SettingsError: a retrain hook uses the folder: call it instead.
        DataError: the state of earlier retrains cannot be read.
        HookAwayError: another retrain of the stream has just ended.
    """
    ours = commands.alone(config)
    command = commands.retrain_command(ours, {config.name: config}, torchserve_url=torchserve_url)
    retrains = Retrains(
        folder, command=command, until=lambda _: measures.window.stop, cool_down_s=0, timeout_s=timeout_s, fault=lambda _: commands.fault(ours, config)
    )
    try:
        one = retrains.ask(alert_of(measures))
        while one.state == RUNNING:
            time.sleep(POLL_S)
            one = next(known for known in retrains.known if known.key == one.key)
    except BusyError as exc:
        raise HookAwayError(str(exc)) from exc
    finally:
        retrains.close()
    return one


def ask_hook(measures: Measures, url: str) -> dict[str, Any]:
    """Ask a retrain hook; returns its record of the retrain.

    Raises:
        HookAwayError: it does not answer, or is busy.
        DriftloopError: it refuses.
    """
    alert = alert_of(measures)
    labels = {"alertname": alert.name, "stream": alert.stream, "action": alert.action}
    body = {"status": "firing", "labels": labels, "startsAt": alert.starts_at, "fingerprint": alert.fingerprint}
    try:
        with loopback.session() as session:
            answer = session.post(f"{url.rstrip('/')}/alerts", data=json.dumps({"version": "4", "status": "firing", "alerts": [body]}), timeout=HOOK_TIMEOUT_S)
            told = answer.json()
            if answer.status_code == 503:
                raise HookAwayError(f"the retrain hook at {url} cannot start one now: {told['error']['message']}")
            if not answer.ok:
                raise DriftloopError(f"the retrain hook at {url} refuses: {told['error']['message']}")
            found: dict[str, Any] = told["retrains"][0]
    except requests.RequestException as exc:
        raise HookAwayError(f"no retrain hook answers at {url} ({type(exc).__name__}): start it, or omit --hook_url") from exc
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise DriftloopError(f"the service at {url} is not a retrain hook: {type(exc).__name__}") from exc
    return found
