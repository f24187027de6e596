"""Score predictions against labels: one block, a whole watch, or two models on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop import baselines, kpi
from driftloop.blocks import Block
from driftloop.results import BlockScore
from driftloop.streams import Stream


@dataclass(frozen=True)
class Judgement:
    """Champion and challenger on rows that neither was fitted on.

    `p_value` is the chance of such a lead when the challenger is no better (exact McNemar, one-sided). It is
    nominal: it takes rows as independent, and the newest rows hold the block that was picked for the champion's errors.
    """

    start: int
    stop: int
    accuracy_before: float
    accuracy_after: float
    p_value: float
    better: bool
    words: str


def baseline_predictions(stream: Stream, start: int, stop: int, *, majority: int) -> dict[str, np.ndarray]:
    """What costs nothing predicts for rows start..stop; `majority` is the training rows' most frequent class."""
    return {
        "no_change": baselines.no_change(stream.labels, start, stop),
        "same_time_yesterday": baselines.same_time_yesterday(stream.labels, start, stop, period=stream.period, times=stream.times),
        "majority": np.full(stop - start, majority),
    }


def baseline_accuracies(stream: Stream, start: int, stop: int, *, majority: int) -> dict[str, float]:
    """Accuracy of each baseline on rows start..stop; nan where it has no prediction."""
    labels = stream.labels[start:stop]
    return {name: kpi.accuracy(labels, guess) for name, guess in baseline_predictions(stream, start, stop, majority=majority).items()}


def summary(stream: Stream, start: int, predicted: np.ndarray, *, majority: int) -> dict[str, Any]:
    """Accuracy, κ, κ-temporal and baselines of predictions for the rows from `start` on."""
    stop = start + len(predicted)
    labels = stream.labels[start:stop]
    free = baseline_accuracies(stream, start, stop, majority=majority)
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
    majority: int,
    threshold: float,
    drift: bool,
) -> BlockScore:
    """Score one block when its labels have come.

    Args:
        predicted: class indices that the served model gave, (rows,).
        version: the model version that gave them.
        unretrained: class indices of the base model on the same rows, (rows,).
        majority: the base's training rows' most frequent class.
        threshold: lowest accuracy that is good enough.
        drift: what the drift rule says of the block.
    """
    labels = stream.labels[block.start : block.stop]
    whole = summary(stream, block.start, predicted, majority=majority)
    lower, upper = kpi.wilson_interval(int((predicted == labels).sum()), block.rows)
    free: Mapping[str, float] = whole["baselines"]
    return BlockScore(
        block=block.index,
        start=block.start,
        stop=block.stop,
        rows=block.rows,
        timestamp=str(stream.times[block.start].astype("datetime64[s]")),
        short=block.short,
        version=version,
        accuracy=whole["accuracy"],
        lower=lower,
        upper=upper,
        kappa=whole["kappa"],
        kappa_temporal=whole["kappa_temporal"],
        no_change=free["no_change"],
        same_time_yesterday=free["same_time_yesterday"],
        majority=free["majority"],
        accuracy_unretrained=kpi.accuracy(labels, unretrained),
        threshold=threshold,
        drift=drift,
    )


def judge(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, *, start: int, alpha: float) -> Judgement:
    """Is the challenger better than the champion on the same rows, by more than noise?

    Args:
        labels, champion, challenger: class indices of the same rows, (N,), on which neither model was fitted.
        start: the first of these rows in the stream.
        alpha: largest p-value at which the challenger counts as better, 0..1.
    """
    old, new = champion == labels, challenger == labels
    before, after = kpi.accuracy(labels, champion), kpi.accuracy(labels, challenger)
    p_value = kpi.paired_p_value(old, new)
    better = after > before and p_value <= alpha
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    words = (
        f"{'promoted' if better else 'not promoted'}: on {len(labels)} rows neither was fitted on, the challenger was right on {gained} "
        f"where the champion was wrong and wrong on {lost} where it was right ({before:.3f} to {after:.3f}, "
        f"p = {p_value:.2g} {'<=' if p_value <= alpha else '>'} {alpha:g})"
    )
    return Judgement(start, start + len(labels), before, after, p_value, better, words)
