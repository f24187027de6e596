"""Scores a stream's answers: the losses that the KPI is computed from, the KPI, and the drift rule, as in the lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from driftloop.data.labels import Labels
from driftloop.data.schema.schema import Column
from driftloop.drift import diagnosis
from driftloop.drift.kind import kinds
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.loss_rules import BlockLossRule
from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.rule import Rule
from driftloop.drift.verdict import Verdict
from driftloop.metrics.row_kpis import CostKpi
from driftloop.metrics.scoring import COPIED
from driftloop.metrics.task import CLASSIFICATION
from driftloop.training.reference import Reference
from monitoring.fleet.evidence import FleetEvidence
from monitoring.records.checks import Value
from monitoring.stream_settings import StreamConfig

RULE: Final = "significant"


@dataclass(frozen=True)
class Figure:
    """A KPI with its 95 % interval; nan without rows. Rows are taken as independent, but for a KPI whose interval is of a block bootstrap."""

    value: float
    lower: float
    upper: float
    rows: int


class Scoring:
    """The scoring of one stream. Labels and answers are codes of its labels, the number of labels where an answer is none, or numbers; nan is none.

    *Losses* are what the KPI is computed from, a row each: (N,), or of a KPI of whole blocks label and probabilities, (N, 1 + K); nan where a
    row lacks the label, the answer, or the probabilities that the KPI needs.

    Raises:
        SettingsError: as `StreamConfig.measured_by`.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._config, self.task, self.goal = config, config.measured_by, config.goal
        self._names = Labels(config.labels)

    @property
    def sure_only(self) -> bool:
        """Whether the KPI needs the probabilities of an answer."""
        return self.task.chosen and self.task.name == CLASSIFICATION.name and self.task.kpi not in COPIED

    def codes(self, values: Sequence[Value | None]) -> np.ndarray:
        """Answers or labels as numbers, (N,)."""
        return self._names.encode(values, foreign=len(self._names.names))

    def losses(self, labels: np.ndarray, answers: np.ndarray, probabilities: np.ndarray | None = None) -> np.ndarray:
        """The losses of rows.

        Args:
            labels, answers: (N,) each.
            probabilities: (N, K) of the classes, nan without any; None where the answers are taken as certain, such as a baseline's.
        """
        known = ~np.isnan(labels) & ~np.isnan(answers)
        if not self.task.chosen or self._config.task == "regression":
            return np.where(known, self.task.losses(labels, answers).astype(np.float64), np.nan)
        if self.sure_only and probabilities is not None:
            return self.of_outputs(np.where(np.isnan(probabilities).any(axis=1), np.nan, labels), probabilities)
        codes = labels[known].astype(np.int64)
        outputs = np.eye(len(self._names.names))[self._classes(codes, answers[known])]
        return _spread(self.task.losses_of(codes, outputs), known)

    def of_outputs(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """The losses of a model's outputs for all rows, (N, K) probabilities or (N,) values."""
        known = ~np.isnan(labels)
        given = labels[known]
        return _spread(self.task.losses_of(given if self._config.task == "regression" else given.astype(np.int64), outputs[known]), known)

    def _classes(self, labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """The answers' classes; an answer that is no label counts as a wrong one, with costs as the most expensive."""
        classes = len(self._names.names)
        wrong = self.task.costs.argmax(axis=1) if isinstance(self.task, CostKpi) else (np.arange(classes) + 1) % classes
        return np.where(answers < classes, answers, wrong[labels]).astype(np.int64)

    def by_row(self, losses: np.ndarray) -> np.ndarray:
        """The loss of each row that explains the KPI, (N,): of a KPI of whole blocks, 1 where the class is wrong."""
        return losses if losses.ndim == 1 else np.where(known(losses), losses[:, 1:].argmax(axis=1) != losses[:, 0], np.nan)

    def kpi(self, losses: np.ndarray) -> Figure:
        """The KPI of these losses; rows with nan are left out."""
        given = losses[known(losses)]
        return Figure(self.task.value(given), *self.task.interval(given), len(given))

    def value(self, losses: np.ndarray) -> float:
        """The KPI alone."""
        return self.task.value(losses[known(losses)])

    def of_reference(self, reference: Reference) -> np.ndarray:
        """The losses on a model's training rows, which must be of the stream; none where the reference lacks the probabilities that the KPI needs."""
        labels, answers = (self.codes(values.tolist()) for values in (reference.labels, reference.predictions))
        if not self.sure_only:
            return self.losses(labels, answers)
        if reference.outputs is not None:
            newest = len(reference.outputs)
            return self.losses(labels[-newest:], answers[-newest:], reference.outputs.astype(np.float64))
        if len(self._names.names) != 2:
            return self.losses(labels[:0], answers[:0])
        sure = np.where(answers == 1, reference.probabilities, 1 - reference.probabilities)
        return self.losses(labels, answers, np.column_stack([1 - sure, sure]))

    def rule(self, *, probation: bool = True, alpha: float | None = None) -> Rule:
        """A new drift rule: `significant`, by default with probation and at the stream's alpha, as in the lifecycle's watch."""
        goal = self.goal if alpha is None else replace(self.goal, alpha=alpha)
        return catalogue.for_goal(RULE, goal, probation=probation)

    def fleet_evidence(self) -> FleetEvidence | None:
        """The evidence of a first version for the fleet; None without a rate over all streams."""
        if self._config.shared_alpha is None:
            return None
        rule = self.rule(alpha=self._config.shared_alpha)
        return FleetEvidence(rule, probation_of(rule))

    def told_kind(
        self,
        older: np.ndarray,
        older_errors: np.ndarray,
        newest: np.ndarray,
        newest_errors: np.ndarray,
        *,
        columns: Sequence[Column] = (),
        known: Sequence[int] = (),
        alpha: float,
    ) -> Verdict:
        """The kind of the newest rows' proven drift, by comparison with older rows. Takes seconds.

        Args:
            older, newest: (N, F) and (M, F) in time order; nan where a value is missing, of which there are none without `columns`.
            older_errors, newest_errors: (N,) and (M,) of the same rows, as `by_row` gives them.
            columns, known: what the features hold, as in `kinds.tell`; by default numbers.
            alpha: false-alarm rate of the tests.
        """
        before, now = (diagnosis.comparable(errors, self.goal) for errors in (older_errors, newest_errors))
        names, losses = self._config.feature_names, self.task.by_row is not CLASSIFICATION
        words = self.task.loss_words
        found = kinds.tell(older, before, newest, now, names=names, columns=columns, known=known, alpha=alpha, losses=losses, loss_words=words, fallen=True)
        return kinds.settled(found)


def probation_of(rule: Rule) -> Probation:
    """The probation in a rule of `Scoring.rule`."""
    found = rule.rule if isinstance(rule, BlockLossRule) else rule
    assert isinstance(found, Probation)
    return found


def known(losses: np.ndarray) -> np.ndarray:
    """The rows that have a loss, (N,)."""
    return ~np.isnan(losses if losses.ndim == 1 else losses[:, 0])


def _spread(losses: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The losses of some rows among all, nan elsewhere."""
    found = np.full((len(which), *losses.shape[1:]), np.nan)
    found[which] = losses
    return found
