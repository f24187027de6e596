"""Run a Flask app of ours under gunicorn: one worker process with threads, and JSON also for what is no HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any, Final

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, ParseException
from gunicorn.workers.gthread import ThreadWorker

from driftloop.errors import DriftloopError
from driftloop.system.ports import port_fault

CLOSE: Final = "close"  # of `app.extensions`: what ends an app, when it has something to end


class JsonWorker(ThreadWorker):
    """gunicorn's threaded worker; what it refuses before the app sees it is answered as the app's own errors are."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that is no HTTP: 431 when its headers are too large, else 400."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        line = "431 Request Header Fields Too Large" if isinstance(exc, LimitRequestHeaders) else "400 Bad Request"
        body = json.dumps({"error": {"code": "bad_http", "message": f"this is not a request that the server accepts: {type(exc).__name__}"}})
        head = f"HTTP/1.1 {line}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            util.write_nonblock(client, (head + body).encode())
        except OSError:
            self.log.debug("a client left before it got the error")


class Application(BaseApplication):
    """gunicorn, configured here alone: no file and no environment variable.

    Args:
        make: makes the app, called in the worker: threads do not survive a fork.
        host: address to listen on.
        port: likewise.
        threads: requests that are answered at a time.
        told: what is printed with the address, once connections are taken there.
    """

    def __init__(self, make: Callable[[], Flask], *, host: str, port: int, threads: int, told: str) -> None:
        self._make, self._threads, self._told = make, threads, told
        self._bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__()

    def load_config(self) -> None:
        """What gunicorn is told."""
        for name, value in {
            "bind": self._bind,
            "workers": 1,  # what the app holds in memory is there once
            "worker_class": f"{__name__}.JsonWorker",
            "threads": self._threads,
            "timeout": 120,
            "graceful_timeout": 30,  # for a retrain that runs, to end tidily
            "keepalive": 30,
            "loglevel": "warning",
            "control_socket_disable": True,
            "when_ready": self._tell,
            "worker_exit": _close,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The app."""
        return self._make()

    def _tell(self, arbiter: Any) -> None:
        print(f"{self._told} on {', '.join(map(str, arbiter.LISTENERS))}", flush=True)


def _close(_: Any, worker: Any) -> None:
    app = getattr(worker, "wsgi", None)
    if app is not None and CLOSE in app.extensions:
        app.extensions[CLOSE]()


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on: gunicorn says so after five tries, in as many lines. 0 is any free one.

    Raises:
        DriftloopError: another program listens there, or the address is not this machine's.
    """
    if fault := port_fault(port, host):
        raise DriftloopError(f"port {port} of {host} {fault}: end what listens there, or give another --port")
