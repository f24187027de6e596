"""The whole system on this machine without containers: starts every part, replays a stream, and ends all on Ctrl-C.

    python -m monitoring.local                            # what `make monitor` runs
    python -m monitoring.local --rate 1000 --rows 4800
    python -m monitoring.local --idle --free_ports        # replays nothing; addresses in .driftloop/monitor/addresses.json

TorchServe serves the champion of the experiment (a base model is trained when there is none). MongoDB is that of MONGODB_URI, else an
embedded one. Prometheus and Alertmanager run when they are installed; without them nothing is alerted and nothing retrained.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from driftloop import cli, processes
from driftloop.errors import DriftloopError, SettingsError
from driftloop.settings import DEFAULT_STORE
from driftloop.torchserve import Ports, TorchServe
from monitoring import config
from monitoring.config import StreamConfig
from monitoring.embedded import Embedded
from monitoring.parts import HOST, LocalPorts, Part, Running, alertmanager_config, find_alertmanager, free_torchserve_ports, prometheus_config

ROOT = Path(__file__).resolve().parent.parent
READY_S = 240.0
DEPLOY_S = 1800.0
POLL_S = 0.2
SOONEST_AGAIN_S = 5  # an alert that goes on firing is not told to the hook again any sooner
DATA_FLAGS = ("data_path", "target", "time_column", "features", "bad_rows")


@dataclass(frozen=True)
class Plan:
    """What to run where."""

    args: argparse.Namespace
    stream: StreamConfig
    folder: Path
    ports: LocalPorts
    torchserve: Ports
    store: str  # MLflow's
    prometheus: str | None  # programs; None when not installed
    alertmanager: str | None

    @property
    def torchserve_url(self) -> str:
        """Where predictions are made."""
        return f"http://{HOST}:{self.torchserve.inference}"

    @property
    def data_flags(self) -> list[str]:
        """The flags that read the stream's table, for the scripts."""
        return [word for name in DATA_FLAGS if getattr(self.args, name) not in ("", "refuse") for word in (f"--{name}", getattr(self.args, name))]

    @property
    def lifecycle_flags(self) -> list[str]:
        """Those and the experiment."""
        return ["--mlflow_experiment_name", self.args.mlflow_experiment_name, *self.data_flags]


def build_parser() -> cli.Parser:
    """The flags of this script."""
    parser = cli.parser("monitoring.local", __doc__ or "")
    parser.add_argument("--stream", default="elec", help="the stream to serve and replay")
    parser.add_argument("--streams_file", default="", help="YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")
    parser.add_argument("--folder", default=".driftloop/monitor", help="keeps logs, spool and databases")
    parser.add_argument("--mlflow_experiment_name", default="monitor", help="experiment with the base model and the retrains")
    parser.add_argument("--deploy_flags", default="", help="more flags of the script that deploys, as one text")
    parser.add_argument("--retrain_flags", default="--total_trials 4", help="flags of the script that retrains, as one text")
    parser.add_argument("--cool_down_s", type=cli.whole(0), default=60, help="pause between two retrains, in seconds")
    parser.add_argument("--scrape_s", type=cli.whole(1, 3600), default=5, help="seconds between two scrapes of Prometheus")
    parser.add_argument("--rate", type=cli.whole(0), default=100, help="rows a second of the replay; 0: as fast as they are answered")
    parser.add_argument("--from_row", type=cli.whole(0), default=0, help="first row to replay; 0: that after the rows a base model is trained on")
    parser.add_argument("--rows", type=cli.whole(0), default=0, help="rows to replay; 0: all that are left")
    cli.add_switch(parser, "--idle", "replay nothing")
    cli.add_switch(parser, "--free_ports", "take free ports instead of the usual ones")
    cli.add_switch(parser, "--mlflow_ui", "run MLflow's pages, too")
    cli.add_data_flags(parser)
    return parser


