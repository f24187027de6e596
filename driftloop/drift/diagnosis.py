"""Diagnoses the model in service beyond its KPI: the estimate without labels, the kind of drift, the forecast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from driftloop.data.blocks import Block
from driftloop.data.schema import encoding
from driftloop.data.streams import Stream
from driftloop.drift import answer
from driftloop.drift.estimate import row_kpi
from driftloop.drift.estimate.confidence import Estimate, LabelFree
from driftloop.drift.forecast import crossing, goal_scores
from driftloop.drift.forecast.crossing import Blocks, Forecast
from driftloop.drift.inputs import domain
from driftloop.drift.kind import decomposition, kinds
from driftloop.drift.rules.significant_loss import CAP_THRESHOLDS
from driftloop.drift.verdict import Verdict
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import NO_BLOCK, BlockScore
from driftloop.metrics.task import CLASSIFICATION

SHARES = (1 / 2, 1 / 4, 1 / 4)  # shares of alpha: for the first test of the kind, the one at the KPI's change, and the one at the end of the watch
MOST_EDGES = 8  # candidate positions of the KPI's change
LEAST_AFTER = 2  # blocks after the alarm needed for the test at the end of the watch
CURRENT_ROWS = 336  # newest rows compared with the rows before them to find the kind of drift, in whole blocks; more if these are too few
MOST_ROWS = 20_000  # maximum rows per side of that comparison; beyond it rows at equal distances are used


def thinned(start: int, stop: int) -> np.ndarray:
    """At most `MOST_ROWS` rows of start..stop at equal distances.

    >>> thinned(3, 6).tolist(), len(thinned(0, 50_000))
    ([3, 4, 5], 16667)
    """
    return np.arange(start, stop, math.ceil((stop - start) / MOST_ROWS) or 1)


@dataclass
class _Service:
    """The blocks that one version has served so far, and its estimate without labels."""

    label_free: LabelFree | None  # None where the KPI cannot be estimated
    blocks: list[Block] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)
    kind: Verdict | None = None  # of its first drift
    alarm: int = NO_BLOCK  # the block of it


class Diagnosis:
    """Follows one watch, version by version.

    Args:
        stream: the rows that are watched.
        goal: its threshold; its `alpha` is also the false-alarm rate of the tests for the kind of drift.
        estimates: whether the KPI is estimated without labels from the outputs given here; else `newest` is None unless it is set.
    """

    def __init__(self, stream: Stream, goal: Goal, *, estimates: bool = True) -> None:
        self.stream, self.goal, self.task, self.estimates = stream, goal, goal.task, estimates
        self.now = self._begun()
        self.past: list[_Service] = []
        self.newest: Estimate | None = None

    def _begun(self) -> _Service:
        kpi = row_kpi.of_task(self.task, unit=self.goal.unit) if self.estimates else None
        return _Service(LabelFree(kpi, coded=[bool(column.categories) for column in self.stream.columns]) if kpi else None)

    def estimate(self, block: Block, outputs: np.ndarray) -> Estimate:
        """The estimated KPI of a block before its labels arrive, with the error of such estimates so far."""
        if self.now.label_free is None:
            return Estimate(math.nan, math.nan, False, f"cannot tell: there is no estimate of the {self.task.loss_words}")
        self.newest = self.now.label_free.estimate(outputs, self.stream.rows[block.start : block.stop])
        return self.newest

    def learn(self, block: Block, outputs: np.ndarray) -> None:
        """Add a labelled block and the model's outputs."""
        labels = self.stream.labels[block.start : block.stop]
        self.now.blocks.append(block)
        self.now.losses.append(self.task.by_row.losses_of(labels, outputs))
        if self.now.label_free:
            self.now.label_free.learn(outputs, labels, self.stream.rows[block.start : block.stop])

    def forecast(self) -> Forecast:
        """When the version in service will cross the threshold, in blocks from now.

        By its own trend; while it is too new for one, by the lifetimes of earlier versions.
        """
        if fault := self._no_forecast():
            return fault
        level, words = goal_scores.level(self.goal), goal_scores.words(self.goal)
        lifetimes = [crossing.lifetime(self._scores(service)[0], threshold=level) for service in self.past if service.blocks]
        return crossing.predict(*self._scores(self.now), threshold=level, lifetimes=lifetimes, words=words)

    def ahead(self, lead_blocks: float) -> Forecast:
        """The forecast for proactive retrains: when the block KPI of the version in service will be under the threshold."""
        if fault := self._no_forecast():
            return fault
        level, words = goal_scores.level(self.goal), goal_scores.words(self.goal)
        earlier = [self._scores(service) for service in self.past if service.blocks]
        return crossing.ahead(*self._scores(self.now), threshold=level, earlier=earlier, lead_blocks=lead_blocks, words=words)

    def _scores(self, service: _Service) -> Blocks:
        """What a forecast takes of a version's blocks."""
        return goal_scores.scores(self.goal, service.losses)

    def _no_forecast(self) -> Forecast | None:
        fault = goal_scores.fault(self.goal)
        return Forecast(math.nan, math.nan, math.nan, math.nan, "none", fault) if fault else None

    def kind(self) -> Verdict:
        """The kind of drift of the version in service: its newest rows against those that it served before.

        Tested at its first alarm only, because the tests take a second: split at half of the rows and, if that is inconclusive, where the KPI
        changed. The kind is "cannot tell" where none is proven, because an alarm is never "none".
        """
        if self.now.kind is None:
            first, half, last = self.now.blocks[0].start, self._edge(), self.now.blocks[-1].stop
            told = self._told(thinned(first, half), thinned(half, last), share=SHARES[0])
            edges = self._edges(half)
            if told.kind not in answer.TOLD and edges:
                edge = max(edges, key=self._change)
                again = self._told(thinned(first, edge), thinned(edge, last), share=SHARES[1], edges=len(edges))
                told = again if again.kind in answer.TOLD else told
            self.now.alarm = self.now.blocks[-1].index
            self.now.kind = kinds.settled(told)
        return self.now.kind

    def _told(self, before: np.ndarray, now: np.ndarray, *, share: float, edges: int = 1) -> Verdict:
        """One test, at a share of alpha; rows as indices into the stream."""
        first, losses = self.now.blocks[0].start, np.concatenate(self.now.losses)
        return kinds.tell(
            self.stream.rows[before],
            comparable(losses[before - first], self.goal),
            self.stream.rows[now],
            comparable(losses[now - first], self.goal),
            names=self.stream.features,
            columns=self.stream.columns,
            known=self._learned(first),
            alpha=share * self.goal.alpha,
            losses=self.task.by_row is not CLASSIFICATION,
            loss_words=self.task.loss_words,
            fallen=True,
            edges=edges,
        )

    def _learned(self, first: int) -> list[int]:
        """The number of categories of each feature before the version in service answered its first row; without earlier rows, all."""
        earlier = encoding.known(self.stream.columns, self.stream.rows[:first], self.stream.schema) if first else self.stream.columns
        return [len(column.categories) for column in earlier]

    def _needed(self, before: np.ndarray, now: np.ndarray) -> int:
        """Rows that each side needs for the tests."""
        return domain.least_rows(self.stream.rows[before], self.stream.rows[now], columns=self.stream.columns)

    def _at_the_end(self) -> Verdict | None:
        """A second test at the end, if the one at the alarm was inconclusive and the version stayed: rows after the alarm against as many before.

        The blocks of the alarm are left out: which of them belong to the drift is unknown.
        """
        kind, blocks = self.now.kind, self.now.blocks
        after = [block for block in blocks if block.index > self.now.alarm]
        if kind is None or kind.kind in answer.TOLD or len(after) < LEAST_AFTER:
            return kind
        before = blocks[: len(blocks) - len(after)]
        edge = before[len(before) // 2].start  # the middle of the rows up to the alarm
        told = self._told(thinned(blocks[0].start, edge), thinned(after[0].start, after[-1].stop), share=SHARES[2])
        return told if told.kind in answer.TOLD else kind

    def _edges(self, half: int) -> list[int]:
        """Candidate starts of the newest rows, besides `half`, that leave enough rows for the test, in geometric steps."""
        blocks, last = self.now.blocks, self.now.blocks[-1].stop
        within = [block.start for block in blocks if 2 * block.start >= blocks[0].start + last and block.start != half]
        needed = max(decomposition.LEAST_ROWS, self._needed(thinned(blocks[0].start, last), np.arange(0)))
        within = [start for start in within if last - start >= needed]
        sizes = np.unique(np.geomspace(1, max(len(within), 1), MOST_EDGES).round().astype(int))
        return [within[-size] for size in sizes if size <= len(within)]

    def _change(self, edge: int) -> float:
        """Difference of the mean losses before and after a row, in standard errors up to a factor."""
        first, losses = self.now.blocks[0].start, np.concatenate(self.now.losses).astype(float)
        before, now = losses[: edge - first], losses[edge - first :]
        return abs(float(now.mean() - before.mean())) * math.sqrt(len(before) * len(now) / len(losses))

    def _edge(self) -> int:
        """The first of the newest rows: as few whole blocks as the inputs' autocorrelation allows, and at most half of all rows."""
        starts, last = [block.start for block in self.now.blocks], self.now.blocks[-1].stop
        within = [start for start in starts if 2 * start >= starts[0] + last] or starts[-1:]
        wanted = CURRENT_ROWS
        while True:
            edge = max((start for start in within if last - start >= wanted), default=within[0])
            needed = self._needed(thinned(starts[0], edge), thinned(edge, last))
            if edge == within[0] or last - edge >= needed:
                return edge
            wanted = needed

    def replaced(self) -> None:
        """Another version is in service from the next block on."""
        self.now.label_free = None  # its rows are megabytes, and a version that is replaced is not estimated again
        self.past.append(self.now)
        self.now = self._begun()

    def _bias(self, alarm: int, scores: Sequence[BlockScore]) -> str:
        """For a regression: the bias in the block of the alarm and in the block before."""
        at = next((at for at, score in enumerate(scores) if score.block == alarm), None)
        if self.task.name == CLASSIFICATION.name or at is None:
            return ""
        before = f", {scores[at - 1].bias:+.2f} in the block before" if at else ""
        unit = f" {self.stream.unit}" * bool(self.stream.unit)
        return f" Predictions minus labels are {scores[at].bias:+.2f}{unit} on average in block {alarm}{before}"

    def findings(self, rule: str, verdict: Verdict | None, scores: Sequence[BlockScore]) -> tuple[str, ...]:
        """The statistical findings at the end of the watch, in sentences.

        Args:
            rule: the drift rule's name.
            verdict: its newest.
            scores: of all blocks so far.
        """
        told = [f"Drift rule {rule}, newest block: {verdict.message}"] if verdict else []
        self.now.kind = self._at_the_end()
        looked_into = [(service, service.kind) for service in (*self.past, self.now) if service.kind]
        if looked_into:
            told_apart = [found for found in looked_into if found[1].kind in answer.TOLD]
            # A regression has few versions and each drift its own bias, so all are reported.
            for service, kind in (told_apart or looked_into)[-1 if self.task is CLASSIFICATION else 0 :]:
                told.append(f"Kind of the drift first found in block {service.alarm}: {kind.message}{self._bias(service.alarm, scores)}")
        ahead = self.forecast()
        told.append(f"Forecast: {ahead.message}{_dates(ahead, scores)}")
        if self.newest:
            told.append(f"Without labels, newest block: {self.newest.message}")
        return tuple(sentence.removesuffix(".") + "." for sentence in told)


def comparable(losses: np.ndarray, goal: Goal) -> np.ndarray:
    """Each row's input to the test of the kind: correctness, or the loss; an unbounded one capped as in the rules, so that few rows do not dominate."""
    by_row = goal.task.by_row
    return (
        np.asarray(losses) == 0 if by_row is CLASSIFICATION else np.minimum(losses, CAP_THRESHOLDS * goal.limit if math.isinf(by_row.bound) else by_row.bound)
    )


def _dates(ahead: Forecast, scores: Sequence[BlockScore]) -> str:
    """The interval of a forecast in dates, extrapolated at the pace of the blocks so far."""
    if len(scores) < 2 or not math.isfinite(ahead.early):
        return ""
    first, last = (np.datetime64(score.timestamp, "s") for score in (scores[0], scores[-1]))
    pace = (last - first) / (len(scores) - 1)
    early, late = (str((last + pace * blocks).astype("datetime64[D]")) if math.isfinite(blocks) else "" for blocks in (ahead.early, ahead.late))
    return f": {early} to {late}" if late else f": from {early} on"
