"""Let what answers people have the processors before what works behind it."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

NICE: Final = 10
TRIES, WAIT_S = 5, 0.15  # the kernel takes ten such changes a second of all users together


def step_back(pid: int = 0) -> None:
    """Give a process, and the threads and children that it has from now on, less of the processors when others want them.

    The nice value by itself weighs a process within its session only, where the kernel shares the processors out by session first
    (Linux's autogroup, the default of Debian's kernel): a server with a session of its own is as good as not niced. So the
    session's own value is set, too, if the process leads it: that of a terminal is not ours to change. What cannot be set is left.

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
