"""The plan of `monitoring local`: ports and programs from the flags, and the command of each part."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import yaml

from driftloop.cli.call import Flags, flag
from driftloop.cli.flag_types import experiment_name
from driftloop.cli.flags import DataFlags
from driftloop.cli.parsing import whole
from driftloop.errors import SettingsError
from driftloop.serving.torchserve import Ports
from driftloop.settings import DEFAULT_STORE
from driftloop.system.ports import HOST
from driftloop.watch import learners
from monitoring import stream_settings
from monitoring.local.parts import LocalPorts, Part, alertmanager_config, find_alertmanager, free_torchserve_ports, prometheus_config
from monitoring.stream_settings import StreamConfig

SOONEST_AGAIN_S = 5  # an alert that goes on firing is not told to the hook again any sooner


@dataclass(frozen=True)
class LocalFlags(Flags, DataFlags):
    """What `monitoring local` is given."""

    stream: str = flag("elec", "the stream to serve and replay")
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")
    folder: str = flag("", "keeps logs, spool and databases; empty: .driftloop/ and the experiment's name")
    mlflow_experiment_name: str = flag("", "experiment with the base model and the retrains; empty: monitor- and the stream's name", type=experiment_name)
    deploy_flags: str = flag("", "more flags of the script that deploys, as one text")
    retrain_flags: str = flag("--total_trials 4", "flags of the script that retrains, as one text")
    cool_down_s: int = flag(60, "pause between two retrains, in seconds", type=whole(0))
    scrape_s: int = flag(5, "seconds between two scrapes of Prometheus", type=whole(1, 3600))
    rate: int = flag(100, "rows a second of the replay; 0: as fast as they are answered", type=whole(0))
    from_row: int = flag(0, "first row to replay; 0: that after the rows the champion was trained on", type=whole(0))
    rows: int = flag(0, "rows to replay; 0: all that are left", type=whole(0))
    idle: bool = flag(False, "replay nothing")
    no_wait: bool = flag(False, "replay on while a retrain runs")
    free_ports: bool = flag(False, "take free ports instead of the usual ones")
    mlflow_ui: bool = flag(False, "run MLflow's pages, too")


@dataclass(frozen=True)
class Plan:
    """What to run where."""

    args: LocalFlags
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
        return self.torchserve.url

    @property
    def data_flags(self) -> list[str]:
        """The flags that read the stream's table, for the scripts."""
        return [word for one in fields(DataFlags) if (value := getattr(self.args, one.name)) not in ("", "refuse") for word in (f"--{one.name}", value)]

    @property
    def lifecycle_flags(self) -> list[str]:
        """Those and the experiment."""
        return ["--mlflow_experiment_name", self.args.mlflow_experiment_name, *self.data_flags]


def plan_of(args: LocalFlags) -> Plan:
    """What the flags ask for.

    Raises:
        SettingsError: the stream is not known, its learner cannot be imported, or a port is taken.
    """
    streams = stream_settings.load(args.streams_file or None)
    if args.stream not in streams:
        raise SettingsError(f"--stream {args.stream!r} is not known; known are {', '.join(streams)}")
    learners.check(streams[args.stream].learner)
    args = replace(args, mlflow_experiment_name=args.mlflow_experiment_name or f"monitor-{args.stream}")
    ports, torchserve = (LocalPorts.free(), free_torchserve_ports()) if args.free_ports else (LocalPorts(), Ports())
    plan = Plan(
        args=args,
        stream=streams[args.stream],
        folder=Path(args.folder or Path(".driftloop") / args.mlflow_experiment_name).resolve(),
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
    """Our own services; `mongodb` and MLflow's store may hold a password and reach them in the environment."""
    args, ports, python = plan.args, plan.ports, (sys.executable, "-m")
    spool = str(plan.folder / "spool")
    described = ["--streams_file", args.streams_file] if args.streams_file else []
    named = ["--streams", plan.stream.name, *described]
    monitor = ["--port", str(ports.monitor), *named]
    log = {"MONGODB_URI": mongodb}
    yield Part("monitor", (*python, "monitoring", "monitor", *monitor), f"{ports.url('monitor')}/ready", {**log, "MLFLOW_TRACKING_URI": plan.store})
    front = ["--port", str(ports.prediction_service), "--torchserve_url", plan.torchserve_url, "--spool", spool, "--monitor_url", ports.url("monitor"), *named]
    yield Part("prediction_service", (*python, "prediction_service", *front), f"{ports.url('prediction_service')}/ready")
    retrain = shlex.join([*shlex.split(plan.stream.retrain), *plan.lifecycle_flags, *shlex.split(args.retrain_flags)])
    hook = ["--port", str(ports.retrain_hook), "--torchserve_url", plan.torchserve_url, "--monitor_url", ports.url("monitor"), *described]
    hook += ["--state", str(plan.folder / "retrains"), "--command", f"{plan.stream.name}={retrain}", "--cool_down_s", str(args.cool_down_s)]
    yield Part("retrain_hook", (*python, "monitoring", "hook", *hook), f"{ports.url('retrain_hook')}/health")
    yield Part("shipper", (*python, "monitoring", "shipper", "--spool", spool, "--monitor_url", ports.url("monitor")), env=log)
    if args.mlflow_ui and not plan.store.startswith("http"):  # a tracking server has its own pages
        ui = ["mlflow", "ui", "--host", HOST, "--port", str(ports.mlflow), "--workers", "1"]
        yield Part("mlflow", (*python, *ui), f"{ports.url('mlflow')}/health", {"MLFLOW_BACKEND_STORE_URI": plan.store})


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


def replay(plan: Plan, *, from_row: int) -> Part:
    """The replay of the stream."""
    args = plan.args
    flags = ["--url", plan.ports.url("prediction_service"), "--stream", plan.stream.name, "--block_size", str(plan.stream.block_size)]
    flags += ["--from_row", str(args.from_row or from_row), "--rate", str(args.rate), "--rows", str(args.rows)]
    flags += [] if args.no_wait else ["--hook_url", plan.ports.url("retrain_hook")]
    return Part("replay", (sys.executable, "-m", "monitoring", "replay", "--learner", plan.stream.learner, *flags, *plan.data_flags))
