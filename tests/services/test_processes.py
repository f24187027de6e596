"""Commands end within their time, servers end with all their children, and with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from driftloop.settings import ROOT
from driftloop.system import processes

FAMILY = ["/bin/sh", "-c", "sleep 300 & sleep 300 & echo ready; wait"]


def gone(group: int, *, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while processes.group_alive(group):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def family(log: Path) -> processes.Server:
    """A server with two children, once they are there."""
    server = processes.Server(FAMILY, log=log)
    while "ready" not in log.read_text():
        time.sleep(0.02)
    return server


def test_a_command_gives_its_exit_code_and_both_its_outputs():
    done = processes.run([sys.executable, "-c", "import sys; print('out'); sys.exit('err')"], timeout_s=30)
    assert (done.code, done.output.split(), done.last_line, done.timed_out) == (1, ["out", "err"], "err", False)


def test_a_command_gets_its_variables_and_folder(tmp_path):
    done = processes.run(["/bin/sh", "-c", 'echo "$WORD"; pwd'], timeout_s=10, env={"WORD": "a b"}, folder=tmp_path)
    assert done.output.splitlines() == ["a b", str(tmp_path)]


def test_a_command_over_its_time_is_killed_with_its_children():
    started = time.monotonic()
    done = processes.run(FAMILY, timeout_s=0.3)
    assert done.timed_out and done.code == -signal.SIGKILL
    assert time.monotonic() - started < 5


def test_a_command_that_says_nothing_has_a_last_line_all_the_same():
    assert processes.run(["true"], timeout_s=10).last_line == "no output"


def test_a_program_that_is_not_there_is_an_os_error():
    with pytest.raises(FileNotFoundError):
        processes.run(["no-such-program-here"], timeout_s=10)


def test_stopping_a_server_ends_its_whole_group_and_may_be_repeated(tmp_path):
    server = family(tmp_path / "log")
    assert server.code is None and processes.group_alive(server.pid)
    server.stop()
    server.stop()
    assert not processes.group_alive(server.pid) and server.code == -signal.SIGTERM


def test_a_server_deaf_to_sigterm_is_killed_after_the_grace(tmp_path):
    with processes.Server(["/bin/sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done"], log=tmp_path / "log") as server:
        while "ready" not in server.log.read_text():
            time.sleep(0.02)
        server.stop(grace_s=0.3)
        assert server.code == -signal.SIGKILL and not processes.group_alive(server.pid)


def test_children_of_a_server_that_was_killed_are_ended_by_stop(tmp_path):
    server = family(tmp_path / "log")
    os.kill(server.pid, signal.SIGKILL)
    while server.code is None:
        time.sleep(0.02)
    assert processes.group_alive(server.pid)
    server.stop()
    assert not processes.group_alive(server.pid)


def test_a_server_that_ends_by_itself_shows_its_exit_code_and_log(tmp_path):
    with processes.Server(["/bin/sh", "-c", "echo why >&2; exit 3"], log=tmp_path / "log") as server:
        end = time.monotonic() + 5
        while server.code is None and time.monotonic() < end:
            time.sleep(0.02)
        assert server.code == 3
    assert server.log.read_text() == "why\n"


def test_a_server_ends_when_its_owner_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from driftloop.system.processes import Server\n"
        f"print(Server({FAMILY!r}, log=Path(sys.argv[1])).pid, flush=True); time.sleep(300)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert owner.stdout
    group = int(owner.stdout.readline())
    assert processes.group_alive(group)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert gone(group)


def test_a_process_is_alive_until_it_ended():
    child = subprocess.Popen(["true"])
    child.wait()
    assert processes.process_alive(os.getpid()) and not processes.process_alive(child.pid)


FORKED_LATER = """
import os, sys
from driftloop.system import processes

if __name__ == "__main__":
    assert next(processes.in_parallel(str, [1, 2], jobs=2)) in ("1", "2")
    forked = os.fork()
    if forked:
        sys.exit(os.waitpid(forked, 0)[1])
"""


def test_a_process_that_is_forked_after_work_in_parallel_ends_without_a_word(tmp_path):
    (tmp_path / "later.py").write_text(FORKED_LATER)
    done = processes.run([sys.executable, str(tmp_path / "later.py")], timeout_s=60, env={"PYTHONPATH": str(ROOT)})
    assert (done.code, done.output) == (0, "")
