"""The judge of a retrain: is the challenger better than the champion on the same rows, by more than noise?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.task import Task


@dataclass(frozen=True)
class Judgement:
    """Champion and challenger on rows that neither was fitted on.

    `p_value` is the chance of such a lead when the challenger is no better (one-sided; exact McNemar for classes). It is nominal: it assumes
    that rows (for a regression runs of rows) are independent, and the newest rows contain the block that was picked for the champion's errors.
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
    before, after, p = doing.value(champion), doing.value(challenger), doing.p_value(champion, challenger)
    better = doing.better(after, before) and p <= alpha
    change = f"{100 * before:.2f} to {100 * after:.2f} %" if doing.kpi == "accuracy" else f"{KPIS[doing.kpi].words} {before:.3f} to {after:.3f}"
    figures = f"{change}, p = {p:.2g} {'<=' if p <= alpha else '>'} {alpha:g}"
    seen = f"on {len(champion)} rows neither was fitted on, {doing.compared(champion, challenger)} ({figures})"
    words = f"{'promoted' if better else 'not promoted'}: {seen}"
    return Judgement(start, start + len(champion), before, after, p, better, words)
