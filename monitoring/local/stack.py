"""The whole system on this machine without containers: starts every part, replays a stream, and stops all on Ctrl-C.

    python -m monitoring local                            # what `make monitor` runs
    python -m monitoring local --stream taxi
    python -m monitoring local --mlflow_experiment_name again      # from the beginning: a base model of its own, an empty log
    python -m monitoring local --idle --free_ports        # replays nothing; addresses in .driftloop/monitor-elec/addresses.json

TorchServe serves the champion of the experiment (a base model is trained when there is none), and what is replayed are the rows after
those that it was trained on: a second start goes on with the champion of the first. The days of a replay pass in seconds, so it waits
while a retrain runs. MongoDB is that of MONGODB_URI, else an embedded one. Prometheus and Alertmanager run when they are installed;
without them nothing is alerted and nothing retrained.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlencode

from driftloop.cli import parsing, runner
from driftloop.cli.flags import DataFlags, TextFlags
from driftloop.errors import LogError
from driftloop.serving.torchserve import TorchServe, archive_folder
from driftloop.system.files import replace_file
from monitoring.local import champion, progress
from monitoring.local.champion import ROOT
from monitoring.local.parts import Part, Running
from monitoring.local.plan import LocalFlags, Plan, plan_of, replay, services, watchers
from monitoring.log.embedded_mongo import Embedded
from monitoring.log.mongo import Database

READY_S = 240.0
POLL_S = 0.5
MISSING = "not installed, so nothing is alerted or retrained: apt-get install"


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("monitoring local", __doc__, LocalFlags)
    parsing.add_flags(parser, DataFlags, TextFlags, title="data")
    return parser


def deploy(plan: Plan) -> int:
    """Serve the champion, by the lifecycle's own script; the first row that it was not trained on.

    Raises:
        DriftloopError: the script failed.
    """
    flags = [*plan.lifecycle_flags, *shlex.split(plan.args.deploy_flags)]
    from_row, said = champion.serve(plan.stream, torchserve_url=plan.torchserve_url, flags=flags)
    for line in said:  # another experiment of this store may have promoted the version before
        say(line)
    return from_row


def table(plan: Plan, *, mongodb: str) -> str:
    """Where everything is, one line a part."""
    ports = plan.ports
    graph = urlencode({"g0.expr": "driftloop_kpi", "g0.tab": 0, "g0.range_input": "15m"})
    rows = [("predictions", f"{ports.url('prediction_service')}/"), ("monitor", f"{ports.url('monitor')}/")]
    rows += [
        ("retrains", f"{ports.url('retrain_hook')}/retrains"),
        ("prediction log", _shown(mongodb)),
        ("TorchServe", plan.torchserve_url),
    ]
    rows += [("Prometheus", f"{ports.url('prometheus')}/graph?{graph}" if plan.prometheus else f"{MISSING} prometheus")]
    rows += [("Alertmanager", f"{ports.url('alertmanager')}/api/v2/alerts" if plan.alertmanager else f"{MISSING} prometheus-alertmanager")]
    rows += [("MLflow", _shown(plan.store) if plan.store.startswith("http") else ports.url("mlflow"))] * plan.args.mlflow_ui + [
        ("spool", str(plan.folder / "spool")),
        ("logs", str(plan.folder)),
    ]
    return "\n".join(f"{name:<15} {where}" for name, where in rows)


def _shown(address: str) -> str:
    return re.sub(r"(//).*@|\?.*", r"\1", address)  # without a password, in the user's part or in an option


def database(plan: Plan, stack: ExitStack) -> str:
    """The address of MongoDB: a server that answers, or an embedded one that ends with `stack`.

    Raises:
        DriftloopError: MONGODB_URI names no server that answers, or the embedded one does not start.
    """
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        return stack.enter_context(Embedded(plan.folder / "mongodb", port=plan.ports.mongodb)).uri
    server = Database(uri)
    stack.callback(server.close)
    try:
        server.ping()
    except LogError as exc:
        raise LogError(f"MONGODB_URI: {exc}: start that server, or unset MONGODB_URI to have an embedded one") from exc
    return uri


def run(plan: Plan) -> None:
    """Run everything until a signal, or until a part ends by itself.

    Raises:
        DriftloopError: a part could not be started, or ended.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    store = archive_folder(plan.torchserve.url)
    with ExitStack() as stack:
        if plan.args.free_ports:
            stack.callback(shutil.rmtree, store, ignore_errors=True)  # nobody will ask at these ports again
        say("starting MongoDB and TorchServe")
        mongodb = database(plan, stack)
        stack.enter_context(TorchServe(store, ports=plan.torchserve))
        say("serving the champion; the first time a base model is trained: a minute or two")
        from_row = deploy(plan)
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
    """Addresses and process ids in the folder's addresses.json, while everything runs."""
    addresses = {part: plan.ports.url(part) for part in ("prediction_service", "monitor", "retrain_hook", "prometheus", "alertmanager")}
    told = {**addresses, "torchserve": plan.torchserve_url, "pids": running.pids()}
    path = plan.folder / "addresses.json"
    replace_file(path, json.dumps(told, indent=1))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def watch(running: Running, part: Part | None, *, retrains: str) -> None:
    """Replay, tell of the retrains, and wait for Ctrl-C.

    Raises:
        DriftloopError: a part ended by itself.
    """
    told, replays = progress.RetrainProgress(retrains), part is not None
    told.news()  # what an earlier start did is none
    if part:
        running.start(part)
        say(f"replaying: {shlex.join(part.command)}")
    while True:
        if running.check(may_end=part.name if part else "") and replays:
            replays = False
            say("the replay is over; Ctrl-C ends everything")
        for line in told.news():
            say(line)
        time.sleep(POLL_S)


def say(line: str) -> None:
    """Tell the person who watches."""
    print(line, file=sys.stderr, flush=True)


def work(args: LocalFlags) -> tuple[dict[str, Any], int]:
    """Run everything."""
    run(plan_of(args))
    return {}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, LocalFlags)
