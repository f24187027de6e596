"""Score predictions against labels: one block, or a whole watch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.metrics import baselines, data_quality, kpi, task
from driftloop.metrics.results import BlockScore
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.metrics.task import REGRESSION, Task

CONSTANT = "median of the training rows"  # baseline of every regression
COPIED = ("cost", "balanced_accuracy", "f1")  # KPIs of decisions: the last label is one, but gives no probability


def baseline_accuracies(stream: Stream, start: int, stop: int, *, majority: int) -> dict[str, float]:
    """Accuracy of each baseline on rows start..stop, nan without predictions; `majority` is the training rows' most frequent class."""
    guesses = {
        "no_change": baselines.no_change(stream.labels, start, stop),
        "same_time_yesterday": baselines.same_time_yesterday(stream.labels, start, stop, period=stream.period, times=stream.times),
        "majority": np.full(stop - start, majority),
    }
    return {name: kpi.accuracy(stream.labels[start:stop], guess) for name, guess in guesses.items()}


def summary(
    stream: Stream,
    start: int,
    predicted: np.ndarray,
    *,
    majority: int | float,
    rivals: Mapping[str, np.ndarray] | None = None,
    doing: Task | None = None,
    outputs: np.ndarray | None = None,
) -> dict[str, Any]:
    """KPI and baselines of predictions for the rows from `start` on; for classes also κ and κ-temporal.

    Args:
        majority: the constant baseline's prediction, as in `KnownModel`.
        rivals: predictions of further baselines for the same rows, by name; for a regression.
        doing: measures the KPI, with which the baselines are compared; None: the stream's task. A `ChosenKpi` is added to the task's own.
        outputs: the model's, if `doing` is a `ChosenKpi`.
    """
    if isinstance(doing, ChosenKpi) and outputs is not None:
        whole = summary(stream, start, predicted, majority=majority)
        labels = stream.labels[start : start + len(predicted)]
        return whole | {doing.kpi: doing.value(doing.losses_of(labels, outputs)), "baselines": _baselines(stream, start, doing, len(predicted), rivals or {})}
    stop = start + len(predicted)
    labels = stream.labels[start:stop]
    if task.of(stream.task) is REGRESSION:
        guesses = {CONSTANT: np.full(stop - start, majority), **(rivals or {})}
        free = {name: REGRESSION.value(REGRESSION.losses(labels, guess)) for name, guess in guesses.items()}
        return {"mae": REGRESSION.value(REGRESSION.losses(labels, predicted)), "baselines": free}
    free = baseline_accuracies(stream, start, stop, majority=int(majority))
    accuracy = kpi.accuracy(labels, predicted)
    return {
        "accuracy": accuracy,
        "kappa": kpi.kappa(labels, predicted),
        "kappa_temporal": kpi.kappa_temporal(accuracy=accuracy, no_change=free["no_change"]),
        "baselines": free,
    }


def _baselines(stream: Stream, start: int, doing: ChosenKpi, rows: int, rivals: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The KPI of the baselines: the best constant answer; for decisions also the previous row's label, for values the rivals."""
    labels = stream.labels[start : start + rows]
    name, constant = doing.baseline(rows)
    free = {name: doing.value(doing.losses_of(labels, constant))}
    for rival, guess in rivals.items():
        free[rival] = doing.value(doing.losses(labels, guess))
    if doing.kpi in COPIED:
        copies = baselines.no_change(stream.labels, start, start + rows)
        known = copies != kpi.NO_PREDICTION
        certain = np.eye(len(stream.label_names))[copies[known]]
        free = {"no_change": doing.value(doing.losses_of(labels[known], certain))} | free
    return free


def score_block(
    stream: Stream,
    block: Block,
    predicted: np.ndarray,
    *,
    version: str,
    unretrained: np.ndarray,
    majority: int | float,
    threshold: float,
    drift: bool,
    rivals: Mapping[str, np.ndarray] | None = None,
    doing: Task | None = None,
    outputs: np.ndarray | None = None,
    unretrained_outputs: np.ndarray | None = None,
) -> BlockScore:
    """Score one block when its labels have arrived.

    Args:
        predicted: class indices or values that the served model gave, (rows,).
        version: the model version that gave them.
        unretrained: the base model's predictions for the same rows, (rows,).
        majority: the constant baseline's prediction, as in `KnownModel`.
        threshold: KPI that is just good enough.
        drift: the drift rule's verdict on the block.
        rivals, doing, outputs: as in `summary`.
        unretrained_outputs: of the base model, if `doing` is a `ChosenKpi`.
    """
    own, labels = task.of(stream.task), stream.labels[block.start : block.stop]
    doing = doing or own
    losses = doing.losses(labels, predicted) if outputs is None else doing.losses_of(labels, outputs)
    without = doing.losses(labels, unretrained) if unretrained_outputs is None else doing.losses_of(labels, unretrained_outputs)
    whole = summary(stream, block.start, predicted, majority=majority, rivals=rivals, doing=doing, outputs=outputs)
    reached = whole.pop(doing.kpi)
    if doing.chosen:
        whole |= {"task_kpi": whole.pop(own.kpi), "kpi_name": doing.kpi}
    if own is REGRESSION:
        whole["bias"] = float(np.mean(predicted - labels))
    lower, upper = doing.interval(losses)
    return BlockScore(
        block=block.index,
        start=block.start,
        stop=block.stop,
        rows=block.rows,
        timestamp=str(stream.times[block.start].astype("datetime64[s]")),
        until=str(stream.times[block.stop - 1].astype("datetime64[s]")),
        short=block.short,
        version=version,
        lower=lower,
        upper=upper,
        threshold=threshold,
        drift=drift,
        task=stream.task,
        kpi=reached,
        kpi_unretrained=doing.value(without),
        **whole,
        **data_quality.of_block(stream, block).figures(),
    )
