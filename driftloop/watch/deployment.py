"""Serves a model on TorchServe and watches it: shared by deployments and whole lifecycles."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from driftloop.cli import runner
from driftloop.cli.flags import WatchFlags
from driftloop.cli.script_flags import LoopFlags, ServedFlags, SwapFlags
from driftloop.data import blocks
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.errors import DriftloopError, ServingError, SettingsError
from driftloop.metrics import task
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import NO_BLOCK, BlockScore, WatchResult
from driftloop.report import terminal, watch_report, wording
from driftloop.serving import swap
from driftloop.serving.site import Site, TorchServeDeployment, check_server, describe, promote, torchserve
from driftloop.settings import ASKED_BY, REFERENCE_BLOCKS
from driftloop.system import places
from driftloop.tracking import runs
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import Promotion
from driftloop.tracking.registry import CHAMPION, Registry
from driftloop.training import trained_model
from driftloop.training.retrain import Cause
from driftloop.training.trained_model import KnownModel
from driftloop.watch import kpi_choice, mlflow_log
from driftloop.watch.loop import Watch
from driftloop.watch.policies import policy
from driftloop.watch.preparation import Work, bar, ports, retrain_plan
from driftloop.watch.promoting.promotion_plan import PromotionPlan
from driftloop.watch.watch_plan import WatchPlan


@dataclass
class OnDrift:
    """The answer to "retrain now?": from the flag, or from the user, who is asked once."""

    policy: str  # prompt | retrain | advise | ignore
    asked: bool = False
    retrain: bool = False

    def __call__(self, score: BlockScore, verdict: Verdict) -> bool:
        """True when the block's drift requires a retrain now."""
        if self.policy == "prompt" and not self.asked and runner.on_terminal():
            self.asked = True
            self.retrain = runner.confirm(f"Block {score.block} has drifted: {verdict.message}. Retrain now?")
        return self.retrain or self.policy == "retrain"

    @property
    def advises(self) -> bool:
        """True when the command to retrain is to be printed."""
        return self.policy in {"prompt", "advise"} and not self.retrain


def champion(work: Work, base: KnownModel, *, name: str) -> KnownModel:
    """The version in service if the registry's champion descends from this base model; else the base model."""
    registry = Registry(work.store.client, name)
    version = registry.holder(CHAMPION)
    if version is None:
        return base
    run_id = registry.run_of(version)
    if run_id == base.run_id:
        return base.numbered(version)
    if runs.parent_of(work.store, run_id) != base.run_id:
        return base
    return trained_model.restore(work.store, run_id, learner=work.learner, stream=work.stream).numbered(version)


def check_places(args: LoopFlags) -> None:
    """Check the policy's flags, the server and the output files before anything is trained.

    Raises:
        SettingsError: as `policy.chosen`.
        DriftloopError, PlaceError, ServingError: as `report.check_place`, `places.check_temporary` and `site.check_server`.
    """
    policy.chosen(args)
    places.check_temporary()
    check_server(url=args.torchserve_url or None, ports=ports(args))
    if args.report:
        watch_report.check_place(Path(args.report))


def check_name(work: Work, args: ServedFlags) -> None:
    """Refuse an external server with someone else's model under our name, before anything is trained.

    A swap that a crash interrupted there is finished or undone now: it decides which version is the champion.

    Raises:
        ServingError: it has, or another store's swap was interrupted there, and --take_over is not given.
    """
    if args.torchserve_url:
        with torchserve(url=args.torchserve_url, ports=None) as site:
            serving = serving_on(site, work, args)
            _check_journal(serving)
            serving.check_owner()
            _recover(serving)


def rows_to_score(work: Work, args: WatchFlags, *, trained_stop: int) -> tuple[int, int]:
    """The rows from `trained_stop` on, after the model's training rows.

    Raises:
        SettingsError: more rows are requested than exist.
    """
    start, there = trained_stop, len(work.stream.rows)
    stop = start + args.test_data_rows if args.test_data_rows else there
    if stop > there or start >= there:
        raise SettingsError(f"--test_data_rows is {args.test_data_rows}, but only {there - start} rows follow the {start} training rows")
    return start, stop


def drift_rule(args: LoopFlags, goal: Goal) -> Rule:
    """The rule from the flags; the plain threshold and `never` have no probation, and a proactive watch has the forecast instead.

    Raises:
        SettingsError: the rule cannot work with the threshold or alpha.
    """
    proactive = policy.chosen(args).name == policy.PROACTIVE
    if proactive and goal.task.chosen:
        given = "--proactive" if args.proactive else "--policy proactive"
        raise SettingsError(f"{given} is given, but there is no forecast for the KPI {goal.task.kpi}: omit it")
    probation = args.after_drift == "probation" and not proactive and args.drift_rule not in {"threshold", "never"}
    return catalogue.for_goal(args.drift_rule, goal, seed=args.seed, probation=probation)


