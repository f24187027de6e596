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
