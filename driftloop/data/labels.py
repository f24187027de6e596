"""Maps labels between the names in a table and a model's codes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Labels:
    """The classes of a stream by name, in the order of a model's probabilities; empty for a regression, whose labels are numbers.

    >>> Labels(("DOWN", "UP")).encode(["UP", None, "DOWN"]), Labels(("DOWN", "UP")).decode([1, 0]), Labels().decode([2])
    (array([ 1., nan,  0.]), ['UP', 'DOWN'], [2.0])
    """

    names: tuple[Any, ...] = ()

    @cached_property
    def _codes(self) -> dict[Any, float]:
        return {name: float(code) for code, name in enumerate(self.names)}

    def encode(self, names: Iterable[Any], *, foreign: float = math.nan) -> np.ndarray:
        """The code of each name, (N,) float64: nan where missing, `foreign` where unknown."""
        if not self.names:
            return np.array(list(names), np.float64)
        codes = {**self._codes, None: math.nan}
        return np.array([codes.get(name, foreign) for name in names], np.float64)

    def shares(self, codes: np.ndarray) -> tuple[float, ...]:
        """What a KPI may take from the labels of training rows: the share of each class, (K,), or (mean,) of the values.

        >>> Labels(("DOWN", "UP")).shares(np.array([0, 0, 1, 0])), Labels().shares(np.array([1.0, 2.0]))
        ((0.75, 0.25), (1.5,))
        """
        if not self.names:
            return (float(codes.mean()),)
        found: list[float] = (np.bincount(codes, minlength=len(self.names)) / max(len(codes), 1)).tolist()
        return tuple(found)

    def decode(self, codes: Iterable[float]) -> list[Any]:
        """The name of each code; for a regression the number."""
        return [self.names[int(code)] for code in codes] if self.names else [float(code) for code in codes]
