"""Finds free ports of this machine, and checks whether one is available."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import Final

HOST: Final = "127.0.0.1"


def free_ports(count: int = 1) -> list[int]:
    """This many different free ports of 127.0.0.1; another program may still take one before we do."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def port_fault(port: int, host: str = HOST) -> str:
    """Why a port is not available: "is taken", or "cannot be used (…)"; "" when it is. 0 is any free one.

    A port whose last connections are still closing is free.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            return "is taken" if exc.errno == errno.EADDRINUSE else f"cannot be used ({exc.strerror})"
    return ""
