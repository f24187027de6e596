"""Compares the models of one base run on rows that none was fitted on, for MLflow's compare page.

Every run of a model has `test_rows`, `test_accuracy` (or `test_mae`) and the baselines under the same names. A base model first has them on
all rows after its training rows. With a challenger, both get them on the rows that are new to both: logged with `step` = the first of these
rows, so that MLflow shows the newest comparison and keeps the older ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from driftloop.data.streams import Stream
from driftloop.metrics import scoring, task
from driftloop.metrics.task import Task
from driftloop.report import descriptions
from driftloop.report.kpi_words import Figures
from driftloop.tracking import mlflow_store
from driftloop.tracking.mlflow_store import Store
from driftloop.training import mlflow_text, trained_model
from driftloop.training.trained_model import KnownModel

UNSEEN = "which none of the models compared with each other was fitted on"


@dataclass(frozen=True)
class Member:
    """A run and its model; the rows from `unseen_from` on are new to the model."""

    run_id: str
    name: str
    model: Any  # a LightningModule as in `Learner`
    majority: int | float
    unseen_from: int
    model_id: str | None = None  # in MLflow, if recorded


@dataclass
class Family:
    """The models to compare, the base model first."""

    store: Store
    stream: Stream
    doing: Task | None = None  # measures them; None: the stream's task
    members: dict[str, Member] = field(default_factory=dict)

    def add(self, known: KnownModel, *, name: str) -> None:
        """Add a recorded model."""
        self.members[known.run_id] = Member(known.run_id, name, known.model, known.majority, known.trained[1], known.model_id)

    def add_served(self, base: KnownModel, champion: KnownModel) -> None:
        """Start with a base model and the version in service, which may be the same."""
        self.add(base, name="base model")
        if champion.run_id != base.run_id:
            self.add(champion, name="this model")

    def add_model(self, run_id: str, model: Any, *, name: str, majority: int | float, unseen_from: int) -> None:
        """Add a model that is not recorded, such as a challenger; `unseen_from` is as in `Member`."""
        self.members[run_id] = Member(run_id, name, model, majority, unseen_from)

    def log(self) -> None:
        """Score all models on the rows that are new to all, and log to their runs.

        No effect with nothing to compare. If an earlier comparison was on later rows, those are used.

        Raises:
            TrackingError: the store failed.
        """
        if len(self.members) < 2:
            return
        start = max(member.unseen_from for member in self.members.values())
        start = max(start, *(self._compared_from(member.run_id) for member in self.members.values()))
        base, kpi = next(iter(self.members.values())), (self.doing or task.of(self.stream.task)).kpi
        reached: dict[str, float] = {}  # by the base model, which comes first
        for member in self.members.values():
            found = test_figures(self.stream, member.model, start, majority=member.majority, doing=self.doing)
            log_figures(self.store, member.run_id, found, start=start, model_id=member.model_id)
            describe(self.store, member.run_id, self.stream, found, start=start, name=member.name, others=reached, doing=self.doing)
            reached = reached or {base.name: found[kpi]}

    def _compared_from(self, run_id: str) -> int:
        """The first row of a run's newest comparison; 0 without one that leaves rows."""
        with mlflow_store.translated("MLflow metrics"):
            steps = [point.step for point in self.store.client.get_metric_history(run_id, "test_rows")]
        return max((step for step in steps if step < len(self.stream)), default=0)


def test_figures(stream: Stream, model: Any, start: int, *, majority: int | float, doing: Task | None = None) -> dict[str, Any]:
    """KPI of a model on the rows from `start` on with the baselines on the same rows; for classes also κ and κ-temporal."""
    outputs = trained_model.predict(model, stream, start, len(stream))
    predicted = task.of(stream.task).predictions(outputs)
    return {**scoring.summary(stream, start, predicted, majority=majority, doing=doing, outputs=outputs), "rows": len(predicted)}


def log_figures(store: Store, run_id: str, found: Mapping[str, Any], *, start: int, model_id: str | None) -> None:
    """Log test figures to a run, ended or not, and to its model."""
    flat = {name: value for name, value in found.items() if name != "baselines"} | found["baselines"]
    mlflow_store.log_outcome(store, run_id, {f"test_{name}": value for name, value in flat.items()}, step=start, model_id=model_id)


def describe(
    store: Store,
    run_id: str,
    stream: Stream,
    found: Mapping[str, Any],
    *,
    start: int,
    name: str,
    others: Mapping[str, float] | None = None,
    unseen: str = UNSEEN,
    doing: Task | None = None,
) -> None:
    """Write the test figures into the description of a run, with those of other models on the same rows."""
    lines = descriptions.kpis(Figures(stream.task, stream.unit, doing.kpi if doing else ""), found, model=name, others=others or {})
    words = descriptions.compared(lines, where=descriptions.rows(start, start + found["rows"], stream.times), unseen=unseen)
    mlflow_text.add_section(store, run_id, title=descriptions.COMPARED, words=words)
