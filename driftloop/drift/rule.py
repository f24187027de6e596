"""What every rule for drift has in common: it is told the errors of one block after the other, and answers with a verdict."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from driftloop.drift.verdict import Verdict


class Rule(Protocol):
    """A rule that watches one served model.

    `name` is the rule's name as a person gives it, such as "significant" or "adwin".
    """

    name: str

    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block.

        Args:
            errors: (rows,) in time order, 1 or True where the model was wrong. An empty block gives "cannot tell".
        """

    def reset(self) -> None:
        """Begin anew: another model is in service from the next block on."""