def plan_of(args: argparse.Namespace) -> Plan:
    """What the flags ask for.

    Raises:
        SettingsError: the stream is not known, or a port is taken.
    """
    streams = config.load(args.streams_file or None)
    if args.stream not in streams:
        raise SettingsError(f"--stream {args.stream!r} is not known; known are {', '.join(streams)}")
    ports, torchserve = (LocalPorts.free(), free_torchserve_ports()) if args.free_ports else (LocalPorts(), Ports())
    plan = Plan(
        args=args,
        stream=streams[args.stream],
        folder=Path(args.folder).resolve(),
        ports=ports,
        torchserve=torchserve,
        store=os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE),
        prometheus=shutil.which("prometheus"),
        alertmanager=find_alertmanager(),
    )
    ports.check(
        ["prediction_service", "monitor", "retrain_hook", *(["prometheus"] if plan.prometheus else []), *(["alertmanager"] if plan.alertmanager else [])]
    )
    torchserve.check()
    return plan


def services(plan: Plan, *, mongodb: str) -> Iterator[Part]:
    """Our own services."""
    args, ports, python = plan.args, plan.ports, (sys.executable, "-m")
    spool = str(plan.folder / "spool")
    described = ["--streams_file", args.streams_file] if args.streams_file else []
    named = ["--streams", plan.stream.name, *described]
    monitor = ["--port", str(ports.monitor), "--mongodb_uri", mongodb, "--tracking_uri", plan.store, *named]
    yield Part("monitor", (*python, "monitoring.service", *monitor), f"{ports.url('monitor')}/ready")
    front = ["--port", str(ports.prediction_service), "--torchserve_url", plan.torchserve_url, "--spool", spool, "--monitor_url", ports.url("monitor"), *named]
    yield Part("prediction_service", (*python, "prediction_service", *front), f"{ports.url('prediction_service')}/ready")
    retrain = shlex.join([*shlex.split(plan.stream.retrain), *plan.lifecycle_flags, *shlex.split(args.retrain_flags)])
    hook = ["--port", str(ports.retrain_hook), "--torchserve_url", plan.torchserve_url, "--monitor_url", ports.url("monitor"), *described]
    hook += ["--state", str(plan.folder / "retrains"), "--command", f"{plan.stream.name}={retrain}", "--cool_down_s", str(args.cool_down_s)]
    yield Part("retrain_hook", (*python, "monitoring.retrain_hook", *hook), f"{ports.url('retrain_hook')}/health")
    yield Part("shipper", (*python, "monitoring.shipper", "--spool", spool, "--mongodb_uri", mongodb, "--monitor_url", ports.url("monitor")))
    if args.mlflow_ui:
        ui = ["mlflow", "ui", "--backend-store-uri", plan.store, "--host", HOST, "--port", str(ports.mlflow), "--workers", "1"]
        yield Part("mlflow", (*python, *ui), f"{ports.url('mlflow')}/health")


