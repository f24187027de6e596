"""Starts other programs and leaves none behind: the only module that starts processes.

A command runs under a time limit. A server runs in its own process group, so that stopping it
stops its children too; a guard in that group stops it when we are killed, even by SIGKILL,
which leaves no chance to clean up. Our own work is distributed over worker processes, which
end with us in the same way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from driftloop.errors import DriftloopError

# The shell's stdin is a pipe that only we hold open. When we end, for whatever reason, the reader
# gets end-of-file and kills its process group, itself last. The server replaces the shell.
GUARD = 'exec 3<&0 </dev/null; (read -r _ <&3; kill -s KILL 0) & exec "$@" 3<&-'
POLL_S = 0.05

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code (negative: the signal) and what it printed."""

    code: int
    output: str
    timed_out: bool = False

    @property
    def last_line(self) -> str:
        """The last line printed that is not blank: for most tools the error itself."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "no output"


def run(command: Sequence[str | os.PathLike[str]], *, timeout_s: float, env: Mapping[str, str] | None = None, folder: Path | None = None) -> Finished:
    """Run a command to its end, stdout and stderr captured together, without a shell.

    Args:
        command: the program and its arguments.
        timeout_s: after this time the command and its children are killed.
        env: variables to set on top of ours.
        folder: working directory; ours by default.

    Raises:
        OSError: the program does not start.

    >>> run(["echo", "hello"], timeout_s=10).last_line
    'hello'
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(env),
        cwd=folder,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _signal_group(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Finished(process.returncode, output, timed_out=True)
    except BaseException:  # Ctrl-C: the command has its own group and would not get it
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return Finished(process.returncode, output)


class Server:
    """A long-running program in its own process group; use it with `with` or call `stop`.

    Args:
        command: the program and its arguments.
        log: file to which stdout and stderr are appended; None: both are ours.
        errors: file to which stderr is appended instead.
        env: variables to set on top of ours.
        folder: working directory; ours by default.

    Raises:
        OSError: the log cannot be opened, or the program not started.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path | None = None,
        errors: Path | None = None,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log = log or Path("/dev/stdout")
        with log.open("ab") if log else nullcontext() as out, errors.open("ab") if errors else nullcontext() as err:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "guard", *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err or (subprocess.STDOUT if out else None),
                env=_environment(env),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the program, equal to its process group's."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code (negative: the signal), or None while the program runs."""
        return self._process.poll()

    def stop(self, *, grace_s: float = 10.0) -> None:
        """Stop the whole group: SIGTERM, then SIGKILL after `grace_s` seconds.

        Returns when no process of the group is left; idempotent.
        """
        for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            _signal_group(self.pid, number)
            if self._gone(wait_s):
                break
        if self._process.stdin:
            self._process.stdin.close()

    def _gone(self, wait_s: float) -> bool:
        end = time.monotonic() + wait_s
        while self.code is None or group_alive(self.pid):
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], *, jobs: int) -> Generator[Result]:
    """The results of `function` for each item, computed by worker processes, in order of completion.

    Whatever ends this process (an error, Ctrl-C, even SIGKILL) ends the workers at once.

    Args:
        function: importable by its name, as are the types of its arguments: workers are fresh interpreters.
        items: the arguments.
        jobs: maximum number of workers.

    Raises:
        DriftloopError: a worker died.
    """
    known = set(multiprocessing.active_children())
    # Workers inherit the mask: only we receive Ctrl-C, and end them without output.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pool = ProcessPoolExecutor(min(jobs, len(items)) or 1, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        waiting = [pool.submit(function, item) for item in items]
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for ready in as_completed(waiting):
            yield ready.result()
    except BrokenProcessPool as exc:
        raise DriftloopError("a worker process died, possibly out of memory: try again with --jobs 1") from exc
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for worker in set(multiprocessing.active_children()) - known:
            worker.kill()
        # Waits until all are reaped: a process forked from us later would take the rest for its own children, and fail at its exit.
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def group_alive(group: int) -> bool:
    """True while a process of the group runs; zombies do not count."""
    if not _signal_group(group, 0):
        return False
    return any(_runs_in(process, group) for process in psutil.process_iter())


def process_alive(pid: int) -> bool:
    """True while a process with this id exists, of any user."""
    return psutil.pid_exists(pid)


def _runs_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(extra or {})}
