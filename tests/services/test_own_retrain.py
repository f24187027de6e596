"""The person's own retrain command, started by an alert through the real hook: what it is given, what is recorded, and that nothing of it is left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prediction_fixtures import wait_for

from driftloop.settings import ROOT
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from monitoring.batch import flow_command
from monitoring.local import keeper
from monitoring.retrain import retrain_outcome
from monitoring.retrain.webhook import main

UNTIL = "2020-04-01T07:30:00.000Z"
STREAM = "{{served: elsewhere, kpi: accuracy, labels: [a, b], block_size: 10, threshold: 0.7, model: xgb, retrain: {}}}"


def alert(fingerprint: str, stream: str) -> dict[str, Any]:
    labels = {"alertname": "KpiBelowThreshold", "stream": stream, "action": "retrain"}
    one = {"status": "firing", "labels": labels, "startsAt": "2020-04-01T08:00:00Z", "fingerprint": fingerprint}
    return {"version": "4", "status": "firing", "alerts": [one]}


class Hook:
    """A running hook whose streams churn and calm have train.py, a few lines of Python, as their command."""

    def __init__(self, folder: Path, url: str, server: Server) -> None:
        self.folder, self.url, self.server, self._sent = folder, url, server, 0

    def send(self, *, stream: str = "churn", fingerprint: str = "") -> requests.Response:
        self._sent += 1
        return requests.post(f"{self.url}/alerts", json=alert(fingerprint or f"{self._sent:x}", stream), timeout=10)

    def known(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/retrains", timeout=10).json()["retrains"]
        return found

    def run(self, script: str) -> dict[str, Any]:
        """What came of the retrain by this script."""
        (self.folder / "train.py").write_text(script)
        assert self.send().status_code == 202
        wait_for(lambda: self.known()[0]["state"] != "running", what="the end of the retrain", timeout_s=30)
        return self.known()[0]


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A process that answers what the monitor does about the newest label."""
    folder, (port,) = tmp_path_factory.mktemp("monitor"), free_ports()[:1]
    (folder / "streams").mkdir()
    for name in ("churn", "calm"):
        (folder / "streams" / name).write_text(json.dumps({"newest_labelled_time": UNTIL}))
    url = f"http://127.0.0.1:{port}"
    with Server([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)], log=folder / "log"):
        wait_for(lambda: _answers(f"{url}/streams/churn"), what="the monitor")
        yield url


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def hook_of(folder: Path, monitor: str, *flags: str) -> Iterator[Hook]:
    command = f"{sys.executable} train.py --flag 'a b'"
    (folder / "streams.yaml").write_text(f"churn: {STREAM.format(json.dumps(command))}\ncalm: {STREAM.format(json.dumps([sys.executable, 'train.py']))}\n")
    url = f"http://127.0.0.1:{free_ports()[0]}"
    given = ["--monitor_url", monitor, "--streams_file", str(folder / "streams.yaml"), "--state", str(folder / "state"), "--port", url.rpartition(":")[2]]
    with Server([sys.executable, "-m", "monitoring", "hook", *given, *flags], log=folder / "hook.log", folder=ROOT) as server:
        wait_for(lambda: _answers(f"{url}/health"), what="the hook", timeout_s=60)
        yield Hook(folder, url, server)


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory, monitor: str) -> Iterator[Hook]:
    with hook_of(tmp_path_factory.mktemp("hook"), monitor, "--cool_down_s", "0", "--timeout_s", "3") as made:
        yield made


def test_the_command_runs_in_the_streams_files_folder_and_gets_why_and_until_when(hook: Hook) -> None:
    script = "import json, os, sys\nprint(json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ)]))"
    found = hook.run(script)
    folder, words, env = json.loads(Path(found["log"]).read_text())
    assert (folder, words) == (str(hook.folder), ["--flag", "a b"])
    ours = {name: value for name, value in env.items() if name.startswith("DRIFTLOOP_") and name not in os.environ}
    assert ours == {"DRIFTLOOP_STREAM": "churn", "DRIFTLOOP_MODEL": "xgb", "DRIFTLOOP_REASON": "KpiBelowThreshold", "DRIFTLOOP_UNTIL_TIME": UNTIL}
    assert (found["state"], found["message"], found["version"], found["until_time"]) == ("retrained", "its command ended with exit code 0", "", UNTIL)
    assert 'driftloop_last_retrain{state="retrained",stream="churn"} 1.0' in requests.get(f"{hook.url}/metrics", timeout=5).text.splitlines()


