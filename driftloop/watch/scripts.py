"""The work of each script, for any learner: train, deploy, retrain, or the whole lifecycle.

Each job returns the result as JSON values and the exit code.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

from driftloop.cli import printed_commands
from driftloop.cli.flags import WatchFlags
from driftloop.cli.script_flags import BaseModelFlags, DeployFlags, LifecycleFlags, RetrainFlags, SwapFlags
from driftloop.errors import EXIT_DRIFT, SettingsError
from driftloop.metrics.results import WatchResult
from driftloop.report import terminal
from driftloop.serving.site import check_server, torchserve
from driftloop.tracking import mlflow_store, runs
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.registry import Registry
from driftloop.training import base, mlflow_text
from driftloop.training.family import Family
from driftloop.training.fitting import Learner
from driftloop.training.retrain import retrain
from driftloop.training.trained_model import KnownModel
from driftloop.watch import deployment, kpi_choice
from driftloop.watch.deployment import OnDrift
from driftloop.watch.preparation import Work, base_model, base_plan, open_work, retrain_plan, train_until, until_row
from driftloop.watch.promoting import decisions

Done = tuple[dict[str, Any], int]


def train(args: BaseModelFlags, learner: Learner) -> Done:
    """Train the base model and log it."""
    opened = open_work(args, learner, shows_columns=True)
    plan = base_plan(args, opened, total_trials=args.total_trials)
    with mlflow_store.run(opened.store, base.run_name(opened.stream), role="base") as run_id:
        known = base.train_base(opened.store, learner, opened.stream, plan, run_id=run_id)
    figures, unit, kpi = base.test_figures(opened.stream, known, doing=plan.kpi), opened.stream.unit, plan.kpi.kpi if plan.kpi else ""
    print(terminal.base_text(known.params, figures, trained=known.trained, run_id=run_id, experiment=opened.store.experiment_name, unit=unit, kpi=kpi))
    _say_where(opened, run_id)
    return {"run_id": run_id, "experiment": opened.store.experiment_name, "params": known.params, "trained_rows": known.trained, **figures}, 0


def deploy(args: DeployFlags, learner: Learner) -> Done:
    """Deploy, watch, decide; with --serve_only deploy."""
    started = args.call.started
    if args.serve_only and not args.torchserve_url:
        raise SettingsError("--serve_only is given without --torchserve_url: give the address of a running TorchServe")
    deployment.check_places(args)
    opened = open_work(args, learner)
    deployment.check_name(opened, args)
    deployment.drift_rule(args, deployment.goal_of(opened, args, None))  # check before a training what the watch needs
    opened, known = base_model(opened, args)
    args = kpi_choice.of_base(args, runs.param_of(opened.store, known.run_id, "kpi"))
    decide = OnDrift(args.on_drift)
    served = deployment.champion(opened, known, name=args.register_model_name)
    if args.serve_only:
        return _serve(opened, args, served)
    result = deployment.watch_served(opened, args, known, served=served, decide=decide)
    result = replace(result, seconds=time.monotonic() - started)
    deployment.log_outcome(opened, args, result, deployment_run_id=result.run_id)
    print(terminal.blocks_text(result.scores))
    print(terminal.summary_text(result))
    if result.drift and decide.advises:
        print(terminal.advice_text(result, command=printed_commands.retrain(args, experiment=opened.store.experiment_name, base_run_id=known.run_id)))
    _say_where(opened, result.run_id)
    return result.as_json(), _code(result, args)


def _serve(opened: Work, args: SwapFlags, served: KnownModel) -> Done:
    with torchserve(url=args.torchserve_url, ports=None) as site:
        served = deployment.put(opened, deployment.served_by(opened, args, site), served)
    return {"version": served.version, "run_id": served.run_id, "trained_rows": served.trained, "experiment": opened.store.experiment_name}, 0


def retrain_drifted(args: RetrainFlags, learner: Learner) -> Done:
    """Retrain, judge, promote."""
    plan = retrain_plan(args, learner)
    plan.check()
    if args.torchserve_url:
        check_server(url=args.torchserve_url, ports=None)
    opened = open_work(args, learner)
    deployment.check_name(opened, args)
    until = until_row(opened.stream, args)
    kpi_choice.chosen(opened.stream, args, trained=(0, len(opened.stream)))  # check before a training
    opened, known = base_model(opened, args)
    args = kpi_choice.of_base(args, runs.param_of(opened.store, known.run_id, "kpi"))
    served = deployment.champion(opened, known, name=args.register_model_name)
    kpi = kpi_choice.chosen(opened.stream, args, trained=(0, known.trained[1]))
    plan = retrain_plan(args, learner, kpi=kpi)
    cause = deployment.find_cause(opened, known, served, until_row=until)
    family = Family(opened.store, opened.stream, kpi)
    family.add_served(known, served)
    record, winner = retrain(opened.store, learner, opened.stream, served, cause=cause, plan=plan, parent_run_id=known.run_id, family=family)
    family.log()
    decision = decisions.of_retrain(record, script=args.call.prog, alpha=plan.alpha)
    if winner is None:
        promotion_log.refuse(Registry(opened.store.client, args.register_model_name), decision)
    else:
        record = replace(record, version=deployment.promote_winner(opened, args, winner, decision=decision).version)
    print(terminal.judged_text(record))
    _say_where(opened, record.run_id)
    return {**record.as_json(), "base_run_id": known.run_id, "experiment": opened.store.experiment_name}, 0


def run_lifecycle(args: LifecycleFlags, learner: Learner) -> Done:
    """Train, serve, watch to the end."""
    started = args.call.started
    deployment.check_places(args)
    opened = open_work(args, learner, shows_columns=True)
    deployment.check_name(opened, args)
    decide = OnDrift(args.on_drift)
    trained_stop = base.base_span(opened.stream, until=train_until(args.train_until, zone=args.time_zone))[1]
    deployment.watch_plan(opened, args, None, trained_stop=trained_stop, decide=decide)  # check before the training what the watch needs
    with mlflow_store.run(opened.store, f"{opened.stream.name} lifecycle", role="base") as run_id:
        print("training the base model", file=sys.stderr)
        known = base.train_base(opened.store, learner, opened.stream, base_plan(args, opened, total_trials=args.base_trials), run_id=run_id)
        result = deployment.watch_served(opened, args, known, served=known, decide=decide)
        whole = replace(result, run_id=run_id, seconds=time.monotonic() - started)
        deployment.log_outcome(opened, args, whole, deployment_run_id=result.run_id)
    print(terminal.summary_text(whole))
    _say_where(opened, run_id)
    return whole.as_json(), _code(whole, args)


def _say_where(opened: Work, run_id: str) -> None:
    print(mlflow_text.where(opened.store, run_id), file=sys.stderr)


def _code(result: WatchResult, args: WatchFlags) -> int:
    return EXIT_DRIFT if result.drift and args.fail_on_drift else 0
