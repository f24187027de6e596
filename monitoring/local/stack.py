"""The whole system on this machine without containers: starts every part, replays a stream, and stops all on Ctrl-C.

    python -m monitoring local                            # what `make monitor` runs
    python -m monitoring local --stream taxi
    python -m monitoring local --mlflow_experiment_name again      # from the start: a new base model, an empty log
    python -m monitoring local --idle --free_ports        # replays nothing; addresses in .driftloop/monitor-elec/addresses.json

TorchServe serves the experiment's champion (a base model is trained if there is none), and the rows after its training rows are
replayed: a second start continues with the champion of the first. The days of a replay pass in seconds, so it waits while a
retrain runs. MongoDB is that of MONGODB_URI, else an embedded one. Prometheus and Alertmanager run if they are installed;
without them there are no alerts and no retrains.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import urlencode

from driftloop.cli import parsing, runner
from driftloop.cli.flags import DataFlags, TextFlags
from driftloop.errors import LogError
from driftloop.serving.torchserve import TorchServe, archive_folder
from driftloop.settings import ROOT
from driftloop.system.files import replace_file
from monitoring.local import champion, progress
from monitoring.local.parts import Part, Running
from monitoring.local.plan import LocalFlags, Plan, plan_of, replay, services, watchers
from monitoring.local.progress import say
from monitoring.log.embedded_mongo import Embedded
from monitoring.log.mongo import Database

READY_S = 240.0
POLL_S = 0.5
MISSING = "not installed, so there are no alerts or retrains: apt-get install"


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    parser = parsing.parser("monitoring local", __doc__, LocalFlags)
    parsing.add_flags(parser, DataFlags, TextFlags, title="data")
    return parser


def table(plan: Plan, *, mongodb: str) -> str:
    """The address of each part, one per line."""
    ports = plan.ports
    graph = urlencode({"g0.expr": "driftloop_kpi", "g0.tab": 0, "g0.range_input": "15m"})
    mlflow = _shown(plan.store) if plan.store.startswith("http") else ports.url("mlflow")
    rows = {
        "predictions": f"{ports.url('prediction_service')}/",
        "monitor": f"{ports.url('monitor')}/",
        "retrains": f"{ports.url('retrain_hook')}/retrains",
        "prediction log": _shown(mongodb),
        "TorchServe": plan.torchserve.url,
        "Prometheus": f"{ports.url('prometheus')}/graph?{graph}" if plan.prometheus else f"{MISSING} prometheus",
        "Alertmanager": f"{ports.url('alertmanager')}/api/v2/alerts" if plan.alertmanager else f"{MISSING} prometheus-alertmanager",
        **({"MLflow": mlflow} if plan.args.mlflow_ui else {}),
        "spool": plan.folder / "spool",
        "logs": plan.folder,
    }
    return "\n".join(f"{name:<15} {where}" for name, where in rows.items())


def _shown(address: str) -> str:
    return re.sub(r"(//).*@|\?.*", r"\1", address)  # hides a password before the host or in an option


def database(plan: Plan, stack: ExitStack) -> str:
    """The URI of MongoDB: that of MONGODB_URI, or an embedded one that ends with `stack`.

    Raises:
        DriftloopError: the server of MONGODB_URI does not answer, or the embedded one does not start.
    """
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        return stack.enter_context(Embedded(plan.folder / "mongodb", port=plan.ports.mongodb)).uri
    try:
        with closing(Database(uri)) as server:
            server.ping()
    except LogError as exc:
        raise LogError(f"MONGODB_URI: {exc}: start that server, or unset MONGODB_URI to use an embedded one") from exc
    return uri


def run(plan: Plan) -> None:
    """Run everything until a signal, or until a part ends.

    Raises:
        DriftloopError: a part could not be started, or ended.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    store = archive_folder(plan.torchserve.url)
    with ExitStack() as stack:
        if plan.args.free_ports:
            stack.callback(shutil.rmtree, store, ignore_errors=True)  # these ports are not used again
        say("starting MongoDB and TorchServe")
        mongodb = database(plan, stack)
        stack.enter_context(TorchServe(store, ports=plan.torchserve))
        say("serving the champion; the first start trains a base model, in a minute or two")
        flags = [*plan.lifecycle_flags, *shlex.split(plan.args.deploy_flags)]
        from_row, said = champion.serve(plan.stream, torchserve_url=plan.torchserve.url, flags=flags)
        for line in said:
            say(line)
        running = stack.enter_context(Running(plan.folder, env={"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": plan.store}))
        for group in (list(services(plan, mongodb=mongodb)), list(watchers(plan))):
            say(f"starting {', '.join(part.name for part in group)}")
            for part in group:
                running.start(part)
            for part in group:
                running.wait(part, timeout_s=READY_S)
        stack.enter_context(card(plan, running))
        say(table(plan, mongodb=mongodb))
        watch(running, None if plan.args.idle else replay(plan, from_row=from_row), retrains=f"{plan.ports.url('retrain_hook')}/retrains")


@contextmanager
def card(plan: Plan, running: Running) -> Iterator[None]:
    """Keep addresses and process ids in the folder's addresses.json while everything runs."""
    addresses = {part: plan.ports.url(part) for part in ("prediction_service", "monitor", "retrain_hook", "prometheus", "alertmanager")}
    path = plan.folder / "addresses.json"
    replace_file(path, json.dumps({**addresses, "torchserve": plan.torchserve.url, "pids": running.pids()}, indent=1))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def watch(running: Running, part: Part | None, *, retrains: str) -> None:
    """Replay, report the retrains, and wait for Ctrl-C.

    Raises:
        DriftloopError: a part ended.
    """
    retraining, replays = progress.RetrainProgress(retrains), part is not None
    retraining.news()  # those of an earlier start are no news
    if part:
        running.start(part)
        say(f"replaying: {shlex.join(part.command)}")
    while True:
        if running.check(may_end=part.name if part else "") and replays:
            replays = False
            say("the replay is complete; Ctrl-C stops everything")
        for line in retraining.news():
            say(line)
        time.sleep(POLL_S)


def work(args: LocalFlags) -> tuple[dict[str, Any], int]:
    """Run everything."""
    run(plan_of(args))
    return {}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, LocalFlags)
