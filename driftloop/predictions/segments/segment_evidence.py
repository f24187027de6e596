"""Follows the evidence that segments have become worse: an e-process each, and the closed test of all of them together, block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.data.blocks import Block
from driftloop.drift.rules.significant_loss import CAP_QUANTILE, CAP_THRESHOLDS
from driftloop.drift.segments.closed_test import adjusted
from driftloop.drift.segments.rises import Rises
from driftloop.metrics.results import NO_BLOCK
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.predictions.segments.segment_state import EvidenceState

LEAST_ROWS: Final = 50  # labelled rows of the reference period that a segment needs
LEAST_BLOCKS: Final = 16  # blocks of it with a defined KPI, for a KPI of whole blocks


@dataclass(frozen=True, eq=False)
class Units:
    """What is bet on: the loss of a row, or for a KPI of whole blocks that of a segment's rows of a block."""

    losses: np.ndarray  # (U,)
    segment: np.ndarray  # (U,)
    block: np.ndarray  # (U,) ascending: place among the blocks

    def of(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Losses and segments of the blocks at the places from `first` to before `last`."""
        rows = slice(*np.searchsorted(self.block, [first, last]))
        return self.losses[rows], self.segment[rows]


def units_of(losses: np.ndarray, codes: np.ndarray, blocks: Sequence[Block], task: Task) -> Units:
    """The units of a column.

    Args:
        losses: of the rows, as `task.losses_of` gives them.
        codes: the segment of each row, (N,).
        blocks: of all these rows, in order.
        task: the KPI.
    """
    if task.by_row is task:
        rows = [block.rows for block in blocks]
        return Units(np.asarray(losses, np.float64), codes, np.repeat(np.arange(len(blocks)), rows))
    found = []
    for at, one in enumerate(blocks):
        here = codes[one.start : one.stop]
        for code in np.unique(here):
            value = task.value(losses[one.start : one.stop][here == code])
            if math.isfinite(value):
                found.append((1 - value, code, at))
    return Units(*(np.array([one[at] for one in found], kind) for at, kind in enumerate((np.float64, np.int64, np.int64))))


def least(task: Task) -> int:
    """Units of the reference period that a segment needs to be judged."""
    return LEAST_ROWS if task.by_row is task else LEAST_BLOCKS


class SegmentEvidence:
    """The evidence of all judged segments together, of all columns, after some blocks.

    Args:
        state: after the blocks so far.
        alpha: the false-alarm rate.
    """

    def __init__(self, state: EvidenceState, *, alpha: float) -> None:
        self.alpha, self.judged = alpha, state.judged
        self.rises = [None if rises is None else Rises.of_state(rises) for rises in state.rises]
        self.newest, self.highest, self.named = state.newest.copy(), state.highest.copy(), state.named.copy()
        self.times, self.overall = list(state.times), state.overall

    @classmethod
    def begun(cls, reference: Sequence[tuple[np.ndarray, np.ndarray]], segments: Sequence[int], *, task: Task, alpha: float) -> SegmentEvidence:
        """Before the first block: from each column's units of the reference period, as `Units.of`, and its number of segments."""
        judged = tuple(np.bincount(codes, minlength=count) >= least(task) for (_, codes), count in zip(reference, segments, strict=True))
        rises = tuple(_rises(*units, taken, task).state() if taken.any() else None for units, taken in zip(reference, judged, strict=True))
        known = sum(int(taken.sum()) for taken in judged)
        return cls(EvidenceState(judged, rises, np.full(known, math.nan), np.zeros(known), np.full(known, NO_BLOCK), ("",) * known, math.nan), alpha=alpha)

    def state(self) -> EvidenceState:
        """What is needed to continue."""
        rises = tuple(one.state() if one else None for one in self.rises)
        return EvidenceState(self.judged, rises, self.newest.copy(), self.highest.copy(), self.named.copy(), tuple(self.times), self.overall)

    def update(self, units: Sequence[tuple[np.ndarray, np.ndarray]], *, block: int, time: str) -> None:
        """Judge one block.

        Args:
            units: of each column its losses and segments, as `Units.of`.
            block: its index.
            time: of its first row.
        """
        parts = []
        for (losses, segment), taken, rises in zip(units, self.judged, self.rises, strict=True):
            if rises is not None:
                mine = taken[segment]
                parts.append(rises.update(losses[mine], (np.cumsum(taken) - 1)[segment[mine]]))
        if not parts:
            return
        evidence = np.concatenate(parts)
        found = adjusted(evidence)
        self.newest = np.where(self.named == NO_BLOCK, found, self.newest)
        first = (self.named == NO_BLOCK) & (found >= 1 / self.alpha)
        self.named = np.where(first, block, self.named)
        self.times = [time if now else before for now, before in zip(first, self.times, strict=True)]
        self.highest = np.maximum(self.highest, found)
        if not self.overall >= 1 / self.alpha:
            self.overall = float(evidence.mean())


def _rises(losses: np.ndarray, segment: np.ndarray, taken: np.ndarray, task: Task) -> Rises:
    parts = [losses[segment == code] for code in np.flatnonzero(taken)]
    if task.by_row is not task:
        return Rises(parts, largest=np.ones(len(parts)))
    bound = 1.0 if task is CLASSIFICATION else task.bound
    largest = [bound if math.isfinite(bound) else max(float(np.quantile(one, CAP_QUANTILE)), CAP_THRESHOLDS * float(one.mean())) or 1.0 for one in parts]
    return Rises(parts, largest=np.array(largest))
