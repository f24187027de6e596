"""The retrain hook: strict about what it takes, one retrain an alert, none left behind, and every outcome told."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from flask.testing import FlaskClient

from driftloop.errors import SettingsError, TrackingError
from driftloop.serving.torchserve import Ports
from driftloop.settings import ROOT
from driftloop.system.processes import Server
from monitoring.retrain.commands import Command
from monitoring.retrain.retrains import BusyError, Retrains
from monitoring.retrain.webhook import build_app, main, newest_labelled

UNTIL = "2020-04-01T07:30:00.000Z"
PROMOTED = {"promoted": True, "decision": "better on 48 rows", "version": "2"}


def alert(fingerprint: str = "ab12", starts_at: str = "2020-04-01T08:00:00.123456Z", **labels: str) -> dict[str, Any]:
    """One alert as Alertmanager sends it."""
    return {
        "status": "firing",
        "labels": {"alertname": "KpiBelowThreshold", "stream": "elec", "action": "retrain", "severity": "critical", **labels},
        "annotations": {"summary": "elec: worse"},
        "startsAt": starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": fingerprint,
    }


def message(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "retrain-hook", "alerts": list(alerts), **changes}


class Hook:
    """A hook's app over retrains whose script is a few lines of Python."""

    def __init__(self, folder: Path, script: str, **options: Any) -> None:
        self.script = folder / "script.py"
        self.script.write_text(script)
        self.runs = folder / "runs"
        options = {"cool_down_s": 0, "until": lambda _: UNTIL, "command": self.command, **options}
        self.retrains = Retrains(folder / "state", **options)
        self.client: FlaskClient = build_app(self.retrains, ["elec", "taxi"]).test_client()

    def command(self, *asked: str) -> Command:
        return Command([sys.executable, str(self.script), str(self.runs), *asked])

    def send(self, *alerts: Any, **changes: Any) -> Any:
        return self.client.post("/alerts", json=message(*alerts, **changes))

    def ended(self) -> list[dict[str, Any]]:
        """All retrains, when none runs any more."""
        return wait(lambda: self.known() if all(one["state"] != "running" for one in self.known()) else None)

    def known(self) -> list[dict[str, Any]]:
        return self.client.get("/retrains").get_json()["retrains"]

    def started(self) -> list[list[str]]:
        """What each run of the script was told."""
        return [json.loads(line) for line in self.runs.read_text().splitlines()] if self.runs.exists() else []


NOTE = "import json, sys, time\nprint('progress')\nopen(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')\n"
GOOD = f"{NOTE}print(json.dumps({PROMOTED!r}))"
SLOW = f"{NOTE}time.sleep(60)"


def wait(found: Callable[[], Any], *, patience_s: float = 20) -> Any:
    end = time.monotonic() + patience_s
    while not (value := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return value


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Callable[..., Hook]]:
    made: list[Hook] = []

    def make(script: str = GOOD, **options: Any) -> Hook:
        made.append(Hook(tmp_path, script, **options))
        return made[-1]

    yield make
    for one in made:
        one.retrains.close()


def test_an_alert_starts_one_retrain_on_the_rows_with_labels_and_its_outcome_is_told(hook: Callable[..., Hook]) -> None:
    one = hook()
    answer = one.send(alert())
    assert answer.status_code == 202
    assert answer.get_json()["retrains"][0]["state"] == "running"
    (ended,) = one.ended()
    assert one.started() == [["elec", UNTIL]]
    assert (ended["state"], ended["message"], ended["version"], ended["until_time"]) == ("promoted", "better on 48 rows", "2", UNTIL)
    assert "progress" in Path(ended["log"]).read_text()


