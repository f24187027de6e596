"""What works behind the services takes the processors last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from driftloop.system import priority, processes

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.fixture
def server(tmp_path: Path) -> processes.Server:
    with processes.Server(["sleep", "300"], log=tmp_path / "log") as started:
        yield started


def test_a_server_is_niced_with_the_session_that_it_leads(server: processes.Server) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    priority.step_back(server.pid)
    assert os.getpriority(os.PRIO_PROCESS, server.pid) == priority.NICE
    if AUTOGROUP.exists():
        assert Path(f"/proc/{server.pid}/autogroup").read_text().split()[-1] == str(priority.NICE)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_what_is_nicer_already_is_left_so(server: processes.Server) -> None:
    os.setpriority(os.PRIO_PROCESS, server.pid, 15)
    priority.step_back(server.pid)
    assert os.getpriority(os.PRIO_PROCESS, server.pid) == 15


def test_a_session_that_another_process_leads_keeps_its_own(tmp_path: Path) -> None:
    if not AUTOGROUP.exists():
        pytest.skip("this kernel does not group by session")
    child = ["/bin/sh", "-c", 'nice -n 10 sleep 300 & echo $! > "$0"; cat /proc/self/autogroup; wait', str(tmp_path / "pid")]
    with processes.Server(child, log=tmp_path / "log") as leader:
        while not (tmp_path / "log").read_text().strip() or not (tmp_path / "pid").read_text().strip():
            pass
        priority.step_back(int((tmp_path / "pid").read_text()))
        assert Path(f"/proc/{leader.pid}/autogroup").read_text().split()[-1] == "0"
