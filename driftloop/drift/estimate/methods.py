"""The ways to estimate the mean loss of rows without labels from rows that have theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from driftloop.drift.estimate.bins import Bins
from driftloop.drift.estimate.calibration import Calibration
from driftloop.drift.estimate.density_ratio import DensityRatio
from driftloop.drift.estimate.loss_model import LossModel

MIN_REWEIGHTED: Final = 100  # rows without labels from which a density ratio is fitted
PLAIN: Final = "calibrated confidence"
REWEIGHTED: Final = "confidence re-weighted to the rows' values"
LOSS_MODEL: Final = "a model of the loss"


@dataclass(frozen=True, eq=False)
class Described:
    """Rows as the methods see them."""

    inputs: np.ndarray  # (N, F + 1) the features, and at last the expected loss, or the prediction of a regression
    expected: np.ndarray | None  # (N,) loss that the probabilities expect; None for a regression

    def __len__(self) -> int:
        return len(self.inputs)


class Methods:
    """Learned from past rows; what is not asked for is not fitted.

    Args:
        rows: past rows.
        losses: theirs, (N,).
        coded: which features are codes of categories, (F,).
    """

    def __init__(self, rows: Described, losses: np.ndarray, coded: Sequence[bool]) -> None:
        self._rows, self._losses, self._coded = rows, losses, (*coded, False)

    @staticmethod
    def names(asked: Described) -> tuple[str, ...]:
        """The methods that apply to these rows; the last is preferred until the first did better."""
        if asked.expected is None:
            return (LOSS_MODEL,)
        return (PLAIN, REWEIGHTED) if len(asked) >= MIN_REWEIGHTED and asked.inputs.shape[1] > 1 else (PLAIN,)

    def mean_loss(self, name: str, asked: Described) -> float:
        """Mean loss of at least one row as the method of this name, one of `names`, estimates it."""
        if asked.expected is None:
            return self._loss_model.mean(asked.inputs)
        return self._calibration.mean(asked.expected, self._density_ratio.slopes(asked.inputs) if name == REWEIGHTED else None)

    @cached_property
    def _bins(self) -> Bins:
        # A calibration needs the features only as they go with the expected loss; each further pair costs time, and variance.
        return Bins(self._rows.inputs, self._coded, all_pairs=self._rows.expected is None)

    @cached_property
    def _calibration(self) -> Calibration:
        assert self._rows.expected is not None
        return Calibration(self._rows.expected, self._losses, self._bins)

    @cached_property
    def _density_ratio(self) -> DensityRatio:
        return DensityRatio(self._bins)

    @cached_property
    def _loss_model(self) -> LossModel:
        return LossModel(self._bins, self._losses)
