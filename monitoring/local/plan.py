"""The plan of `monitoring local`: ports and programs from the flags, and the command of each part."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
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
from monitoring import described, stream_settings, stream_table
from monitoring.described import StreamModel
from monitoring.local.parts import LocalPorts, Part, alertmanager_config, find_alertmanager, free_torchserve_ports, prometheus_config
from monitoring.stream_settings import StreamConfig

SOONEST_AGAIN_S = 5  # minimum seconds between two notifications of a firing alert


@dataclass(frozen=True)
class LocalFlags(Flags, DataFlags):
    """The values of `monitoring local`'s flags."""

    stream: str = flag("elec", "stream to serve and replay")
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")
    folder: str = flag("", "folder for logs, spool and databases; empty: .driftloop/ and the experiment's name")
    mlflow_experiment_name: str = flag("", "experiment with the base model and the retrains; empty: monitor- and the stream's name", type=experiment_name)
    deploy_flags: str = flag("", "more flags for the deploy script, as one text")
    retrain_flags: str = flag("--total_trials 4", "flags for the retrain script, as one text")
    cool_down_s: int = flag(60, "minimum pause between two retrains, in seconds", type=whole(0))
    scrape_s: int = flag(5, "seconds between two scrapes by Prometheus", type=whole(1, 3600))
    rate: int = flag(100, "rows per second of the replay; 0: as fast as they are answered", type=whole(0))
    from_row: int = flag(0, "first row to replay; 0: the first after the champion's training rows", type=whole(0))
    rows: int = flag(0, "rows to replay; 0: all from there", type=whole(0))
    idle: bool = flag(False, "replay nothing")
    no_wait: bool = flag(False, "keep replaying while a retrain runs")
    free_ports: bool = flag(False, "use free ports instead of the usual ones")
    mlflow_ui: bool = flag(False, "run MLflow's UI, too")


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
    base_run_id: str = ""  # of the champion's base model; "": the experiment's newest, or one that is trained now
    reading: Mapping[str, str] = field(default_factory=dict)  # flags to read the table that the streams file names; those that are given come first

    @property
    def data_flags(self) -> list[str]:
        """The scripts' flags to read the stream's table."""
        given = {one.name: value for one in fields(DataFlags) if (value := getattr(self.args, one.name)) != one.metadata["default"]}
        return [word for name, value in {**self.reading, **given}.items() for word in (f"--{name}", value)]

    @property
    def lifecycle_flags(self) -> list[str]:
        """The scripts' flags for the table and the experiment."""
        base = ["--base_run_id", self.base_run_id] if self.base_run_id else []
        return ["--mlflow_experiment_name", self.args.mlflow_experiment_name, *base, *self.data_flags]


def plan_of(args: LocalFlags) -> Plan:
    """The plan for these flags.

    Raises:
        SettingsError: the stream is unknown, its learner cannot be imported, its table is not named or not there, or a port is taken.
        TrackingError: the stream's features are its model's, which has no champion.
    """
    stream = stream_settings.pick(args.stream, args.streams_file)
    if not stream.ours:
        how = "start prediction_service, monitor and shipper (docs/any_model.md)"
        raise SettingsError(f"stream {stream.name} is served elsewhere or by model_uri, there is no model of ours to serve: {how}")
    learners.check(stream.learner)
    if not args.data_path:
        stream.retrain_alone(instead="; or give --data_path and --target")
        stream_table.check(stream)
    folder, base_run_id = Path(args.folder or Path(".driftloop") / (args.mlflow_experiment_name or f"monitor-{args.stream}")).resolve(), ""
    its = StreamModel((), stream.task, ())
    if not stream.features:
        (its,) = described.read([stream.model])
        stream = described.with_model(stream, its)
        if args.mlflow_experiment_name in {"", its.experiment}:  # the champion is served as it is, no other base model is trained
            args, base_run_id = replace(args, mlflow_experiment_name=its.experiment), its.base_run_id
    args = replace(args, mlflow_experiment_name=args.mlflow_experiment_name or f"monitor-{args.stream}")
    ports, torchserve = (LocalPorts.free(), free_torchserve_ports()) if args.free_ports else (LocalPorts(), Ports())
    plan = Plan(
        args=args,
        stream=stream,
        folder=folder,
        ports=ports,
        torchserve=torchserve,
        store=os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE),
        prometheus=shutil.which("prometheus"),
        alertmanager=find_alertmanager(),
        base_run_id=base_run_id,
        reading={} if args.data_path else stream_table.reading(stream, its),
    )
    ports.check(["prediction_service", "monitor", "retrain_hook", *["prometheus"] * bool(plan.prometheus), *["alertmanager"] * bool(plan.alertmanager)])
    torchserve.check()
    return plan


