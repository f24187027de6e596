"""Estimates the KPI of a block before its labels arrive, and reports the estimate's measured error.

A classification's is estimated from the model's confidence: an isotonic fit on labelled past rows calibrates the loss that a row's
probabilities expect to the loss that such rows had. With the rows' values, the past rows are weighted to look like the block, so that the
calibration is that of the new inputs; unless on the newest labelled blocks the estimates without weights were closer, by more than chance.
A regression's comes from a model of the loss. The past rows must not be those that the model was trained on: on these it errs less.

All of this holds while P(Y|X) is stable: under concept drift the estimates lag. So each is kept until its labels arrive, and is trusted
only if the estimates of the newest blocks were clearly closer to the truth than the trivial guess, the mean KPI of the blocks before: by
at least a fifth, and by more than chance. Where the KPI hardly varies neither is closer, and no estimate is needed.

Bialek, Kuberski, Perrakis, Bifet: Estimating model performance under covariate shift without labels. arXiv 2401.08348, 2024.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.drift.estimate import quality as measuring
from driftloop.drift.estimate.methods import Described, Methods
from driftloop.drift.estimate.quality import ALPHA, BLOCKS, MIN_BLOCKS, EstimateQuality, MeasuredBlock
from driftloop.drift.estimate.row_kpi import ACCURACY, RowKpi

ROWS: Final = 30_000  # newest labelled rows that are learned from
MIN_ROWS: Final = 100  # labelled rows needed before the first estimate
GROWN: Final = 0.1  # share of new rows after which the methods are learned again
SUM_OFF: Final = 1e-3  # tolerance of a row's sum of probabilities around 1


@dataclass(frozen=True)
class Estimate:
    """Estimated KPI of a block, the mean absolute error of such estimates so far, and whether to trust it."""

    value: float
    error: float
    trustworthy: bool
    message: str  # one sentence in words


@dataclass(frozen=True, eq=False)
class _Labelled:
    rows: Described
    losses: np.ndarray  # (N,)


class LabelFree:
    """Estimates for one served model: call `estimate` first, then `learn` when the labels arrive.

    `learn` is cheap; what it is given is worked through when the next estimate is asked for.

    Args:
        kpi: what is estimated.
        coded: which features are codes of categories, (F,); none when not given.

    >>> rng = np.random.default_rng(1)
    >>> label_free = LabelFree()
    >>> for sure in [0.6, 0.9] * 20:
    ...     probabilities = np.tile([sure, 1 - sure], (200, 1))
    ...     label_free.learn(probabilities, (rng.random(200) > sure).astype(int))
    >>> told = label_free.estimate(np.tile([0.1, 0.9], (200, 1)))
    >>> round(told.value, 1), told.trustworthy
    (0.9, True)
    """

    def __init__(self, kpi: RowKpi = ACCURACY, *, coded: Sequence[bool] = ()) -> None:
        self._kpi, self._coded = kpi, tuple(coded)
        self._learned: deque[_Labelled] = deque()  # blocks, newest last, of about `ROWS` rows
        self._waiting: deque[_Labelled] = deque()  # newest last, not yet worked through: `quality` does it
        self._rows = 0  # in `_learned`
        self._methods: Methods | None = None
        self._newer = 0  # rows since the methods were learned
        self._values: list[float] = []  # KPI of each block so far
        self._measured: deque[MeasuredBlock] = deque(maxlen=BLOCKS)
        self._errors: deque[dict[str, float]] = deque(maxlen=BLOCKS)  # absolute error of each method

    def estimate(self, outputs: np.ndarray, rows: np.ndarray | None = None) -> Estimate:
        """Estimate the KPI of rows without labels.

        Args:
            outputs: (N, K) probabilities of the classes, each row adding up to 1, or (N,) predicted values of a regression.
            rows: (N, F) features, numbers or codes, nan where missing; without them only the outputs are used. In all calls or in none.

        Raises:
            ValueError: invalid probabilities, or shapes that do not fit.
        """
        asked = self._described(outputs, rows)
        quality = self.quality()
        if not len(asked):
            return Estimate(math.nan, quality.error, False, "cannot tell: no rows")
        if self._rows < MIN_ROWS:
            return Estimate(math.nan, quality.error, False, f"cannot tell: {self._rows} labelled rows, needs at least {MIN_ROWS}")
        methods = self._current()
        value = self._kpi.value(methods.mean_loss(self._chosen(methods.names(asked)), asked))
        digits = _digits(value, self._kpi)
        message = f"estimated {self._kpi.words(f'{value:.{digits}f}')} without labels; {measuring.words(quality, digits)}"
        return Estimate(value, quality.error, quality.trustworthy, message)

    def learn(self, outputs: np.ndarray, labels: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Learn from a block whose labels have arrived: measure its estimate's error, then add its rows to those learned from.

        Args:
            outputs: as in `estimate`.
            labels: (N,) class indices, or values of a regression; rows with a nan, or a negative class, are unlabelled and left out.
            rows: as in `estimate`.

        Raises:
            ValueError: as in `estimate`, or the labels are not class indices, one a row.
        """
        described, given = self._described(outputs, rows), np.asarray(labels, float)
        if given.shape != (len(described),):
            raise ValueError(f"labels {given.shape} must be one for each of the {len(described)} rows")
        known = np.isfinite(given) & (np.isfinite(described.inputs[:, -1]) if described.expected is None else given >= 0)
        if described.expected is not None and (np.any(given[known] >= np.shape(outputs)[1]) or np.any(given[known] % 1)):
            raise ValueError(f"labels must be class indices below {np.shape(outputs)[1]}")
        if known.any():
            labels_known = given[known] if described.expected is None else given[known].astype(np.int64)
            losses = np.asarray(self._kpi.losses(np.asarray(outputs, float)[known], labels_known), float)
            self._waiting.append(_Labelled(_part(described, known), losses))

    def quality(self) -> EstimateQuality:
        """Quality of the estimates of the newest blocks; each was made from the rows before its block."""
        while self._waiting:
            # The choice of a method rests on as many blocks before those that are measured: older ones need no estimate.
            self._work(self._waiting.popleft(), estimated=len(self._waiting) < 2 * BLOCKS)
        return measuring.measured(list(self._measured))

    def _work(self, block: _Labelled, *, estimated: bool) -> None:
        value = self._kpi.value(float(block.losses.mean()))
        methods = self._current() if self._rows >= MIN_ROWS else None
        if methods and estimated:
            found = {name: self._kpi.value(methods.mean_loss(name, block.rows)) for name in methods.names(block.rows)}
            self._measured.append(MeasuredBlock(found[self._chosen(tuple(found))], float(np.mean(self._values)), value))
            self._errors.append({name: abs(estimate - value) for name, estimate in found.items()})
        self._values.append(value)
        block = _Labelled(_part(block.rows, slice(-ROWS, None)), block.losses[-ROWS:])
        self._learned.append(block)
        self._rows += len(block.losses)
        self._newer += len(block.losses)
        while self._rows - len(self._learned[0].losses) >= ROWS:
            self._rows -= len(self._learned.popleft().losses)

    def _chosen(self, names: Sequence[str]) -> str:
        """The last method, unless the first one's error was smaller on the newest blocks, by more than chance."""
        first, last = names[0], names[-1]
        leads = np.array([errors[last] - errors[first] for errors in self._errors if errors.keys() >= set(names)])
        return first if len(leads) >= MIN_BLOCKS and measuring.no_lead(leads) <= ALPHA else last

    def _current(self) -> Methods:
        if self._methods is None or self._newer >= GROWN * (self._rows - self._newer):
            rows = _joined([block.rows for block in self._learned])
            self._methods = Methods(rows, np.concatenate([block.losses for block in self._learned]), self._coded)
            self._newer = 0
        return self._methods

    def _described(self, outputs: np.ndarray, rows: np.ndarray | None) -> Described:
        if self._kpi.probabilities:
            given = _probabilities(outputs)
            expected = self._kpi.expected(given) if len(given) else np.empty(0)
        else:
            given, expected = np.asarray(outputs, float), None
            if given.ndim != 1:
                raise ValueError(f"predictions have shape {given.shape}: they must be (rows,)")
        features = np.empty((len(given), 0)) if rows is None else np.asarray(rows, float)
        if features.ndim != 2 or len(features) != len(given) or (self._coded and features.shape[1] != len(self._coded)):
            raise ValueError(f"rows have shape {features.shape}: they must be ({len(given)}, {len(self._coded) or 'features'})")
        self._coded = self._coded or (False,) * features.shape[1]
        inputs = np.column_stack([features, given if expected is None else expected])
        return Described(np.where(np.isfinite(inputs), inputs, math.nan), expected)


