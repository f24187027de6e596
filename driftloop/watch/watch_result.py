"""What a watch logs at its end, and its result: drawn from the scored blocks, the retrains and the versions that served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from driftloop.data.streams import Stream
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.verdict import Verdict
from driftloop.metrics import data_quality, scoring
from driftloop.metrics.results import NO_BLOCK, BlockScore, RetrainRecord, RollbackRecord, VersionRecord, WatchResult
from driftloop.metrics.task import Task
from driftloop.report import notes
from driftloop.tracking import mlflow_store
from driftloop.tracking.mlflow_store import Store
from driftloop.training.trained_model import KnownModel
from driftloop.watch import mlflow_log
from driftloop.watch.policies.continuous import Continuous
from driftloop.watch.watch_plan import WatchPlan


class WatchRecords(Protocol):
    """What a result is drawn from: see `loop.Watch`."""

    store: Store
    stream: Stream
    plan: WatchPlan
    task: Task
    kpi: Task
    base: KnownModel
    champion: KnownModel
    served: dict[str, KnownModel]
    guessed: dict[str, list[np.ndarray]]
    outputs: list[np.ndarray]
    scores: list[BlockScore]
    retrains: list[RetrainRecord]
    rollbacks: list[RollbackRecord]
    diagnosis: Diagnosis
    verdict: Verdict | None
    continuous: Continuous | None
    largest_difference: float


def log_scores(watch: WatchRecords, run_id: str) -> None:
    """Log what was scored, also after a failure or Ctrl-C."""
    if not watch.scores:
        return
    mlflow_log.log_blocks(watch.store, run_id, watch.scores)
    drifted = [score for score in watch.scores if score.drift]
    tags = {"driftloop.served_version": watch.champion.version}
    if drifted:
        tags |= {"driftloop.drift_block": str(drifted[0].block), "driftloop.drift_row": str(drifted[0].stop)}
    mlflow_store.set_tags(tags)
    mlflow_store.log_metrics({"served_minus_local": watch.largest_difference} | (watch.continuous.figures if watch.continuous else {}))


def of(watch: WatchRecords, unretrained: np.ndarray, *, run_id: str, seconds: float) -> WatchResult:
    """The result of a watch that has ended.

    Args:
        watch: with at least one scored block.
        unretrained: the base model's outputs for all rows.
        run_id: of the deployment.
        seconds: that the watch took.
    """
    plan = watch.plan
    rivals = {name: np.concatenate(guesses) for name, guesses in watch.guessed.items()}
    outputs, labels = np.concatenate(watch.outputs), watch.stream.labels[plan.start : plan.stop]
    whole = scoring.summary(
        watch.stream, plan.start, watch.task.predictions(outputs), majority=watch.base.majority, rivals=rivals, doing=watch.kpi, outputs=outputs
    )
    reached = whole.pop(watch.kpi.kpi)
    if watch.kpi.chosen:
        whole |= {"task_kpi": whole.pop(watch.task.kpi), "kpi_name": watch.kpi.kpi}
    result = WatchResult(
        stream=watch.stream.name,
        rows=plan.stop - plan.start,
        block_size=plan.block_size if plan.block_by == "rows" else max(score.rows for score in watch.scores),
        block_by=plan.block_by,
        threshold=plan.goal.threshold,
        task=watch.stream.task,
        unit=plan.goal.unit,
        scores=tuple(watch.scores),
        retrains=tuple(watch.retrains),
        rollbacks=tuple(watch.rollbacks),
        versions=tuple(_version(watch, version, unretrained) for version in watch.served),
        served_version=watch.champion.version,
        seconds=seconds,
        run_id=run_id,
        rule=plan.rule.name,
        updates=watch.continuous.updates if watch.continuous else 0,
        kpi=reached,
        kpi_without_retraining=watch.kpi.value(watch.kpi.losses_of(labels, unretrained)),
        **whole,
    )
    findings = (*watch.diagnosis.findings(watch.plan.rule.name, watch.verdict, watch.scores), *data_quality.findings(watch.scores))
    return replace(
        result, notes=(*notes.of_rollbacks(result), *notes.of_limits(result, plan.max_retrains), *notes.of_history(result, watch.stream)), findings=findings
    )


def _version(watch: WatchRecords, version: str, unretrained: np.ndarray) -> VersionRecord:
    known = watch.served[version]
    scores = [score for score in watch.scores if score.version == version]
    rows = sum(score.rows for score in scores)

    def mean(name: str) -> float:
        return sum(getattr(score, name) * score.rows for score in scores) / rows if rows else float("nan")

    record = VersionRecord(
        version=version,
        run_id=known.run_id,
        params=dict(known.params),
        trained_start=known.trained[0],
        trained_stop=known.trained[1],
        first_block=scores[0].block if scores else NO_BLOCK,
        last_block=scores[-1].block if scores else NO_BLOCK,
        rows=rows,
        task=watch.stream.task,
        kpi=mean("kpi"),
        kpi_unretrained=mean("kpi_unretrained"),
    )
    return _measured(watch, record, unretrained) if watch.kpi.chosen else record


def _measured(watch: WatchRecords, record: VersionRecord, unretrained: np.ndarray) -> VersionRecord:
    """A version with its chosen KPI over all its rows: that of some is no mean over blocks."""
    served = [(score, outputs) for score, outputs in zip(watch.scores, watch.outputs, strict=True) if score.version == record.version]
    if not served:
        return replace(record, kpi_name=watch.kpi.kpi)
    unserved = [(score, unretrained[score.start - watch.plan.start : score.stop - watch.plan.start]) for score, _ in served]
    return replace(record, kpi_name=watch.kpi.kpi, kpi=_reached(watch, served), kpi_unretrained=_reached(watch, unserved))


def _reached(watch: WatchRecords, scored: Sequence[tuple[BlockScore, np.ndarray]]) -> float:
    """The KPI over the rows of several blocks with the outputs for them."""
    labels = np.concatenate([watch.stream.labels[score.start : score.stop] for score, _ in scored])
    return watch.kpi.value(watch.kpi.losses_of(labels, np.concatenate([outputs for _, outputs in scored])))
