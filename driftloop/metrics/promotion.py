"""The judge of a retrain: is the challenger better than the champion on the same rows, by more than noise?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftloop.metrics.task import Task


@dataclass(frozen=True)
class Judgement:
    """Champion and challenger on rows that neither was fitted on.

    `p_value` is the chance of such a lead when the challenger is no better (one-sided; of classes exact McNemar). It is nominal: it takes rows,
    of a regression runs of rows, as independent, and the newest rows hold the block that was picked for the champion's errors.
    """

    start: int
    stop: int
    before: float  # the KPIs
    after: float
    p_value: float
    better: bool
    words: str


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
