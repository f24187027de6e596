"""The base class of all drift rules: checked errors of one block after another in, a verdict for each out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from driftloop.drift.verdict import Verdict


class Rule(ABC):
    """A rule that watches one served model.

    `name` is the rule's name for --drift_rule, such as "significant" or "adwin".
    """

    name: str

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:  # noqa: B027 - not abstract
        """Learn from the model's errors on rows before the watch; most rules learn nothing.

        Args:
            errors: (rows,) in time order, 1 or True where the model was wrong.
            block_size: rows a block of the coming watch.
        """

    @abstractmethod
    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block.

        Args:
            errors: (rows,) in time order, 1 or True where the model was wrong. An empty block gives "cannot tell".
        """

    def rows_in_one(self, rows: int) -> float:
        """How many rows carry the information of one independent row in the next block, of so many rows; nan where a rule does not learn it."""
        return math.nan

    @abstractmethod
    def reset(self) -> None:
        """Start over: a new model is in service from the next block on."""


def wrong_rows(errors: np.ndarray) -> np.ndarray:
    """The errors of a block as a boolean array, (rows,), True where the model was wrong.

    Raises:
        ValueError: not one value a row, or a value that is neither 0 nor 1 (nan included).

    >>> wrong_rows(np.array([0, 1, 1]))
    array([False,  True,  True])
    """
    given = np.asarray(errors)
    if given.ndim != 1:
        raise ValueError(f"errors have the shape {given.shape}: give one value a row, (rows,)")
    wrong = given == 1
    bad = np.flatnonzero(~(wrong | (given == 0)))
    if len(bad):
        raise ValueError(f"errors must be 0 (right) or 1 (wrong): row {bad[0]} holds {given[bad[0]]}")
    return wrong


def loss_rows(errors: np.ndarray) -> np.ndarray:
    """The losses of a block as float64, (rows,).

    Raises:
        ValueError: not one value a row, or a value that is negative or not finite.

    >>> loss_rows(np.array([0, 2.5]))
    array([0. , 2.5])
    """
    losses = np.asarray(errors, dtype=np.float64)
    if losses.ndim != 1:
        raise ValueError(f"errors have the shape {losses.shape}: give one value a row, (rows,)")
    bad = np.flatnonzero(~(np.isfinite(losses) & (losses >= 0)))
    if len(bad):
        raise ValueError(f"errors must be finite and not negative: row {bad[0]} holds {losses[bad[0]]}")
    return losses