def test_prometheus_reads_when_the_newest_retrain_began_and_when_the_newest_that_is_over_ended(hook: Callable[..., Hook]) -> None:
    def seconds(name: str) -> dict[str, float]:
        told = one.client.get("/metrics").get_data(as_text=True)
        values = (line.rsplit(" ", 1) for line in told.splitlines() if line.startswith(f"driftloop_last_retrain_{name}_timestamp_seconds{{"))
        return {series.partition("{")[2]: float(value) for series, value in values}

    one = hook()
    assert seconds("start") == seconds("end") == {}
    one.send(alert())
    (ended,) = one.ended()
    began_s, ended_s = (datetime.fromisoformat(ended[when]).timestamp() for when in ("started_at", "ended_at"))
    assert seconds("start") == {'stream="elec"}': pytest.approx(began_s)}
    assert seconds("end") == {'state="promoted",stream="elec"}': pytest.approx(ended_s)}
    one.script.write_text(SLOW)
    one.send(alert("cd34"))
    assert seconds("start")['stream="elec"}'] > began_s
    assert seconds("end") == {'state="promoted",stream="elec"}': pytest.approx(ended_s)}, "the one that runs has not ended"


def test_a_retrain_is_told_which_alert_asks_for_it(hook: Callable[..., Hook]) -> None:
    one = hook(f"import os\n{NOTE}print(os.environ['DRIFTLOOP_ASKED_BY'])\nprint(json.dumps({PROMOTED!r}))")
    one.send(alert())
    (ended,) = one.ended()
    assert f"the alert {ended['alert']}" in Path(ended["log"]).read_text().splitlines()


def test_prometheus_is_told_what_came_of_the_retrains_and_of_the_newest(hook: Callable[..., Hook]) -> None:
    one = hook()
    assert b"driftloop_last_retrain{" not in one.client.get("/metrics").data
    one.send(alert())
    one.ended()
    one.script.write_text("raise SystemExit('no rows')")
    one.send(alert("cd34"))
    one.ended()
    told = one.client.get("/metrics").get_data(as_text=True)
    assert 'driftloop_retrains{state="promoted",stream="elec"} 1.0' in told
    assert 'driftloop_retrains{state="failed",stream="elec"} 1.0' in told
    assert [line for line in told.splitlines() if line.startswith("driftloop_last_retrain{")] == ['driftloop_last_retrain{state="failed",stream="elec"} 1.0']


def test_an_alert_that_is_sent_again_starts_nothing_also_after_a_restart(hook: Callable[..., Hook]) -> None:
    one = hook()
    for _ in range(3):
        assert one.send(alert(), alert()).status_code == 202
    one.ended()
    assert one.send(alert()).get_json()["retrains"][0]["state"] == "promoted"
    one.retrains.close()
    assert hook().send(alert()).get_json()["retrains"][0]["state"] == "promoted"
    assert len(one.started()) == 1


def test_an_alert_that_ended_and_came_back_retrains_again(hook: Callable[..., Hook]) -> None:
    one = hook()
    one.send(alert())
    one.ended()
    assert one.send(alert(starts_at="2020-04-02T08:00:00Z")).status_code == 202
    assert [ended["state"] for ended in one.ended()] == ["promoted", "promoted"]
    assert len(one.started()) == 2


def test_only_one_retrain_runs_and_the_next_alert_is_asked_to_come_again(hook: Callable[..., Hook]) -> None:
    one = hook(SLOW)
    assert one.send(alert()).status_code == 202
    refused = one.send(alert("cd", stream="taxi"))
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert "a retrain is running" in refused.get_json()["error"]["message"]
    assert len(one.known()) == 1


def test_within_the_cool_down_of_a_stream_no_other_alert_retrains_it(hook: Callable[..., Hook]) -> None:
    one = hook(cool_down_s=1000)
    one.send(alert())
    one.ended()
    refused = one.send(alert("cd"))
    assert refused.status_code == 503
    assert "may start in" in refused.get_json()["error"]["message"]
    assert one.send(alert("ef", stream="taxi")).status_code == 202
    assert [told[0] for told in wait(lambda: one.started() if len(one.started()) == 2 else None)] == ["elec", "taxi"]


@pytest.mark.parametrize("sent", [alert(action="none"), {**alert(), "status": "resolved"}, {**alert(), "labels": {"alertname": "DataDrift", "stream": "elec"}}])
def test_what_asks_for_no_retrain_starts_none(hook: Callable[..., Hook], sent: dict[str, Any]) -> None:
    one = hook()
    assert one.send(sent).status_code == 200
    assert one.known() == []


