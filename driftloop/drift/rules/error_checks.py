"""What every rule asks of the errors it is given."""

from __future__ import annotations

import numpy as np


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
