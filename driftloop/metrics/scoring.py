"""Score predictions against labels: one block, a whole watch, or two models on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.metrics import baselines, data_quality, kpi, task
from driftloop.metrics.results import BlockScore
from driftloop.metrics.task import REGRESSION, Task

CONSTANT = "median of the training rows"  # baseline of every regression


@dataclass(frozen=True)
class Judgement:
    """Champion and challenger on rows that neither was fitted on.

    `p_value` is the probability of such a lead when the challenger is no better (one-sided; exact McNemar for classes). It is nominal: it assumes
    independent rows (runs of rows for a regression), and the newest rows include the block that was selected for the champion's errors.
    """

    start: int
    stop: int
    before: float  # the KPIs
    after: float
    p_value: float
    better: bool
    words: str


def baseline_predictions(stream: Stream, start: int, stop: int, *, majority: int) -> dict[str, np.ndarray]:
    """Predictions of the trivial baselines for rows start..stop; `majority` is the training rows' most frequent class."""
    return {
        "no_change": baselines.no_change(stream.labels, start, stop),
        "same_time_yesterday": baselines.same_time_yesterday(stream.labels, start, stop, period=stream.period, times=stream.times),
        "majority": np.full(stop - start, majority),
    }


def baseline_accuracies(stream: Stream, start: int, stop: int, *, majority: int) -> dict[str, float]:
    """Accuracy of each baseline on rows start..stop; nan where it has no prediction."""
    labels = stream.labels[start:stop]
    return {name: kpi.accuracy(labels, guess) for name, guess in baseline_predictions(stream, start, stop, majority=majority).items()}


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
    reached, free = whole.pop(doing.kpi), whole.pop("baselines")
    if doing is REGRESSION:
        nothing = dict.fromkeys(("kappa", "kappa_temporal", "no_change", "same_time_yesterday", "majority"), float("nan"))
        whole |= {**nothing, "bias": float(np.mean(predicted - labels)), "rivals": free}
    else:
        whole |= free
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


def judge(doing: Task, champion: np.ndarray, challenger: np.ndarray, *, start: int, alpha: float) -> Judgement:
    """Is the challenger better than the champion on the same rows, by more than noise?

    Args:
        doing: the task.
        champion, challenger: losses of the same rows in time order, (N,), on which neither model was fitted.
        start: the first of these rows in the stream.
        alpha: largest p-value at which the challenger counts as better, 0..1.
    """
    found = doing.judge(champion, challenger)
    better = doing.better(found.after, found.before) and found.p_value <= alpha
    words = (
        f"{'promoted' if better else 'not promoted'}: on {len(champion)} rows neither was fitted on, {found.seen}, "
        f"p = {found.p_value:.2g} {'<=' if found.p_value <= alpha else '>'} {alpha:g})"
    )
    return Judgement(start, start + len(champion), found.before, found.after, found.p_value, better, words)
