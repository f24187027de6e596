"""The running compose file as an operator sees it: health, containers, logs, and HTTP through the ports on this machine's loopback."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.end_to_end.containers.engine import Engine
from tests.end_to_end.containers.images import ROOT, SERVICES

LOG = logging.getLogger("containers")
PROJECT = "driftloop-test"
LEFT_OUT = {"grafana"}  # there is no stand-in
RUN = sorted(SERVICES.keys() - LEFT_OUT)
PATIENCE_S = 600.0
PREDICTIONS, MLFLOW, PREFECT, MONITOR = (f"http://127.0.0.1:{port}" for port in (8000, 5000, 4200, 8010))
PROMETHEUS, ALERTMANAGER = "http://127.0.0.1:9090", "http://127.0.0.1:9093"

Found = TypeVar("Found")


def wait(found: Callable[[], Found], what: str, *, patience_s: float = PATIENCE_S) -> Found:
    """What `found` gives as soon as that is true; an error of the network counts as not yet."""
    end, last = time.monotonic() + patience_s, ""
    while True:
        try:
            value = found()
            if value:
                return value
        except (requests.RequestException, RuntimeError, KeyError, ValueError) as exc:
            last = f": {type(exc).__name__}: {str(exc)[-300:]}"
        assert time.monotonic() < end, f"waited {patience_s:.0f} s for {what}{last}"
        time.sleep(0.5)


class Stack:
    """The services, by name, once `up` was called."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        made = subprocess.run(["sh", ROOT / "ops" / "docker" / "secrets.sh"], capture_output=True, text=True, check=True).stdout
        (folder / "env").write_text(made)
        self.secrets: Mapping[str, str] = dict(line.split("=") for line in made.splitlines())
        self.http = requests.Session()
        self.http.trust_env = False

    def compose(self, *words: str, timeout_s: float = 1200.0) -> str:
        """docker-compose with the project's own file."""
        where = ["--project-directory", str(ROOT), "-f", str(ROOT / "docker-compose.yaml"), "--env-file", str(self.folder / "env"), "-p", PROJECT]
        return self.engine.run("docker-compose", *where, *words, timeout_s=timeout_s, log=self.folder / "compose.log")

    def up(self) -> None:
        """Start all; return when every service is well."""
        self.compose("up", "-d", "--no-build", *RUN)
        self.wait_well()

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{PROJECT}_{service}_1"

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        return dict(json.loads(self.engine.run("docker", "inspect", self.container(service)))[0])

    def well(self, service: str) -> bool:
        """Whether it runs and, where it has a health check, is healthy."""
        state = self.inspect(service)["State"]
        return bool(state["Running"]) and not state["Restarting"] and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def wait_well(self) -> None:
        """Return when every service is well."""
        for service in RUN:
            wait(lambda service=service: self.well(service), f"{service} to be healthy")

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """What a command prints inside a service's container."""
        return self.engine.run("docker", "exec", self.container(service), *command, check=check)

    def python(self, service: str, code: str) -> str:
        """What Python code prints inside a service's container."""
        return self.inside(service, "python", "-c", code).strip()

    def processes(self, service: str) -> list[int]:
        """Process ids of a service's container, on this machine."""
        return [int(line.split()[0]) for line in self.engine.run("docker", "top", self.container(service), "-eo", "pid").splitlines()[1:]]

    def logs(self, service: str) -> str:
        """All that a service has printed."""
        done = subprocess.run(["docker", "logs", self.container(service)], env=self.engine.environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def get(self, url: str, **options: Any) -> Any:
        """The JSON that a published port answers with."""
        response = self.http.get(url, timeout=30, **options)
        response.raise_for_status()
        return response.json()

    def post(self, url: str, body: Any, **options: Any) -> Any:
        """The same for a POST."""
        response = self.http.post(url, json=body, timeout=60, **options)
        response.raise_for_status()
        return response.json()

    def targets(self) -> dict[str, str]:
        """What Prometheus says of each job's target."""
        return {one["labels"]["job"]: one["health"] for one in self.get(f"{PROMETHEUS}/api/v1/targets")["data"]["activeTargets"]}

    def retrains(self) -> list[dict[str, Any]]:
        """The hook's retrains, the newest first."""
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8020/retrains').read().decode())"
        return list(json.loads(self.python("torchserve", code))["retrains"])
