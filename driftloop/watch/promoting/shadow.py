"""A model in the shadow of the version in service: it answers the same rows in this process, and both are compared block by block."""

from __future__ import annotations

import math

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.drift.paired.paired_test import BETTER, HOPELESS, WORSE, PairedTest, PairedVerdict
from driftloop.metrics.task import Task
from driftloop.report import wording
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training import trained_model
from driftloop.training.trained_model import KnownModel

CAP_QUANTILE = 0.995  # of the champion's losses on its training rows: losses without a bound are capped there


class Shadow:
    """One comparison.

    Args:
        stream: the rows.
        champion: the version in service.
        model: in its shadow.
        kpi: measures both.
        alpha, blocks, restarts: as in `PairedTest`.
    """

    def __init__(self, stream: Stream, champion: KnownModel, model: KnownModel, *, kpi: Task, alpha: float, blocks: int = 0, restarts: bool = False) -> None:
        self.model, self.blocks = model, blocks
        self._stream, self._kpi = stream, kpi
        self._test = PairedTest(alpha=alpha, bound=_bound(stream, champion, kpi), blocks=blocks, restarts=restarts)
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []  # losses of both, of each block
        self.start = self.stop = 0  # the rows compared so far
        self.verdict: PairedVerdict | None = None

    def compare(self, block: Block, outputs: np.ndarray) -> PairedVerdict:
        """Compare on a block, given the outputs of the version in service for it."""
        labels = self._stream.labels[block.start : block.stop]
        losses = (
            self._kpi.losses_of(labels, outputs),
            self._kpi.losses_of(labels, trained_model.predict(self.model.model, self._stream, block.start, block.stop)),
        )
        if not self._pairs:
            self.start = block.start
        self.stop = block.stop
        self._pairs.append(losses)
        self.verdict = self._test.update(*(_compared(self._kpi, one) for one in losses))
        return self.verdict

    @property
    def over(self) -> bool:
        """Whether it has ended, decided or not."""
        return bool(self.verdict and (self.verdict.decided or (self.blocks and self.verdict.blocks >= self.blocks)))

    @property
    def won(self) -> bool:
        """Whether the model in the shadow is proven to be better."""
        return bool(self.verdict and self.verdict.decision == BETTER)

    @property
    def kpis(self) -> tuple[float, float]:
        """The KPIs of the version in service and of the model in its shadow, on the compared rows; nan before the first."""
        if not self._pairs:
            return math.nan, math.nan
        return self._kpi.value(np.concatenate([one for one, _ in self._pairs])), self._kpi.value(np.concatenate([one for _, one in self._pairs]))

    @property
    def undone(self) -> str:
        """Why a swap is undone, for a version before that has won."""
        assert self.verdict is not None
        return f"the version before is better, {self.verdict.words.replace('promotes', 'goes back')}"

    @property
    def words(self) -> str:
        """How it ended, in a sentence without its end."""
        if self.verdict is None:
            return "not promoted: the stream ended before its shadow began"
        seen = f"after {wording.count(self.verdict.blocks, 'block')} in shadow, {self.verdict.words}"
        if self.won:
            return f"promoted {seen}"
        why = {WORSE: "it is worse", HOPELESS: "it can no longer win"}.get(self.verdict.decision)
        if why is None:
            why = "the shadow has ended" if self.over else f"the stream ended with {self.verdict.blocks} of at most {self.blocks} shadow blocks"
        return f"not promoted: {why}, {seen}"


def _compared(kpi: Task, losses: np.ndarray) -> np.ndarray:
    """A loss for each row; for a KPI of whole blocks one for the block."""
    return losses if losses.ndim == 1 else np.array([1 - kpi.value(losses)])


def _bound(stream: Stream, champion: KnownModel, kpi: Task) -> float:
    if math.isfinite(kpi.bound):
        return kpi.bound
    known = trained_model.errors(champion, stream, newest=REFERENCE_BLOCKS * 48, doing=kpi)
    if known.dtype == bool or known.ndim > 1 or not np.isfinite(known).any():
        return 1.0
    return float(np.nanquantile(known, CAP_QUANTILE)) or 1.0
