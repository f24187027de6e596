"""The keeper of TorchServe: it puts the champion in, keeps the hook running, and ends when TorchServe does. In containers: `make containers-test`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from driftloop.cli.call import read
from driftloop.errors import ServingError, SettingsError
from driftloop.serving.torchserve import Ports, TorchServe
from driftloop.serving.torchserve_client import TorchServeClient
from monitoring import stream_settings
from monitoring.__main__ import main
from monitoring.local import champion, keeper
from monitoring.retrain import commands as retrain_commands
from monitoring.retrain import webhook

HOOK = "import os, pathlib, time; at = pathlib.Path('hooks'); at.write_text((at.read_text() if at.exists() else '') + f'{os.getpid()}\\n'); time.sleep(60)"
DEPLOY = """
import pathlib, sys
tries = pathlib.Path("tries")
tries.write_text((tries.read_text() if tries.exists() else "") + "x")
if len(tries.read_text()) < 3:
    sys.exit("deploy_model.py: error: MLflow is unreachable")
print("version 2 takes the alias champion of drift_model from version 1", file=sys.stderr)
print('{"trained_rows": [0, 7]}')
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    with TorchServe(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(champion, "ROOT", tmp_path)  # of the script that deploys
    monkeypatch.setattr(keeper, "AGAIN_S", (0.1, 0.2))
    monkeypatch.setattr(keeper, "POLL_S", 0.05)
    monkeypatch.setattr(keeper, "PING_S", 0.1)
    return tmp_path


def hooks(folder: Path, number: int) -> list[int]:
    """The process ids of the hooks, once so many were started."""
    end = time.monotonic() + 60
    while True:
        found = (folder / "hooks").read_text().split() if (folder / "hooks").exists() else []
        if len(found) >= number:
            return [int(one) for one in found]
        assert time.monotonic() < end, "the hook was not started again"
        time.sleep(0.05)


def running(work: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    """Work in a thread, and the error that ended it."""
    ended: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except ServingError as exc:
            ended.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, ended


def watched(server: TorchServe, hook: str = HOOK) -> tuple[threading.Thread, list[BaseException]]:
    return running(lambda: keeper.watch(server, (sys.executable, "-c", hook)))


@contextlib.contextmanager
def deaf(server: TorchServe) -> Iterator[None]:
    """Its process is there and answers nobody."""
    java = next(one for one in psutil.Process(server.pid).children(recursive=True) if "java" in one.name())
    java.suspend()
    try:
        yield
    finally:
        java.resume()


def test_the_champion_is_tried_again_until_it_serves(here: Path, server: TorchServe, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "deploy_model.py").write_text(DEPLOY)
    keeper.put_back(stream_settings.load()["elec"], server)
    assert (here / "tries").read_text() == "xxx"
    said = capsys.readouterr().err.splitlines()
    assert [("MLflow is unreachable" in line, "next attempt" in line) for line in said[:2]] == [(True, True)] * 2
    assert said[2:] == ["version 2 takes the alias champion of drift_model from version 1", "elec: version None of drift_model is served"]


def test_a_dead_hook_is_started_again_and_a_deaf_torchserve_ends_all(here: Path, server: TorchServe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "DEAF_S", 1.0)
    thread, ended = watched(server)
    (first,) = hooks(here, 1)
    os.kill(first, signal.SIGKILL)
    second = hooks(here, 2)[1]
    assert not ended
    with deaf(server):
        thread.join(60)
    assert [str(one) for one in ended] == ["TorchServe has not answered for 1 s"]
    assert not psutil.pid_exists(second)


@pytest.mark.slow
def test_a_torchserve_that_is_deaf_before_the_champion_serves_ends_all_too(here: Path, server: TorchServe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "DEAF_S", 1.0)
    stream = stream_settings.load()["elec"]
    (here / "deploy_model.py").write_text("import sys; sys.exit('deploy_model.py: error: no TorchServe answers there')")
    with deaf(server):
        thread, ended = running(lambda: keeper.put_back(stream, server))
        thread.join(60)
    assert [str(one) for one in ended] == ["TorchServe has not answered for 1 s"]


def test_the_hook_has_time_to_end_its_retrain(here: Path, tmp_path: Path) -> None:
    slow = f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(12), open('tidy', 'w').close(), sys.exit())); {HOOK}"
    with TorchServe(tmp_path / "store") as own:
        thread, ended = watched(own, slow)
        hooks(here, 1)
        os.killpg(own.pid, signal.SIGKILL)
        thread.join(60)
    assert [str(one) for one in ended] == ["TorchServe ended"]
    assert (here / "tidy").exists()


def test_a_dead_torchserve_ends_all(here: Path, tmp_path: Path) -> None:
    with TorchServe(tmp_path / "store") as own:
        thread, ended = watched(own)
        (hook,) = hooks(here, 1)
        os.killpg(own.pid, signal.SIGKILL)
        thread.join(60)
    assert [str(one) for one in ended] == ["TorchServe ended"]
    assert not psutil.pid_exists(hook)


def test_only_predictions_and_metrics_face_the_outside(tmp_path: Path) -> None:
    with TorchServe(tmp_path / "store", host="0.0.0.0") as running:
        own = {one.pid for one in psutil.Process(running.pid).children(recursive=True)} | {running.pid}
        listens = {one.laddr.port: one.laddr.ip for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.pid in own}
        ports = running.ports
        outside = {port for port, ip in listens.items() if ip.removeprefix("::ffff:") not in {"127.0.0.1", "::1"}}
        assert outside == {ports.inference, ports.metrics}
        assert {ports.management, ports.grpc_inference, ports.grpc_management} <= set(listens)


