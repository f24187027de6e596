"""What a forecast takes of a model's blocks, whatever its goal: accuracies, or the scores of a regression's errors, with their threshold and words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from driftloop.drift.forecast import error_scores
from driftloop.drift.forecast.crossing import CrossingWords
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION


def fault(goal: Goal) -> str:
    """Why there is no forecast for a goal, within a sentence; "" where there is one.

    >>> from driftloop.metrics.task import REGRESSION
    >>> fault(Goal(REGRESSION, 3.5)), fault(Goal(CLASSIFICATION, 1.0))
    ('', 'no forecast for the threshold 1')
    """
    if goal.task.chosen:
        return f"no forecast for the KPI {goal.task.kpi}"
    highest = 1 if goal.task is CLASSIFICATION else math.inf
    return "" if 0 < goal.threshold < highest else f"no forecast for the threshold {goal.threshold:g}"


def level(goal: Goal) -> float:
    """The threshold of the blocks' scores."""
    return goal.threshold if goal.task is CLASSIFICATION else error_scores.LEVEL


def words(goal: Goal) -> CrossingWords | None:
    """How a forecast names a goal's KPI; None for the accuracy."""
    return None if goal.task is CLASSIFICATION else CrossingWords.of_error(goal.task.kpi.upper(), goal.threshold, goal.unit)


def scores(goal: Goal, losses: Sequence[np.ndarray]) -> tuple[list[float], list[int]]:
    """The score of each block, 0..1, and its size in rows, from the losses of its rows; nan for an empty block.

    >>> scores(Goal(CLASSIFICATION, 0.7), [np.array([True, False]), np.array([])])
    ([0.5, nan], [2, 0])
    """
    if goal.task is not CLASSIFICATION:
        return error_scores.scores(losses, threshold=goal.threshold)
    return [float(np.mean(np.asarray(wrong) == 0)) if len(wrong) else math.nan for wrong in losses], [len(wrong) for wrong in losses]