@pytest.mark.parametrize(
    ("script", "state", "words"),
    [
        (f"{NOTE}print(json.dumps({ {**PROMOTED, 'promoted': False, 'version': ''}!r}))", "kept", "better on 48 rows"),
        (f"{NOTE}sys.exit('retrain_model.py: error: no rows')", "failed", "exit code 1: retrain_model.py: error: no rows; the champion keeps serving"),
        (f"{NOTE}print('done')", "failed", "the champion keeps serving"),
        ("", "failed", "the champion keeps serving"),
        (f"{NOTE}print('[]')", "failed", "the champion keeps serving"),
        (f"{NOTE}import os\nos.kill(os.getpid(), 9)", "failed", "exit code -9"),
    ],
)
def test_a_retrain_that_gives_no_champion_is_told_and_not_tried_again(
    hook: Callable[..., Hook], caplog: pytest.LogCaptureFixture, script: str, state: str, words: str
) -> None:
    one = hook(script)
    one.send(alert())
    (ended,) = one.ended()
    assert ended["state"] == state
    assert words in ended["message"]
    assert [record.levelname for record in caplog.records if words in record.getMessage()] == (["ERROR"] if state == "failed" else [])
    assert one.send(alert()).get_json()["retrains"][0]["state"] == state


def test_an_alert_that_goes_on_firing_after_a_kept_champion_retrains_again_on_newer_labels(hook: Callable[..., Hook]) -> None:
    newest = ["2020-04-01T07:30:00.000Z"]
    one = hook(f"{NOTE}print(json.dumps({ {**PROMOTED, 'promoted': False, 'version': ''}!r}))", until=lambda _: newest[0])
    one.send(alert())
    one.ended()
    one.send(alert())
    assert len(one.started()) == 1
    newest[0] = "2020-04-02T07:30:00.000Z"
    one.send(alert())
    assert wait(lambda: len(one.started()) == 2)
    assert [known["until_time"] for known in one.ended()] == [newest[0], "2020-04-01T07:30:00.000Z"]


