"""Judges a table of predictions block by block: scores, the rule `significant`, the kind of drift, forecast, and estimate without labels."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from driftloop.data import blocks
from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.drift.answer import Answer
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.reference import reference_drift
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.errors import DataError, SettingsError
from driftloop.metrics import block_kpis, kpi_names, scoring, task
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import WAITING, BlockScore, ReferencePeriod, SegmentResult
from driftloop.metrics.task import Task
from driftloop.predictions import table_goal, table_notes, table_why
from driftloop.predictions.later import closed as closed_blocks
from driftloop.predictions.later import closing, label_delay, rule_state
from driftloop.predictions.later.closed import Closed, FromReference, Past
from driftloop.predictions.later.closing import Judged
from driftloop.predictions.predicted_table import PredictedTable
from driftloop.predictions.segments import segment_judge
from driftloop.predictions.segments.segment_columns import SegmentColumn
from driftloop.predictions.segments.segment_judge import LabelledTable
from driftloop.predictions.table_estimate import OF_PROBABILITIES, TableEstimate
from driftloop.predictions.table_goal import TablePlan
from driftloop.predictions.table_result import PERIODS, TableResult, TableScore
from driftloop.report import kpi_words, wording

OF_ALL_ROWS: Final = ("start", "stop", "rows", "timestamp", "until", "version", "kind")  # figures of a block that do not depend on which rows have labels


def judge(table: PredictedTable, plan: TablePlan) -> TableResult:
    """Judge every block after the reference period.

    Raises:
        DataError: the reference period has too few labels.
        SettingsError: the KPI or its threshold does not fit the table, or the blocks do not.
    """
    return follow(table, plan)[0]


def follow(table: PredictedTable, plan: TablePlan, closed: Closed | None = None) -> tuple[TableResult, Closed]:
    """Judge, and return also what is needed to continue when there are more rows or labels.

    Args:
        table: the whole table; or the rows that `closed` keeps and those after them.
        plan: how to judge.
        closed: of the judgement before.

    Raises:
        DataError, SettingsError: as `judge`.
    """
    with threadpool_limits(1):  # many small matrices: a second thread only waits
        judging = _Judge(table, plan, closed)
        return judging.result(), judging.left


class _Judge:
    """`table` and its blocks; `known` is the stream of the labelled rows, whose row of a row i of all is `place[i]`."""

    def __init__(self, table: PredictedTable, plan: TablePlan, closed: Closed | None) -> None:
        self.started = time.monotonic()
        self.table, self.plan, self.closed = table, plan, closed
        if plan.label_delay.seconds and table.reading.numbered:
            raise SettingsError(f"label_delay is {plan.label_delay.words}, but the rows have no times: give a number of blocks")
        labelled = table.predicted.labelled
        self.place = np.r_[0, np.cumsum(labelled)]
        self.known = _part(table.stream, labelled)
        self.reference = int(self.place[table.reference])  # rows with a label
        if not self.reference and not closed:
            raise DataError(f"the reference period of {table.reference:,} rows has no label: let it end later, or wait for the labels")
        self.blocks = closed.cut(table.stream.times, plan.block_by) if closed else _cut(table, plan)
        self.task = self._task()
        given = table.predicted.probabilities if self.task.kpi in OF_PROBABILITIES else table.predicted.outputs
        if given is None:
            raise SettingsError(f"--kpi {self.task.kpi} needs the probabilities of the classes: give --probability")
        self.outputs = given[labelled]
        self.predicted = task.of(table.stream.task).predictions(table.predicted.outputs[labelled])
        self.losses = self.task.losses_of(self.known.labels, self.outputs)
        self.verdicts: list[Verdict] = []
        self.diagnosis, self.goal, self.rule = self._prepared()
        self.estimated = TableEstimate(table, self.task, unit=self.goal.unit)
        self.judged, self.closing = self._standing()
        self.left: Closed

    def _task(self) -> Task:
        name, names = kpi_names.checked(self.table.stream.task, self.plan.kpi, self.plan.cost), self.known.label_names
        labels = self.closed.first.labels(len(names)) if self.closed else self.known.labels[: self.reference]
        return block_kpis.named(name, labels, names, cost=self.plan.cost) or task.of(self.table.stream.task)

    def _prepared(self) -> tuple[Diagnosis, Goal, Rule]:
        """Diagnosis, goal and rule at the start of the first block, or after the closed ones."""
        unit, closed = self.table.stream.unit, self.closed
        if closed is None:
            block_size = self._block_rows(self.table.reference)
            of_unit = block_size if self.task.by_row is self.task else 1
            goal, rule = table_goal.of_plan(self.plan, self.task, self._reference_losses(), unit=unit, block_size=of_unit)
            if self.plan.threshold:
                rule.prepare(self.losses[: self.reference], block_size=block_size)
            return Diagnosis(self.known, goal, estimates=False), goal, rule
        goal = Goal(self.task, closed.first.threshold, self.plan.alpha, unit)
        rule = table_goal.rule_of(self.plan, goal, state=closed.rule)
        rule_state.give(rule, closed.rule)
        self.verdicts.extend(closed.verdicts)
        diagnosis = Diagnosis(self.known, goal, estimates=False)
        diagnosis.now.kind, diagnosis.now.alarm = closed.kind, closed.alarm
        return diagnosis, goal, rule

    def _standing(self) -> tuple[int, int]:
        """Rows of the blocks that are judged, and of those of them that are closed."""
        closed = self.closed.next_block if self.closed else sum(map(self._in_reference, self.blocks))
        first, size = self.blocks[0].index, self._block_size()
        done, opened = self.blocks[: closed - first], self.blocks[closed - first :]
        whole = [block.rows == size if self.plan.block_by == "rows" else block is not opened[-1] for block in opened]
        lacking = [block.rows - self._labelled(block).rows for block in opened]
        stops = [(done[-1] if done else self.blocks[0]).stop, *[block.stop for block in opened]]
        judged, closing = label_delay.standing(opened, whole, lacking, self.table.stream.times, self.plan.label_delay)
        return stops[judged], stops[closing]

    def _block_size(self) -> int:
        """Rows of a block; for calendar blocks, labelled ones of a usual one."""
        if self.closed:
            return self.closed.first.block_size
        if self.plan.block_by != "rows":
            return self._block_rows(len(self.table.stream))
        return self.plan.block_size or blocks.usual_size(len(self.table.stream) - self.table.reference)

    def _block_rows(self, until: int) -> int:
        """Labelled rows of a usual block of the rows before one; of the reference period for what must not depend on later rows."""
        rows = [int(self.place[block.stop] - self.place[block.start]) for block in self.blocks if block.stop <= until]
        return max(int(np.median([size for size in rows if size] or [1])), 1)

    def _reference_losses(self) -> np.ndarray:
        """The reference period's losses: of its rows, or for a KPI of whole blocks of its blocks."""
        if self.task.by_row is self.task:
            return np.asarray(self.losses[: self.reference], float)
        parts = [self.losses[self._labelled(block).start : self._labelled(block).stop] for block in self.blocks if self._in_reference(block)]
        values = 1 - np.array([self.task.value(part) for part in parts])
        return values[np.isfinite(values)]

    def _in_reference(self, block: Block) -> bool:
        return block.stop <= self.table.reference

    def _labelled(self, block: Block) -> Block:
        """The block's rows in the stream of labelled rows."""
        return replace(block, start=int(self.place[block.start]), stop=int(self.place[block.stop]))

    def result(self) -> TableResult:
        """Judge, and put everything together; `left` is what a later judgement continues from."""
        scores = list(self.closed.scores) if self.closed else []
        for block in self.blocks:
            if self.closed and block.index < self.closed.next_block:
                self._learn_again(block)
            else:
                scores.append(self._score(block))
            if block.stop == self.closing:
                self.left = self._left(scores)
        judged = [score for score in scores if score.version != PERIODS[0] and score.kind != WAITING]
        drifted = [score for score in judged if score.drift]
        first, last = self.reference, int(self.place[self.judged])
        whole, rows = self._whole(first, last)
        reached = whole.pop(self.task.kpi, math.nan)
        if self.task.chosen:
            whole |= {"task_kpi": whole.pop(task.of(self.table.stream.task).kpi, math.nan), "kpi_name": self.task.kpi}
        made = TableResult(
            stream=self.table.stream.name,
            rows=rows,
            block_size=self._block_size(),
            block_by=self.plan.block_by,
            threshold=self.goal.threshold,
            task=self.table.stream.task,
            unit=self.table.stream.unit,
            scores=tuple(scores),
            retrains=(),
            versions=(),
            served_version="",
            seconds=time.monotonic() - self.started,
            rule=self.rule.name,
            kpi=reached,
            period=self._period(),
            verdict=self._verdict(),
            kind=(drifted or judged)[-1].kind if judged else "cannot tell",
            forecast=self.diagnosis.forecast(),
            estimate=self.estimated.newest,
            **({"baselines": {}} | whole),
        )
        made = replace(made, findings=self._findings(judged), notes=(*self._notes(), *self.table.notes))
        return self._explained(made)

    def _whole(self, first: int, last: int) -> tuple[dict[str, Any], int]:
        """The figures of all judged rows, and how many have a label; baselines are of those that are kept."""
        past = self.closed.past if self.closed else Past()
        if last <= first:
            return {}, past.labelled
        whole = scoring.summary(self.known, first, self.predicted[first:last], majority=self.majority, doing=self.task, outputs=self.outputs[first:last])
        if past.labelled and not math.isnan(past.losses):
            mean = (past.losses + float(self.losses[first:last].sum())) / (past.labelled + last - first)
            whole[self.task.kpi] = self.task.value(np.array([mean]))
        return whole, past.labelled + last - first

    def _left(self, scores: Sequence[BlockScore]) -> Closed:
        """What is needed to continue after the block that was scored last."""
        losses = self.losses.astype(float) if self.losses.ndim == 1 else np.full(len(self.losses), math.nan)
        done = [block for block in self.blocks if block.stop <= self.closing]
        judged = Judged(self.rule, self.verdicts, scores, self.diagnosis.now.kind, self.diagnosis.now.alarm, losses)
        first = self.closed.first if self.closed else self._first()
        return closing.close(self.table, done, judged, first=first, before=self.closed, block_by=self.plan.block_by)

    def _first(self) -> FromReference:
        labels = self.known.labels[: self.reference]
        classes = bool(self.known.label_names)
        return FromReference(
            threshold=self.goal.threshold,
            period=self._period(),
            majority=self.majority,
            drifting=self._drifting(),
            mean=math.nan if classes else float(labels.mean()),
            counts=tuple(np.bincount(labels, minlength=len(self.known.label_names)).tolist()) if classes else (),
            block_size=self._block_size(),
            notes=self.table.notes,
        )

    @cached_property
    def majority(self) -> int | float:
        """The best constant prediction of the reference period."""
        if self.closed:
            return self.closed.first.majority
        return task.of(self.table.stream.task).constant(self.known.labels[: self.reference])

    def _score(self, block: Block) -> BlockScore:
        part = self._labelled(block)
        reference = self._in_reference(block)
        estimate = None if reference else self.estimated.estimate(block)
        if block.start >= self.judged:
            return replace(self._unlabelled(block), kind=WAITING, estimated=estimate.value if estimate else math.nan)
        verdict, effective = Verdict.no_rows(self.rule.name), math.nan
        if not reference:
            effective = part.rows / self.rule.rows_in_one(part.rows) if part.rows else 0.0
            verdict = self.rule.update(self.losses[part.start : part.stop])
            self.verdicts.append(replace(verdict, false_alarm_rate=self.goal.alpha))
        score = self._unlabelled(block)
        if part.rows:
            found = scoring.score_block(
                self.known,
                part,
                self.predicted[part.start : part.stop],
                version=score.version,
                unretrained=self.predicted[part.start : part.stop],
                majority=self.majority,
                threshold=self.goal.threshold,
                drift=verdict.drift,
                doing=self.task,
                outputs=self.outputs[part.start : part.stop],
            )
            score = replace(score, **{name: value for name, value in vars(found).items() if name not in OF_ALL_ROWS})
            self._learn(block, part)
        told = self._kind() if verdict.drift else verdict.kind
        return replace(
            score,
            kind=Answer.of(wording.standing(score), told=told).kind if not reference else "none",
            kpi_unretrained=math.nan,
            evidence=verdict.statistic,
            p_value=verdict.p_value,
            estimated=estimate.value if estimate else math.nan,
            effective_rows=effective,
        )

    def _explained(self, made: TableResult) -> TableResult:
        """The result with its segments, and with why the KPI fell where a fall is proven, in the whole or in a segment."""
        mature = [block for block in self.blocks if block.stop <= self.judged]
        parts, times = tuple(map(self._labelled, mature)), tuple(self._time(block.start) for block in mature)
        rows = np.arange(len(self.known)) < self.place[self.judged]
        labelled = segment_judge.LabelledTable(_part(self.known, rows), self.outputs[rows], self.losses[rows], parts, times, self.reference, self.task)
        columns = [column.of(self.table.predicted.labelled).of(rows) for column in self.table.segments]
        segments = self._of_segments(labelled, columns) if columns else None
        why = table_why.explain(labelled, columns) if made.drift or (segments and segments.drift) else None
        return replace(made, segments=segments, why=why, seconds=time.monotonic() - self.started)

    def _of_segments(self, labelled: LabelledTable, columns: Sequence[SegmentColumn]) -> SegmentResult:
        """Judge the segments, and add what continues them to what is left."""
        opened = self.closed.next_block if self.closed else next(block.index for block in self.blocks if not self._in_reference(block))
        span = segment_judge.Span(opened, closed=self.left.next_block)
        found, state = segment_judge.follow(labelled, columns, span, alpha=self.goal.alpha, before=self.closed.segments if self.closed else None)
        self.left = replace(self.left, segments=state)
        return found

    def _learn(self, block: Block, part: Block) -> None:
        if part.rows:
            self.diagnosis.learn(part, self.outputs[part.start : part.stop])
            self.estimated.learn(block)

    def _learn_again(self, block: Block) -> None:
        """A closed block, whose rows diagnosis and estimate still need."""
        if block is self.blocks[-1] and not self._in_reference(block):
            self.estimated.estimate(block)
        self._learn(block, self._labelled(block))

    def _unlabelled(self, block: Block) -> TableScore:
        """The score of a block without labels."""
        offset = self.closed.rows - len(self.closed.kept) if self.closed else 0
        return TableScore(
            block=block.index,
            start=block.start + offset,
            stop=block.stop + offset,
            labelled=self._labelled(block).rows / block.rows,
            rows=block.rows,
            timestamp=self._time(block.start),
            until=self._time(block.stop - 1),
            short=block.short,
            version=PERIODS[not self._in_reference(block)],
            kpi=math.nan,
            lower=math.nan,
            upper=math.nan,
            kpi_unretrained=math.nan,
            threshold=self.goal.threshold,
            drift=False,
            task=self.table.stream.task,
            kpi_name=self.task.kpi if self.task.chosen else "",
        )

    def _time(self, row: int) -> str:
        return str(self.table.stream.times[row].astype("datetime64[s]"))

    def _kind(self) -> str:
        return self.diagnosis.kind().kind if self.known.features else "cannot tell"

    def _period(self) -> ReferencePeriod:
        if self.closed:
            return self.closed.first.period
        losses = self.losses[: self.reference]
        return ReferencePeriod(self.reference, self.task.value(losses), *self.task.interval(losses), self._time(self.table.reference), not self.plan.threshold)

    def _verdict(self) -> Verdict:
        """That of the first block with drift, else of the newest that could be judged."""
        drifted = [verdict for verdict in self.verdicts if verdict.drift]
        known = [verdict for verdict in self.verdicts if not math.isnan(verdict.statistic)]
        return (drifted or known[-1:] or self.verdicts[-1:] or [Verdict.no_rows(self.rule.name, false_alarm_rate=self.goal.alpha)])[0]

    def _drifting(self) -> bool:
        return self.closed.first.drifting if self.closed else reference_drift.drifting(self._reference_losses())

    def _findings(self, judged: Sequence[BlockScore]) -> tuple[str, ...]:
        newest = self.verdicts[-1] if self.verdicts else None
        self.diagnosis.newest = self.estimated.newest
        if self.diagnosis.now.kind is None and any(score.drift for score in judged):  # without inputs
            return (*self.diagnosis.findings(self.rule.name, newest, judged), "Kind of drift: cannot tell, because the table has no inputs.")
        return self.diagnosis.findings(self.rule.name, newest, judged)

    def _notes(self) -> list[str]:
        waiting = [block for block in self.blocks if block.start >= self.judged]
        words = kpi_words.Figures(self.table.stream.task, self.goal.unit, self.task.kpi if self.task.chosen else "")
        labelled = int(self.place[self.judged])
        return table_notes.of(
            words,
            self.goal,
            self._period(),
            blocks=max(round(self._period().rows / self._block_size()), 1),
            rows_in_one=self.rule.rows_in_one(1),
            drifting=self._drifting(),
            unlabelled=self.judged - labelled + (self.closed.past.unlabelled if self.closed else 0),
            waiting=len(waiting) if self.plan.label_delay else 0,
            early=len(self.known) - labelled,
            delay=self.plan.label_delay,
        )


def _part(stream: Stream, rows: np.ndarray) -> Stream:
    return stream if rows.all() else replace(stream, rows=stream.rows[rows], labels=stream.labels[rows], times=stream.times[rows])


def _cut(table: PredictedTable, plan: TablePlan) -> list[Block]:
    """The blocks of the reference period and of the rows after it, numbered on."""
    first, rows, times = table.reference, len(table.stream), table.stream.times
    if plan.block_by == "rows":
        size = plan.block_size or blocks.usual_size(rows - first)
        # A watch that more rows are to follow may begin with less than a block; a size that the reference period does not reach either is a mistake.
        parts = [*blocks.cut(0, first, block_size=min(size, first))]
        parts += blocks.cut(first, rows, block_size=size) if size > first else closed_blocks.of_judged(times, first, rows, block_by="rows", block_size=size)
    else:
        parts = [block for span in ((0, first), (first, rows)) for block in blocks.cut_calendar(times, *span, by=plan.block_by)]
    return [replace(block, index=index) for index, block in enumerate(parts)]
