"""Train the base model: the parent run that everything later hangs under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from driftloop import evaluation, models, task, tracking, tuning
from driftloop.errors import DataError, SettingsError
from driftloop.models import KnownModel
from driftloop.settings import DEFAULT_PARAMS, SEED, TRAIN_SHARE, VALIDATION_SHARE
from driftloop.streams import Stream
from driftloop.training import Learner, Span, fit

MIN_ROWS = 50  # of a stream: fewer leave nothing to learn from and to measure on


@dataclass(frozen=True)
class TrainPlan:
    """How to train: the search, the epochs, the seed.

    `total_trials` sets of parameters are tried, the documented defaults first; 0 and 1 both take
    just those. `space` is as in `tuning.DEFAULT_SPACE`.
    """

    space: Mapping[str, Any]
    total_trials: int = 0
    max_epochs: int = 3
    seed: int = SEED
    start: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_PARAMS)  # the first set that is tried
    progress: Callable[..., AbstractContextManager[Any]] | None = None
    until: np.datetime64 | None = None  # the base model learns the rows before this time; None: the oldest 70 %


def base_span(stream: Stream, *, until: np.datetime64 | None = None) -> Span:
    """Rows that the base model may learn from: those before `until`, or the oldest 70 %; the rest is what comes later.

    Raises:
        DataError: the stream is too short to be split.
        SettingsError: too few rows lie before `until`, or none after it.
    """
    rows = len(stream.rows)
    if rows < MIN_ROWS:
        raise DataError(f"{stream.source}: {rows} rows are too few to train on and to measure on: give at least {MIN_ROWS}")
    if until is None:
        return 0, int(TRAIN_SHARE * rows)
    stop = int(np.searchsorted(stream.times, until))
    if stop < MIN_ROWS or stop == rows:
        raise SettingsError(f"--train_until {until}: {stop} of {rows} rows lie before it: give a time that leaves at least {MIN_ROWS} before it and some after")
    return 0, stop


def train_base(store: tracking.Store, learner: Learner, stream: Stream, plan: TrainPlan, *, run_id: str) -> KnownModel:
    """Search, refit the best on all its rows, measure on the rows to come, log once to the active run.

    The search fits on the oldest rows and chooses on the newest tenth of the training rows; the winner is
    then fitted on both. The test rows are the rest of the stream: they choose nothing.
    """
    first, stop = base_span(stream, until=plan.until)
    edge = stop - int(VALIDATION_SHARE * stop)
    study = search_nested(store, learner, stream, plan, train=(first, edge), validation=(edge, stop))
    tracking.autolog()
    fitted = fit(learner, stream, study.best.params, train=(first, stop), test=(stop, len(stream.rows)), max_epochs=plan.max_epochs, seed=plan.seed)
    known = models.record(fitted, learner=learner, stream=stream, run_id=run_id)
    log_origin(stream, plan, study)
    figures = test_figures(stream, known)
    tracking.log_metrics({f"test_{name}": value for name, value in (figures["baselines"] | figures).items() if name != "baselines"})
    return known


def log_origin(stream: Stream, plan: TrainPlan, study: tuning.Study) -> None:
    """Log to the active run which trial its parameters came from, and what they were tried on."""
    plain = {"max_epochs": plan.max_epochs, "seed": plan.seed, "total_trials": len(study.trials)}
    tracking.log_params({**plain, "data": Path(stream.source).name, "data_sha256": stream.sha256})
    tracking.log_metrics({task.of(stream.task).objective: study.best.value})
    tracking.set_tags({"driftloop.from_trial": f"trial-{study.best.index:02d}"})


def test_figures(stream: Stream, known: KnownModel) -> dict[str, Any]:
    """KPI of a model on all rows after its own with the baselines on the same rows; of classes κ and κ-temporal as well."""
    start, stop = known.trained[1], len(stream.rows)
    predicted = models.predictions(known.model, stream, start, stop)
    return {"rows": stop - start, **evaluation.summary(stream, start, predicted, majority=known.majority)}


def search_nested(store: tracking.Store, learner: Learner, stream: Stream, plan: TrainPlan, *, train: Span, validation: Span) -> tuning.Study:
    """Run the search of a plan; every trial is a nested child run with its parameters and metrics.

    Raises:
        SettingsError: a history in the space leaves no rows to train on.
    """
    if train[1] - train[0] < 2 or validation[1] <= validation[0]:
        raise SettingsError(f"rows {train[0]} to {validation[1]} are too few to train and validate on: give more rows")
    trials = max(1, plan.total_trials)
    with (plan.progress or _no_progress)(total=trials, desc="trials", unit="trial") as bar:

        def evaluate(index: int, params: dict[str, Any]) -> np.ndarray:
            with tracking.run(store, f"trial-{index:02d}", role="trial"):
                tracking.autolog()
                fitted = fit(learner, stream, params, train=train, validation=validation, max_epochs=plan.max_epochs, seed=plan.seed)
                models.log_fit(fitted)
            if bar is not None:
                bar.update()
            return models.losses(fitted.model, stream, *validation)

        return tuning.search(
            evaluate,
            space=plan.space,
            start=plan.start,
            total_trials=trials,
            seed=plan.seed,
            task=task.of(stream.task),
        )


def _no_progress(**_: Any) -> AbstractContextManager[None]:
    return nullcontext()
