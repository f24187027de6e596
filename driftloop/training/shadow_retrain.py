"""Retrains for a shadow: the challenger is fitted on all rows up to the drift and judged on rows that come later.

    training rows | validation rows       ||  the shadow's rows, as they come
    fit trials    | choose between trials ||  champion against challenger

So no row is kept from the fit, and the model that is promoted is the one that was compared.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

from driftloop.data.streams import Stream
from driftloop.errors import SettingsError
from driftloop.metrics.promotion import Judgement
from driftloop.metrics.results import RetrainRecord
from driftloop.report import descriptions
from driftloop.tracking import mlflow_store
from driftloop.training import datasets, mlflow_text, trained_model, tuning
from driftloop.training.base import log_origin, search_nested
from driftloop.training.family import Family
from driftloop.training.fitting import Learner, fit
from driftloop.training.retrain import Cause, RetrainPlan, record_of
from driftloop.training.trained_model import KnownModel

IN_SHADOW = "not promoted: still compared in shadow"


def for_shadow(
    store: mlflow_store.Store,
    learner: Learner,
    stream: Stream,
    champion: KnownModel,
    *,
    cause: Cause,
    plan: RetrainPlan,
    parent_run_id: str,
    family: Family,
) -> tuple[RetrainRecord, KnownModel]:
    """Search, fit and log a challenger; as `retrain.retrain`, without a judgement.

    Returns:
        The record, whose decision and figures are still open, and the challenger.

    Raises:
        SettingsError: too few rows before the drift.
        TrainingError: a fit failed.
    """
    started = time.monotonic()
    validated_from = cause.stop - plan.validated(cause.stop)
    if validated_from < 2:
        raise SettingsError(f"a retrain at row {cause.stop} has too few rows before it: lower --validation_rows ({plan.validation_rows})")
    with mlflow_store.run(store, cause.run_name(stream), role="retrain", parent_run_id=parent_run_id) as run_id:
        mlflow_store.set_tags({"driftloop.reason": cause.reason, "driftloop.decision": IN_SHADOW})
        study = tuning.unsearched(space=plan.train.space, start=plan.train.start, total_trials=plan.train.total_trials) or search_nested(
            store, learner, stream, plan.train, train=(0, validated_from), validation=(validated_from, cause.stop)
        )
        log_origin(stream, plan.train, study)
        mlflow_store.autolog()
        fitted = fit(learner, stream, study.best.params, train=(0, cause.stop), max_epochs=plan.train.max_epochs, seed=plan.train.seed)
        challenger = trained_model.record(fitted, learner=learner, stream=stream, run_id=run_id)
        datasets.log(stream, {"training": challenger.trained})
        trained = descriptions.rows(*challenger.trained, stream.times)
        mlflow_text.describe_run(store, run_id, f"A challenger in the shadow of the version in service, trained on {trained}.\n\n- Reason: {cause.reason}.")
    family.add(challenger, name="this model")
    verdict = Judgement(cause.stop, cause.stop, math.nan, math.nan, math.nan, better=False, words=IN_SHADOW)
    seconds = time.monotonic() - started
    record = record_of(stream, champion, cause, verdict, study.best.params, trials=len(study.trials), seconds=seconds, run_id=run_id)
    return replace(record, kpi_name=plan.train.kpi.kpi if plan.train.kpi else ""), challenger


def close(store: mlflow_store.Store, stream: Stream, record: RetrainRecord, *, trained: tuple[int, int]) -> None:
    """Log how the shadow of a challenger ended to the run of its retrain."""
    spans = {"trained": descriptions.rows(*trained, stream.times), "judged": descriptions.rows(record.row, record.row + record.judge_rows, stream.times)}
    mlflow_store.tag_run(store, record.run_id, {"driftloop.decision": record.decision})
    kpi = record.kpi_name or ("mae" if stream.task == "regression" else "accuracy")
    figures = {f"shadow_{kpi}_before": record.before, f"shadow_{kpi}_after": record.after, "shadow_p_value": record.p_value}
    mlflow_store.log_outcome(store, record.run_id, {name: value for name, value in figures.items() if not math.isnan(value)})
    mlflow_text.describe_run(store, record.run_id, descriptions.retrained(record, **spans))
