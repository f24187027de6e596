"""Lowers the priority of background processes below those that answer requests."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

NICE: Final = 10
TRIES, WAIT_S = 5, 0.15  # the kernel accepts ten such changes a second over all users


def step_back(pid: int = 0) -> None:
    """Lower the CPU priority of a process and of its future threads and children.

    With Linux's autogroup (the default of Debian's kernel) the kernel divides the CPU by session first, and the nice value only
    counts within a session: it has no effect on a server with its own session. So the session's value is set, too, if the
    process leads it: that of a terminal is not ours to change. Failures are ignored.

    Args:
        pid: the process; 0 is this one.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, max(NICE, os.getpriority(os.PRIO_PROCESS, pid)))
        if os.getsid(pid) == (pid or os.getpid()):
            _weigh(Path(f"/proc/{pid or 'self'}/autogroup"))


def _weigh(session: Path) -> None:
    for _ in range(TRIES):
        try:
            session.write_text(str(NICE), encoding="ascii")
            return
        except BlockingIOError:
            time.sleep(WAIT_S)
