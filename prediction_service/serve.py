"""Run the app under gunicorn: one worker process with threads, JSON answers also to what is no HTTP."""

from __future__ import annotations

import json
import socket
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, ParseException
from gunicorn.workers.gthread import ThreadWorker

from prediction_service.app import create_app
from prediction_service.settings import Settings


class JsonWorker(ThreadWorker):
    """gunicorn's threaded worker; what it refuses before the app sees it is answered as the app's own errors are."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that is no HTTP with 400, or 431 when its headers are too large."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status, reason = (431, "Request Header Fields Too Large") if isinstance(exc, LimitRequestHeaders) else (400, "Bad Request")
        body = json.dumps({"error": {"code": "bad_http", "message": f"this is no request that the server takes: {type(exc).__name__}"}})
        head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            util.write_nonblock(client, (head + body).encode())
        except OSError:
            self.log.debug("a client left before it was told what was wrong")


class Application(BaseApplication):
    """gunicorn with settings of ours, configured here alone: no file and no environment variable."""

    def __init__(self, settings: Settings, *, host: str, port: int, threads: int) -> None:
        self.settings, self.bind, self.threads = settings, f"{host}:{port}", threads
        super().__init__()

    def load_config(self) -> None:
        """What gunicorn is told."""
        for name, value in {
            "bind": self.bind,
            "workers": 1,  # one writer for the spool, one circuit breaker
            "worker_class": f"{__name__}.JsonWorker",
            "threads": self.threads,
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 30,
            "loglevel": "warning",
            "control_socket_disable": True,
            "worker_exit": close,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The app, made in the worker: threads do not survive a fork."""
        return create_app(self.settings)


def close(_: Any, worker: Any) -> None:
    """End the app of a worker that ends."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["close"]()