def goal_of(work: Work, args: LoopFlags, base: KnownModel | None) -> Goal:
    """The model's goal from the flags; without a threshold it follows from the KPI of the base model's validation rows.

    Before there is a base model (None) such a threshold is a stand-in.
    """
    trained = (0, base.trained[1] if base else len(work.stream))  # as the search took it, whatever window won
    kind: task.Task = kpi_choice.chosen(work.stream, args, trained=trained) or task.of(work.stream.task)
    return kpi_choice.goal(work.stream, args, kind, (lambda: _validated(work, args, base, kind)) if base else None)


def _validated(work: Work, args: LoopFlags, base: KnownModel, doing: task.Task) -> float:
    """The base model's KPI on its validation rows.

    Raises:
        SettingsError: its search measured another KPI than the one from the flags.
    """
    wanted = kpi_choice.described(args, doing) if doing.chosen else ""
    found = runs.metric_of(work.store, base.run_id, doing.objective)
    if runs.param_of(work.store, base.run_id, "kpi") != wanted or math.isnan(found):
        raise SettingsError(
            f"--threshold is not given, and the base model was not measured by {wanted or doing.kpi} on its validation rows: "
            "give --threshold, or train a new base model with the same --kpi and --cost"
        )
    return found


def watch_plan(work: Work, args: LoopFlags, base: KnownModel | None, *, trained_stop: int, decide: OnDrift) -> WatchPlan:
    """The watch from the flags, over the rows after `trained_stop`; without a base model yet it can be checked only.

    Raises:
        SettingsError: the requested rows or blocks do not exist, or a retrain has no trials.
    """
    start, stop = rows_to_score(work, args, trained_stop=trained_stop)
    goal = goal_of(work, args, base)
    plan = WatchPlan(
        start=start,
        stop=stop,
        block_size=args.block_size or blocks.usual_size(stop - start),
        block_by=args.block_by,
        goal=goal,
        rule=drift_rule(args, goal),
        policy=policy.chosen(args),
        follow_up=args.follow_up,
        lead_blocks=args.lead_blocks,
        on_drift=decide,
        max_retrains=args.max_retrains,
        retrain=retrain_plan(args, work.learner, kpi=goal.task if goal.task.chosen else None),
        promotion=PromotionPlan(args.promote, args.promote_alpha, args.shadow_blocks, args.go_back, args.earlier_versions),
    )
    plan.check(work.stream)
    return plan


def watch_served(work: Work, args: LoopFlags, base: KnownModel, *, served: KnownModel, decide: OnDrift) -> WatchResult:
    """Serve `served` on TorchServe and watch it over the rows from the flags.

    Raises:
        SettingsError: as `watch_plan`.
        ServingError: TorchServe did not start, did not load the model, or answered wrongly.
    """
    plan = watch_plan(work, args, base, trained_stop=served.trained[1], decide=decide)
    rows = max(block.rows for block in plan.cut(work.stream))
    plan.rule.prepare(trained_model.errors(served, work.stream, newest=REFERENCE_BLOCKS * rows, doing=plan.goal.task), block_size=rows)
    with torchserve(url=args.torchserve_url or None, ports=ports(args)) as site:
        serving = served_by(work, args, site)
        with serving.owner():
            served = put(work, serving, served)
            watch = Watch(
                store=work.store,
                learner=work.learner,
                stream=work.stream,
                serving=serving,
                registry=serving.registry,
                base=served if served.run_id == base.run_id else base,
                champion=served,
                earlier=_earlier(serving, served, most=plan.promotion.earlier),
                plan=plan,
                progress=lambda blocks: bar(blocks, desc="blocks", unit="block"),
                told=lambda record: tqdm.write(terminal.retrain_line(record), file=sys.stderr),
            )
            return watch.run()


def _earlier(serving: TorchServeDeployment, served: KnownModel, *, most: int) -> list[KnownModel]:
    """Versions that served before, the newest first; without those that do not fit the stream."""
    versions = serving.registry.before(served.version) if most else []
    return [known for version in versions if (known := serving.restore(version)) is not None][:most]


def put(work: Work, serving: TorchServeDeployment, known: KnownModel) -> KnownModel:
    """Serve a model as the champion; return it with its version number.

    Raises:
        ServingError: as `site.promote`.
    """
    registry = serving.registry
    before = registry.holder(CHAMPION)
    decision = promotion_log.made(promotion_log.DEPLOYED, why="deployed", script=serving.script)
    served = promote(registry, serving, known, decision=decision, store=work.store, stream=work.stream)
    if before not in (None, served.version):
        print(f"version {served.version} takes the alias {CHAMPION} of {registry.name} from version {before}", file=sys.stderr)
    print(f"serving {registry.name} version {served.version} at {serving.client.inference_url}/predictions/{registry.name}", file=sys.stderr)
    return served


