"""The parts that `monitoring local` runs as processes: ports, commands, configuration, and readiness checks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from driftloop.errors import PartError, SettingsError
from driftloop.serving.torchserve import Ports
from driftloop.serving.torchserve_log import tail
from driftloop.settings import ROOT
from driftloop.system import loopback
from driftloop.system.ports import HOST, free_ports, port_fault
from driftloop.system.processes import Server

OPS = ROOT / "ops"
ALERTMANAGERS = ("prometheus-alertmanager", "alertmanager")  # Debian's name, and its own
POLL_S = 0.1


@dataclass(frozen=True)
class LocalPorts:
    """A port on 127.0.0.1 for each part except TorchServe, which has five."""

    mongodb: int = 27017
    prediction_service: int = 8000
    monitor: int = 8010
    retrain_hook: int = 8020
    prometheus: int = 9090
    alertmanager: int = 9093
    mlflow: int = 5000

    @classmethod
    def free(cls) -> LocalPorts:
        """Ports that are free now."""
        return cls(*free_ports(len(fields(cls))))

    def check(self, names: Sequence[str]) -> None:
        """Refuse ports that another program listens on.

        Raises:
            SettingsError: one of them is taken.
        """
        for name in names:
            if fault := port_fault(getattr(self, name)):
                raise SettingsError(f"port {getattr(self, name)} for {name} {fault}: stop what listens there, or give --free_ports")

    def url(self, name: str) -> str:
        """The URL of a part.

        >>> LocalPorts().url("prometheus")
        'http://127.0.0.1:9090'
        """
        return f"http://{HOST}:{getattr(self, name)}"


def free_torchserve_ports() -> Ports:
    """Five consecutive free ports: the scripts expect the model API one above the predictions.

    Raises:
        SettingsError: there are none.
    """
    for _ in range(100):
        first = Ports.free().inference
        found = Ports(*range(first, first + 5))
        if first + 5 < 65536 and not found.taken():
            return found
    raise SettingsError("there are no five consecutive free ports for TorchServe: leave out --free_ports")


@dataclass(frozen=True)
class Part:
    """A program to run; `asks` is a URL that answers 200 when it is ready, "" for a part without one.

    `env` is for values with a password: every user of the machine can read a command line.
    """

    name: str
    command: tuple[str, ...]
    asks: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class Running:
    """Running programs, each with a log in `folder`; leaving the `with` stops them all at once."""

    def __init__(self, folder: Path, *, env: Mapping[str, str]) -> None:
        self._folder, self._env = folder, dict(env)
        self._servers: dict[str, Server] = {}

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        with ThreadPoolExecutor(max(1, len(self._servers))) as pool:
            list(pool.map(Server.stop, self._servers.values()))

    def start(self, part: Part) -> None:
        """Start a part.

        Raises:
            PartError: its program cannot be started.
        """
        log = self._log(part.name)
        if log.exists():  # the last start's, which may show why it died
            log.replace(log.with_suffix(".log.before"))
        try:
            self._servers[part.name] = Server(part.command, log=log, env={**self._env, **part.env})
        except OSError as exc:
            raise PartError(f"{part.name} could not be started: {exc}") from exc

    def wait(self, part: Part, *, timeout_s: float) -> None:
        """Wait until a part is ready.

        Raises:
            PartError: it, or another part, ended; or it is not ready within `timeout_s`.
        """
        end = time.monotonic() + timeout_s
        while part.asks and not loopback.answers(part.asks, timeout_s=2):
            self.check()
            if time.monotonic() > end:
                raise PartError(f"{part.name} is not ready after {timeout_s:.0f} s: {self._last_words(part.name)}")
            time.sleep(POLL_S)

    def check(self, *, may_end: str = "") -> bool:
        """Whether the part `may_end` has ended without an error.

        Raises:
            PartError: another part has ended, or this one with an error.
        """
        for name, server in self._servers.items():
            if server.code is not None and not (name == may_end and server.code == 0):
                raise PartError(f"{name} {self._end(name, server.code)}")
        return bool(may_end) and self._servers[may_end].code == 0

    def pids(self) -> dict[str, int]:
        """Process id of each part."""
        return {name: server.pid for name, server in self._servers.items()}

    def _end(self, name: str, code: int) -> str:
        if code < 0:  # its last output does not explain that
            return f"was killed by signal {-code} (log: {self._log(name)})"
        return f"ended by itself with exit code {code}: {self._last_words(name)}"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _last_words(self, name: str) -> str:
        said = [line.strip() for line in tail(self._log(name)) if line.strip()]
        return f"{said[-1][:300] if said else 'no output'} (log: {self._log(name)})"


def find_alertmanager() -> str | None:
    """Alertmanager's program, or None when it is not installed."""
    return next(filter(None, map(shutil.which, ALERTMANAGERS)), None)


def prometheus_config(targets: Mapping[str, str], *, alertmanager: str, scrape_s: int) -> dict[str, Any]:
    """ops/prometheus/prometheus.yml with targets on this machine; jobs without one are left out.

    Args:
        targets: host:port by job.
        alertmanager: host:port; "" without one.
        scrape_s: seconds between two scrapes, and two evaluations of the rules.
    """
    config: dict[str, Any] = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": f"{scrape_s}s", "evaluation_interval": f"{scrape_s}s"}
    config["rule_files"] = [str(OPS / "prometheus" / rules) for rules in config["rule_files"]]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []}
    jobs = [job for job in config["scrape_configs"] if job["job_name"] in targets]
    config["scrape_configs"] = [{**job, "static_configs": [{"targets": [targets[job["job_name"]]]}]} for job in jobs]
    return config


def alertmanager_config(hook_url: str, *, repeat_s: int) -> dict[str, Any]:
    """ops/alertmanager/alertmanager.yml with this machine's retrain hook, notified every `repeat_s` seconds while an alert fires."""
    config: dict[str, Any] = yaml.safe_load((OPS / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    (to_hook,) = (route for route in config["route"]["routes"] if route["receiver"] == "retrain-hook")
    to_hook |= {"group_interval": f"{min(repeat_s, 60)}s", "repeat_interval": f"{repeat_s}s"}
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = f"{hook_url}/alerts"
    return config