def watchers(plan: Plan) -> Iterator[Part]:
    """Alertmanager and Prometheus, where they are installed, with their configuration written."""
    ports, folder = plan.ports, plan.folder
    if plan.alertmanager:
        path = folder / "alertmanager.yml"
        told = alertmanager_config(ports.url("retrain_hook"), repeat_s=max(plan.args.cool_down_s, SOONEST_AGAIN_S))
        path.write_text(yaml.safe_dump(told), encoding="utf-8")
        flags = [f"--config.file={path}", f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address=", "--log.level=warn"]
        listen = f"--web.listen-address={HOST}:{ports.alertmanager}"
        yield Part("alertmanager", (plan.alertmanager, *flags, listen), f"{ports.url('alertmanager')}/-/ready")
    if plan.prometheus:
        path = folder / "prometheus.yml"
        jobs = {name: f"{HOST}:{getattr(ports, name)}" for name in ("prediction_service", "monitor", "retrain_hook", "prometheus")} | {
            "torchserve": f"{HOST}:{plan.torchserve.metrics}"
        }
        alertmanager = f"{HOST}:{ports.alertmanager}" if plan.alertmanager else ""
        path.write_text(yaml.safe_dump(prometheus_config(jobs, alertmanager=alertmanager, scrape_s=plan.args.scrape_s)), encoding="utf-8")
        flags = [f"--config.file={path}", f"--storage.tsdb.path={folder / 'prometheus'}", "--log.level=warn"]
        listen = f"--web.listen-address={HOST}:{ports.prometheus}"
        yield Part("prometheus", (plan.prometheus, *flags, listen), f"{ports.url('prometheus')}/-/ready")


def replay(plan: Plan) -> Part:
    """The replay of the stream."""
    args = plan.args
    flags = ["--url", plan.ports.url("prediction_service"), "--stream", plan.stream.name, "--block_size", str(plan.stream.block_size)]
    flags += [word for name in ("rate", "from_row", "rows") for word in (f"--{name}", str(getattr(args, name)))]
    return Part("replay", (*script(plan.stream.replay), *flags, *plan.data_flags))


def script(words: str) -> list[str]:
    """The command of a script at the root, or of a module, as a stream names it.

    >>> script("-m monitoring.replay")[1:]
    ['-m', 'monitoring.replay']
    """
    first, *flags = shlex.split(words)
    return [sys.executable, str(ROOT / first) if first.endswith(".py") else first, *flags]


def deploy(plan: Plan) -> None:
    """Serve the champion, by the lifecycle's own script.

    Raises:
        DriftloopError: the script failed.
    """
    flags = ["--torchserve_url", plan.torchserve_url, "--train_base", "--register_model_name", plan.stream.model, *plan.lifecycle_flags]
    # It has to score something; what the monitor says is to come from the traffic.
    flags += ["--on_drift", "ignore", "--drift_rule", "never", "--test_data_rows", "1", "--block_size", "1", *shlex.split(plan.args.deploy_flags)]
    done = processes.run([*script(plan.stream.deploy), *flags], timeout_s=DEPLOY_S)
    if done.code:
        raise DriftloopError(f"the champion could not be served: {done.last_line}")


def table(plan: Plan, *, mongodb: str) -> str:
    """Where everything is, one line a part."""
    ports = plan.ports
    rows = [("predictions", f"{ports.url('prediction_service')}/predict"), ("what is known", f"{ports.url('monitor')}/streams/{plan.stream.name}")]
    rows += [("retrains", f"{ports.url('retrain_hook')}/retrains"), ("prediction log", re.sub("//.*@", "//", mongodb)), ("TorchServe", plan.torchserve_url)]
    rows += [("Prometheus", f"{ports.url('prometheus')}/graph" if plan.prometheus else "not installed: apt-get install prometheus")]
    rows += [("Alertmanager", ports.url("alertmanager") if plan.alertmanager else "not installed: apt-get install prometheus-alertmanager")]
    rows += [("MLflow", ports.url("mlflow"))] * plan.args.mlflow_ui + [("logs", str(plan.folder))]
    return "\n".join(f"{name:<15} {where}" for name, where in rows)


def run(plan: Plan) -> None:
    """Run everything until a signal, or until a part ends by itself.

    Raises:
        DriftloopError: a part could not be started, or ended.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    store = Path(".driftloop") / f"{HOST}-{plan.torchserve.inference}"  # where the scripts write archives for that server
    with ExitStack() as stack:
        mongodb = os.environ.get("MONGODB_URI") or stack.enter_context(Embedded(plan.folder / "mongodb", port=plan.ports.mongodb)).uri
        stack.enter_context(TorchServe(store, ports=plan.torchserve))
        print("serving the champion", file=sys.stderr)
        deploy(plan)
        running = stack.enter_context(Running(plan.folder, env={"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": plan.store}))
        for group in (list(services(plan, mongodb=mongodb)), list(watchers(plan))):
            for part in group:
                running.start(part)
            for part in group:
                running.wait(part, timeout_s=READY_S)
        addresses = {part: plan.ports.url(part) for part in ("prediction_service", "monitor", "retrain_hook", "prometheus", "alertmanager")}
        told = {**addresses, "torchserve": plan.torchserve_url, "pids": running.pids()}
        aside = plan.folder / "addresses.json.new"
        aside.write_text(json.dumps(told, indent=1), encoding="utf-8")
        aside.replace(plan.folder / "addresses.json")
        print(table(plan, mongodb=mongodb), file=sys.stderr)
        watch(running, None if plan.args.idle else replay(plan))


def watch(running: Running, part: Part | None) -> None:
    """Replay, and then wait for Ctrl-C.

    Raises:
        DriftloopError: a part ended by itself.
    """
    if part:
        running.start(part)
        while not running.check(may_end=part.name):
            time.sleep(POLL_S)
        print("the replay is over; Ctrl-C ends everything", file=sys.stderr)
    while True:
        running.check(may_end=part.name if part else "")
        time.sleep(POLL_S)


def work(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run everything."""
    run(plan_of(args))
    return {}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return cli.run(work, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