def services(plan: Plan, *, mongodb: str) -> Iterator[Part]:
    """Our own services; `mongodb` and MLflow's store may contain a password, so they are passed in the environment."""
    args, ports, python = plan.args, plan.ports, (sys.executable, "-m")
    spool = str(plan.folder / "spool")
    streams_file = ["--streams_file", args.streams_file] if args.streams_file else []
    named = ["--streams", plan.stream.name, *streams_file]
    monitor = ["--port", str(ports.monitor), *named]
    log = {"MONGODB_URI": mongodb}
    yield Part("monitor", (*python, "monitoring", "monitor", *monitor), f"{ports.url('monitor')}/ready", {**log, "MLFLOW_TRACKING_URI": plan.store})
    front = ["--port", str(ports.prediction_service), "--torchserve_url", plan.torchserve.url, "--spool", spool, "--monitor_url", ports.url("monitor"), *named]
    yield Part("prediction_service", (*python, "prediction_service", *front), f"{ports.url('prediction_service')}/ready")
    retrain = shlex.join([*shlex.split(plan.stream.retrain_script), *plan.lifecycle_flags, *shlex.split(args.retrain_flags)])
    hook = ["--port", str(ports.retrain_hook), "--torchserve_url", plan.torchserve.url, "--monitor_url", ports.url("monitor"), *streams_file]
    hook += ["--state", str(plan.folder / "retrains"), "--command", f"{plan.stream.name}={retrain}", "--cool_down_s", str(args.cool_down_s)]
    yield Part("retrain_hook", (*python, "monitoring", "hook", *hook), f"{ports.url('retrain_hook')}/health")
    yield Part("shipper", (*python, "monitoring", "shipper", "--spool", spool, "--monitor_url", ports.url("monitor")), env=log)
    if args.mlflow_ui and not plan.store.startswith("http"):  # a tracking server has its own UI
        ui = ["mlflow", "ui", "--host", HOST, "--port", str(ports.mlflow), "--workers", "1"]
        yield Part("mlflow", (*python, *ui), f"{ports.url('mlflow')}/health", {"MLFLOW_BACKEND_STORE_URI": plan.store})


def watchers(plan: Plan) -> Iterator[Part]:
    """Alertmanager and Prometheus, if installed; writes their configuration."""
    ports, folder = plan.ports, plan.folder
    if plan.alertmanager:
        path = folder / "alertmanager.yml"
        config = alertmanager_config(ports.url("retrain_hook"), repeat_s=max(plan.args.cool_down_s, SOONEST_AGAIN_S))
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        flags = [f"--config.file={path}", f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address=", "--log.level=warn"]
        listen = f"--web.listen-address={HOST}:{ports.alertmanager}"
        yield Part("alertmanager", (plan.alertmanager, *flags, listen), f"{ports.url('alertmanager')}/-/ready")
    if plan.prometheus:
        path = folder / "prometheus.yml"
        jobs = {name: f"{HOST}:{getattr(ports, name)}" for name in ("prediction_service", "monitor", "retrain_hook", "prometheus")}
        jobs["torchserve"] = f"{HOST}:{plan.torchserve.metrics}"
        alertmanager = f"{HOST}:{ports.alertmanager}" if plan.alertmanager else ""
        path.write_text(yaml.safe_dump(prometheus_config(jobs, alertmanager=alertmanager, scrape_s=plan.args.scrape_s)), encoding="utf-8")
        flags = [f"--config.file={path}", f"--storage.tsdb.path={folder / 'prometheus'}", "--log.level=warn"]
        listen = f"--web.listen-address={HOST}:{ports.prometheus}"
        yield Part("prometheus", (plan.prometheus, *flags, listen), f"{ports.url('prometheus')}/-/ready")


def replay(plan: Plan, *, from_row: int) -> Part:
    """The replay of the stream."""
    args = plan.args
    flags = ["--url", plan.ports.url("prediction_service"), "--stream", plan.stream.name]
    flags += ["--from_row", str(args.from_row or from_row), "--rate", str(args.rate), "--rows", str(args.rows)]
    flags += [] if args.no_wait else ["--hook_url", plan.ports.url("retrain_hook")]
    return Part("replay", (sys.executable, "-m", "monitoring", "replay", "--learner", plan.stream.learner, *flags, *plan.data_flags))
