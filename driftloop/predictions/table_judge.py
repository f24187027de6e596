"""Judges a table of predictions block by block: scores, the rule `significant`, the kind of drift, forecast, and estimate without labels."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from driftloop.data import blocks
from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.drift import reference_bound
from driftloop.drift.answer import Answer
from driftloop.drift.diagnosis import Diagnosis
from driftloop.drift.verdict import Verdict
from driftloop.errors import DataError, SettingsError
from driftloop.metrics import block_kpis, kpi_names, scoring, task
from driftloop.metrics.results import BlockScore, ReferencePeriod
from driftloop.metrics.task import Task
from driftloop.predictions import segment_judge, table_goal, table_why
from driftloop.predictions.predicted_table import PredictedTable
from driftloop.predictions.table_estimate import OF_PROBABILITIES, TableEstimate
from driftloop.predictions.table_goal import TablePlan
from driftloop.predictions.table_result import PERIODS, TableResult
from driftloop.report import kpi_words, wording


def judge(table: PredictedTable, plan: TablePlan) -> TableResult:
    """Judge every block after the reference period.

    Raises:
        DataError: the reference period has too few labels.
        SettingsError: the KPI or its threshold does not fit the table, or the blocks do not.
    """
    with threadpool_limits(1):  # many small matrices: a second thread only waits
        return _Judge(table, plan).result()


class _Judge:
    """`table` and its blocks; `known` is the stream of the labelled rows, whose row of a row i of all is `place[i]`."""

    def __init__(self, table: PredictedTable, plan: TablePlan) -> None:
        self.started = time.monotonic()
        self.table, self.plan = table, plan
        labelled = table.predicted.labelled
        self.place = np.r_[0, np.cumsum(labelled)]
        self.known = _part(table.stream, labelled)
        self.reference = int(self.place[table.reference])  # rows with a label
        if not self.reference:
            raise DataError(f"the reference period of {table.reference:,} rows has no label: let it end later, or wait for the labels")
        self.blocks = _cut(table, plan)
        self.task = self._task()
        given = table.predicted.probabilities if self.task.kpi in OF_PROBABILITIES else table.predicted.outputs
        if given is None:
            raise SettingsError(f"--kpi {self.task.kpi} needs the probabilities of the classes: give --probability")
        self.outputs = given[labelled]
        self.predicted = task.of(table.stream.task).predictions(table.predicted.outputs[labelled])
        self.losses = self.task.losses_of(self.known.labels, self.outputs)
        self.goal, self.rule = table_goal.of_plan(plan, self.task, self._bounded_losses(), unit=table.stream.unit)
        self.rule.prepare(self.losses[: self.reference], block_size=self._block_rows())
        self.diagnosis = Diagnosis(self.known, self.goal, estimates=False)
        self.estimated = TableEstimate(table, self.task, unit=self.goal.unit)
        self.verdicts: list[Verdict] = []

    def _task(self) -> Task:
        name = kpi_names.checked(self.table.stream.task, self.plan.kpi, self.plan.cost)
        chosen = block_kpis.named(name, self.known.labels[: self.reference], self.known.label_names, cost=self.plan.cost)
        return chosen or task.of(self.table.stream.task)

    def _block_rows(self) -> int:
        """Labelled rows of a usual block."""
        rows = [int(self.place[block.stop] - self.place[block.start]) for block in self.blocks]
        return max(int(np.median([size for size in rows if size] or [1])), 1)

    def _bounded_losses(self) -> np.ndarray:
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
        """Judge, and put everything together."""
        scores = [self._score(block) for block in self.blocks]
        judged = [score for score in scores if score.version != PERIODS[0]]
        drifted = [score for score in judged if score.drift]
        stream, known, first = self.table.stream, self.known, self.reference
        whole: dict[str, Any] = {}
        if len(known) > first:
            whole = scoring.summary(known, first, self.predicted[first:], majority=self.majority, doing=self.task, outputs=self.outputs[first:])
        reached = whole.pop(self.task.kpi, math.nan)
        if self.task.chosen:
            whole |= {"task_kpi": whole.pop(task.of(stream.task).kpi, math.nan), "kpi_name": self.task.kpi}
        made = TableResult(
            stream=stream.name,
            rows=len(known) - first,
            block_size=self._block_rows() if self.plan.block_by != "rows" else max(block.rows for block in self.blocks),
            block_by=self.plan.block_by,
            threshold=self.goal.threshold,
            task=stream.task,
            unit=stream.unit,
            scores=tuple(scores),
            retrains=(),
            versions=(),
            served_version="",
            seconds=time.monotonic() - self.started,
            rule=self.rule.name,
            kpi=reached,
            period=self._period(),
            verdict=self._verdict(),
            kind=(drifted or judged)[-1].kind,
            forecast=self.diagnosis.forecast(),
            estimate=self.estimated.newest,
            **({"baselines": {}} | whole),
        )
        made = replace(made, findings=self._findings(judged), notes=(*self._notes(), *self.table.notes))
        return self._explained(made)

    @cached_property
    def majority(self) -> int | float:
        """The best constant prediction of the reference period."""
        return task.of(self.table.stream.task).constant(self.known.labels[: self.reference])

    def _score(self, block: Block) -> BlockScore:
        part = self._labelled(block)
        reference = self._in_reference(block)
        estimate = None if reference else self.estimated.estimate(block)
        verdict = Verdict.no_rows(self.rule.name)
        if not reference:
            verdict = self.rule.update(self.losses[part.start : part.stop])
            self.verdicts.append(replace(verdict, false_alarm_rate=self.goal.alpha))
        score = self._unlabelled(block)
        if part.rows:
            score = scoring.score_block(
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
            score = replace(score, start=block.start, stop=block.stop, timestamp=self._time(block.start), until=self._time(block.stop - 1))
            self.diagnosis.learn(part, self.outputs[part.start : part.stop])
            self.estimated.learn(block)
        told = self._kind() if verdict.drift else verdict.kind
        return replace(
            score,
            kind=Answer.of(wording.standing(score), told=told).kind if not reference else "none",
            kpi_unretrained=math.nan,
            evidence=verdict.statistic,
            p_value=verdict.p_value,
            estimated=estimate.value if estimate else math.nan,
        )

    def _explained(self, made: TableResult) -> TableResult:
        """The result with its segments, and with why the KPI fell where a fall is proven, in the whole or in a segment."""
        parts, times = tuple(map(self._labelled, self.blocks)), tuple(self._time(block.start) for block in self.blocks)
        labelled = segment_judge.LabelledTable(self.known, self.outputs, self.losses, parts, times, self.reference, self.task)
        columns = [column.of(self.table.predicted.labelled) for column in self.table.segments]
        segments = segment_judge.judge(labelled, columns, alpha=self.goal.alpha) if columns else None
        why = table_why.explain(labelled, columns) if made.drift or (segments and segments.drift) else None
        return replace(made, segments=segments, why=why, seconds=time.monotonic() - self.started)

    def _unlabelled(self, block: Block) -> BlockScore:
        """The score of a block without labels."""
        return BlockScore(
            block=block.index,
            start=block.start,
            stop=block.stop,
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
        losses = self.losses[: self.reference]
        return ReferencePeriod(self.reference, self.task.value(losses), *self.task.interval(losses), self._time(self.table.reference), not self.plan.threshold)

    def _verdict(self) -> Verdict:
        """That of the first block with drift, else of the newest that could be judged."""
        drifted = [verdict for verdict in self.verdicts if verdict.drift]
        return (drifted or [verdict for verdict in self.verdicts if not math.isnan(verdict.statistic)][-1:] or self.verdicts[-1:])[0]

    def _findings(self, judged: Sequence[BlockScore]) -> tuple[str, ...]:
        self.diagnosis.newest = self.estimated.newest
        if self.diagnosis.now.kind is None and any(score.drift for score in judged):  # without inputs
            return (*self.diagnosis.findings(self.rule.name, self.verdicts[-1], judged), "Kind of drift: cannot tell, because the table has no inputs.")
        return self.diagnosis.findings(self.rule.name, self.verdicts[-1], judged)

    def _notes(self) -> list[str]:
        period, alpha = self._period(), self.goal.alpha
        words = kpi_words.Figures(self.table.stream.task, self.goal.unit, self.task.kpi if self.task.chosen else "")
        notes = []
        if period.bounds:
            notes.append(
                f"No threshold was given: the rule asks for a KPI worse than {words.with_unit(self.goal.threshold)}, the worst {words.name} that the "
                f"{period.rows:,} rows of the reference period allow. Of the false-alarm rate of {100 * alpha:g} %, "
                f"{100 * alpha * reference_bound.SHARE:g} % are spent on this bound and the rest on the rule."
            )
        if reference_bound.drifting(self._bounded_losses()):
            how = "differs by more than noise: choose a steady one, or give --threshold"
            notes.append(f"The reference period is drifting itself: the {words.name} of its first and second half {how}.")
        unlabelled = len(self.table.stream) - len(self.known)
        if unlabelled:
            notes.append(f"{unlabelled:,} rows have no label: they are not judged, only estimated.")
        return notes


def _part(stream: Stream, rows: np.ndarray) -> Stream:
    return stream if rows.all() else replace(stream, rows=stream.rows[rows], labels=stream.labels[rows], times=stream.times[rows])


def _cut(table: PredictedTable, plan: TablePlan) -> list[Block]:
    """The blocks of the reference period and of the rows after it, numbered on."""
    first, rows = table.reference, len(table.stream)
    if plan.block_by == "rows":
        size = plan.block_size or blocks.usual_size(rows - first)
        parts = [*blocks.cut(0, first, block_size=min(size, first)), *blocks.cut(first, rows, block_size=size)]
    else:
        parts = [block for span in ((0, first), (first, rows)) for block in blocks.cut_calendar(table.stream.times, *span, by=plan.block_by)]
    return [replace(block, index=index) for index, block in enumerate(parts)]
