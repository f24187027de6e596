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
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import NO_BLOCK, SegmentResult, SegmentScore
from driftloop.metrics.task import Task
from driftloop.predictions.segments import segment_evidence
from driftloop.predictions.segments.segment_columns import NEW, SegmentColumn
from driftloop.predictions.segments.segment_evidence import SegmentEvidence
from driftloop.predictions.segments.segment_state import SegmentState

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


@dataclass(frozen=True)
class Span:
    """Indices of blocks: from `opened` on they are to be judged, from `closed` on they will be judged again."""

    opened: int
    closed: int


def judge(table: LabelledTable, columns: Sequence[SegmentColumn], *, alpha: float) -> SegmentResult:
    """Judge the segments of a table by itself; see `follow`."""
    first = next((block.index for block in table.blocks if block.stop > table.reference), table.blocks[-1].index + 1)
    return follow(table, columns, Span(first, first), alpha=alpha)[0]


def follow(
    table: LabelledTable, columns: Sequence[SegmentColumn], span: Span, *, alpha: float, before: SegmentState | None = None
) -> tuple[SegmentResult, SegmentState]:
    """Judge every segment of every column block by block against its own reference period.

    The evidence of a segment is an e-process (`drift.segments.rises`). The false-alarm rate is over all segments of all columns together
    (`drift.segments.closed_test`): with probability 1 - alpha no segment that has not become worse is named in any block. Segments with
    fewer reference rows than `segment_evidence.LEAST_ROWS` are not judged and share nothing of alpha.

    Args:
        table: the labelled rows; of those before `span.opened` the newest will do where `before` is given.
        columns: segments of the same rows.
        span: the blocks to judge: first those after the reference period, then those after `before`.
        alpha: the false-alarm rate.
        before: the state after the blocks before the span.

    Returns:
        The result, and the state after the blocks before `span.closed`.
    """
    judging = _Judging(table, columns, span, alpha, before)
    return judging.result(), judging.left()


