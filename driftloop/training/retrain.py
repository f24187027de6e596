"""Retrains after drift: tunes again in nested child runs, judges on rows that neither model saw, refits the winner.

How the rows up to the drift are used, oldest first:

    training rows | validation rows        | judge rows
    fit trials    | choose between trials  | champion against challenger, neither was fitted on them

The judged challenger is fitted on the training and validation rows. Only if it wins, the same parameters
are fitted again on all rows, judge rows included, and that model is served: on a drifting stream the
newest rows are the most valuable.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from driftloop.data.streams import Stream
from driftloop.errors import SettingsError, TrainingError
from driftloop.metrics import promotion, task
from driftloop.metrics.results import NO_BLOCK, RetrainRecord
from driftloop.report import descriptions, wording
from driftloop.settings import JUDGE_ALPHA, JUDGE_ROWS, VALIDATION_ROWS
from driftloop.tracking import mlflow_store
from driftloop.training import datasets, mlflow_text, trained_model, tuning
from driftloop.training.base import TrainPlan, log_origin, search_nested
from driftloop.training.family import Family
from driftloop.training.fitting import Fitted, Learner, Span, fit
from driftloop.training.trained_model import KnownModel


@dataclass(frozen=True)
class RetrainPlan:
    """How to retrain and how to judge.

    `alpha` is the largest p-value at which the challenger counts as better.
    """

    train: TrainPlan
    judge_rows: int = JUDGE_ROWS
    validation_rows: int = VALIDATION_ROWS
    alpha: float = JUDGE_ALPHA

    def validated(self, rows: int) -> int:
        """Number of validation rows: a quarter of a short table, unless a non-default number is given.

        >>> [RetrainPlan(TrainPlan({}), validation_rows=asked).validated(40) for asked in (VALIDATION_ROWS, 8, 335)]
        [10, 8, 335]
        """
        return max(1, rows // 4) if self.validation_rows == VALIDATION_ROWS > rows - 2 else self.validation_rows

    def check(self) -> None:
        """Reject a plan without trials early.

        Raises:
            SettingsError: there are none.
        """
        if self.train.total_trials < 1:
            raise SettingsError(f"--total_trials is {self.train.total_trials}: a retrain needs at least 1")


@dataclass(frozen=True)
class Cause:
    """Why a retrain starts: the block after which, and the first row it must not see; a follow-up has no verdict.

    `asked` is True where someone chose the row, independent of a block.
    """

    block: int
    stop: int
    reason: str
    follow_up: bool = False
    asked: bool = False
    policy: str = "triggered"  # that started it

    def run_name(self, stream: Stream) -> str:
        """Name of the retrain's run: by the block whose verdict started it, else by the time of the newest row it may see."""
        if self.block != NO_BLOCK and not self.asked:
            return f"retrain at block {self.block}"
        return f"retrain at {wording.moment(str(stream.times[self.stop - 1]))}"


def retrain(
    store: mlflow_store.Store,
    learner: Learner,
    stream: Stream,
    champion: KnownModel,
    *,
    cause: Cause,
    plan: RetrainPlan,
    parent_run_id: str,
    family: Family,
) -> tuple[RetrainRecord, KnownModel | None]:
    """Search, judge and, if better, refit and log a challenger; all under one child run of the base run.

    The new models join `family`, whose `log` compares them on rows that are new to all.

    Returns:
        The record, and the model to swap in when the challenger won, else None.

    Raises:
        SettingsError: too few rows before the drift.
    """
    started = time.monotonic()
    # Rows that the champion was fitted on must not judge it.
    judged_from = max(cause.stop - plan.judge_rows, champion.trained[1])
    if judged_from >= cause.stop:
        raise SettingsError(
            f"a retrain at row {cause.stop} has no rows to be judged on: the model in service was fitted on the rows up to {champion.trained[1]}"
        )
    validated_from = judged_from - plan.validated(judged_from)
    if validated_from < 2:
        raise SettingsError(
            f"a retrain at row {cause.stop} has too few rows before it: lower --validation_rows ({plan.validation_rows}), to {max(1, judged_from // 4)} perhaps"
        )
    with mlflow_store.run(store, cause.run_name(stream), role="retrain", parent_run_id=parent_run_id) as run_id:
        mlflow_store.set_tags({"driftloop.reason": cause.reason})
        # The challenger is fitted and judged below: a search of one trial would only fit it twice.
        study = tuning.unsearched(space=plan.train.space, start=plan.train.start, total_trials=plan.train.total_trials) or search_nested(
            store, learner, stream, plan.train, train=(0, validated_from), validation=(validated_from, judged_from)
        )
        challenger = _challenger(store, learner, stream, study, plan, train=(0, judged_from), judge=(judged_from, cause.stop), family=family)
        verdict = _judge(stream, champion, challenger, cause, plan, judged_from=judged_from)
        log_origin(stream, plan.train, study)
        mlflow_store.set_tags({"driftloop.decision": verdict.words})
        kpi = plan.train.doing(stream).kpi
        figures = {f"{kpi}_before": verdict.before, f"{kpi}_after": verdict.after, "p_value": verdict.p_value}
        mlflow_store.log_metrics({f"judge_{name}": value for name, value in figures.items()})
        winner = None
        if verdict.better:
            mlflow_store.autolog()
            fitted = fit(learner, stream, study.best.params, train=(0, cause.stop), max_epochs=plan.train.max_epochs, seed=plan.train.seed)
            winner = trained_model.record(fitted, learner=learner, stream=stream, run_id=run_id)
        else:
            trained_model.log_fit(challenger)
        seconds = time.monotonic() - started
        record = record_of(stream, champion, cause, verdict, study.best.params, trials=len(study.trials), seconds=seconds, run_id=run_id)
        record = replace(record, kpi_name=plan.train.kpi.kpi if plan.train.kpi else "")
        _describe(store, stream, record, trained=winner.trained if winner else challenger.trained, judge=(judged_from, cause.stop))
    _join_best(family, run_id, stream, winner, challenger, judge=(judged_from, cause.stop))
    return record, winner


