"""What `make monitor` is made of: ports, parts that start and die, configurations, and the replay's requests. All together: test_monitoring_end_to_end."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import requests
import yaml
from mongo_fixtures import prediction

from driftloop.cli.call import read
from driftloop.data import streams
from driftloop.data.schema.schema import Schema
from driftloop.errors import PartError, SettingsError
from driftloop.serving.torchserve import Ports
from driftloop.settings import TABLE_LEARNER
from examples.nyc_taxi import trips
from monitoring import described, stream_settings
from monitoring.described import StreamModel
from monitoring.features import Feature
from monitoring.local import keeper, replay, stack
from monitoring.local import plan as plans
from monitoring.local.champion import ROOT
from monitoring.local.parts import LocalPorts, Part, Running, alertmanager_config, free_torchserve_ports, prometheus_config
from monitoring.local.plan import Plan
from monitoring.spool.writer import Spool
from prediction_service.requests import read_labels, read_predict
from prediction_service.service_settings import MAX_BODY_BYTES

TARGETS = {"monitor": "127.0.0.1:1", "prediction_service": "127.0.0.1:2", "torchserve": "127.0.0.1:3", "prometheus": "127.0.0.1:4"}


def part(name: str, code: str, asks: str = "") -> Part:
    return Part(name, (sys.executable, "-c", code), asks)


def serving(port: int, path: Path) -> Part:
    return Part("server", (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(path)), f"http://127.0.0.1:{port}/")


def test_parts_are_waited_for_and_ended_together(tmp_path: Path, left_over: Callable[[], list[psutil.Process]]) -> None:
    with Running(tmp_path, env={"WORD": "told"}) as running:
        server = serving(Ports.free().inference, tmp_path)
        speaker = part("speaker", "import os, time; print(os.environ['WORD'], flush=True); time.sleep(60)")
        for one in (server, speaker):
            running.start(one)
        running.wait(server, timeout_s=30)
        assert not running.check(may_end="speaker")
        assert all(psutil.pid_exists(pid) for pid in running.pids().values())
    assert left_over() == []
    assert (tmp_path / "speaker.log").read_text() == "told\n"


@pytest.mark.parametrize(("code", "said"), [("print('no room'); raise SystemExit(3)", "exit code 3: no room"), ("raise SystemExit(3)", "no output")])
def test_a_part_that_dies_is_told_in_one_line_and_the_others_end(tmp_path: Path, code: str, said: str, left_over: Callable[[], list[psutil.Process]]) -> None:
    with pytest.raises(PartError, match=f"dying ended by itself .*{said}"), Running(tmp_path, env={}) as running:
        running.start(part("other", "import time; time.sleep(60)"))
        dying = part("dying", code, f"http://127.0.0.1:{Ports.free().inference}/")
        running.start(dying)
        running.wait(dying, timeout_s=30)
    assert left_over() == []


def test_a_part_that_never_answers_is_told(tmp_path: Path) -> None:
    with pytest.raises(PartError, match="silent is not ready after 0 s"), Running(tmp_path, env={}) as running:
        silent = part("silent", "import time; time.sleep(60)", f"http://127.0.0.1:{Ports.free().inference}/")
        running.start(silent)
        running.wait(silent, timeout_s=0.3)


def test_a_part_that_may_end_must_end_well(tmp_path: Path) -> None:
    with Running(tmp_path, env={}) as running:
        running.start(part("replay", "pass"))
        while not running.check(may_end="replay"):
            pass
        with pytest.raises(PartError, match="replay ended by itself with exit code 0"):
            running.check()


SECRET = "mongodb://someone:hidden@127.0.0.1:1/log?tlsCertificateKeyFilePassword=hidden"


def flags_of(*argv: str) -> plans.LocalFlags:
    return read(plans.LocalFlags, stack.build_parser().parse_args(argv))


def planned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:hidden@127.0.0.1:1")
    plan = plans.plan_of(flags_of("--free_ports", "--folder", str(folder / "parts"), "--mlflow_ui"))
    plan.folder.mkdir()
    return plan


def test_no_address_with_a_password_stands_on_a_parts_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, monkeypatch)
    parts = {part.name: part for part in (*plans.services(plan, mongodb=SECRET), *plans.watchers(plan), plans.replay(plan, from_row=1))}
    assert "hidden" not in str([part.command for part in parts.values()])
    assert "hidden" not in repr(parts)
    assert {name for name, part in parts.items() if part.env.get("MONGODB_URI") == SECRET} == {"monitor", "shipper"}
    assert "hidden" not in stack.table(plan, mongodb=SECRET)
    assert "127.0.0.1:1/log" in stack.table(plan, mongodb=SECRET)


def test_the_process_table_does_not_show_the_address_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, monkeypatch)
    (shipper,) = (part for part in plans.services(plan, mongodb=SECRET) if part.name == "shipper")
    spool = Spool(plan.folder / "spool")
    spool.append([prediction(1).as_json()])  # or the database is not asked
    spool.close()
    with Running(plan.folder, env={"PYTHONPATH": str(ROOT)}) as running:
        running.start(shipper)
        process = psutil.Process(running.pids()["shipper"])
        log = plan.folder / "shipper.log"
        end = time.monotonic() + 60
        while "127.0.0.1:1" not in log.read_text():  # it has tried to reach the database
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        shown = [" ".join(one.cmdline()) for one in [process, *process.children(recursive=True)]]
        assert process.environ()["MONGODB_URI"] == SECRET
    assert "monitoring shipper" in shown[0]
    assert "hidden" not in str(shown)
    assert "hidden" not in log.read_text()


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PartError, match="lost ended by itself with exit code 127"), Running(tmp_path, env={}) as running:
        lost = Part("lost", (str(tmp_path / "nothing"),), f"http://127.0.0.1:{Ports.free().inference}/")
        running.start(lost)
        running.wait(lost, timeout_s=30)


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} for monitor is taken"):
            LocalPorts(monitor=port).check(["monitor"])
    assert stack.main(["--stream", "nobody"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no stream 'nobody'" in line
    assert list(tmp_path.iterdir()) == []


def test_torchserves_free_ports_are_neighbours() -> None:
    ports = free_torchserve_ports()
    assert ports.management == ports.inference + 1
    assert not ports.taken()


@pytest.mark.parametrize("alertmanager", ["127.0.0.1:5", ""])
def test_the_local_prometheus_scrapes_this_machine_only(tmp_path: Path, alertmanager: str) -> None:
    made = prometheus_config(TARGETS, alertmanager=alertmanager, scrape_s=3)
    assert {job["job_name"]: job["static_configs"][0]["targets"] for job in made["scrape_configs"]} == {name: [where] for name, where in TARGETS.items()}
    assert made["global"] == {"scrape_interval": "3s", "evaluation_interval": "3s"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(made))
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" not in done.stdout  # both


def test_the_local_alertmanager_calls_the_local_hook() -> None:
    urls = [hook["url"] for receiver in alertmanager_config("http://127.0.0.1:9", repeat_s=5)["receivers"] for hook in receiver.get("webhook_configs", [])]
    assert urls == ["http://127.0.0.1:9/alerts"]


def test_the_replays_requests_are_the_streams_rows_with_those_before_as_context() -> None:
    elec, known = streams.load(), stream_settings.load()
    bodies = list(replay.blocks(elec, 31_718, 31_718 + 100, size=48, prefix="p", name="elec"))
    assert [len(asked["rows"]) for asked, _ in bodies] == [48, 48, 4]
    for asked, told in bodies:
        wanted, labels = read_predict(asked, known, max_rows=1000), read_labels(told, known, max_rows=1000)
        first = int(wanted.rows[0].id.removeprefix("p-"))
        assert wanted.rows[0].time == f"{elec.times[first].astype('datetime64[ms]')}Z"
        assert list(wanted.rows[0].features.values()) == elec.rows[first].tolist()
        assert list(wanted.context[-1].values()) == elec.rows[first - 1].tolist()
        assert [(row.id, label) for row, label in zip(wanted.rows, elec.labels[first:].tolist(), strict=False)] == list(labels.labels)


def test_a_replays_zones_are_numbers_as_in_the_table_though_its_model_takes_them_as_categories() -> None:
    trips_stream, known = trips.load(), stream_settings.load()
    table = pd.read_parquet(trips.DATA)
    ((asked, _),) = replay.blocks(trips_stream, 100, 148, size=48, prefix="p", name="taxi")
    wanted = read_predict(asked, known, max_rows=1000)
    (trip,) = table[table["pickup_time"] == trips_stream.times[110]][list(trips_stream.features)].to_dict("records")
    assert len(wanted.rows) == 48 and wanted.rows[10].features == pytest.approx(trip)


@pytest.mark.parametrize(("features", "size", "context"), [(100, 1000, 86), (100, 48, 96), (1000, 48, 2), (1000, 1000, 2)])
def test_a_replays_requests_are_no_larger_than_the_service_takes(features: int, size: int, context: int) -> None:
    names = tuple(f"reading of meter {at:>{features // 6}}" for at in range(features))
    wide = replace(streams.load(), features=names, rows=np.random.default_rng(0).random((200, features)), schema=Schema())
    start, stop = 100, 110 if features == 1000 else 200
    bodies = list(replay.blocks(wide, start, stop, size=size, prefix="p", name="wide"))
    ids = [row["id"] for asked, _ in bodies for row in asked["rows"]]
    assert ids == [label["id"] for _, told in bodies for label in told["labels"]] == [f"p-{row}" for row in range(start, stop)]
    for asked, told in bodies:
        assert len(asked["rows"]) == len(told["labels"]) <= size
        assert len(requests.Request("POST", "http://a", json=asked).prepare().body) <= MAX_BODY_BYTES
        first = int(asked["rows"][0]["id"].removeprefix("p-"))
        before = [list(values.values()) for values in asked["context"]]
        assert before == wide.rows[first - len(before) : first].tolist()
    assert min(len(asked["context"]) for asked, _ in bodies) == context


def test_long_labels_are_sent_in_requests_that_the_service_takes() -> None:
    elec = replace(streams.load(), label_names=("é" * 200, "ö" * 200))
    bodies = list(replay.blocks(elec, 31_718, 31_718 + 1000, size=1000, prefix="p", name="elec"))
    assert sum(len(told["labels"]) for _, told in bodies) == 1000
    assert all(len(requests.Request("POST", "http://a", json=told).prepare().body) <= MAX_BODY_BYTES for _, told in bodies)


def test_the_rows_of_a_request_do_not_depend_on_the_block_that_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "read", lambda models: [StreamModel((Feature("fuel"),), "classification", ("a", "b")) for _ in models])
    (tmp_path / "s.yaml").write_text("cars: {model: m, kpi: accuracy, threshold: 0.9, block_size: 10000, fallback_by: []}")
    plan = plans.plan_of(flags_of("--stream", "cars", "--streams_file", str(tmp_path / "s.yaml"), "--free_ports", "--data_path", "my.csv"))
    args = read(replay.ReplayFlags, replay.build_parser().parse_args(plans.replay(plan, from_row=7).command[4:]))
    assert (args.stream, args.from_row, args.block_size) == ("cars", 7, 0)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [(["--from_row", "45312"], 2, "has 45312 rows"), (["--url", "http://127.0.0.1:9", "--rows", "48"], 13, "is the prediction service running there?")],
)
def test_a_replay_that_cannot_be_is_told_in_one_line(capsys: pytest.CaptureFixture[str], flags: list[str], code: int, said: str) -> None:
    assert replay.main(flags) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_streams_learner_stands_in_what_retrains_and_replays_it(tmp_path: Path) -> None:
    plan = plans.plan_of(flags_of("--stream", "taxi", "--free_ports", "--folder", str(tmp_path)))
    named = f"--learner {plan.stream.learner}"
    (hook,) = (part for part in plans.services(plan, mongodb="mongodb://127.0.0.1:1") if part.name == "retrain_hook")
    assert f"taxi=retrain_model.py {named} --mlflow_experiment_name monitor-taxi" in shlex.join(hook.command)
    assert f"-m monitoring replay {named} " in shlex.join(plans.replay(plan, from_row=1).command)


@pytest.mark.parametrize("given", [(), ("--missing", "refuse"), ("--missing", "set_aside", "--bad_rows", "set_aside", "--target", "y")])
def test_only_flags_of_the_table_that_are_given_reach_the_scripts_so_that_a_learner_has_its_own_defaults(tmp_path: Path, given: tuple[str, ...]) -> None:
    plan = plans.plan_of(flags_of("--stream", "taxi", "--free_ports", "--folder", str(tmp_path), *given))
    assert sorted(zip(plan.data_flags[::2], plan.data_flags[1::2], strict=True)) == sorted(zip(given[::2], given[1::2], strict=True))


@pytest.mark.parametrize("program", [stack, keeper])
def test_a_streams_learner_that_is_not_there_is_told_before_anything_starts(
    tmp_path: Path, program: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bundled = stream_settings.BUNDLED.read_text(encoding="utf-8")
    (tmp_path / "s.yaml").write_text(bundled.replace("nyc_taxi.learner:TAXI", "nyc_taxi.learner:TAXY"))
    assert program.main(["--stream", "taxi", "--streams_file", "s.yaml", *(["--monitor_url", "http://127.0.0.1:1"] if program is keeper else [])]) == 2
    assert "did you mean examples.nyc_taxi.learner:TAXI?" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_the_parts_commands_are_ones_that_the_programs_take(tmp_path: Path) -> None:
    import importlib

    from monitoring.__main__ import COMMANDS

    plan: Any = plans.plan_of(flags_of("--free_ports", "--folder", str(tmp_path), "--mlflow_ui"))
    made = [*plans.services(plan, mongodb="mongodb://127.0.0.1:1"), plans.replay(plan, from_row=7)]
    assert [one.name for one in made] == ["monitor", "prediction_service", "retrain_hook", "shipper", "mlflow", "replay"]
    for one in made:
        _, flag, module, *flags = one.command
        assert flag == "-m"
        if module != "mlflow":
            found = "prediction_service.__main__"
            if module == "monitoring":
                found, flags = COMMANDS[flags[0]][0], flags[1:]
            importlib.import_module(found).build_parser().parse_args(flags)


def test_a_described_streams_champion_is_served_and_retrained_from_the_run_that_it_descends_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrain_model import build_parser

    its = StreamModel((Feature("fuel"),), "classification", ("a", "b"), experiment="trained here", base_run_id="f00")
    monkeypatch.setattr(described, "read", lambda models: [its for _ in models])
    (tmp_path / "s.yaml").write_text("cars: {model: m, kpi: accuracy, threshold: 0.9, block_size: 20, fallback_by: []}")
    given = ["--stream", "cars", "--streams_file", str(tmp_path / "s.yaml"), "--free_ports", "--data_path", "my.csv", "--target", "y"]
    plan = plans.plan_of(flags_of(*given))
    assert (plan.stream.feature_names, plan.folder.name) == (("fuel",), "monitor-cars")
    assert plan.lifecycle_flags[:4] == ["--mlflow_experiment_name", "trained here", "--base_run_id", "f00"]
    (hook,) = (part for part in plans.services(plan, mongodb="mongodb://127.0.0.1:1") if part.name == "retrain_hook")
    command = shlex.split(hook.command[hook.command.index("--command") + 1].removeprefix("cars="))
    flags = command[command.index("--learner") + 2 :]
    assert command[2] == TABLE_LEARNER
    assert build_parser().parse_args(flags).base_run_id == "f00"
    elsewhere = plans.plan_of(flags_of(*given, "--mlflow_experiment_name", "again"))
    assert elsewhere.lifecycle_flags[:2] == ["--mlflow_experiment_name", "again"] and "--base_run_id" not in elsewhere.lifecycle_flags


def test_a_stream_that_names_its_table_is_served_replayed_and_retrained_from_it_as_its_model_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = {"data_path": "/old/my.csv", "target": "y", "time_zone": "Europe/Berlin", "task": "regression"}
    its = StreamModel((Feature("fuel"),), "regression", (), experiment="cars", base_run_id="f00", reading=read)
    monkeypatch.setattr(described, "read", lambda models: [its for _ in models])
    (tmp_path / "my new.csv").touch()
    (tmp_path / "s.yaml").write_text("cars: {model: m, kpi: mae, threshold: 0.9, block_size: 20, fallback_by: [], data: my new.csv}")
    flags = ["--stream", "cars", "--streams_file", str(tmp_path / "s.yaml"), "--free_ports"]
    plan = plans.plan_of(flags_of(*flags))
    table = ["--data_path", str(tmp_path / "my new.csv"), "--target", "y", "--time_zone", "Europe/Berlin", "--task", "regression"]
    assert plan.data_flags == table
    args = replay.build_parser().parse_args(plans.replay(plan, from_row=7).command[4:])
    assert (args.target, args.task) == ("y", "regression")
    (hook,) = (part for part in plans.services(plan, mongodb="mongodb://127.0.0.1:1") if part.name == "retrain_hook")
    assert shlex.join(["--base_run_id", "f00", *table]) in hook.command[hook.command.index("--command") + 1]
    assert plans.plan_of(flags_of(*flags, "--data_path", "other.csv", "--target", "z")).data_flags == ["--data_path", "other.csv", "--target", "z"]
    (tmp_path / "my new.csv").unlink()
    with pytest.raises(SettingsError, match=r"my new.csv does not exist"):
        plans.plan_of(flags_of(*flags))
