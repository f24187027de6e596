"""Real MLflow stores of every kind that people run: a SQLite file, and tracking servers on SQLite, on PostgreSQL, and with passwords."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from mlflow import MlflowClient
from script_fixtures import Workshop

from driftloop.system.ports import free_ports
from driftloop.system.processes import Server

ADMIN = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "a-long-password"}
KINDS = ("sqlite", "http", "postgresql", "basic-auth")
UP_S = 120.0  # a server imports all of MLflow first


class TrackingServer:
    """An `mlflow server` with proxied artifacts, that can be killed and started again where it was."""

    def __init__(self, folder: Path, *, backend: str | None = None, auth: bool = False) -> None:
        self.folder, self.auth = folder, auth
        (self.port,) = free_ports()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.backend = backend or f"sqlite:///{folder / 'backend.db'}"
        self.server: Server | None = None

    def start(self) -> TrackingServer:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "artifacts")]
        env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        if self.auth:
            ini = self.folder / "auth.ini"
            ini.write_text(
                f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{self.folder / 'auth.db'}\nadmin_username = admin\n"
                f"admin_password = {ADMIN['MLFLOW_TRACKING_PASSWORD']}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            )
            command += ["--app-name", "basic-auth"]
            env |= {"MLFLOW_AUTH_CONFIG_PATH": str(ini), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests"}
        self.server = Server(command, log=self.folder / "server.log", env=env, folder=self.folder)
        self.wait()
        return self

    def wait(self) -> None:
        end = time.monotonic() + UP_S
        while time.monotonic() < end:
            assert self.server is not None and self.server.code is None, (self.folder / "server.log").read_text()[-2000:]
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.uri}/health", timeout=5).ok:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text()[-2000:])

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop(grace_s=2)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        assert self.server is not None
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.stop(grace_s=0)


class FaultyServer:
    """A tracking server without experiments, whose first answers are wrong in a way."""

    def __init__(self, fault: str, times: int, *, port: int = 0) -> None:
        left = itertools.count(times, -1)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                faulty = next(left) > 0
                if faulty and fault == "reset":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(int(fault) if faulty and fault.isdigit() else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                if faulty and fault == "cut off":
                    self.wfile.write(b"{")
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(b"{}")

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class ForgetfulServer:
    """In front of a real tracking server: does what is asked, and hangs up before the answer to the first request with this end of a path."""

    def __init__(self, behind: str, forgets: str) -> None:
        left = itertools.count(1, -1)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                made = requests.request(self.command, behind + self.path, data=body, headers={"Content-Type": "application/json"}, timeout=30)
                if self.path.endswith(forgets) and next(left) > 0:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(made.status_code)
                self.send_header("Content-Type", made.headers["Content-Type"])
                self.send_header("Content-Length", str(len(made.content)))
                self.end_headers()
                self.wfile.write(made.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass(frozen=True)
class StoreWorkshop(Workshop):
    """A folder to run scripts in, whose store is anywhere."""

    address: str = ""
    credentials: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return self.address or super().uri

    @property
    def client(self) -> MlflowClient:
        os.environ.update(self.credentials)
        return super().client

    @contextlib.contextmanager
    def entered(self, **environment: str) -> Iterator[None]:
        with super().entered(**(self.credentials | environment)):
            yield


@contextlib.contextmanager
def store(kind: str, folder: Path) -> Iterator[StoreWorkshop]:
    """A workshop on an empty store of a kind, whose servers end with it."""
    if kind == "sqlite":
        yield StoreWorkshop(folder)
        return
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(postgresql()) if kind == "postgresql" else None
        server = TrackingServer(folder, backend=backend, auth=kind == "basic-auth")
        stack.callback(server.stop)
        server.start()
        before = {name: os.environ.get(name) for name in ADMIN}
        yield StoreWorkshop(folder, server.uri, ADMIN if kind == "basic-auth" else {})
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def postgresql_programs() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return newest[-1].parent if newest else None


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own, as SQLAlchemy's address; it refuses to run as root, so there it runs as its own user."""
    programs = postgresql_programs()
    assert programs is not None
    user = "postgres" if os.geteuid() == 0 else None
    (port,) = free_ports()
    folder = Path(tempfile.mkdtemp(prefix="driftloop-pg-"))  # short, and open to that user: pytest's folders are root's alone
    if user:
        shutil.chown(folder, user)

    def run(program: str, *words: str) -> None:
        subprocess.run([str(programs / program), "-D", str(folder / "data"), *words], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120)

    try:
        run("initdb", "--auth=trust", "--username=mlflow", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "--wait", "--log", str(folder / "log"), "--options", options, "start")
        yield f"postgresql://mlflow@127.0.0.1:{port}/postgres"
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            run("pg_ctl", "--wait", "--mode", "immediate", "stop")
        shutil.rmtree(folder)