def _challenger(
    store: mlflow_store.Store, learner: Learner, stream: Stream, study: tuning.Study, plan: RetrainPlan, *, train: Span, judge: Span, family: Family
) -> Fitted:
    """Fit the challenger to judge, in its own run."""
    with mlflow_store.run(store, "challenger", role="challenger") as run_id:
        mlflow_store.autolog()
        fitted = fit(learner, stream, study.best.params, train=train, max_epochs=plan.train.max_epochs, seed=plan.train.seed)
        trained_model.log_fit(fitted)
        log_origin(stream, plan.train, study)
        datasets.log(stream, {"training": fitted.trained, "judge": judge})
        mlflow_text.describe_run(store, run_id, descriptions.challenger(trained=descriptions.rows(*fitted.trained, stream.times)))
    _join(family, run_id, fitted, stream, unseen_from=judge[0], name="the challenger")
    return fitted


def _join(family: Family, run_id: str, fitted: Fitted, stream: Stream, *, unseen_from: int, name: str) -> None:
    majority = task.of(stream.task).constant(stream.labels[slice(*fitted.trained)])
    family.add_model(run_id, fitted.model, name=name, majority=majority, unseen_from=unseen_from)


def _join_best(family: Family, run_id: str, stream: Stream, winner: KnownModel | None, challenger: Fitted, *, judge: Span) -> None:
    """Log the winner's figures to the retrain's run, or those of the challenger.

    With fewer rows after the retrain than judge rows, the challenger represents the winner: the same parameters, fitted without the
    judge rows, on which it can be compared.
    """
    if winner and len(stream) - judge[1] >= judge[1] - judge[0]:
        family.add(winner, name="this model")
    else:
        name = "this model, fitted without these rows" if winner else "the challenger"
        _join(family, run_id, challenger, stream, unseen_from=judge[0], name=name)


def _judge(stream: Stream, champion: KnownModel, challenger: Fitted, cause: Cause, plan: RetrainPlan, *, judged_from: int) -> promotion.Judgement:
    """Champion against challenger on the judge rows."""
    doing = plan.train.doing(stream)
    old, new = (trained_model.losses(model, stream, judged_from, cause.stop, doing=doing) for model in (champion.model, challenger.model))
    verdict = promotion.judge(doing, old, new, start=judged_from, alpha=plan.alpha)
    if judged_from == champion.trained[1] and challenger.params == champion.params:
        again = "not promoted: all rows new to the champion are judge rows, and the search chose its parameters again, so it is the same model"
        return replace(verdict, better=False, words=again)
    return verdict


def _describe(store: mlflow_store.Store, stream: Stream, record: RetrainRecord, *, trained: Span, judge: Span) -> None:
    """Log a retrain's inputs and its outcome."""
    datasets.log(stream, {"training": trained, "judge": judge})
    spans = {name: descriptions.rows(*span, stream.times) for name, span in {"trained": trained, "judged": judge}.items()}
    mlflow_text.describe_run(store, record.run_id, descriptions.retrained(record, **spans))


def failed(stream: Stream, champion: KnownModel, cause: Cause, error: TrainingError) -> RetrainRecord:
    """The record of a retrain that gave no challenger; its figures are undefined."""
    verdict = promotion.Judgement(cause.stop, cause.stop, math.nan, math.nan, math.nan, better=False, words=f"not promoted: {error}")
    return record_of(stream, champion, cause, verdict, champion.params, trials=0, seconds=math.nan, run_id="")


def record_of(
    stream: Stream, champion: KnownModel, cause: Cause, verdict: promotion.Judgement, params: dict, *, trials: int, seconds: float, run_id: str
) -> RetrainRecord:
    """The record of a retrain from its judgement."""
    return RetrainRecord(
        block=cause.block,
        row=cause.stop,
        timestamp=str(stream.times[cause.stop - 1].astype("datetime64[s]")),
        reason=cause.reason,
        promoted=verdict.better,
        decision=verdict.words,
        params=dict(params),
        champion_params=dict(champion.params),
        judge_rows=verdict.stop - verdict.start,
        before=verdict.before,
        after=verdict.after,
        task=stream.task,
        p_value=verdict.p_value,
        trials=trials,
        seconds=seconds,
        run_id=run_id,
        follow_up=cause.follow_up,
        policy=cause.policy,
    )
