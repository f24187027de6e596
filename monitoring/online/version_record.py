"""The record of one model version: its labelled rows, block by block, and the drift rule's verdicts."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.data.labels import Labels
from driftloop.data.schema.schema import Column
from driftloop.drift import answer
from driftloop.drift.estimate import row_kpi
from driftloop.drift.estimate.confidence import Estimate, LabelFree
from driftloop.drift.forecast import crossing, error_scores, goal_scores
from driftloop.drift.forecast.crossing import Forecast, Lifetime
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training.reference import Reference
from monitoring.fleet.evidence import FleetEvidence
from monitoring.online import judging
from monitoring.online.judging import Figure, Scoring
from monitoring.online.rolling import Blocks, Row
from monitoring.online.segments.served_segments import ServedSegments
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary

KPI_BLOCKS: Final = 7  # newest blocks that the KPI is measured on: a week of day blocks
MOST_BLOCKS: Final = 365  # newest blocks that a forecast uses
MOST_LOOKS: Final = 2  # tests of the kind of one drift
MOST_KIND_ROWS: Final = 5000  # newest rows that the kind of a drift is tested on
AnsweredRow = tuple[tuple[float | str, ...], float]  # features as in `Row`, and the row's loss


@dataclass(frozen=True)
class BlockKpi:
    """A judged block; times as in `Row`."""

    kpi: float
    rows: int
    first_time: str
    last_time: str
    variance: float  # of the rows' losses


class Served:
    """One version in service.

    Args:
        version: of the registered model.
        config: its stream.
        scoring: of the stream.
        before: the version before it, whose proven drift puts this one on probation.
    """

    def __init__(self, version: str, config: StreamConfig, scoring: Scoring, *, before: Served | None) -> None:
        self.version, self.config, self.scoring = version, config, scoring
        self.rule: Rule = copy.deepcopy(before.rule) if before else scoring.rule()
        if before:
            self.rule.reset()
        self.fleet: FleetEvidence | None = before.fleet.successor() if before and before.fleet else scoring.fleet_evidence()
        self.segments = ServedSegments(config, scoring.task) if config.segments else None
        self.prepared = False  # no block is judged before that
        self.newest: deque[Row] = deque(maxlen=KPI_BLOCKS * config.block_size)
        self.scores: deque[BlockKpi] = deque(maxlen=MOST_BLOCKS)
        self.blocks = 0
        self.verdict: Verdict | None = None  # of the newest block
        self.proven = False  # the rule has alarmed, and this version has not proven since that it is good enough
        self.kind: Verdict | None = None  # of the proven drift
        self._looks: list[int] = []  # numbers of blocks at the tests of the kind
        self._evidence: float | None = None
        estimated = row_kpi.of_task(scoring.task, unit=config.unit)
        self._label_free = LabelFree(estimated, coded=[feature.coded for feature in config.features]) if estimated else None
        self._waiting = Blocks(config.block_size)
        self._kind_rows: deque[AnsweredRow] = deque(maxlen=MOST_KIND_ROWS)
        self._autocorrelation = True  # whether the reference, if there is one, tells that of the losses
        self._judged = ("", "")  # time and id of the newest judged row
        self._figures: tuple[Figure, dict[str, Figure]] | None = None  # the KPI of the rows and that of the baselines; None after a change

    @property
    def drift(self) -> bool:
        """Whether drift is proven and not refuted since, or, on probation, the newest block is under the threshold."""
        return self.proven or (self.verdict is not None and self.verdict.drift)

    @property
    def evidence(self) -> float | None:
        """Evidence as a share of what an alarm takes; None before the first block and on probation."""
        return self._evidence

    def prepare(self, reference: Reference | None) -> None:
        """Let the rule estimate the errors' autocorrelation on the training rows; judging begins."""
        if reference is not None and len(reference):
            losses = self.scoring.of_reference(reference)
            self._autocorrelation = len(losses) > 0
            newest = losses[judging.known(losses)][-REFERENCE_BLOCKS * self.config.block_size :]
            for one in (self.rule, self.fleet) if self.fleet else (self.rule,):
                one.prepare(newest, block_size=self.config.block_size)
        self.prepared = True

    def begin(self, rows: Sequence[Row]) -> None:
        """Let the reference period of the segments begin with labelled rows that this version answered first; what they have learned so far is dropped."""
        if self.segments:
            self.segments, size = ServedSegments(self.config, self.scoring.task), self.config.block_size
            for start in range(0, len(rows) - size + 1, size):
                self._judge_segments(rows[start : start + size], self.losses(rows[start : start + size]))

    def add(self, row: Row) -> None:
        """Take a labelled row that this version answered."""
        self.newest.append(row)
        self._waiting.add(row)
        self.forget_figures()

    def has_judged(self, row: Row) -> bool:
        """Whether the block of a row's time has been judged."""
        return (row.time, row.id) <= self._judged

    def forget_figures(self) -> None:
        """Measure the KPI again when it is asked for: rows or their labels have changed."""
        self._figures = None

    def advance(self) -> int:
        """Judge the complete blocks; return their number."""
        if not self.prepared:
            return 0
        blocks = self._waiting.cut()
        for block in blocks:
            self._judge(block)
        return len(blocks)

    def _judge(self, block: Sequence[Row]) -> None:
        losses = self.losses(block)
        by_row, there = self.scoring.by_row(losses), judging.known(losses)
        variance = float(by_row[there].var()) if there.any() else math.nan
        self.scores.append(BlockKpi(self.scoring.value(losses), int(there.sum()), block[0].time, block[-1].time, variance))
        self.blocks += 1
        probation = judging.probation_of(self.rule)
        calm = not probation.blocks
        self.verdict = self.rule.update(losses[there])
        if self.fleet:
            self.fleet.update(losses[there])
        self._judge_segments(block, losses)
        if calm and not math.isnan(self.verdict.statistic):  # else the KPI of these rows is undefined, and proves nothing
            self.proven = self.verdict.drift
            self._evidence = self.verdict.statistic / self.verdict.threshold
        elif not calm and not probation.blocks:  # probation is passed
            self.proven, self.kind, self._evidence, self._looks = False, None, None, []
        for row in block:
            row.closed = True
        self._judged = max(self._judged, (block[-1].time, block[-1].id))
        self._kind_rows.extend((row.features, float(loss)) for row, loss, has in zip(block, by_row, there, strict=True) if has)
        sure, outputs, features = self._answers(block)
        if sure and self._label_free:
            self._label_free.learn(outputs, Labels(self.config.labels).encode([row.label for row in sure]), features)

    def _judge_segments(self, block: Sequence[Row], losses: np.ndarray) -> None:
        if self.segments:
            there = judging.known(losses)
            self.segments.update([row.features for row, has in zip(block, there, strict=True) if has], losses[there], time=block[0].time)

    def _answers(self, rows: Sequence[Row]) -> tuple[list[Row], np.ndarray, np.ndarray]:
        """The rows that hold the model's output, the outputs, and the features, (M, F)."""
        regression = self.config.task == "regression"
        sure = [row for row in rows if regression or row.probabilities]
        outputs = [float(row.prediction) if regression else row.probabilities for row in sure]
        return sure, np.array(outputs, float), self._numbers([row.features for row in sure])

    def _numbers(self, rows: Sequence[tuple[float | str, ...]]) -> np.ndarray:
        """The features in the codes of the stream, (M, F)."""
        if not self.config.columns:
            return np.array(rows, float)
        vocabulary = Vocabulary(self.config.columns)
        return vocabulary.learned(vocabulary.rows(rows))

    def losses(self, rows: Sequence[Row]) -> np.ndarray:
        """The model's losses on labelled rows, as in `Scoring`."""
        labels, answers = self.scoring.codes([row.label for row in rows]), self.scoring.codes([row.prediction for row in rows])
        if not self.scoring.sure_only:
            return self.scoring.losses(labels, answers)
        unknown = (math.nan,) * len(self.config.labels)
        shares = np.array([row.probabilities or unknown for row in rows], float).reshape(-1, len(unknown))
        return self.scoring.losses(labels, answers, shares)

    def kpi(self) -> Figure:
        """The KPI of the newest labelled rows."""
        return self._measured()[0]

    def baselines(self) -> dict[str, Figure]:
        """KPI of the fallback, of repeating the last label and of the best constant answer on the same rows; a baseline without answers is left out."""
        return self._measured()[1]

    @property
    def note(self) -> str:
        """What the KPI lacks: probabilities of some of the newest labelled rows, or of the training rows; "" if nothing."""
        lost, all_rows, needs = len(self.newest) - self.kpi().rows, len(self.newest), f"which the KPI {self.config.kpi} needs"
        told = [f"{lost:,} of the newest {all_rows:,} labelled rows have no probabilities, {needs}: they are left out"] if lost else []
        if not self._autocorrelation:
            told.append(
                f"the training reference of version {self.version} lacks the probabilities of all classes, {needs} for the autocorrelation of its losses: "
                "the rule assumes a strong one; train the model again with this version of the program"
            )
        return "; ".join(told)

    def _measured(self) -> tuple[Figure, dict[str, Figure]]:
        """The KPI of the newest labelled rows, and that of the baselines; both are kept until there are more rows."""
        if self._figures is None:
            rows = sorted(self.newest, key=lambda row: (row.time, row.id))
            self._figures = self.scoring.kpi(self.losses(rows)), self._compared(rows)
        return self._figures

    def _compared(self, rows: Sequence[Row]) -> dict[str, Figure]:
        scoring, labels = self.scoring, self.scoring.codes([row.label for row in rows])
        found = {"fallback": scoring.losses(labels, scoring.codes([row.baseline for row in rows]))}
        if self.config.task == "classification" and not scoring.sure_only:
            found["no_change"] = scoring.losses(labels[1:], labels[:-1])
        if isinstance(scoring.task, ChosenKpi) and self.config.shares:
            name, outputs = scoring.task.baseline(len(rows))
            found[name] = scoring.of_outputs(labels, outputs)
        return {name: scoring.kpi(losses) for name, losses in found.items() if judging.known(losses).any()}

    def estimate(self, rows: Sequence[Row]) -> Estimate | None:
        """The KPI of rows without labels; None where the model's outputs are not known, or too few labels to learn from."""
        sure, outputs, features = self._answers([row for row in rows if row.version == self.version])
        found = self._label_free.estimate(outputs, features) if sure and self._label_free else None
        return None if found is None or np.isnan(found.value) else found

    def lifetime(self) -> Lifetime:
        """How long this version lasted."""
        return lifetime(list(self.scores), self.config)

    def kind_rows(self) -> tuple[list[AnsweredRow], list[AnsweredRow]]:
        """Older and newest judged rows to test the kind of drift on, if it is due; else none. A stream without features has no kinds.

        A test is due at the alarm, when the drift may be younger than the newest rows, and, if it proves no kind, again when all of
        the newest rows are younger than the alarm. Then as many rows before these are left out: a single block of the drift among
        the older rows would hide the change.
        """
        due = self._looks[0] + KPI_BLOCKS if self._looks else 0
        if not self.config.features or not self.proven or len(self._looks) == MOST_LOOKS or (self.kind and self.kind.kind in answer.TOLD) or self.blocks < due:
            return [], []
        rows = list(self._kind_rows)
        newest = min(KPI_BLOCKS * self.config.block_size, len(rows) // 2)
        return rows[: max(0, len(rows) - newest * (2 if self._looks else 1))], rows[len(rows) - newest :]

    def take_kind(self, kind: Verdict) -> None:
        """Take the result of `tell_kind`."""
        if self.proven:
            self.kind = kind
            self._looks.append(self.blocks)


def predict(scores: Sequence[BlockKpi], config: StreamConfig, lifetimes: Sequence[Lifetime]) -> Forecast | None:
    """Blocks until the KPI crosses the threshold; None if no forecast is possible. Takes up to a second."""
    if goal_scores.fault(config.goal):
        return None
    values, sizes, threshold = _falling(scores, config)
    found = crossing.predict(values, sizes, threshold=threshold, lifetimes=lifetimes, words=goal_scores.words(config.goal))
    return None if found.source == "none" else found


def lifetime(scores: Sequence[BlockKpi], config: StreamConfig) -> Lifetime:
    """How long the version of these blocks lasted."""
    if goal_scores.fault(config.goal):
        return crossing.lifetime([], threshold=config.threshold)
    values, _, threshold = _falling(scores, config)
    return crossing.lifetime(values, threshold=threshold)


def _falling(scores: Sequence[BlockKpi], config: StreamConfig) -> tuple[list[float], list[int], float]:
    """What a forecast takes: a value of each block that falls as the model gets worse, its size, and the threshold of the values."""
    values, rows = [score.kpi for score in scores], [score.rows for score in scores]
    if config.higher_is_better:
        return values, rows, config.threshold
    return *error_scores.of_moments(values, [score.variance for score in scores], rows, threshold=config.threshold), error_scores.LEVEL


def tell_kind(
    older: Sequence[AnsweredRow], newest: Sequence[AnsweredRow], config: StreamConfig, scoring: Scoring, *, columns: Sequence[Column] = ()
) -> Verdict:
    """The kind of a proven drift. Takes seconds; each test has its share of alpha.

    Args:
        columns: what the features hold, as the model knows them. By default numbers, and rows with missing values are left out.
    """
    vocabulary = Vocabulary(columns)
    sides: list[np.ndarray] = []
    for rows in (older, newest):
        features, errors = [features for features, _ in rows], np.array([error for _, error in rows])
        table = vocabulary.rows(features) if columns else np.array(features, np.float64).reshape(-1, len(config.features))
        whole = slice(None) if columns else ~np.isnan(table).any(axis=1)
        sides += [table[whole], errors[whole]]
    return scoring.told_kind(*sides, columns=vocabulary.columns, known=vocabulary.known, alpha=config.alpha / MOST_LOOKS)