def test_an_unknown_stream_is_refused_before_anything_starts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keeper.main(["--stream", "nobody", "--monitor_url", "http://127.0.0.1:1"]) == 2
    assert "there is no stream 'nobody'; available: elec, taxi" in capsys.readouterr().err
    assert list(here.iterdir()) == []


class NoServer:
    """Stands for a TorchServe that runs."""

    def __init__(self, *_: Any, ports: Ports, **__: Any) -> None:
        self.client = TorchServeClient.from_url(ports.url)

    def __enter__(self) -> NoServer:
        return self

    def __exit__(self, *_: object) -> None: ...


CARS = "cars: {model: m, kpi: accuracy, threshold: 0.9, block_size: 20, fallback_by: []}\n"


@pytest.mark.parametrize(
    ("hook_flags", "commands"),
    [
        ("", {"elec": "retrain_model.py --learner learner:ELEC"}),
        ("--cool_down_s 5", {"elec": "retrain_model.py --learner learner:ELEC"}),
        ("--command 'elec=retrain_model.py --seed 3'", {"elec": "retrain_model.py --seed 3"}),
        (
            "--command 'cars=retrain_model.py --data_path c.csv'",
            {"cars": "retrain_model.py --data_path c.csv", "elec": "retrain_model.py --learner learner:ELEC"},
        ),
    ],
)
def test_a_keepers_hook_retrains_its_stream_whatever_else_is_in_the_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, hook_flags: str, commands: dict[str, str]
) -> None:
    (here / "s.yaml").write_text(stream_settings.BUNDLED.read_text(encoding="utf-8") + CARS)
    made, served = [], []
    monkeypatch.setattr(keeper, "TorchServe", NoServer)
    monkeypatch.setattr(keeper, "put_back", lambda *_: None)
    monkeypatch.setattr(keeper, "watch", lambda _, hook: made.append(hook))
    assert keeper.main(["--stream", "elec", "--streams_file", "s.yaml", "--monitor_url", "http://127.0.0.1:1", "--hook_flags", hook_flags]) == 0
    (hook,) = made
    monkeypatch.setattr(webhook, "build_app", lambda _, streams: served.extend(streams))
    monkeypatch.setattr(webhook, "Application", lambda make, **_: SimpleNamespace(run=make))
    assert hook[1:4] == ("-m", "monitoring", "hook")
    assert webhook.main([*hook[4:], "--port", str(Ports.free().inference)]) == 0
    assert sorted(served) == sorted(commands)
    assert (
        retrain_commands.commands_of(read(webhook.HookFlags, webhook.build_parser().parse_args(hook[4:])).command, stream_settings.load("s.yaml")) == commands
    )


@pytest.mark.parametrize(
    "hook_flags", ["--cool_down_s soon", "--command nobody=retrain_model.py", "--command elec=", "--command 'elec=a \"b'", "'open", "--colour red"]
)
def test_wrong_flags_of_the_hook_are_named_before_anything_starts(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hook_flags: str
) -> None:
    monkeypatch.setattr(keeper, "TorchServe", lambda *_, **__: pytest.fail("TorchServe starts"))
    assert keeper.main(["--stream", "elec", "--monitor_url", "http://127.0.0.1:1", "--hook_flags", hook_flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--hook_flags" in line
    assert list(here.iterdir()) == []


def test_a_hook_names_the_streams_that_need_a_command_and_takes_it(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(stream_settings.BUNDLED.read_text(encoding="utf-8") + CARS)
    streams = stream_settings.load(tmp_path / "s.yaml")
    with pytest.raises(SettingsError, match=r"stream cars: nothing says .* give --command STREAM=WORDS for each stream to retrain \(elec, taxi, cars\)"):
        retrain_commands.commands_of(None, streams)
    assert retrain_commands.commands_of(["cars=retrain_model.py --data_path TABLE --target LABEL"], streams).keys() == {"cars"}


def test_a_keeper_whose_table_is_not_there_says_so_before_anything_starts(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "s.yaml").write_text(CARS.replace("}", ", data: cars.csv}"))
    monkeypatch.setattr(keeper, "TorchServe", lambda *_, **__: pytest.fail("TorchServe starts"))
    assert keeper.main(["--stream", "cars", "--streams_file", "s.yaml", "--monitor_url", "http://127.0.0.1:1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"the table {here}/cars.csv does not exist" in line


@pytest.mark.parametrize(
    "command",
    [
        ["keeper", "--stream", "cars", "--monitor_url", "http://127.0.0.1:1"],
        ["hook", "--torchserve_url", "http://127.0.0.1:1", "--monitor_url", "http://127.0.0.1:1"],
    ],
)
def test_a_stream_whose_learner_has_no_table_is_named_before_anything_starts(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text("cars: {model: m, kpi: accuracy, threshold: 0.9, block_size: 20, fallback_by: []}")
    assert main([*command, "--streams_file", "s.yaml"]) == 2
    printed = capsys.readouterr().err
    assert "stream cars: nothing says which table" in printed and printed.count("\n") == 1
    assert ("--command" in printed) == (command[0] == "hook")  # a keeper serves from the table, too
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]