def log_outcome(work: Work, args: WatchFlags, result: WatchResult, *, deployment_run_id: str) -> None:
    """Log the figures and report.html to the result's run, and the figures to its deployment's; write the report to --report."""
    mlflow_log.log_report(work.store, result, deployment_run_id=deployment_run_id, report=args.report)


def find_cause(work: Work, base: KnownModel, served: KnownModel, *, until_row: int) -> Cause:
    """Why and up to which row to retrain: a requested row, else the drift found by the base model's newest deployment.

    The environment variable `ASKED_BY` names the requester; by default the user of the script.

    Raises:
        SettingsError: `until_row` is outside the rows that are new to the served model.
    """
    there, known = len(work.stream.rows), served.trained[1]
    if until_row and not known < until_row <= there:
        raise SettingsError(f"--until_row is {until_row}: give {known + 1}..{there}, after the rows the model in service was trained on")
    block, row = runs.drift_of(work.store, base.run_id)
    if until_row:
        newest = wording.moment(str(work.stream.times[until_row - 1].astype("datetime64[s]")))
        asker = os.environ.get(ASKED_BY)
        reason = f"requested {f'by {asker}' if asker else 'manually'}, on the rows up to row {until_row} ({newest})"
        return Cause(block if known < row <= until_row else NO_BLOCK, until_row, reason, asked=True)
    if row > known:
        return Cause(block, row, f"the newest deployment found drift in block {block}, which ends before row {row}")
    return Cause(NO_BLOCK, there, f"requested manually, on the newest rows, up to row {there}: no deployment has recorded a drift of the model in service")


def promote_winner(work: Work, args: SwapFlags, winner: KnownModel, *, decision: Promotion) -> KnownModel:
    """Register a winner and move the aliases; with --torchserve_url swap it in there, too."""
    registry = Registry(work.store.client, args.register_model_name)
    if not args.torchserve_url:
        winner = winner.numbered(registry.register(source=winner.uri, run_id=winner.run_id))
        promotion_log.carry_out(registry, replace(decision, before=registry.holder(CHAMPION) or "", after=winner.version, run_id=winner.run_id))
        describe(registry, winner, reason=decision.why, store=work.store, stream=work.stream)
        return winner
    with torchserve(url=args.torchserve_url, ports=None) as site:
        return promote(registry, served_by(work, args, site), winner, decision=decision, store=work.store, stream=work.stream)


def served_by(work: Work, args: ServedFlags, site: Site) -> TorchServeDeployment:
    """The deployment on a TorchServe, after recovery of an interrupted swap.

    Raises:
        ServingError: the interrupted swap was another store's, and --take_over is not given.
    """
    serving = serving_on(site, work, args)
    _check_journal(serving)
    _recover(serving)
    return serving


def _recover(serving: TorchServeDeployment) -> None:
    def move_alias(version: str) -> None:
        entry = swap.read_journal(serving.journal)
        if entry and entry.decision:
            promotion_log.carry_out(serving.registry, Promotion.read(entry.decision))
        else:  # the journal of an early driftloop
            serving.registry.promote(version, reason="an interrupted swap, finished by the next start")

    swap.recover(serving.client, serving.journal, move_alias=move_alias)


def _check_journal(serving: TorchServeDeployment) -> None:
    """Refuse another store's interrupted swap, or drop it with --take_over: its version numbers are not ours."""
    entry = swap.read_journal(serving.journal)
    if not entry or entry.step in (swap.DONE, swap.UNDONE) or not entry.run_id or serving.registry.knows(entry.run_id):
        return
    if not serving.take_over:
        raise ServingError(
            f"a swap to version {entry.version} of {entry.name} by another MLflow store was interrupted ({serving.journal}): "
            "run deploy_model.py with that store, or give --take_over to drop it"
        )
    serving.journal.unlink()


def serving_on(site: Site, work: Work, args: ServedFlags) -> TorchServeDeployment:
    """The model of our name on a TorchServe; changes nothing."""
    registry = Registry(work.store.client, args.register_model_name)

    def restore(version: str) -> KnownModel | None:
        try:
            return trained_model.restore(work.store, registry.run_of(version), learner=work.learner, stream=work.stream).numbered(version)
        except DriftloopError:  # no such version, or it does not fit this table
            return None

    return TorchServeDeployment(
        site,
        name=args.register_model_name,
        learner=work.learner,
        stream=work.stream,
        registry=registry,
        restore=restore,
        take_over=args.take_over,
        workers=args.workers,
        script=args.call.prog,
        updatable=isinstance(args, LoopFlags) and policy.chosen(args).name == policy.CONTINUOUS,
    )
