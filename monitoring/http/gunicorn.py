"""Runs a Flask app under gunicorn: one worker process with threads, and JSON errors even for invalid HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from driftloop.errors import DriftloopError
from driftloop.system.ports import port_fault

CLOSE: Final = "close"  # key in `app.extensions` of the app's close function, if any


class JsonWorker(ThreadWorker):
    """gunicorn's threaded worker, with two differences.

    Requests that it rejects before the app sees them get the app's error format. And once it is to end, it closes the
    connections that clients keep open without a request in them: gunicorn would wait for those all of its graceful timeout.
    """

    def murder_keepalived(self) -> None:
        """Close the kept connections whose time is over: all of them once the worker is to end."""
        if not self.alive:
            _expire(self.keepalived_conns)
        super().murder_keepalived()

    def murder_pending(self) -> None:
        """The same for connections that have not sent anything yet."""
        if not self.alive:
            _expire(self.pending_conns)
        super().murder_pending()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer an invalid HTTP request: 431 when its headers are too large, else 400."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        line = "431 Request Header Fields Too Large" if isinstance(exc, LimitRequestHeaders) else "400 Bad Request"
        body = json.dumps({"error": {"code": "bad_http", "message": f"invalid HTTP request: {type(exc).__name__}"}})
        head = f"HTTP/1.1 {line}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            util.write_nonblock(client, (head + body).encode())
        except OSError:
            self.log.debug("a client disconnected before it got the error")


def _expire(connections: Iterable[TConn]) -> None:
    for one in connections:
        one.timeout = 0.0


class Application(BaseApplication):
    """gunicorn, configured only here: no file and no environment variable.

    Args:
        make: makes the app, called in the worker: threads do not survive a fork.
        host: address to listen on.
        port: likewise.
        threads: number of concurrent requests.
        told: printed with the address once it listens.
    """

    def __init__(self, make: Callable[[], Flask], *, host: str, port: int, threads: int, told: str) -> None:
        self._make, self._threads, self._told = make, threads, told
        self._bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings."""
        for name, value in {
            "bind": self._bind,
            "workers": 1,  # one copy of the app's memory
            "worker_class": f"{__name__}.JsonWorker",
            "threads": self._threads,
            "timeout": 120,
            "graceful_timeout": 30,  # time for a running retrain to stop cleanly
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
    """Reject an unavailable port in one line: gunicorn takes five attempts and five lines. 0 is any free one.

    Raises:
        DriftloopError: another program listens there, or the address is not this machine's.
    """
    if fault := port_fault(port, host):
        raise DriftloopError(f"port {port} of {host} {fault}: stop what listens there, or choose another --port")
