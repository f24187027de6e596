"""The record of one model version: its labelled rows, block by block, and the drift rule's verdicts."""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
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
from driftloop.drift.rules.probation import Probation
from driftloop.drift.verdict import Verdict
from driftloop.settings import REFERENCE_BLOCKS
from driftloop.training.reference import Reference
from monitoring.online.judging import Figure, Scoring
from monitoring.online.rolling import Blocks, Row
from monitoring.stream_settings import StreamConfig
from monitoring.vocabulary import Vocabulary

KPI_BLOCKS: Final = 7  # newest blocks that the KPI is measured on: a week of day blocks
MOST_BLOCKS: Final = 365  # newest blocks that a forecast uses
MOST_LOOKS: Final = 2  # tests of the kind of one drift
MOST_KIND_ROWS: Final = 5000  # newest rows that the kind of a drift is tested on
AnsweredRow = tuple[tuple[float | str, ...], float]  # features as in `Row`, and error


@dataclass(frozen=True)
class BlockKpi:
    """A judged block; times as in `Row`."""

    kpi: float
    rows: int
    first_time: str
    last_time: str
    variance: float  # of the rows' errors


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
        self.rule: Probation = copy.deepcopy(before.rule) if before else scoring.rule()
        if before:
            self.rule.reset()
        self.prepared = False  # no block is judged before that
        self.newest: deque[Row] = deque(maxlen=KPI_BLOCKS * config.block_size)
        self.scores: deque[BlockKpi] = deque(maxlen=MOST_BLOCKS)
        self.blocks = 0
        self.verdict: Verdict | None = None  # of the newest block
        self.proven = False  # the rule has alarmed, and this version has not proven since that it is good enough
        self.kind: Verdict | None = None  # of the proven drift
        self._looks: list[int] = []  # numbers of blocks at the tests of the kind
        self._evidence: float | None = None
        self._label_free = LabelFree(row_kpi.own(config.goal.task, unit=config.unit), coded=[feature.coded for feature in config.features])
        self._waiting = Blocks(config.block_size)
        self._kind_rows: deque[AnsweredRow] = deque(maxlen=MOST_KIND_ROWS)

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
            errors = self.scoring.errors(reference.predictions, reference.labels)
            self.rule.prepare(errors[-REFERENCE_BLOCKS * self.config.block_size :], block_size=self.config.block_size)
        self.prepared = True

    def add(self, row: Row) -> None:
        """Take a labelled row that this version answered."""
        self.newest.append(row)
        self._waiting.add(row)

    def advance(self) -> int:
        """Judge the complete blocks; return their number."""
        if not self.prepared:
            return 0
        blocks = self._waiting.cut()
        for block in blocks:
            self._judge(block)
        return len(blocks)

    def _judge(self, block: Sequence[Row]) -> None:
        errors = self.errors(block)
        self.scores.append(BlockKpi(self.scoring.kpi(errors).value, len(block), block[0].time, block[-1].time, float(errors.var())))
        self.blocks += 1
        calm = not self.rule.blocks
        self.verdict = self.rule.update(errors)
        if calm:
            self.proven = self.verdict.drift
            self._evidence = self.verdict.statistic / self.verdict.threshold
        elif not self.rule.blocks:  # probation is passed
            self.proven, self.kind, self._evidence, self._looks = False, None, None, []
        self._kind_rows.extend((row.features, float(error)) for row, error in zip(block, errors, strict=True))
        sure, outputs, features = self._answers(block)
        if sure:
            self._label_free.learn(outputs, Labels(self.config.labels).encode([row.label for row in sure]), features)

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

    def errors(self, rows: Iterable[Row]) -> np.ndarray:
        """The model's error on each labelled row, (rows,)."""
        return np.array([self.scoring.error(row.prediction, row.label) for row in rows if row.label is not None])

    def kpi(self) -> Figure:
        """The KPI of the newest labelled rows."""
        return self.scoring.kpi(self.errors(self.newest))

    def baselines(self) -> dict[str, Figure]:
        """KPI of the fallback, and of repeating the last label, on the same rows; a baseline without answers is left out."""
        rows = sorted(self.newest, key=lambda row: (row.time, row.id))
        pairs = {"fallback": [(row.baseline, row.label) for row in rows]}
        if self.config.task == "classification":
            pairs["no_change"] = [(before.label, row.label) for before, row in itertools.pairwise(rows)]
        known = {name: [(answer, label) for answer, label in both if answer is not None and label is not None] for name, both in pairs.items()}
        return {name: self.scoring.kpi(np.array([self.scoring.error(*pair) for pair in both])) for name, both in known.items() if both}

    def estimate(self, rows: Sequence[Row]) -> Estimate | None:
        """The KPI of rows without labels; None where the model's outputs are not known, or too few labels to learn from."""
        sure, outputs, features = self._answers([row for row in rows if row.version == self.version])
        found = self._label_free.estimate(outputs, features) if sure else None
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
    values, sizes, threshold = _falling(scores, config)
    found = crossing.predict(values, sizes, threshold=threshold, lifetimes=lifetimes, words=goal_scores.words(config.goal))
    return None if found.source == "none" else found


def lifetime(scores: Sequence[BlockKpi], config: StreamConfig) -> Lifetime:
    """How long the version of these blocks lasted."""
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
