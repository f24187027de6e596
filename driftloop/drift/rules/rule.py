"""What every rule for drift has in common: it is told the errors of one block after the other, and answers with a verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from driftloop.drift.verdict import Verdict


class Rule(ABC):
    """A rule that watches one served model.

    `name` is the rule's name as a person gives it, such as "significant" or "adwin".
    """

    name: str

    def prepare(  # noqa: B027 - most rules have nothing to learn before the watch
        self, errors: np.ndarray, *, block_size: int
    ) -> None:
        """Learn from the model's errors on rows before the watch what the rule can use of them; most use nothing.

        Args:
            errors: (rows,) in time order, 1 or True where the model was wrong.
            block_size: rows a block of the watch to come.
        """

    @abstractmethod
    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block.

        Args:
            errors: (rows,) in time order, 1 or True where the model was wrong. An empty block gives "cannot tell".
        """

    @abstractmethod
    def reset(self) -> None:
        """Begin anew: another model is in service from the next block on."""