@pytest.mark.parametrize(
    ("script", "state", "message", "version"),
    [
        ('print(\'{"promoted": true, "version": 8, "decision": "better"}\')', "promoted", "better", "8"),
        ("print('{\"promoted\": false}')", "kept", "exit code 0", ""),
        ('print(\'{"version": "v1", "rows": 3}\\n\\n\')', "retrained", "exit code 0", "v1"),
        ("print('{\"version\": \"v1\"}'); print('done')", "retrained", "exit code 0", ""),
        ('print(\'{"version": [1], "promoted": "yes", "decision": {}}\')', "retrained", "exit code 0", ""),
        ("print('{\"version\": \"' + 'x' * 10000 + '\"}')", "retrained", "exit code 0", "x" * 200),
        ('print(\'{"version": "\\\\ud800", "decision": "\\\\ud800"}\')', "retrained", "?", "?"),
        ("print('[' * 100000)", "retrained", "exit code 0", ""),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe{')", "retrained", "exit code 0", ""),
        ("import sys; print('{\"version\": 2}'); print('a warning', file=sys.stderr)", "retrained", "exit code 0", "2"),
        ("import sys; print('out'); sys.exit('no rows')", "failed", "exit code 1: no rows", ""),
        ('import sys; print(\'{"version": 2, "promoted": true}\'); sys.exit(3)', "failed", "exit code 3: {", ""),
        ("raise ValueError('bad\\nlast')", "failed", "exit code 1: last", ""),
        ("import sys; sys.exit(10)", "failed", "exit code 10: it printed nothing", ""),
        ("import os; os.kill(os.getpid(), 9)", "failed", "exit code -9: it printed nothing", ""),
        ("import sys; sys.stdin.read(); print('read')", "retrained", "exit code 0", ""),
    ],
)
def test_the_exit_code_decides_and_a_last_line_of_json_is_recorded(hook: Hook, script: str, state: str, message: str, version: str) -> None:
    found = hook.run(script)
    assert (found["state"], found["version"]) == (state, version)
    assert message in found["message"] and "champion" not in found["message"]


def test_a_script_that_is_not_there_has_failed_with_what_its_program_says(hook: Hook) -> None:
    (hook.folder / "train.py").unlink(missing_ok=True)
    hook.send()
    wait_for(lambda: hook.known()[0]["state"] == "failed", what="the end of the retrain")
    assert "train.py" in hook.known()[0]["message"] and "No such file" in hook.known()[0]["message"]


def test_a_hundred_megabytes_of_output_do_not_fill_the_hooks_memory(hook: Hook) -> None:
    def used() -> int:
        group = psutil.Process(hook.server.pid)
        return sum(one.memory_info().rss for one in [group, *group.children(recursive=True)])

    before = used()
    found = hook.run(
        "import sys\nfor stream in (sys.stdout, sys.stderr):\n    for _ in range(50): stream.write('x' * 10**6)\nprint()\nprint('{\"version\": 5}')"
    )
    assert (found["state"], found["version"]) == ("retrained", "5")
    assert Path(found["log"]).stat().st_size > 50e6
    assert used() - before < 30e6
    for file in (hook.folder / "state").glob("*.log"):
        file.unlink()


def test_after_the_time_limit_the_whole_group_is_killed_even_where_it_ignores_sigterm(hook: Hook) -> None:
    began = "subprocess.Popen(['sleep', '98765'])\nprint('began', flush=True)\ntime.sleep(600)"
    script = f"import signal, subprocess, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{began}"
    found = hook.run(script)
    assert (found["state"], found["message"]) == ("failed", "not done within 3 s")
    assert "began" in Path(found["log"]).read_text()
    assert running("98765") == []


def running(word: str) -> list[int]:
    return [one.pid for one in psutil.process_iter(["cmdline"]) if word in (one.info["cmdline"] or [])]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_lock_cool_down_and_record_are_those_of_our_own_retrain(tmp_path: Path, monitor: str, number: int) -> None:
    (tmp_path / "train.py").write_text("import subprocess\nsubprocess.run(['sleep', '87654'])")
    with hook_of(tmp_path, monitor) as hook:
        assert hook.send(fingerprint="a").status_code == 202
        wait_for(lambda: running("87654"), what="the command")
        assert hook.send(fingerprint="a").json()["retrains"][0]["state"] == "running"  # the same alert: the same retrain
        assert "a retrain is running" in hook.send(stream="calm").json()["error"]["message"]
        (os.killpg if number == signal.SIGKILL else os.kill)(hook.server.pid, number)
        wait_for(lambda: hook.server.code is not None and not running("87654"), what="the end of hook and command")
    (tmp_path / "train.py").write_text('print(\'{"promoted": true, "version": 2}\')')
    with hook_of(tmp_path, monitor) as hook:
        assert [one["state"] for one in hook.known()] == ["cut off"]
        assert hook.send(fingerprint="a").status_code == 202
        wait_for(lambda: hook.known()[0]["state"] == "promoted", what="the end of the retrain")
        assert hook.send(fingerprint="a").json()["retrains"][0]["version"] == "2"
        assert "may start in" in hook.send(fingerprint="b").json()["error"]["message"]


@pytest.mark.parametrize(
    ("retrain", "said"),
    [
        ("no-such-program --x", "the program 'no-such-program' is not in PATH: install it, or correct `retrain` in the streams file"),
        ("train.sh", "the program 'train.sh' is not in PATH: write ./train.sh or python train.sh"),
        ("./none.sh", "the program './none.sh' does not exist in"),
        ("./folder", "the program './folder' is a folder"),
        ("./train.sh", "the program './train.sh' is not executable: chmod +x it, or name the program that runs it"),
        ("", "retrain '': is empty"),
    ],
)
@pytest.mark.parametrize("start", ["hook", "batch"])
def test_a_program_that_cannot_run_is_one_line_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], retrain: str, said: str, start: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "train.sh").write_text("#!/bin/sh\n")
    (tmp_path / "streams.yaml").write_text(f"churn: {STREAM.format(json.dumps(retrain))}\n")
    file = ["--streams_file", str(tmp_path / "streams.yaml")]
    if start == "hook":
        assert main([*file, "--monitor_url", "http://127.0.0.1:1", "--state", str(tmp_path / "state")]) == 2
    else:
        assert flow_command.main(["run", *file, "--stream", "churn", "--window", "last-day", "--on_drift", "retrain", "--folder", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "state").exists() and not (tmp_path / "out").exists()


def test_a_hook_without_anything_to_retrain_or_without_torchserve_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "streams.yaml").write_text(f"churn: {STREAM.format('null')}\n")
    given = ["--monitor_url", "http://127.0.0.1:1", "--state", str(tmp_path / "state")]
    assert main([*given, "--streams_file", str(tmp_path / "streams.yaml")]) == 2
    assert main(given) == 2
    nothing, no_torchserve = capsys.readouterr().err.splitlines()
    assert "no stream can be retrained (churn): give `retrain: COMMAND` in the streams file" in nothing
    assert "--torchserve_url is needed to retrain elec, taxi" in no_torchserve
    assert keeper.main(["--stream", "churn", "--streams_file", str(tmp_path / "streams.yaml"), "--monitor_url", "http://127.0.0.1:1"]) == 2
    assert "stream churn is served elsewhere" in capsys.readouterr().err


def test_the_last_line_of_a_file_is_found_whatever_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for content, last in ((b"", ""), (b"\n \n", ""), (b"a\r50%\r100%\r\n", "100%"), (b"a\nb  \n\n", "b"), (b"x" * 3_000_000, "x" * 1_000_000)):
        path.write_bytes(content)
        assert retrain_outcome.last_line(path) == last