def test_a_stream_whose_table_is_not_there_has_failed_before_anything_starts_and_is_not_tried_again(hook: Callable[..., Hook]) -> None:
    one = hook(fault=lambda _: "stream elec: the table my.csv does not exist")
    answers = [one.send(alert()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    (told,) = {(found["state"], found["message"], found["started_at"]) for answer in answers for found in answer.get_json()["retrains"]}
    assert told[:2] == ("failed", "stream elec: the table my.csv does not exist; the champion keeps serving")
    assert one.started() == [] and len(one.known()) == 1
    assert 'driftloop_retrains{state="failed",stream="elec"} 1.0' in one.client.get("/metrics").get_data(as_text=True)


def test_a_retrain_whose_command_cannot_be_built_has_failed(hook: Callable[..., Hook]) -> None:
    def command(*_: str) -> Command:
        raise TrackingError("registered model 'm' has no champion")

    one = hook(command=command)
    one.send(alert())
    (ended,) = one.ended()
    assert (ended["state"], ended["message"]) == ("failed", "registered model 'm' has no champion; the champion keeps serving")


def test_a_retrain_that_takes_too_long_is_ended(hook: Callable[..., Hook], left_over: Callable[[], list[psutil.Process]]) -> None:
    one = hook(SLOW, timeout_s=0.5)
    one.send(alert())
    (ended,) = one.ended()
    assert (ended["state"], ended["message"][:8]) == ("failed", "not done")
    assert left_over() == []


def test_a_monitor_that_is_away_lets_the_alert_come_again(hook: Callable[..., Hook]) -> None:
    one = hook(until=functools.partial(newest_labelled, f"http://127.0.0.1:{Ports.free().inference}"))
    refused = one.send(alert())
    assert refused.status_code == 503
    assert "the monitor does not report" in refused.get_json()["error"]["message"]
    assert one.known() == []


def test_two_hooks_do_not_work_in_one_folder(hook: Callable[..., Hook]) -> None:
    hook()
    with pytest.raises(SettingsError, match="another retrain hook"):
        hook()


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff",
    b"[" * 100_000,
    b'{"version": NaN}',
    *(
        json.dumps(body).encode()
        for body in (
            message(alert(), version="3"),
            message(alert(), status="perhaps"),
            message(),
            message("alert"),
            message(*[alert()] * 101),
            message(alert(stream="nobody")),
            message(alert(stream="../../etc")),
            message(alert(stream="elec; rm -rf /")),
            message(alert(stream={"$gt": ""})),  # type: ignore[arg-type]
            message(alert("")),
            message(alert("../lock")),
            message(alert(starts_at="yesterday")),
            message(alert(starts_at="2020-13-01T00:00:00Z")),
            message(alert(starts_at=5)),  # type: ignore[arg-type]
            message({**alert(), "labels": {"stream": "elec", "action": "retrain"}}),
            message({**alert(), "labels": []}),
            message(alert(more="x" * 1000)),
            message({key: value for key, value in alert().items() if key != "fingerprint"}),
        )
    ),
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: ascii(body[-60:]))
def test_what_alertmanager_would_not_send_is_refused(hook: Callable[..., Hook], body: bytes) -> None:
    one = hook()
    answer = one.client.post("/alerts", data=body, content_type="application/json")
    assert answer.status_code == 400
    words = answer.get_json()["error"]["message"]
    assert words and "instance of" not in words  # no class of ours is named
    assert one.known() == []


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/alerts", 405), ("POST", "/", 404), ("POST", "/retrains", 405)])
def test_errors_are_json(hook: Callable[..., Hook], method: str, path: str, status: int) -> None:
    answer = hook().client.open(path, method=method)
    assert (answer.status_code, set(answer.get_json())) == (status, {"error"})


def test_a_body_too_large_is_refused(hook: Callable[..., Hook]) -> None:
    assert hook().client.post("/alerts", data=b" " * 1_000_001).status_code == 413


# The hook as a process of its own


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[str]:
    """A process that answers what the monitor does about the newest label."""
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "elec").write_text(json.dumps({"newest_labelled_time": UNTIL}))
    port = Ports.free().inference
    with Server([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)], log=tmp_path / "monitor.log"):
        url = f"http://127.0.0.1:{port}"
        wait(lambda: answers(f"{url}/streams/elec"))
        yield url


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def running(mark: Path) -> list[int]:
    """Ids of the processes that have a path among their arguments."""
    return [one.pid for one in psutil.process_iter(["cmdline"]) if str(mark) in (one.info["cmdline"] or [])]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_hook_that_is_ended_leaves_no_retrain_and_its_next_start_takes_the_alert_again(tmp_path: Path, monitor: str, number: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(SLOW)
    port = Ports.free().inference
    url = f"http://127.0.0.1:{port}"
    words = f"elec={script} {tmp_path / 'runs'}"
    flags = ["--torchserve_url", url, "--monitor_url", monitor, "--state", str(tmp_path / "state"), "--command", words, "--port", str(port)]

    def start() -> Server:
        server = Server([sys.executable, "-m", "monitoring", "hook", *flags], log=tmp_path / "hook.log", folder=ROOT)
        wait(lambda: answers(f"{url}/health"))
        return server

    with start() as first:
        assert requests.post(f"{url}/alerts", json=message(alert()), timeout=5).status_code == 202
        wait(lambda: running(script))
        if number == signal.SIGKILL:
            os.killpg(first.pid, number)
        else:
            os.kill(first.pid, number)
        wait(lambda: first.code is not None and not running(script))
    with start():
        (before,) = requests.get(f"{url}/retrains", timeout=5).json()["retrains"]
        assert before["state"] == "cut off"
        script.write_text(GOOD)
        assert requests.post(f"{url}/alerts", json=message(alert()), timeout=5).status_code == 202
        wait(lambda: requests.get(f"{url}/retrains", timeout=5).json()["retrains"][0]["state"] == "promoted")


@pytest.mark.parametrize(("words", "said"), [("nobody=retrain_model.py", "give STREAM=WORDS"), ("elec=", "give STREAM=WORDS")])
def test_a_wrong_command_is_one_line(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    assert main(["--torchserve_url", "http://127.0.0.1:1", "--monitor_url", "http://127.0.0.1:1", "--command", words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_the_monitor_that_says_nothing_of_labels_is_busy(monitor: str, tmp_path: Path) -> None:
    assert newest_labelled(monitor, "elec") == UNTIL
    (tmp_path / "streams" / "taxi").write_text(json.dumps({"newest_labelled_time": None}))
    with pytest.raises(BusyError, match="taxi"):
        newest_labelled(monitor, "taxi")
