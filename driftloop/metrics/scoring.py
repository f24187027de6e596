"""Score predictions against labels: one block, or a whole watch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.metrics import baselines, data_quality, kpi, task
from driftloop.metrics.results import BlockScore
from driftloop.metrics.task import REGRESSION

CONSTANT = "median of the training rows"  # baseline of every regression


def baseline_accuracies(stream: Stream, start: int, stop: int, *, majority: int) -> dict[str, float]:
    """Accuracy of each baseline on rows start..stop, nan without predictions; `majority` is the training rows' most frequent class."""
    guesses = {
        "no_change": baselines.no_change(stream.labels, start, stop),
        "same_time_yesterday": baselines.same_time_yesterday(stream.labels, start, stop, period=stream.period, times=stream.times),
        "majority": np.full(stop - start, majority),
    }
    return {name: kpi.accuracy(stream.labels[start:stop], guess) for name, guess in guesses.items()}


def summary(stream: Stream, start: int, predicted: np.ndarray, *, majority: int | float, rivals: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
    """KPI and baselines of predictions for the rows from `start` on; for classes also κ and κ-temporal.

    Args:
        majority: the constant baseline's prediction, as in `KnownModel`.
        rivals: predictions of further baselines for the same rows, by name; for a regression.
    """
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
) -> BlockScore:
    """Score one block when its labels have arrived.

    Args:
        predicted: class indices or values that the served model gave, (rows,).
        version: the model version that gave them.
        unretrained: the base model's predictions for the same rows, (rows,).
        majority: the constant baseline's prediction, as in `KnownModel`.
        threshold: KPI that is just good enough.
        drift: the drift rule's verdict on the block.
        rivals: as in `summary`.
    """
    doing, labels = task.of(stream.task), stream.labels[block.start : block.stop]
    losses = doing.losses(labels, predicted)
    whole = summary(stream, block.start, predicted, majority=majority, rivals=rivals)
    reached = whole.pop(doing.kpi)
    if doing is REGRESSION:
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
        kpi_unretrained=doing.value(doing.losses(labels, unretrained)),
        **whole,
        **data_quality.of_block(stream, block).figures(),
    )
