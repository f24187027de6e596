"""Watches a served model block by block: predict, score when the labels arrive, judge, retrain, swap, continue."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from driftloop.data import blocks
from driftloop.data.streams import Stream
from driftloop.drift.answer import Answer
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.forecast import crossing
from driftloop.drift.paired.paired_test import BETTER
from driftloop.drift.verdict import Verdict
from driftloop.errors import ServingError, TrainingError
from driftloop.metrics import scoring, task
from driftloop.metrics.results import BlockScore, RetrainRecord, RollbackRecord, WatchResult
from driftloop.report import descriptions, wording
from driftloop.serving.golden import difference
from driftloop.serving.site import TorchServeDeployment, promote
from driftloop.tracking import mlflow_store
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import Promotion
from driftloop.tracking.registry import Registry
from driftloop.training import datasets, family, mlflow_text, retrain, shadow_retrain, trained_model
from driftloop.training.fitting import Learner
from driftloop.training.retrain import Cause
from driftloop.training.trained_model import KnownModel
from driftloop.watch import watch_result
from driftloop.watch.follow_up import FollowUp
from driftloop.watch.policies.continuous import Continuous, Tools
from driftloop.watch.policies.policy import CONTINUOUS, Schedule
from driftloop.watch.promoting import decisions
from driftloop.watch.promoting import earlier as earlier_versions
from driftloop.watch.promoting.promotion_plan import SHADOW
from driftloop.watch.promoting.shadow import Shadow
from driftloop.watch.watch_plan import WatchPlan

LOGGED = ("proactive", "lead_blocks", "follow_up", "block_size", "block_by", "start", "stop", "max_retrains")


class Watch:
    """One watch over rows `plan.start`..`plan.stop`, as children of the base model's run.

    `earlier` are versions that served before the champion, the newest first. `progress` wraps the blocks in a progress bar; `told` is called with
    every finished retrain.
    """

    def __init__(
        self,
        *,
        store: mlflow_store.Store,
        learner: Learner,
        stream: Stream,
        serving: TorchServeDeployment,
        registry: Registry,
        base: KnownModel,
        plan: WatchPlan,
        champion: KnownModel | None = None,
        earlier: Sequence[KnownModel] = (),
        progress: Callable[[Iterable], Iterable] = iter,
        told: Callable[[RetrainRecord], None] = lambda _: None,
    ) -> None:
        self.store, self.learner, self.stream, self.serving, self.registry = store, learner, stream, serving, registry
        self.base, self.plan, self.progress, self.told = base, plan, progress, told
        self.champion, self.task, self.kpi = champion or base, task.of(stream.task), plan.goal.task
        self.rivals: dict[str, Callable[[np.ndarray], np.ndarray]] = {}  # fitted on the training rows of the version in service
        self.guessed: dict[str, list[np.ndarray]] = {}
        self.served = {self.champion.version: self.champion}
        self.earlier = earlier
        self.outputs: list[np.ndarray] = []  # of the versions in service, block by block
        self.scores: list[BlockScore] = []
        self.retrains: list[RetrainRecord] = []
        self.diagnosis = Diagnosis(stream, plan.goal)
        self.verdict: Verdict | None = None  # the newest
        self.follow_up = FollowUp()
        self.schedule = Schedule(plan.policy, plan.goal, stream, start=plan.start)
        self.largest_difference = 0.0
        self.family = family.Family(store, stream, self.kpi if self.kpi.chosen else None)
        self.family.add_served(base, self.champion)
        self.reasons: dict[str, str] = {}  # why each version was promoted in this watch
        self.shadow: Shadow | None = None  # of a challenger
        self.behind: Shadow | None = None  # of the version before
        self.rollbacks: list[RollbackRecord] = []
        self.in_shadow: RetrainRecord  # its retrain, still open
        self.continuous: Continuous | None = None

    def run(self) -> WatchResult:
        """Score every block, retrain when due, and log everything.

        Raises:
            ServingError: the served answers are not the local model's, or TorchServe failed.
        """
        started = time.monotonic()
        plan = self.plan
        cut = plan.cut(self.stream)
        self._fit_rivals()
        if plan.policy.name == CONTINUOUS:
            tools = Tools(self.store, self.learner, self.stream, self.serving, self.registry, self.base.run_id)
            rows = max(block.rows for block in cut)
            self.continuous = Continuous(tools, self.champion, block_rows=rows, seed=plan.retrain.train.seed)
        with mlflow_store.run(self.store, plan.name(self.stream), role="deployment", parent_run_id=self.base.run_id) as run_id:
            datasets.log(self.stream, {"watch": (plan.start, plan.stop)})
            words = descriptions.deployment(model=self.registry.name, rows=descriptions.rows(plan.start, plan.stop, self.stream.times))
            mlflow_text.describe_run(self.store, run_id, words)
            mlflow_store.log_params(
                plan.judged_by(self.stream) | {name: getattr(plan, name) for name in LOGGED} | {"drift_rule": plan.rule.name} | plan.promotion.params()
            )
            mlflow_store.log_params(plan.policy.params)
            unretrained = trained_model.predict(self.base.model, self.stream, plan.start, plan.stop)
            try:
                for block in self.progress(cut):
                    self._step(block, unretrained[block.start - plan.start : block.stop - plan.start])
                if self.shadow is not None:
                    self._end_shadow(self.shadow)
                if self.continuous and self.continuous.unregistered:
                    self._register(cut[-1])
            finally:
                watch_result.log_scores(self, run_id)
            self._compare()
        return watch_result.of(self, unretrained, run_id=run_id, seconds=time.monotonic() - started)

    def _step(self, block: blocks.Block, unretrained: np.ndarray) -> None:
        outputs, version = self._ask(block)
        predicted = self.task.predictions(outputs)
        estimate = self.diagnosis.estimate(block, outputs)  # before the labels are used
        guesses = {name: guess(self.stream.rows[block.start : block.stop]) for name, guess in self.rivals.items()}
        losses = self.kpi.losses_of(self.stream.labels[block.start : block.stop], outputs)
        verdict = self.verdict = self.plan.rule.update(losses)
        self.follow_up.saw(self._loss(losses))
        self.diagnosis.learn(block, outputs)
        ahead = self.diagnosis.forecast()
        score = scoring.score_block(
            self.stream,
            block,
            predicted,
            version=version,
            unretrained=self.task.predictions(unretrained),
            majority=self.base.majority,
            threshold=self.plan.goal.threshold,
            drift=verdict.drift,
            rivals=guesses,
            doing=self.kpi,
            outputs=outputs,
            unretrained_outputs=unretrained,
        )
        self.outputs.append(outputs)
        for name, guess in guesses.items():
            self.guessed.setdefault(name, []).append(guess)
        told = self.diagnosis.kind().kind if verdict.drift else verdict.kind
        self.scores.append(
            replace(
                score,
                kind=Answer.of(wording.standing(score), told=told, bad_data=bool(score.quality)).kind,
                evidence=verdict.statistic,
                p_value=verdict.p_value,
                estimated=estimate.value,
                forecast_early=ahead.early,
                forecast_middle=ahead.middle,
                forecast_late=ahead.late,
            )
        )
        if not self._goes_back(block, outputs) and not self._in_shadow(block, outputs):
            self._answer(block, verdict)

    def _in_shadow(self, block: blocks.Block, outputs: np.ndarray) -> bool:
        """Compare the challenger on a block; True while it is still in shadow, or when it has just become the champion."""
        shadow = self.shadow
        if shadow is None:
            return False
        shadow.compare(block, outputs)
        if shadow.over:
            self._end_shadow(shadow)
        return self.shadow is not None or shadow.won

    def _end_shadow(self, shadow: Shadow) -> None:
        """Promote or drop the challenger."""
        (before, after), p_value = shadow.kpis, shadow.verdict.p_value if shadow.verdict else math.nan
        record = replace(self.in_shadow, promoted=shadow.won, decision=shadow.words, before=before, after=after, p_value=p_value)
        record = replace(record, judge_rows=shadow.stop - shadow.start)
        self.shadow = None
        if not shadow.model.version:  # a version has the description of its own retrain
            shadow_retrain.close(self.store, self.stream, record, trained=shadow.model.trained)
        self._decide(record, shadow.model if shadow.won else None, shadow=shadow)

    def _answer(self, block: blocks.Block, verdict: Verdict) -> None:
        """Retrain when it is due."""
        due = "" if self.plan.policy.by_alarm else self.schedule.due(block, self.scores[-1].kpi)
        if self.continuous:
            self.champion = self.continuous.learn(block)
            if due:
                self._register(block)
            return
        if len(self.retrains) >= self.plan.max_retrains:
            return
        if not self.plan.policy.by_alarm:
            if due and self._teaches(block):
                self.schedule.restart(block)
                self._retrain(Cause(block.index, block.stop, due, policy=self.plan.policy.name))
            return
        found = verdict if verdict.drift else self._foreseen(verdict)
        if found is not None and not self._backs_off():
            if self.plan.on_drift(self.scores[-1], found):
                self.follow_up.begin(block)
                self._retrain(Cause(block.index, block.stop, found.message, policy=self.plan.policy.name))
        elif self.plan.follow_up and self._teaches(block) and (reason := self.follow_up.due(block)):
            self._retrain(Cause(block.index, block.stop, reason, follow_up=True))

    def _register(self, block: blocks.Block) -> None:
        """Register a continuously updated version."""
        assert self.continuous
        record = self.continuous.register(block, kpi_name=self.kpi.kpi if self.kpi.chosen else "")
        self.champion = self.served[record.version] = self.continuous.champion
        self.reasons[record.version] = record.decision
        self.schedule.restart(block)
        self.retrains.append(record)
        self.told(record)

    def _teaches(self, block: blocks.Block) -> bool:
        """Whether a retrain after a block can differ from the champion: it has rows to learn besides those that judge, or parameters to try."""
        plan = self.plan.retrain
        return block.stop - self.champion.trained[1] > plan.judge_rows or plan.train.total_trials > 1

    def _backs_off(self) -> bool:
        """Whether drift waits for the next follow-up: it is the one that the newest retrain did not answer, and the rows since would not either."""
        return self.plan.follow_up and bool(self.retrains) and not self.retrains[-1].promoted and not self.follow_up.another()

    def _loss(self, losses: np.ndarray) -> float:
        """The KPI of a block's losses, the larger the worse; nan without rows."""
        value = self.kpi.value(losses) if len(losses) else math.nan
        return value if self.kpi.better(0, 1) else -value

    def _foreseen(self, verdict: Verdict) -> Verdict | None:
        """The verdict on a forecast drift within the lead, for a proactive watch."""
        ahead = self.diagnosis.ahead(self.plan.lead_blocks) if self.plan.proactive else None
        if ahead is None or not crossing.due(ahead, self.plan.lead_blocks):
            return None
        return replace(verdict, rule="proactive", message=ahead.message)

    def _ask(self, block: blocks.Block) -> tuple[np.ndarray, str]:
        """The served outputs for a block, probabilities or values, verified against the local model's."""
        context = self.stream.rows[max(0, block.start - self.champion.params["history"]) : block.start]
        try:
            served, version = self.serving.predict(self.stream.rows[block.start : block.stop], context)
        except ServingError as exc:
            raise ServingError(f"block {block.index}, rows {block.start} to {block.stop - 1}: {exc}") from exc
        local = trained_model.predict(self.champion.model, self.stream, block.start, block.stop)
        off = difference(served, local)
        self.largest_difference = max(self.largest_difference, off)
        if version != self.champion.version or off > self.task.gap:
            raise ServingError(
                f"block {block.index}: version {version} differs by {off:.2g} from the local model of version {self.champion.version}: "
                "the server has another model; stop it and deploy again"
            )
        return served, version

    def _returns(self, cause: Cause) -> bool:
        """Put an earlier version into service, or into shadow, if it is good again; whether there is one."""
        known = {one.version: one for one in (*reversed(self.served.values()), *self.earlier) if one.version != self.champion.version}
        candidates = list(known.values())[: self.plan.promotion.earlier]
        found = earlier_versions.winner(self.stream, self.champion, candidates, cause=cause, plan=self.plan.retrain, goal=self.plan.goal)
        if found is None:
            return False
        record, winner = found
        if self.plan.promotion.way == SHADOW:
            self.in_shadow, self.shadow = replace(record, version=""), self._shadow_of(winner)
        else:
            self._decide(record, winner)
        return True

    def _retrain(self, cause: Cause) -> None:
        if self._returns(cause):
            return
        winner = None
        try:
            if self.plan.promotion.way == SHADOW:
                self.in_shadow, challenger = shadow_retrain.for_shadow(
                    self.store,
                    self.learner,
                    self.stream,
                    self.champion,
                    cause=cause,
                    plan=self.plan.retrain,
                    parent_run_id=self.base.run_id,
                    family=self.family,
                )
                self.shadow = self._shadow_of(challenger)
                return
            record, winner = retrain.retrain(
                self.store, self.learner, self.stream, self.champion, cause=cause, plan=self.plan.retrain, parent_run_id=self.base.run_id, family=self.family
            )
        except TrainingError as exc:  # a challenger whose training fails must not stop the champion
            record = replace(retrain.failed(self.stream, self.champion, cause, exc), kpi_name=self.kpi.kpi if self.kpi.chosen else "")
        self._decide(record, winner)

    def _decide(self, record: RetrainRecord, winner: KnownModel | None, *, shadow: Shadow | None = None) -> None:
        """Swap a winner in, and keep the record of the retrain."""
        alpha = self.plan.promotion.alpha if shadow else self.plan.retrain.alpha
        decision = decisions.of_retrain(record, script=self.serving.script, alpha=alpha, shadow=shadow)
        if winner is None:
            promotion_log.refuse(self.registry, decision)
        else:
            before = self.champion
            self._put(winner, decision)
            record = replace(record, version=self.champion.version)
            if self.plan.promotion.go_back:
                self.behind = Shadow(self.stream, self.champion, before, kpi=self.kpi, alpha=self.plan.promotion.alpha, restarts=True)
        self.schedule.decided(record)
        self.retrains.append(record)
        self.told(record)

    def _put(self, winner: KnownModel, decision: Promotion) -> None:
        """Put a version into service."""
        self.champion = winner = promote(self.registry, self.serving, winner, decision=decision, store=self.store, stream=self.stream)
        self.reasons[winner.version] = decision.why
        self.served[winner.version] = winner
        self.plan.rule.reset()
        self.diagnosis.replaced()
        self._fit_rivals()

    def _goes_back(self, block: blocks.Block, outputs: np.ndarray) -> bool:
        """Compare the version before on a block; undo the swap when it is proven to be better."""
        behind, left = self.behind, self.champion.version
        if behind is None or behind.compare(block, outputs).decision != BETTER:
            return False
        decision = decisions.of_going_back(behind, script=self.serving.script)
        self._put(behind.model, decision)
        self.behind, verdict = None, behind.verdict
        time_ = str(self.stream.times[block.stop - 1].astype("datetime64[s]"))
        evidence = verdict.e_value if verdict else math.nan
        self.rollbacks.append(RollbackRecord(block.index, block.stop, time_, left, self.champion.version, behind.stop - behind.start, evidence, decision.why))
        if self.shadow is not None:  # its evidence was against the version that is gone
            self.shadow = self._shadow_of(self.shadow.model)
        return True

    def _shadow_of(self, challenger: KnownModel) -> Shadow:
        plan = self.plan.promotion
        return Shadow(self.stream, self.champion, challenger, kpi=self.kpi, alpha=plan.alpha, blocks=plan.blocks)

    def _fit_rivals(self) -> None:
        """The learner's baselines, fitted on the rows that the version in service was fitted on."""
        known = slice(*self.champion.trained)
        self.rivals = {name: rival(self.stream.rows[known], self.stream.labels[known]) for name, rival in self.learner.rivals.items()}

    def _compare(self) -> None:
        """Compare the models on the rows that are new to all, and update the versions' descriptions."""
        if not self.retrains:
            return
        self.family.log()
        for version, reason in self.reasons.items():
            if self.continuous and version not in self.continuous.versions:  # deleted since
                continue
            mlflow_text.describe_version(self.store, self.registry, version, run_id=self.served[version].run_id, reason=reason)
