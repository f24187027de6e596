"""What remains of the blocks that are closed, that is judged for good. Its size is bounded however long the watch is.

The verdicts need the rule's state and the threshold. Kind of drift, forecast and estimate compare rows, so the newest rows of the reference period
and of the judged blocks are kept, `KEPT` of each; of older ones their scores, `SCORES` of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from driftloop.data import blocks
from driftloop.data.blocks import Block
from driftloop.drift.verdict import Verdict
from driftloop.metrics.results import BlockScore, ReferencePeriod
from driftloop.predictions.later.rows import Rows
from driftloop.predictions.segments.segment_state import SegmentState

KEPT: Final = 20_000
SCORES: Final = 2_000


@dataclass(frozen=True)
class FromReference:
    """What the reference period decided: the threshold, and figures of all its rows."""

    threshold: float
    period: ReferencePeriod
    majority: int | float  # best constant prediction
    drifting: bool
    mean: float  # of a regression's labels
    counts: tuple[int, ...]  # rows of each class
    block_size: int  # rows of a block; of calendar blocks, of a usual one
    notes: tuple[str, ...]  # of the table

    def labels(self, classes: int) -> np.ndarray:
        """Labels from which a KPI is the same as from those of the reference period."""
        return np.repeat(np.arange(classes), np.pad(self.counts, (0, classes - len(self.counts)))) if classes else np.array([self.mean])


@dataclass(frozen=True)
class Past:
    """Of the judged rows that are no longer kept: those with a label, the sum of their losses (nan where the KPI has no losses), those without."""

    labelled: int = 0
    losses: float = 0.0
    unlabelled: int = 0


@dataclass(frozen=True, eq=False)
class Closed:
    """The state after the closed blocks; see the module."""

    first: FromReference
    rule: dict[str, Any]  # see `rule_state`
    verdicts: tuple[Verdict, ...]  # see `shortened`
    scores: tuple[BlockScore, ...]
    kept: Rows
    seen: np.ndarray  # (N,) newest labels of the kept rows, which may have come or changed after the block was judged
    kept_blocks: tuple[tuple[int, int], ...]  # index and rows
    kept_reference: int  # rows of the reference period among `kept`
    rows: int  # in all closed blocks
    past: Past
    kind: Verdict | None  # of the first drift
    alarm: int  # its block
    edge: np.datetime64  # rows before it belong to closed blocks
    segments: SegmentState | None = None  # None without segments

    @property
    def next_block(self) -> int:
        """Index of the first block that is open."""
        return self.kept_blocks[-1][0] + 1

    @property
    def blocks(self) -> list[Block]:
        """The blocks whose rows are kept, as rows of `kept`."""
        stops = np.cumsum([rows for _, rows in self.kept_blocks]).tolist()
        return [Block(index, stop - rows, stop) for (index, rows), stop in zip(self.kept_blocks, stops, strict=True)]

    def having_seen(self, labels: np.ndarray) -> Closed:
        """The same after other labels came for the kept rows."""
        return replace(self, seen=labels)

    def cut(self, times: np.ndarray, block_by: str) -> list[Block]:
        """All blocks of the kept rows and the open ones after them, whose times are given."""
        parts = of_judged(times, len(self.kept), len(times), block_by=block_by, block_size=self.first.block_size)
        return self.blocks + [replace(block, index=self.next_block + at) for at, block in enumerate(parts)]


def of_judged(times: np.ndarray, start: int, stop: int, *, block_by: str, block_size: int) -> list[Block]:
    """Rows start..stop in blocks; the last may have fewer rows."""
    if stop <= start:
        return []
    if block_by != "rows":
        return list(blocks.cut_calendar(times, start, stop, by=block_by))
    edges = [*range(start, stop, block_size), stop]
    return [Block(at, first, last, short=last - first < block_size) for at, (first, last) in enumerate(pairwise(edges))]


def shortened(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts that an answer is made of: the first with drift, the newest that was judged, the newest."""
    found = [next((at for at, one in enumerate(verdicts) if one.drift), None)]
    found.append(next((at for at in reversed(range(len(verdicts))) if not math.isnan(verdicts[at].statistic)), None))
    found.append(len(verdicts) - 1 if verdicts else None)
    return tuple(verdicts[at] for at in sorted({at for at in found if at is not None}))


def newest_scores(scores: Sequence[BlockScore]) -> tuple[BlockScore, ...]:
    """The newest ones, and the first with drift."""
    older = [score for score in scores[:-SCORES] if score.drift]
    return (*older[:1], *scores[-SCORES:])


def thinned(rows: Rows, parts: Sequence[Block], reference: int) -> tuple[np.ndarray, list[tuple[int, int]], int]:
    """Which rows to keep: the newest of the reference period and of the judged blocks.

    Returns:
        The rows, (N,) bool; index and rows of the blocks that are left; how many rows are of the reference period.
    """
    which = np.zeros(len(rows), bool)
    which[max(reference - KEPT, 0) : reference] = True
    which[max(len(rows) - KEPT, reference) :] = True
    sizes = [(block.index, int(which[block.start : block.stop].sum())) for block in parts]
    return which, [one for one in sizes if one[1]], int(which[:reference].sum())