class _Judging:
    """Judges on construction. Figures are of all S segments of all columns, one column after the other."""

    def __init__(self, table: LabelledTable, columns: Sequence[SegmentColumn], span: Span, alpha: float, before: SegmentState | None) -> None:
        self.table, self.columns, self.span, self.alpha = table, columns, span, alpha
        self.sizes = [len(column.labels) for column in columns]
        self.before = before or self._begun()
        self.evidence = SegmentEvidence(self.before.evidence, alpha=alpha)
        closed = None
        units = [segment_evidence.units_of(table.losses, column.codes, table.blocks, table.task) for column in columns]
        for at, (block, time) in enumerate(zip(table.blocks, table.times, strict=True)):
            if block.index >= span.closed and closed is None:
                closed = self.evidence.state()
            if block.index >= span.opened:
                self.evidence.update([one.of(at, at + 1) for one in units], block=block.index, time=time)
        self.closed = closed or self.evidence.state()
        rows, losses = self._sums(self._start(span.opened), len(table.losses))
        self.after = self.before.rows_after + rows, self.before.losses_after + losses
        self.kinds = list(self.before.kinds)  # those that are told by the rows up to the block of the alarm

    def _begun(self) -> SegmentState:
        table, blocks = self.table, [block for block in self.table.blocks if block.index < self.span.opened]
        units = [segment_evidence.units_of(table.losses, column.codes, blocks, table.task) for column in self.columns]
        evidence = SegmentEvidence.begun([one.of(0, len(blocks)) for one in units], self.sizes, task=table.task, alpha=self.alpha)
        parts = [table.losses[: table.reference][column.codes[: table.reference] == code] for column in self.columns for code in range(len(column.labels))]
        kpis = [table.task.value(part) if len(part) else math.nan for part in parts]
        none = np.zeros(len(parts))
        return SegmentState(evidence.state(), np.array([len(part) for part in parts]), np.array(kpis), none.astype(np.int64), none, ("",) * len(parts))

    def result(self) -> SegmentResult:
        """The scores of all segments, the worst first."""
        found, at, place = [], 0, 0  # among all, and among those that are judged
        for column, judged in zip(self.columns, self.before.evidence.judged, strict=True):
            for code, taken in enumerate(judged):
                rows = np.flatnonzero(column.codes == code)
                score = self._score(column, code, at, rows, place if taken else None)
                if code < column.always or score.rows_before or score.rows_after:
                    found.append((score, at, rows))
                at, place = at + 1, place + bool(taken)
        found.sort(key=lambda one: _badness(one[0]))
        scores = tuple(self._with_kind(*one) if rank < MOST_DIAGNOSED else one[0] for rank, one in enumerate(found))
        notes = tuple(note for column in self.columns for note in _notes(column, [score for score in scores if score.column == column.name]))
        least, overall = segment_evidence.least(self.table.task), self.evidence.overall
        return SegmentResult(scores, self.alpha, least, overall, overall >= 1 / self.alpha, notes)

    def left(self) -> SegmentState:
        """What is needed to continue; after `result`, for the kinds."""
        rows, losses = self._sums(self._start(self.span.opened), self._start(self.span.closed))
        return SegmentState(
            self.closed,
            self.before.rows_before,
            self.before.kpi_before,
            self.before.rows_after + rows,
            self.before.losses_after + losses,
            tuple(self.kinds),
        )

    def _start(self, index: int) -> int:
        """The first row of the first block from this index on."""
        return next((block.start for block in self.table.blocks if block.index >= index), len(self.table.losses))

    def _sums(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each segment its rows in these, (S,), and the sum of their losses, nan where the KPI has none."""
        losses = np.asarray(self.table.losses[start:stop], float) if self.table.losses.ndim == 1 else np.full(stop - start, math.nan)
        parts = [(column.codes[start:stop], size) for column, size in zip(self.columns, self.sizes, strict=True)]
        rows = [np.bincount(codes, minlength=size) for codes, size in parts]
        sums = [np.bincount(codes, weights=losses, minlength=size) for codes, size in parts]
        return np.concatenate(rows), np.concatenate(sums)

    def _score(self, column: SegmentColumn, code: int, at: int, rows: np.ndarray, place: int | None) -> SegmentScore:
        """`rows` of the segment; its place among all and among the judged ones, None for a segment that is not judged."""
        task, evidence = self.table.task, self.evidence
        before, rows_after = float(self.before.kpi_before[at]), int(self.after[0][at])
        kpi, lower, upper = self._figures_after(at, self.table.losses[rows[rows >= self.table.reference]])
        block = NO_BLOCK if place is None else int(evidence.named[place])
        named, highest = block != NO_BLOCK, math.nan if place is None else float(evidence.highest[place])
        verdict = "drift" if named else "too small" if place is None else "no alarm" if rows_after else "no labels"
        return SegmentScore(
            column=column.name,
            segment=column.labels[code],
            rows_before=int(self.before.rows_before[at]),
            rows_after=rows_after,
            kpi_before=before,
            kpi_after=kpi,
            lower=lower,
            upper=upper,
            gain=task.ahead(kpi, before),
            verdict=verdict,
            kind="none" if verdict == "no alarm" else "cannot tell",
            evidence=math.nan if place is None else float(evidence.newest[place]),
            p_value=min(1.0, 1 / highest) if highest > 0 else math.nan,
            block=block,
            timestamp=evidence.times[place] if named and place is not None else "",
        )

    def _figures_after(self, at: int, kept: np.ndarray) -> tuple[float, float, float]:
        """KPI and its bounds in all rows after the reference period; where not all are kept, the bounds are as wide as so many rows like these give."""
        task, (rows, losses) = self.table.task, (one[at] for one in self.after)
        if not rows:
            return math.nan, math.nan, math.nan
        if rows == len(kept) or not len(kept) or math.isnan(losses):
            return (task.value(kept), *task.interval(kept)) if len(kept) else (task.value(np.array([losses / rows])), math.nan, math.nan)
        kpi, newest, narrower = task.value(np.array([losses / rows])), task.value(kept), math.sqrt(len(kept) / rows)
        lower, upper = task.interval(kept)
        return kpi, kpi - (newest - lower) * narrower, kpi + (upper - newest) * narrower

    def _with_kind(self, score: SegmentScore, at: int, rows: np.ndarray) -> SegmentScore:
        """The kind of drift of a segment that is named, from its rows up to that block; if that is inconclusive from all of its rows."""
        if not score.drift or not self.table.stream.features:
            return score
        if not self.kinds[at]:
            stop = next((block.stop for block in reversed(self.table.blocks) if block.index <= score.block), 0)
            kind = _kind(self.table, score, rows[rows < stop], self.alpha)
            if kind not in answer.TOLD:
                kind = _kind(self.table, score, rows, self.alpha)
            elif score.block < self.span.closed:
                self.kinds[at] = kind
        else:
            kind = self.kinds[at]
        return replace(score, kind=kind) if kind in answer.TOLD else score


def _notes(column: SegmentColumn, scores: Sequence[SegmentScore]) -> list[str]:
    """What to know of a column's segments."""
    notes, new = list(column.notes), next((score.rows_after for score in scores if score.segment == NEW), 0)
    if new:
        notes.append(f"{column.name} has values that the reference period never had, in {new:,} rows: the segment {NEW!r}, not judged")
    if len(scores) == 1 and column.always == 1:
        notes.append(f"{column.name} has the one value {scores[0].segment!r}: its segment is the whole table")
    return notes


def _badness(score: SegmentScore) -> tuple[int, float]:
    """The key by which the worst are first."""
    if score.drift:
        return 0, score.gain
    return (1, -score.evidence) if score.verdict == "no alarm" else (2, -score.rows_after)


def _kind(table: LabelledTable, score: SegmentScore, rows: np.ndarray, alpha: float) -> str:
    """The kind of drift in these rows of a segment."""
    rows = rows[:: max(-(-len(rows) // DIAGNOSED_ROWS), 1)]
    part = replace(table.stream, rows=table.stream.rows[rows], labels=table.stream.labels[rows], times=table.stream.times[rows])
    goal = Goal(table.task, table.task.with_slack(score.kpi_before, share=0.0), alpha / 2, table.stream.unit)
    edges = [np.searchsorted(rows, [block.start, block.stop]).tolist() for block in table.blocks]
    diagnosis = Diagnosis(part, goal, estimates=False)
    for block, (start, stop) in zip(table.blocks, edges, strict=True):
        if start < stop:
            diagnosis.learn(replace(block, start=start, stop=stop), table.outputs[rows[start:stop]])
    return diagnosis.kind().kind
