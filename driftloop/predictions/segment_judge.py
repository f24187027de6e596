"""Judges the segments of a table of predictions: which have become worse than in the reference period, at one false-alarm rate over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.drift import answer
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.rules.significant_loss import CAP_QUANTILE, CAP_THRESHOLDS
from driftloop.drift.segments.closed_test import adjusted
from driftloop.drift.segments.rises import Rises
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import NO_BLOCK, SegmentResult, SegmentScore
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.predictions.segment_columns import SegmentColumn

LEAST_ROWS: Final = 50  # labelled rows of the reference period that a segment needs
LEAST_BLOCKS: Final = 16  # blocks of it with a defined KPI, for a KPI of whole blocks
MOST_DIAGNOSED: Final = 5  # segments whose kind of drift is looked for, the worst first: each takes up to half a second
DIAGNOSED_ROWS: Final = 6000  # rows of a segment that are looked at for it, at equal distances


@dataclass(frozen=True, eq=False)
class LabelledTable:
    """The labelled rows of a table, the reference period first, and what is known of them."""

    stream: Stream
    outputs: np.ndarray  # (N, ...) of the model
    losses: np.ndarray  # (N, ...) as `task.losses_of` gives them
    blocks: tuple[Block, ...]  # of these rows, also of the reference period; some may be empty
    times: tuple[str, ...]  # of each block's first row
    reference: int  # rows
    task: Task


@dataclass(frozen=True, eq=False)
class _Units:
    """What is bet on: the loss of a row, or for a KPI of whole blocks that of a segment's rows of a block."""

    losses: np.ndarray  # (U,)
    segment: np.ndarray  # (U,)
    block: np.ndarray  # (U,) ascending: index into `blocks`
    reference: int  # the first of them


def judge(table: LabelledTable, columns: Sequence[SegmentColumn], *, alpha: float) -> SegmentResult:
    """Judge every segment of every column block by block against its own reference period.

    The evidence of a segment is an e-process (`drift.segments.rises`). The false-alarm rate is over all segments of all columns together
    (`drift.segments.closed_test`): with probability 1 - alpha no segment that has not become worse is named in any block. Segments with
    fewer reference rows than `LEAST_ROWS` are not judged and share nothing of alpha.

    Args:
        table: the labelled rows.
        columns: segments of the same rows.
        alpha: the false-alarm rate.
    """
    first = next((at for at, block in enumerate(table.blocks) if block.stop > table.reference), len(table.blocks))
    units = [_units(table, column, first) for column in columns]
    least = LEAST_ROWS if table.task.by_row is table.task else LEAST_BLOCKS
    judged = [np.bincount(one.segment[: one.reference], minlength=len(column.labels)) >= least for one, column in zip(units, columns, strict=True)]
    found = _Evidence(units, judged, alpha, task=table.task)
    for at in range(first, len(table.blocks)):
        found.update(at)
    scores, place = [], 0  # among the judged segments
    for column, taken in zip(columns, judged, strict=True):
        for code in range(len(column.labels)):
            rows = np.flatnonzero(column.codes == code)
            scores.append((_score(table, column, code, rows, found.of(place) if taken[code] else None), rows))
            place += bool(taken[code])
    scores.sort(key=lambda pair: _badness(pair[0]))
    told = tuple(_with_kind(table, score, rows, alpha) if at < MOST_DIAGNOSED else score for at, (score, rows) in enumerate(scores))
    notes = tuple(note for column in columns for note in column.notes)
    return SegmentResult(told, alpha, least, found.overall, found.overall >= 1 / alpha, notes)


def _units(table: LabelledTable, column: SegmentColumn, first: int) -> _Units:
    starts = np.array([block.start for block in table.blocks])
    if table.task.by_row is table.task:
        block = np.searchsorted(starts, np.arange(len(column.codes)), side="right") - 1
        return _Units(np.asarray(table.losses, np.float64), column.codes, block, table.reference)
    found = []
    for at, one in enumerate(table.blocks):
        codes = column.codes[one.start : one.stop]
        for code in np.unique(codes):
            value = table.task.value(table.losses[one.start : one.stop][codes == code])
            if math.isfinite(value):
                found.append((1 - value, code, at))
    losses, segment, blocks = (np.array([one[at] for one in found], kind) for at, kind in enumerate((np.float64, np.int64, np.int64)))
    return _Units(losses, segment, blocks, int(np.searchsorted(blocks, first)))