def _part(rows: Described, which: np.ndarray | slice) -> Described:
    return Described(rows.inputs[which], None if rows.expected is None else rows.expected[which])


def _joined(parts: Sequence[Described]) -> Described:
    known = [part.expected for part in parts if part.expected is not None]
    return Described(np.concatenate([part.inputs for part in parts]), np.concatenate(known) if known else None)


def _probabilities(outputs: np.ndarray) -> np.ndarray:
    values = np.asarray(outputs, float)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"probabilities have shape {values.shape}: they must be (rows, classes)")
    if not np.all((values >= 0) & (values <= 1 + SUM_OFF)) or np.any(np.abs(values.sum(axis=1) - 1) > SUM_OFF):
        raise ValueError("probabilities must lie in 0..1 and sum to 1 in each row")
    return values


def _digits(value: float, kpi: RowKpi) -> int:
    """Decimals of a figure: three of a share, four significant digits of an error in the label's unit.

    >>> from driftloop.drift.estimate.row_kpi import MAE
    >>> _digits(0.8123, ACCURACY), _digits(722.41, MAE), _digits(0.00123456, MAE)
    (3, 1, 6)
    """
    return 3 if kpi.rises or not value > 0 else int(np.clip(3 - math.floor(math.log10(value)), 0, 12))