class _Evidence:
    """Follows the e-values of all judged segments together, of all columns, block by block."""

    def __init__(self, units: Sequence[_Units], judged: Sequence[np.ndarray], alpha: float, *, task: Task) -> None:
        self.units, self.judged, self.alpha = units, judged, alpha
        self.rises = [_rises(one, taken, task) if taken.any() else None for one, taken in zip(units, judged, strict=True)]
        known = sum(int(taken.sum()) for taken in judged)
        self.newest, self.highest = np.full(known, math.nan), np.zeros(known)
        self.named = np.full(known, NO_BLOCK)  # the block in which each was first rejected
        self.overall = math.nan

    def update(self, block: int) -> None:
        """Judge one block."""
        parts = []
        for units, taken, rises in zip(self.units, self.judged, self.rises, strict=True):
            if rises is None:
                continue
            rows = slice(*np.searchsorted(units.block, [block, block + 1]))
            segment = units.segment[rows]
            mine = taken[segment]
            parts.append(rises.update(units.losses[rows][mine], (np.cumsum(taken) - 1)[segment[mine]]))
        if not parts:
            return
        evidence = np.concatenate(parts)
        found = adjusted(evidence)
        self.newest = np.where(self.named == NO_BLOCK, found, self.newest)  # stays that of the first rejection
        self.named = np.where((self.named == NO_BLOCK) & (found >= 1 / self.alpha), block, self.named)
        self.highest = np.maximum(self.highest, found)
        if not self.overall >= 1 / self.alpha:
            self.overall = float(evidence.mean())

    def of(self, place: int) -> tuple[float, float, int]:
        """Evidence, p-value and the place of the block in which the segment at this place was first named."""
        highest = float(self.highest[place])
        return float(self.newest[place]), min(1.0, 1 / highest) if highest > 0 else math.nan, int(self.named[place])


def _rises(units: _Units, taken: np.ndarray, task: Task) -> Rises:
    losses = [units.losses[: units.reference][units.segment[: units.reference] == code] for code in np.flatnonzero(taken)]
    if task.by_row is not task:
        return Rises(losses, largest=np.ones(len(losses)))
    bound = 1.0 if task is CLASSIFICATION else task.bound
    largest = [bound if math.isfinite(bound) else max(float(np.quantile(one, CAP_QUANTILE)), CAP_THRESHOLDS * float(one.mean())) or 1.0 for one in losses]
    return Rises(losses, largest=np.array(largest))


def _score(table: LabelledTable, column: SegmentColumn, code: int, rows: np.ndarray, found: tuple[float, float, int] | None) -> SegmentScore:
    """`found`: as `_Evidence.of`; None for a segment that is not judged."""
    split = int(np.searchsorted(rows, table.reference))
    before, after = table.losses[rows[:split]], table.losses[rows[split:]]
    kpis = [table.task.value(part) if len(part) else math.nan for part in (before, after)]
    lower, upper = table.task.interval(after) if len(after) else (math.nan, math.nan)
    evidence, p_value, at = found or (math.nan, math.nan, NO_BLOCK)
    named = at != NO_BLOCK
    verdict = "drift" if named else "too small" if found is None else "no alarm" if len(after) else "no labels"
    return SegmentScore(
        column=column.name,
        segment=column.labels[code],
        rows_before=len(before),
        rows_after=len(after),
        kpi_before=kpis[0],
        kpi_after=kpis[1],
        lower=lower,
        upper=upper,
        gain=table.task.ahead(kpis[1], kpis[0]),
        verdict=verdict,
        kind="none" if verdict == "no alarm" else "cannot tell",
        evidence=evidence,
        p_value=p_value,
        block=table.blocks[at].index if named else NO_BLOCK,
        timestamp=table.times[at] if named else "",
    )


def _badness(score: SegmentScore) -> tuple[int, float]:
    """The key by which the worst are first."""
    if score.drift:
        return 0, score.gain
    return (1, -score.evidence) if score.verdict == "no alarm" else (2, -score.rows_after)


def _with_kind(table: LabelledTable, score: SegmentScore, rows: np.ndarray, alpha: float) -> SegmentScore:
    """The kind of drift of a segment that is named, from its rows up to that block; if that is inconclusive from all of its rows."""
    if not score.drift or not table.stream.features:
        return score
    rows = rows[:: -(-len(rows) // DIAGNOSED_ROWS)]
    part = replace(table.stream, rows=table.stream.rows[rows], labels=table.stream.labels[rows], times=table.stream.times[rows])
    goal = Goal(table.task, table.task.with_slack(score.kpi_before, share=0.0), alpha / 2, table.stream.unit)
    edges = [np.searchsorted(rows, [block.start, block.stop]).tolist() for block in table.blocks]
    cut = [replace(block, start=start, stop=stop) for block, (start, stop) in zip(table.blocks, edges, strict=True) if start < stop]
    for last in dict.fromkeys((score.block, cut[-1].index)):
        diagnosis = Diagnosis(part, goal, estimates=False)
        for block in (block for block in cut if block.index <= last):
            diagnosis.learn(block, table.outputs[rows[block.start : block.stop]])
        kind = diagnosis.kind().kind
        if kind in answer.TOLD:
            return replace(score, kind=kind)
    return score
